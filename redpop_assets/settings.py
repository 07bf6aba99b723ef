"""Every setting of the platform, typed, from the environment or a `.env` file in the working directory."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from redpop_assets.encoders.names import EncoderName
from redpop_assets.errors import SettingsError
from redpop_assets.reddit.listings import Listing

REDDIT_URL = "https://www.reddit.com"
OAUTH_URL = "https://oauth.reddit.com"
REDDIT = "reddit"

CommaSeparated = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """What a deployment may choose. Each field is the variable `REDPOP_<FIELD>`; credentials are `REDDIT_*`."""

    model_config = SettingsConfigDict(env_prefix="REDPOP_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Field(
        Path("warehouse"), description="Home directory: database, images, models and run history together."
    )
    source: str = Field(
        REDDIT,
        min_length=1,
        description="Name of the service that fills the warehouse; one warehouse takes one source.",
    )
    subreddits: CommaSeparated = Field(("pics", "EarthPorn"), description="Communities, separated by commas.")

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
    reddit_timeout_seconds: float = Field(
        30.0, gt=0, description="Longest silence, and longest answer, of the API (seconds)."
    )

    listings: CommaSeparated = Field(
        (
            "new",
            "hot",
            "rising",
            *(
                f"{name}/{t}"
                for name in ("top", "controversial")
                for t in ("hour", "day", "week", "month", "year", "all")
            ),
        ),
        description="Listings a refresh harvests, separated by commas.",
    )
    listing_depth: int = Field(
        1000, ge=1, le=1000, description="Posts read per listing; Reddit ends every listing at 1,000."
    )
    label_age_days: float = Field(7.0, gt=0, description="Age at which the score of a post becomes its label (days).")
    give_up_days: float = Field(30.0, gt=0, description="Posts past this age without a label are read no more (days).")
    allow_over_18: bool = Field(False, description="Whether posts marked as mature are kept.")

    fetch_images: bool = Field(True, description="Whether images are downloaded; without them predictors do without.")
    images_per_post: int = Field(1, ge=1, le=20, description="How many images of a gallery are fetched.")
    image_hosts_allowed: CommaSeparated = Field(
        (), description="host:port pairs that may have a private address; all others must be public."
    )
    image_max_bytes: int = Field(20_000_000, gt=0, description="Largest image file (bytes).")
    image_max_pixels: int = Field(50_000_000, gt=0, description="Largest image (pixels).")
    image_min_edge: int = Field(128, gt=0, description="Smallest accepted width or height (pixels).")
    image_timeout_seconds: float = Field(60.0, gt=0, description="Longest time one image may take in all.")
    image_concurrency: int = Field(16, ge=1, le=256, description="Images fetched at the same time.")
    image_concurrency_per_host: int = Field(
        4, ge=1, le=64, description="Images fetched from one host at the same time."
    )

    image_encoder: str = Field("open_clip:ViT-B-32/laion2b_s34b_b79k", description="Encoder of the images.")
    caption_encoder: str = Field("sentence_transformers:all-MiniLM-L6-v2/hub", description="Encoder of the captions.")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:<n>.")
    chunk_size: int = Field(
        256, ge=1, description="Rows computed between two writes; a killed run loses at most these."
    )

    validation_share: float = Field(
        0.15, gt=0, lt=0.5, description="Share of the labelled posts that stops the training."
    )
    test_share: float = Field(
        0.2, gt=0, lt=0.5, description="Share of the labelled posts, the newest, that is the test."
    )
    seed: int = Field(7, ge=0, description="Seed of everything random in training and evaluation.")

    lock_timeout_seconds: float = Field(600.0, gt=0, description="Longest wait for the warehouse file.")
    nightly_cron: str = Field("0 3 * * *", description="When everything is refreshed (UTC).")
    discovery_cron: str = Field("15 * * * *", description="When new posts are looked for (UTC).")

    @field_validator("subreddits", "listings", "image_hosts_allowed", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("subreddits")
    @classmethod
    def _name_communities_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(name.removeprefix("r/") for name in names)
        if not names:
            raise ValueError("name at least one subreddit, such as REDPOP_SUBREDDITS=pics,EarthPorn")
        for name in names:
            if not (name.replace("_", "").isalnum() and name.isascii() and 2 <= len(name) <= 21):
                raise ValueError(f"{name!r} is no name of a subreddit: 2 to 21 letters, digits or underscores")
        if len({name.lower() for name in names}) < len(names):
            raise ValueError("a subreddit is named twice; Reddit does not distinguish case")
        return names

    @field_validator("listings")
    @classmethod
    def _know_listings(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ValueError("name at least one listing, such as REDPOP_LISTINGS=new,top/week")
        try:
            return tuple(str(Listing.parse(name)) for name in names)
        except SettingsError as error:
            raise ValueError(str(error)) from error

    @field_validator("image_encoder", "caption_encoder")
    @classmethod
    def _spell_encoder(cls, name: str) -> str:
        try:
            return str(EncoderName.parse(name))
        except SettingsError as error:
            raise ValueError(str(error)) from error

    @field_validator("home")
    @classmethod
    def _make_home_absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @model_validator(mode="after")
    def _name_other_sources(self) -> Self:
        if self.source == REDDIT and self.oauth_url.rstrip("/") != OAUTH_URL:
            raise ValueError(
                f"REDPOP_OAUTH_URL is {self.oauth_url}, which is not Reddit: name it in REDPOP_SOURCE, such as "
                "REDPOP_SOURCE=sandbox, so that its posts never mix with real ones"
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

    @property
    def label_age(self) -> timedelta:
        """Age at which the score of a post becomes its label."""
        return timedelta(days=self.label_age_days)

    @property
    def give_up(self) -> timedelta:
        """Age past which a post without a label is read no more."""
        return timedelta(days=self.give_up_days)

    @property
    def partitions(self) -> tuple[str, ...]:
        """The communities in lower case, in the order of the setting: Dagster's partition keys."""
        return tuple(name.lower() for name in self.subreddits)

    @property
    def missing_credentials(self) -> tuple[str, ...]:
        """Environment variables that Reddit needs and that are empty."""
        values = {
            "REDDIT_CLIENT_ID": self.reddit_client_id,
            "REDDIT_CLIENT_SECRET": self.reddit_client_secret.get_secret_value(),
            "REDDIT_USER_AGENT": self.reddit_user_agent,
        }
        return tuple(name for name, value in values.items() if not value)


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        SettingsError: a value is not acceptable; the message names each variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            where = str(problem["loc"][0]) if problem["loc"] else ""
            name = where if where.isupper() else f"REDPOP_{where.upper()}" if where else "settings"
            lines.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}")
        raise SettingsError("\n".join(lines)) from None
