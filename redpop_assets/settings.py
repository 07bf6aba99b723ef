"""Every setting of the platform, typed, from the environment or a `.env` file in the working directory."""

import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import unquote, urlsplit

from platformdirs import user_state_path
from pydantic import Field, PrivateAttr, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from redpop_assets.durations import LONGEST
from redpop_assets.encoders.judges import NIMA_HEAD
from redpop_assets.encoders.names import EncoderName
from redpop_assets.errors import SettingsError
from redpop_assets.features.registry import FAMILIES
from redpop_assets.labels import LabelRule
from redpop_assets.predictors.registry import MEDIAN, predictor_class, predictor_names
from redpop_assets.shown import visible
from redpop_assets.sources.reddit.plan import DEFAULT_PLAN, HarvestPlan, HarvestPlans, Maturation, ObservationAges
from redpop_assets.sources.services import ARCTIC_SHIFT, REDDIT, SERVICES, SourceName
from redpop_assets.spellings import parse_community
from redpop_assets.storage.lake_address import LakeAddress, lake_address, parse_warehouse
from redpop_assets.storage.location import parse_location
from redpop_assets.storage.postgres import Postgres, parse_postgres
from redpop_assets.storage.shared_text import Memory, SharedText, text_at
from redpop_assets.webhooks import Receiver, parse_receivers

REDDIT_URL = "https://www.reddit.com"
OAUTH_URL = "https://oauth.reddit.com"
ARCTIC_SHIFT_URL = "https://arctic-shift.photon-reddit.com"

_RAY_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")

_STUDIO_NAME = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]")

HANDED_OVER = "REDPOP_SETTINGS"
"""Settings of one process for another that it starts: see `Settings.handed_over`.

A variable of its own, because the programs of Dagster put the lines of a `.env` over the variables that they were
started with, while here the environment wins.
"""

_OF_STORE = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"),
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "AWS_METADATA_ENDPOINT"),
    *("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS"),
    *("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"),
)
"""Variables of services of object storage that may stand in a `.env`; they read more of them in the environment."""


CommaSeparated = Annotated[tuple[str, ...], NoDecode]

Days = Annotated[float, Field(le=LONGEST / timedelta(days=1))]
Hours = Annotated[float, Field(le=LONGEST / timedelta(hours=1))]
Seconds = Annotated[float, Field(le=86_400)]
Count = Annotated[int, Field(le=1_000_000_000)]


_LEAST_WAREHOUSE_MEMORY_MB: Final = 128


class Settings(BaseSettings):
    """What a deployment may choose. Each field is the variable `REDPOP_<FIELD>`; credentials are `REDDIT_*`."""

    model_config = SettingsConfigDict(env_prefix="REDPOP_", env_file=".env", extra="ignore", frozen=True)

    _fixed: frozenset[str] = PrivateAttr(frozenset())  # fields that no line of a `.env` can change

    home: Path = Field(
        Path("warehouse"), description="Home directory: database, images, models and run history together."
    )
    store: str = Field(
        "",
        description="Where the files of pictures, models and figures are: empty for the home directory, another "
        "folder, or object storage as s3://bucket/prefix (also gs:// and az://), with the key in the variables of its "
        "service, such as AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL.",
    )
    warehouse: SecretStr = Field(
        SecretStr(""),
        description="Where the pipeline's own warehouse is: empty for a DuckDB file in the home directory, or "
        "ducklake:postgres:<libpq connection string> for a lake that several machines share, with its files in the "
        "folder lake of REDPOP_STORE. It needs packages: pip install 'redpop[cluster]'.",
    )
    dagster_storage: SecretStr = Field(
        SecretStr(""),
        description="Where Dagster keeps runs, events, schedules and limits: empty for files in the home directory, or "
        "a Postgres that several machines share, as postgresql://user:password@host/database.",
    )
    source: str = Field(
        REDDIT,
        min_length=1,
        description="The service that posts come from: reddit (with a key), arctic_shift (without one), the name of "
        "another service that speaks Reddit's API, or arctic_shift:<name> for one that speaks Arctic Shift's. A "
        "warehouse holds the posts of one Reddit: it may go from reddit to arctic_shift and back, as both know the "
        "same posts.",
    )
    subreddits: CommaSeparated = Field(
        ("pics", "EarthPorn"),
        description="Communities, separated by commas: names or addresses, such as pics, r/EarthPorn, reddit.com or "
        "u_somebody for a profile.",
    )

    reddit_client_id: str = Field("", validation_alias="REDDIT_CLIENT_ID", description="Client id of the Reddit app.")
    reddit_client_secret: SecretStr = Field(
        SecretStr(""), validation_alias="REDDIT_CLIENT_SECRET", description="Client secret of the Reddit app."
    )
    reddit_user_agent: str = Field(
        "",
        validation_alias="REDDIT_USER_AGENT",
        description="<platform>:<app ID>:<version> (by /u/<username>), as Reddit asks for; image hosts see it too.",
    )
    reddit_url: str = Field(REDDIT_URL, description="Where tokens are asked for.")
    oauth_url: str = Field(OAUTH_URL, description="Where the API is asked.")
    reddit_timeout_seconds: Seconds = Field(
        30.0, gt=0, description="Longest silence, and longest answer, of the API (seconds)."
    )
    budget_dir: str = Field(
        "",
        description="Folder in which all processes of the machine keep the request budget, or pace, that they share; "
        "empty: the user's state directory, or the home directory if the posts are not those of the real Reddit.",
    )
    arctic_shift_url: str = Field(ARCTIC_SHIFT_URL, description="Where Arctic Shift is asked.")
    arctic_shift_requests_per_second: float = Field(
        1.0, gt=0, le=2, description="Most requests per second to Arctic Shift, of all processes of the machine."
    )
    arctic_shift_look_back_days: Days = Field(
        90.0,
        gt=0,
        description="How far back the first harvest of a community from Arctic Shift begins (days); later ones go on "
        "where it ended.",
    )

    harvest_plan: Annotated[HarvestPlan, NoDecode] = Field(
        DEFAULT_PLAN,
        description="Listings that a harvest reads when they are due: listing[:depth][@every], separated by commas, "
        "such as new@1h,hot:300@6h,top/all@7d. Without a depth (posts) a listing is read to its end, about 1,000 "
        "posts; without a period (m, h or d) once a day.",
    )
    harvest_plans: Annotated[HarvestPlans, NoDecode] = Field(
        HarvestPlans({}),
        description='Plans of their own for single subreddits: a JSON object such as {"pics": "new@30m,top/day@1d"}.',
    )
    observation_ages: Annotated[ObservationAges, NoDecode] = Field(
        ObservationAges.parse("1h,3h,6h,12h,24h"),
        description="Ages at which the score of a young post is read; then daily to the label age, and once after it.",
    )
    recheck_hours: Hours = Field(
        24.0, gt=0, description="Every kept post is asked for so often, to learn whether it still stands (hours)."
    )
    requests_per_harvest: Count = Field(
        1000, ge=1, description="Most requests of one harvest of a subreddit; the next one goes on with what is left."
    )
    label_age_days: Days = Field(
        default_factory=lambda chosen: _label_rule(chosen).age / timedelta(days=1),
        gt=0,
        description="Age at which the score of a post becomes its label (days). Without it, what the source can give: "
        "7 of reddit; 34 hours of arctic_shift, which reads every score once, at about 36.",
    )
    label_window_hours: Hours = Field(
        default_factory=lambda chosen: _label_rule(chosen).window / timedelta(hours=1),
        ge=0,
        description="The label is the median of the readings from the first one at the label age until so much later "
        "(hours). Without it, what the source needs: 48 of reddit, 14 of arctic_shift.",
    )
    give_up_days: Days = Field(30.0, gt=0, description="Posts past this age without a label are read no more (days).")
    allow_over_18: bool = Field(False, description="Whether posts marked as mature are kept.")

    fetch_images: bool = Field(True, description="Whether images are downloaded; without them predictors do without.")
    images_per_post: int = Field(1, ge=1, le=20, description="How many images of a gallery are fetched.")
    image_hosts_allowed: CommaSeparated = Field(
        (), description="host:port pairs that may have a private address; all others must be public."
    )
    image_max_bytes: Count = Field(20_000_000, gt=0, description="Largest image file (bytes).")
    image_max_pixels: Count = Field(50_000_000, gt=0, description="Largest image (pixels).")
    image_min_edge: Count = Field(128, gt=0, description="Smallest accepted width or height (pixels).")
    image_timeout_seconds: Seconds = Field(60.0, gt=0, description="Longest time one image may take in all.")
    image_concurrency: int = Field(16, ge=1, le=256, description="Images fetched at the same time.")
    image_concurrency_per_host: int = Field(
        4, ge=1, le=64, description="Images fetched from one host at the same time."
    )
    image_format: Literal["original", "jpeg", "webp"] = Field(
        "original",
        description="In which form new images are stored: original (less their metadata), or encoded as jpeg or webp.",
    )
    image_longest_edge: Count = Field(
        0,
        ge=0,
        description="Larger images are shrunk to it before they are encoded (pixels, 256 or more); 0: no limit.",
    )
    image_quality: int = Field(90, ge=1, le=100, description="Quality of that encoding.")
    image_recheck_days: Days = Field(
        30.0, ge=0, description="Stored images not checked for so long are asked for again (days); 0: never."
    )

    image_encoder: str = Field("open_clip:ViT-B-32/laion2b_s34b_b79k", description="Encoder of the images.")
    caption_encoder: str = Field("sentence_transformers:all-MiniLM-L6-v2/hub", description="Encoder of the captions.")
    extra_image_encoders: CommaSeparated = Field(
        (), description="Further encoders whose vectors are stored, made in the same pass over the pictures."
    )
    image_grids: bool = Field(
        False, description="Whether the spatial grids of the image encoders are stored (about 125 kB per picture)."
    )
    clip_encoder: str = Field(
        "",
        description="open_clip model that compares pictures with words; empty: the image encoder if it is one, else "
        "none.",
    )
    entity_model: str = Field(
        "bundled",
        description="spaCy model that finds names in captions: bundled, the name of an installed package or a path; "
        "empty: none.",
    )
    emotion_model: str = Field(
        "", description="transformers model that classifies emotions of captions, by hub name or path; empty: none."
    )
    nima_weights: str = Field(
        "",
        description="Weights of the aesthetics network NIMA: <timm model>/<path of the file>, such as "
        "mobilenetv2_100//data/nima.pth, or head/<path> for a layer on the vectors of the image encoder; empty: none.",
    )
    aesthetic_weights: str = Field(
        "", description="Weights of an aesthetics head over vectors of the CLIP encoder, a path; empty: none."
    )
    iipa_weights: str = Field(
        "", description="Weights of the intrinsic-popularity network IIPA (ResNet-50), a path; empty: none."
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:<n>.")
    reproducible: bool = Field(
        False,
        description="Whether figures are to be the same on other machines: networks run on the processor, in torch and "
        "float32, and everything adds up on one thread, with the instructions that every x86 processor since 2013 has. "
        "Slower by as much as the machine could do at once.",
    )
    chunk_size: Count = Field(
        256,
        ge=1,
        description="Rows computed before the first write (16 times as many captions, 16,384 of cheap features); up to "
        "16 times as many lie between later ones where that takes no more than seconds. A killed run loses these.",
    )

    optional_families: CommaSeparated = Field(
        (),
        description="Families of features that are computed only if they are named, separated by commas: faces, "
        "image_text (both need packages: pip install 'redpop[recognise]'), and retrieved, which retrieval_attention "
        "reads.",
    )

    predictors: CommaSeparated = Field(
        (),
        description="Predictors that are trained and compared, separated by commas; `subreddit_median` is always one "
        "of them. Empty: all.",
    )
    training_posts: Count = Field(
        100_000,
        ge=100,
        description="Most labelled posts of a subreddit, the newest ones, that are learnt from and judged on: what "
        "bounds a training's memory.",
    )
    leave_out_anomalies: bool = Field(
        True,
        description="Whether labels of archives that are likely to be first readings (core.doubtful_labels) are left "
        "out of training and test.",
    )
    validation_share: float = Field(
        0.15, gt=0, lt=0.5, description="Share of the labelled posts that stops the training."
    )
    test_share: float = Field(
        0.2, gt=0, lt=0.5, description="Share of the labelled posts, the newest, that is the test."
    )
    analysed_predictor: str = Field(
        "fusion_lightgbm", description="The predictor that `redpop analyse` takes apart: ablation, shuffled labels."
    )
    seed: Count = Field(7, ge=0, description="Seed of everything random in training and evaluation.")

    lock_timeout_seconds: Seconds = Field(600.0, gt=0, description="Longest wait for the warehouse file.")
    warehouse_memory_mb: int = Field(
        0,
        ge=0,
        description="Most memory that the warehouse takes in each process (MB); what does not fit goes to a file "
        "beside it for as long as a question takes. 0: 512, or 256 for each processor where that is more.",
    )
    step_processes: int = Field(
        0,
        ge=0,
        le=64,
        description="Steps of a run of the UI that run at the same time, each in a process of its own; "
        "0 for one after the other in the process of the run, which costs least.",
    )
    webhook_url: SecretStr = Field(
        SecretStr(""),
        description="Addresses that are told of failed nights and harvests, stale communities, drift and new "
        "champions, separated by commas: webhooks of Slack, Mattermost or Discord, or what else takes JSON.",
    )
    stale_hours: Hours = Field(
        48.0, gt=0, description="A community that was not harvested for so long is told to the webhooks (hours)."
    )
    compute: Literal["local", "ray"] = Field(
        "local",
        description="Where pictures are fetched and networks run over pictures and captions: local, in the process of "
        "the step, or ray, by actors of a Ray cluster (pip install 'redpop[cluster]').",
    )
    ray_address: str = Field(
        "",
        validate_default=True,
        description="Head of the Ray cluster, host:port, or auto for the one that runs on this machine; empty: "
        "RAY_ADDRESS, and without that a cluster on this machine that ends with the run.",
    )
    ray_networks: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Actors that hold networks; 0 for one per GPU (or share of one), without GPUs as many as the "
        "processors of the cluster allow.",
    )
    ray_cpus: int = Field(
        4, ge=1, le=1024, description="Processors of an actor that holds networks; no more than a machine has."
    )
    ray_gpus: float = Field(
        1.0,
        ge=0,
        le=64,
        description="GPUs of such an actor, where the cluster has any: 1, a share such as 0.5, or several; 0 to leave "
        "them alone.",
    )
    ray_fetchers: int = Field(
        4,
        ge=1,
        le=1000,
        description="Actors that fetch pictures, each with the limits of a download for itself; a host is asked by one "
        "of them.",
    )
    studio_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address that `redpop studio` listens on; all but this machine's own need a token.",
    )
    studio_port: int = Field(8800, ge=1, le=65535, description="Port of `redpop studio`.")
    studio_token: SecretStr = Field(
        SecretStr(""),
        description="What visitors of the studio have to enter, and programs to send as a bearer token (16 characters "
        "or more); empty: nobody is asked, which is allowed on 127.0.0.1 alone.",
    )
    studio_names: CommaSeparated = Field(
        (),
        description="Names by which browsers reach the studio besides 127.0.0.1 and localhost, such as that of a "
        "proxy, separated by commas; others are refused.",
    )
    studio_threads: int = Field(2, ge=1, le=64, description="Questions that the studio answers at the same time.")
    studio_requests_per_minute: Count = Field(
        300, ge=10, description="Most requests per minute of one visitor of the studio."
    )
    nightly_cron: str = Field("0 3 * * *", description="When everything is refreshed (UTC).")
    discovery_cron: str = Field("15 * * * *", description="When what is due is read from Reddit (UTC).")

    @field_validator(
        *(
            "subreddits",
            "image_hosts_allowed",
            "extra_image_encoders",
            "optional_families",
            "predictors",
            "studio_names",
        ),
        mode="before",
    )
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("subreddits")
    @classmethod
    def _name_communities_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ValueError("name at least one subreddit, such as REDPOP_SUBREDDITS=pics,EarthPorn")
        try:
            names = tuple(map(parse_community, names))
        except SettingsError as error:
            raise ValueError(str(error)) from error
        if len({name.lower() for name in names}) < len(names):
            raise ValueError("a subreddit is named twice; Reddit does not distinguish case")
        return names

    @field_validator("predictors")
    @classmethod
    def _know_predictors(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            predictor_class(name)
        return tuple(dict.fromkeys(names))

    @field_validator("warehouse_memory_mb")
    @classmethod
    def _enough_memory(cls, value: int) -> int:
        if 0 < value < _LEAST_WAREHOUSE_MEMORY_MB:
            raise ValueError(
                f"with less than {_LEAST_WAREHOUSE_MEMORY_MB} MB nothing can be asked; 0 leaves it to RedPop"
            )
        return value

    @field_validator("optional_families")
    @classmethod
    def _know_families(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = [family.name for family in FAMILIES if family.optional]
        for name in names:
            if name not in known:
                raise ValueError(f"{name!r} is no optional family of features; there are: {', '.join(known) or 'none'}")
        return tuple(dict.fromkeys(names))

    @field_validator("source")
    @classmethod
    def _know_source(cls, name: str) -> str:
        SourceName.parse(name)
        return name

    @field_validator("arctic_shift_url")
    @classmethod
    def _name_a_host(cls, url: str) -> str:
        try:
            parts = urlsplit(url.strip())
        except ValueError:  # brackets around what is no address
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{url!r} is no address of a service: write one like {ARCTIC_SHIFT_URL}")
        return url.strip().rstrip("/")

    @field_validator("store")
    @classmethod
    def _know_location(cls, location: str) -> str:
        return parse_location(location)

    @field_validator("warehouse")
    @classmethod
    def _know_warehouse(cls, text: SecretStr) -> SecretStr:
        return SecretStr(parse_warehouse(text.get_secret_value()))

    @field_validator("dagster_storage")
    @classmethod
    def _know_history(cls, url: SecretStr) -> SecretStr:
        return SecretStr(parse_postgres(url.get_secret_value())) if url.get_secret_value().strip() else SecretStr("")

    @field_validator("webhook_url")
    @classmethod
    def _know_receivers(cls, urls: SecretStr) -> SecretStr:
        parse_receivers(urls.get_secret_value())
        return urls

    @field_validator("studio_token")
    @classmethod
    def _choose_a_long_token(cls, token: SecretStr) -> SecretStr:
        text = token.get_secret_value()
        if text and (len(text) < 16 or not text.isascii() or not text.isprintable() or " " in text):
            raise ValueError(
                "the token is 16 characters or more, without blanks; make one: "
                "python -c 'import secrets; print(secrets.token_urlsafe(24))'"
            )
        return token

    @field_validator("studio_names")
    @classmethod
    def _name_no_addresses(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not _STUDIO_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a host: write it like studio.example.org, without a port")
        return tuple(name.lower() for name in names)

    @field_validator("ray_address")
    @classmethod
    def _know_address(cls, address: str) -> str:
        return _parse_address(address or os.environ.get("RAY_ADDRESS", ""))

    @field_validator("ray_gpus")
    @classmethod
    def _share_gpus_evenly(cls, gpus: float) -> float:
        if gpus > 1 and gpus != int(gpus):
            raise ValueError(f"{gpus:g} GPUs cannot be had: write a share of one, such as 0.5, or a whole number")
        return gpus

    @field_validator("harvest_plan", "harvest_plans", "observation_ages", mode="before")
    @classmethod
    def _parse_plans(cls, value: object, info: ValidationInfo) -> object:
        parse: dict[str | None, Callable[[str], object]] = {
            "harvest_plan": HarvestPlan.parse,
            "harvest_plans": HarvestPlans.parse,
            "observation_ages": ObservationAges.parse,
        }
        try:
            return parse[info.field_name](value) if isinstance(value, str) else value
        except SettingsError as error:
            raise ValueError(str(error)) from error

    @field_validator("image_encoder", "caption_encoder")
    @classmethod
    def _spell_encoder(cls, name: str) -> str:
        try:
            return str(EncoderName.parse(name))
        except SettingsError as error:
            raise ValueError(str(error)) from error

    @field_validator("extra_image_encoders")
    @classmethod
    def _spell_encoders(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(cls._spell_encoder(name) for name in names)

    @field_validator("clip_encoder")
    @classmethod
    def _compare_by_clip(cls, name: str) -> str:
        if name and not name.startswith("open_clip:"):
            raise ValueError(f"{name} has no half for words: name a model of open_clip, or none")
        return cls._spell_encoder(name) if name else name

    @field_validator("nima_weights")
    @classmethod
    def _name_network_and_weights(cls, name: str) -> str:
        network, _, weights = name.partition("/")
        if name and not (network and weights):
            raise ValueError(
                f"{name} names no network and its weights: write <timm model>/<path>, such as "
                f"mobilenetv2_100//data/nima.pth, or {NIMA_HEAD}//data/nima_head.safetensors"
            )
        return name

    @field_validator("home")
    @classmethod
    def _make_home_absolute(cls, home: Path) -> Path:
        try:
            path = home.expanduser().absolute()
        except (RuntimeError, FileNotFoundError) as error:  # no such user; a working directory that was removed
            raise ValueError(f"{str(home)!r} leads nowhere ({error}): name a folder from the root on") from error
        # The run history is opened by a URL, in which %20 is a blank; DuckDB takes what follows a ? for parameters.
        if unquote(str(path)) != str(path) or "?" in str(path) or visible(str(path)) != str(path):
            raise ValueError(
                f"the databases of a home cannot be opened below {str(path)!r}: name a folder whose path has no ?, no "
                "% before two digits, no line end and nothing but UTF-8 in it, such as ~/redpop"
            )
        return path

    @model_validator(mode="after")
    def _name_other_sources(self) -> Self:
        source = self.source_name
        if not source.is_real:
            return self
        if source.kind == REDDIT and self.oauth_url.rstrip("/") != OAUTH_URL:
            raise ValueError(
                f"REDPOP_OAUTH_URL is {self.oauth_url}, which is not Reddit: name it in REDPOP_SOURCE, such as "
                "REDPOP_SOURCE=sandbox, so that its posts never mix with real ones"
            )
        if source.kind == ARCTIC_SHIFT and self.arctic_shift_url != ARCTIC_SHIFT_URL:
            raise ValueError(
                f"REDPOP_ARCTIC_SHIFT_URL is {self.arctic_shift_url}, which is not Arctic Shift: name it in "
                f"REDPOP_SOURCE, such as REDPOP_SOURCE={ARCTIC_SHIFT}:sandbox, so that its posts never mix with "
                "real ones"
            )
        return self

    @model_validator(mode="after")
    def _keep_the_files_of_a_lake(self) -> Self:
        try:
            _ = self.lake
        except SettingsError as error:
            raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _plan_for_known_communities(self) -> Self:
        if unknown := sorted(set(self.harvest_plans.plans) - set(self.partitions)):
            raise ValueError(
                f"REDPOP_HARVEST_PLANS has a plan for {', '.join(unknown)}, but REDPOP_SUBREDDITS is "
                f"{','.join(self.subreddits)}: add it there, or take its plan out"
            )
        return self

    @model_validator(mode="after")
    def _encode_what_is_shrunk(self) -> Self:
        if 0 < self.image_longest_edge < 256:
            raise ValueError(
                f"REDPOP_IMAGE_LONGEST_EDGE is {self.image_longest_edge}: encoders look at 224 pixels and more, so set "
                "256 or more, or 0 for no limit"
            )
        if self.image_format == "original" and self.image_longest_edge:
            raise ValueError(
                f"REDPOP_IMAGE_LONGEST_EDGE is {self.image_longest_edge}, but original files are stored as they are: "
                "set REDPOP_IMAGE_FORMAT=jpeg or webp, or the edge to 0"
            )
        return self

    @model_validator(mode="after")
    def _judge_vectors_of_a_clip(self) -> Self:
        if self.aesthetic_weights and not self.clip:
            raise ValueError(
                "REDPOP_AESTHETIC_WEIGHTS is a head on the vectors of a CLIP, and there is none: name one in "
                "REDPOP_CLIP_ENCODER, such as open_clip:ViT-L-14/openai, or leave the weights out"
            )
        return self

    @model_validator(mode="after")
    def _wait_for_labels(self) -> Self:
        if self.give_up_days <= self.label_age_days:
            raise ValueError(
                f"REDPOP_GIVE_UP_DAYS is {self.give_up_days:g}, REDPOP_LABEL_AGE_DAYS {self.label_age_days:g}: posts "
                "would be given up before their label can be read, so make the first the larger one"
            )
        return self

    def handed_over(self) -> dict[str, str]:
        """The variable by which a process that is started reads these settings, whatever Dagster puts over the others.

        It holds what was chosen and what stands in the environment. What came from `.env` is read there again, so that
        an edited line counts as soon as the definitions are loaded anew. Secrets may stand in it: give it to the
        environment of that process and to nothing else.
        """
        return {HANDED_OVER: json.dumps({_key(name): written(getattr(self, name)) for name in sorted(self._fixed)})}

    @property
    def store_variables(self) -> Mapping[str, str]:
        """Key, address and region of the object storage, by the names of its service; secrets among them."""
        from dotenv import dotenv_values

        found = {**dotenv_values(".env", interpolate=False), **os.environ}
        return {name: value for name in _OF_STORE if (value := found.get(name))}

    @property
    def webhooks(self) -> tuple[Receiver, ...]:
        """Who is told of what happens."""
        return parse_receivers(self.webhook_url.get_secret_value())

    @property
    def history(self) -> Postgres | None:
        """Where Dagster's run history is; None for files in the home."""
        url = self.dagster_storage.get_secret_value()
        return Postgres(url) if url else None

    @property
    def shared_postgres(self) -> Postgres | None:
        """Where the machines of the deployment keep what they share besides rows and files; None for one machine."""
        lake = self.lake
        return self.history or (lake.postgres if lake else None)

    @property
    def lake(self) -> LakeAddress | None:
        """Where the pipeline's warehouse is, if it is a lake; None for the file of the home."""
        return lake_address(self.warehouse.get_secret_value(), self.store, self.home, self.store_variables)

    @property
    def source_name(self) -> SourceName:
        """The service that posts come from, and the Reddit whose posts they are."""
        return SourceName.parse(self.source)

    @property
    def predictor_names(self) -> tuple[str, ...]:
        """The predictors that are trained and compared."""
        return tuple(dict.fromkeys((MEDIAN, *self.predictors))) if self.predictors else predictor_names()

    @property
    def network_device(self) -> str:
        """Where networks run."""
        return "cpu" if self.reproducible else self.device

    @property
    def image_encoders(self) -> tuple[str, ...]:
        """All encoders whose vectors of pictures are stored; the first is the one that predictors use."""
        return tuple(dict.fromkeys((self.image_encoder, *self.extra_image_encoders, *filter(None, [self.clip]))))

    @property
    def caption_encoders(self) -> tuple[str, ...]:
        """All encoders whose vectors of captions are stored; the first is the one that predictors use."""
        return tuple(dict.fromkeys((self.caption_encoder, *filter(None, [self.clip]))))

    @property
    def object_encoder(self) -> str:
        """The image encoder whose classes say what a picture shows: the first of timm; empty without one."""
        return next((name for name in self.image_encoders if name.startswith("timm:")), "")

    @property
    def nima(self) -> tuple[str, str]:
        """Network and weights of NIMA; both empty without it."""
        network, _, weights = self.nima_weights.partition("/")
        return network, weights

    @property
    def clip(self) -> str:
        """The encoder that compares pictures with words; empty without one."""
        return self.clip_encoder or (self.image_encoder if self.image_encoder.startswith("open_clip:") else "")

    @property
    def label_rule(self) -> LabelRule:
        """When the score of a post is its label, and when that is final."""
        chosen = self.source_name.kind == ARCTIC_SHIFT or "label_age_days" in self.model_fields_set
        return LabelRule(
            timedelta(days=self.label_age_days),
            timedelta(hours=self.label_window_hours),
            archive_age=None if chosen else SERVICES[ARCTIC_SHIFT].label_rule.age,
        )

    @property
    def give_up(self) -> timedelta:
        """Age past which a post without a label is read no more."""
        return timedelta(days=self.give_up_days)

    @property
    def maturation(self) -> Maturation:
        """When the score of a post is read until it has its label."""
        return Maturation(self.observation_ages.ages, self.label_rule.age, self.give_up)

    @property
    def recheck(self) -> timedelta:
        """How often every kept post is asked for."""
        return timedelta(hours=self.recheck_hours)

    @property
    def budget_folder(self) -> Path:
        """Where the request budget is kept: deployments on the real Reddit share one, other services are at home."""
        if self.budget_dir:
            return Path(self.budget_dir).expanduser()
        return user_state_path("redpop") if self.source_name.is_real else self.home

    @property
    def budget_memory(self) -> Memory:
        """Where request budget and pace are kept: with all machines, or else in the folder."""
        return self.shared_postgres or self.budget_folder

    @property
    def home_memory(self) -> Memory:
        """Where is kept what the home remembers of its key for Reddit: with all machines, or else in the home."""
        return self.shared_postgres or self.home

    @property
    def tuning_memory(self) -> Memory:
        """Where is kept how processors run networks fastest: with all machines, or else in a folder of the home."""
        return self.shared_postgres or self.home / "tuning"

    @property
    def arctic_shift_pace(self) -> SharedText:
        """That by which all processes keep one pace towards Arctic Shift."""
        return text_at(self.budget_memory, "arctic_shift.pace")

    @property
    def arctic_shift_look_back(self) -> timedelta:
        """How far back the first harvest of a community begins."""
        return timedelta(days=self.arctic_shift_look_back_days)

    @property
    def image_recheck(self) -> timedelta | None:
        """Time after which a stored image is asked for again; None for never."""
        return timedelta(days=self.image_recheck_days) if self.image_recheck_days else None

    @property
    def partitions(self) -> tuple[str, ...]:
        """The communities in lower case, in the order of the setting: Dagster's partition keys."""
        return tuple(name.lower() for name in self.subreddits)

    def plan_of(self, partition: str) -> HarvestPlan:
        """The harvest plan of a community (in lower case): its own, or the common one."""
        return self.harvest_plans.plans.get(partition, self.harvest_plan)

    @property
    def missing_credentials(self) -> tuple[str, ...]:
        """Environment variables that the source needs and that are empty."""
        if self.source_name.kind != REDDIT:
            return ()
        values = {
            "REDDIT_CLIENT_ID": self.reddit_client_id,
            "REDDIT_CLIENT_SECRET": self.reddit_client_secret.get_secret_value(),
            "REDDIT_USER_AGENT": self.reddit_user_agent,
        }
        return tuple(name for name, value in values.items() if not value)


def _parse_address(text: str) -> str:
    """An address of a Ray cluster as it is kept; empty for none (`local`, or nothing).

    Raises:
        ValueError: it is no address, or one of Ray's client, which Ray Data does not work with.
    """
    text = text.strip()
    if text in ("", "local"):
        return ""
    if text.startswith("ray://"):
        raise ValueError(
            f"{text!r} is of Ray's client, which Ray Data does not work with: run RedPop on a machine of the cluster "
            "and name its head in REDPOP_RAY_ADDRESS or RAY_ADDRESS, such as 10.0.0.5:6379, or auto"
        )
    host, _, port = text.rpartition(":")
    if text != "auto" and not (
        _RAY_HOST.fullmatch(host) and port.isascii() and port.isdigit() and 0 < int(port) < 65536
    ):
        raise ValueError(f"{text!r} is no head of a Ray cluster: write host:port, such as 10.0.0.5:6379, or auto")
    return text


def _label_rule(chosen: Mapping[str, Any]) -> LabelRule:
    """The rule of the source among the settings that were read so far; a source that is refused has Reddit's."""
    return SourceName.parse(str(chosen.get("source", REDDIT))).service.label_rule


def _key(setting: str) -> str:
    """How a value is passed to `Settings`."""
    return str(Settings.model_fields[setting].validation_alias or setting)


def variable_of(setting: str) -> str:
    """The environment variable of a setting."""
    return str(Settings.model_fields[setting].validation_alias or f"REDPOP_{setting.upper()}")


def written(value: object) -> str:
    """A value as it is written into the environment, secrets included."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def shown(value: object) -> str:
    """A value as it is written into the environment; secrets only as set or not."""
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else ""
    return written(value)


def load_settings(**chosen: object) -> Settings:
    """Read the settings: what the process was handed over, then the environment, then `.env`.

    Args:
        chosen: values that hold whatever is found there, by field, credentials by variable.

    Raises:
        SettingsError: a value is not acceptable; the message names each variable.
    """
    for variable in map(variable_of, Settings.model_fields):
        if any("\ud800" <= letter <= "\udfff" for letter in os.environ.get(variable, "")):
            raise SettingsError(f"{variable} is no text in UTF-8: {os.environ[variable]!r}. Write it in UTF-8.")
    given = {**json.loads(os.environ.get(HANDED_OVER, "{}")), **chosen}
    try:
        settings = Settings(**given)
    except OSError as error:
        raise SettingsError(
            f"{Path('.env').absolute()} cannot be read ({error.strerror}): let this user read it, or move it away."
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{Path('.env').absolute()} is no text in UTF-8 (its byte {error.start + 1} is none): save it as UTF-8."
        ) from error
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            if problem["type"] == "default_factory_not_called":
                continue  # it depends on what is wrong, and is nobody's mistake
            where = str(problem["loc"][0]) if problem["loc"] else ""
            name = where if where.isupper() else f"REDPOP_{where.upper()}" if where else "settings"
            lines.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}")
        raise SettingsError("\n".join(lines)) from None
    outer = {name.upper() for name in os.environ}
    settings._fixed = frozenset(
        name for name in Settings.model_fields if _key(name) in given or variable_of(name) in outer
    )
    return settings
