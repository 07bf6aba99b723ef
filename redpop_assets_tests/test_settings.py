"""Settings: what the environment says, what is refused, and that each refusal names its variable."""

import os
import re
from datetime import timedelta
from pathlib import Path

import pytest

from redpop_assets import settings_table
from redpop_assets.errors import SettingsError
from redpop_assets.labels import LabelRule
from redpop_assets.predictors.registry import predictor_names
from redpop_assets.settings import Settings, load_settings, variable_of
from redpop_assets.sources.reddit.plan import DEFAULT_PLAN


@pytest.fixture
def load(only, tmp_path):
    """Settings from these variables alone."""

    def load(**variables: str) -> Settings:
        with only(variables, tmp_path):
            return load_settings()

    return load


def test_without_any_variable_the_defaults_hold(load, tmp_path):
    settings = load()
    assert settings.home == tmp_path / "warehouse"
    assert settings.source == "reddit"
    assert settings.partitions == ("pics", "earthporn")
    assert settings.harvest_plan == DEFAULT_PLAN
    assert settings.recheck == timedelta(days=1)
    assert settings.maturation.schedule[:5] == tuple(timedelta(hours=age) for age in (1, 3, 6, 12, 24))
    assert settings.label_rule == LabelRule(timedelta(days=7), timedelta(hours=48), archive_age=timedelta(hours=34))
    assert settings.give_up == timedelta(days=30)
    assert settings.missing_credentials == ("REDDIT_CLIENT_ID", "REDDIT_CLIENT_SECRET", "REDDIT_USER_AGENT")


def test_a_subreddit_may_have_a_plan_of_its_own(load):
    settings = load(
        REDPOP_SUBREDDITS="pics,r/EarthPorn",
        REDPOP_HARVEST_PLAN="new@30m, top/week:200",
        REDPOP_HARVEST_PLANS='{"Earthporn": "hot@2h"}',
        REDPOP_OBSERVATION_AGES="2h,10h",
    )
    assert str(settings.plan_of("pics")) == "new@30m,top/week:200@1d"
    assert str(settings.plan_of("earthporn")) == "hot@2h"
    assert settings.maturation.schedule[:3] == tuple(timedelta(hours=age) for age in (2, 10, 34))


def test_the_plan_of_an_unknown_subreddit_is_refused(load):
    with pytest.raises(SettingsError, match="REDPOP_HARVEST_PLANS has a plan for aww, but REDPOP_SUBREDDITS is pics"):
        load(REDPOP_SUBREDDITS="pics", REDPOP_HARVEST_PLANS='{"aww": "new"}')


def test_lists_are_separated_by_commas(load):
    settings = load(REDPOP_SUBREDDITS=" r/Aww , cats,", REDPOP_IMAGE_HOSTS_ALLOWED="127.0.0.1:81")
    assert settings.subreddits == ("Aww", "cats")
    assert settings.partitions == ("aww", "cats")
    assert settings.image_hosts_allowed == ("127.0.0.1:81",)


def test_predictors_are_all_unless_some_are_named(load):
    assert load().predictor_names == predictor_names()
    assert load(REDPOP_PREDICTORS="stack, tfidf_ridge,stack").predictor_names == (
        *("subreddit_median", "stack", "tfidf_ridge"),  # without the median nobody could be compared
    )
    assert load(REDPOP_PREDICTORS="dual_attention_visual").predictor_names == (
        "subreddit_median",
        "dual_attention_visual",
    )
    assert load(REDPOP_PREDICTORS="stack,subreddit_median").predictor_names == ("subreddit_median", "stack")
    with pytest.raises(SettingsError, match="REDPOP_PREDICTORS: no predictor 'oracle'; there are subreddit_median"):
        load(REDPOP_PREDICTORS="oracle")


def test_every_field_is_read_from_its_variable(load):
    settings = load(
        REDPOP_LABEL_AGE_DAYS="2.5",
        REDPOP_FETCH_IMAGES="false",
        REDPOP_IMAGES_PER_POST="3",
        REDPOP_CHUNK_SIZE="16",
        REDPOP_SEED="0",
        REDPOP_NIGHTLY_CRON="5 5 * * *",
        REDDIT_CLIENT_ID="an id",
        REDDIT_CLIENT_SECRET="a secret",
        REDDIT_USER_AGENT="an agent",
    )
    assert settings.label_rule.age == timedelta(days=2.5)
    assert settings.fetch_images is False
    assert (settings.images_per_post, settings.chunk_size, settings.seed) == (3, 16, 0)
    assert settings.nightly_cron == "5 5 * * *"
    assert settings.missing_credentials == ()
    assert settings.reddit_client_secret.get_secret_value() == "a secret"
    assert "a secret" not in repr(settings) + str(settings)


def test_some_credentials_are_not_all(load):
    assert load(REDDIT_CLIENT_ID="id", REDDIT_USER_AGENT="x").missing_credentials == ("REDDIT_CLIENT_SECRET",)


def test_a_dotenv_file_is_read_and_the_environment_wins(only, tmp_path):
    (tmp_path / ".env").write_text("REDPOP_SEED=3\nREDDIT_CLIENT_ID=from-file\nREDPOP_CHUNK_SIZE=5\n", encoding="utf-8")
    with only({"REDPOP_CHUNK_SIZE": "6"}, tmp_path):
        settings = load_settings()
    assert (settings.seed, settings.reddit_client_id, settings.chunk_size) == (3, "from-file", 6)


def test_the_home_is_absolute(load, tmp_path):
    assert load(REDPOP_HOME="some/home").home == tmp_path / "some" / "home"
    assert load(REDPOP_HOME="~/redpop").home == Path.home() / "redpop"
    assert load(REDPOP_HOME="/data/redpop").home == Path("/data/redpop")


def test_chosen_settings_hold_whatever_the_environment_says(only, tmp_path):
    with only({"REDPOP_SEED": "3", "REDPOP_CHUNK_SIZE": "5", "REDDIT_CLIENT_ID": "of the environment"}, tmp_path):
        before = dict(os.environ)
        settings = load_settings(seed=4, subreddits=("cats",), REDDIT_CLIENT_ID="chosen", home="here")
        with pytest.raises(SettingsError, match="REDPOP_HARVEST_PLAN: "):
            load_settings(harvest_plan="newest")
        assert dict(os.environ) == before
    assert (settings.seed, settings.chunk_size, settings.reddit_client_id) == (4, 5, "chosen")
    assert (settings.subreddits, settings.home) == (("cats",), tmp_path / "here")


UNUSUAL = {
    "home": "/data/red pop",
    "source": "sandbox",
    "subreddits": "cats,Aww",
    "REDDIT_CLIENT_ID": "an id",
    "REDDIT_CLIENT_SECRET": "a 'secret' = \"with\" $signs#",
    "REDDIT_USER_AGENT": "linux:redpop:0.1 (by /u/somebody)",
    "oauth_url": "http://127.0.0.1:8765",
    "harvest_plan": "new@90m,top/week:200",
    "harvest_plans": '{"Cats": "hot@2h,rising:100"}',
    "observation_ages": "",
    "recheck_hours": 1 / 3,
    "allow_over_18": True,
    "fetch_images": False,
    "image_hosts_allowed": "127.0.0.1:81,127.0.0.1:82",
    "image_format": "webp",
    "image_longest_edge": 512,
    "image_encoder": "timm:resnet10t/random",
    "extra_image_encoders": "timm:resnet10t/random,open_clip:ViT-S-32-alt/random",
    "nima_weights": "mobilenetv2_100//data/nima.pth",
    "predictors": "stack,tfidf_ridge",
    "nightly_cron": "5 5 * * *",
}


def test_another_process_reads_the_same_settings_whatever_lines_are_put_over_its_variables(only, tmp_path):
    with only({"REDPOP_SEED": "5", "redpop_chunk_size": "6", "REDPOP_HOME": "/not/this"}, tmp_path):
        settings = load_settings(**UNUSUAL)
        environment = {**os.environ, **settings.handed_over()}
    changed = {variable_of(name): "of the .env" for name in (*Settings.model_fields, "chunk_size") if name in UNUSUAL}
    changed |= {variable_of(name): "of the .env" for name in ("seed", "reddit_client_secret", "reddit_user_agent")}
    with only({**environment, **changed, "REDPOP_CHUNK_SIZE": "7"}, tmp_path):
        again = load_settings()
        assert again == settings
        assert again.handed_over() == settings.handed_over()  # and so on, to the last process
        assert load_settings(seed=80).seed == 80
    assert (again.seed, again.chunk_size) == (5, 6)


def test_an_edited_line_of_a_dotenv_file_counts_for_a_process_that_was_started_before(only, tmp_path):
    (tmp_path / ".env").write_text("REDPOP_SEED=1\nREDPOP_CHUNK_SIZE=2\nREDPOP_TEST_SHARE=0.3\n", encoding="utf-8")
    with only({"REDPOP_CHUNK_SIZE": "20"}, tmp_path):
        settings = load_settings(test_share=0.4)
        environment = {"REDPOP_CHUNK_SIZE": "20", **settings.handed_over()}
    (tmp_path / ".env").write_text("REDPOP_SEED=3\nREDPOP_CHUNK_SIZE=4\nREDPOP_TEST_SHARE=0.1\n", encoding="utf-8")
    with only(environment, tmp_path):
        again = load_settings()
    assert (settings.seed, again.seed) == (1, 3)
    assert (again.chunk_size, again.test_share) == (20, 0.4)


def test_nothing_but_the_settings_reads_the_environment_and_nothing_changes_it():
    """Others look at what is no setting, or make the environment of a process that they start."""
    package = Path(__file__).resolve().parents[1] / "redpop_assets"
    reading = re.compile(r"os\.(environ|getenv|putenv|unsetenv)|from os import .*env|load_settings\(")
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if reading.search(path.read_text(encoding="utf-8")) and path.parts[len(package.parts)] not in ("cli", "testing")
    }
    assert found == {
        *("settings.py", "definitions.py", "demo/settings.py", "instance.py", "images/decoder.py"),
        "cluster/session.py",  # what Ray is to do is said there, for as long as it starts
        "arithmetic.py",  # variables of libraries, which read them themselves
    }


def test_settings_do_not_change(load):
    with pytest.raises(ValueError, match="frozen"):
        load().seed = 3


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REDPOP_SUBREDDITS", ""),
        ("REDPOP_SUBREDDITS", "pics+aww"),
        ("REDPOP_SUBREDDITS", "x"),
        ("REDPOP_SUBREDDITS", "pics,Pics"),
        ("REDPOP_SUBREDDITS", "a" * 22),
        ("REDPOP_HARVEST_PLAN", "new:1001"),
        ("REDPOP_HARVEST_PLAN", "new@0h"),
        ("REDPOP_HARVEST_PLANS", "pics"),
        ("REDPOP_HARVEST_PLANS", '{"pics": "newest"}'),
        ("REDPOP_OBSERVATION_AGES", "6h,1h"),
        ("REDPOP_RECHECK_HOURS", "0"),
        ("REDPOP_REQUESTS_PER_HARVEST", "0"),
        ("REDPOP_LABEL_AGE_DAYS", "0"),
        ("REDPOP_LABEL_AGE_DAYS", "a week"),
        ("REDPOP_LABEL_AGE_DAYS", "nan"),
        ("REDPOP_GIVE_UP_DAYS", "-1"),
        ("REDPOP_FETCH_IMAGES", "perhaps"),
        ("REDPOP_IMAGES_PER_POST", "21"),
        ("REDPOP_IMAGE_MAX_BYTES", "0"),
        ("REDPOP_IMAGE_CONCURRENCY", "1.5"),
        ("REDPOP_CHUNK_SIZE", "0"),
        ("REDPOP_VALIDATION_SHARE", "0.5"),
        ("REDPOP_TEST_SHARE", "0"),
        ("REDPOP_SEED", "-1"),
        ("REDPOP_WAREHOUSE_MEMORY_MB", "127"),
        ("REDPOP_WAREHOUSE_MEMORY_MB", "-1"),
        ("REDPOP_IMAGE_ENCODER", "open_clip:ViT-B-32"),
        ("REDPOP_CAPTION_ENCODER", "word2vec:x/y"),
        ("REDPOP_HARVEST_PLAN", "newest"),
        ("REDPOP_HARVEST_PLAN", "top"),
        ("REDPOP_HARVEST_PLAN", ""),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_its_variable(load, variable, value):
    with pytest.raises(SettingsError, match=variable):
        load(**{variable: value})


def test_all_wrong_variables_are_named_at_once(load):
    with pytest.raises(SettingsError) as caught:
        load(REDPOP_SEED="x", REDPOP_CHUNK_SIZE="0", REDPOP_SUBREDDITS="?")
    lines = str(caught.value).splitlines()
    assert {line.partition(":")[0] for line in lines} == {"REDPOP_SEED", "REDPOP_CHUNK_SIZE", "REDPOP_SUBREDDITS"}


def test_another_api_needs_another_source(load):
    with pytest.raises(SettingsError, match="REDPOP_SOURCE"):
        load(REDPOP_OAUTH_URL="http://127.0.0.1:8765")
    assert load(REDPOP_OAUTH_URL="http://127.0.0.1:8765", REDPOP_SOURCE="sandbox").source == "sandbox"
    assert load(REDPOP_OAUTH_URL="https://oauth.reddit.com/").source == "reddit"


def test_an_empty_source_is_refused_and_nothing_else_is_complained_of(load):
    for name in ("", "arctic_shift:", "arctic_shift: "):
        with pytest.raises(SettingsError, match=r"^REDPOP_SOURCE: [^\n]*$"):
            load(REDPOP_SOURCE=name)


def test_without_a_key_the_label_age_is_what_the_archive_can_give_and_no_credentials_are_missing(load):
    settings = load(REDPOP_SOURCE="arctic_shift")
    assert settings.label_rule == LabelRule(timedelta(hours=34), timedelta(hours=14))
    assert settings.missing_credentials == ()
    assert (settings.source_name.reddit, settings.source_name.kind) == ("reddit", "arctic_shift")
    assert settings.budget_folder == load().budget_folder


@pytest.mark.parametrize("source", ["reddit", "arctic_shift", "sandbox", "arctic_shift:sandbox"])
def test_a_label_age_that_is_set_holds_whatever_the_source(load, source):
    settings = load(REDPOP_SOURCE=source, REDPOP_LABEL_AGE_DAYS="3", REDPOP_LABEL_WINDOW_HOURS="5")
    assert settings.label_rule == LabelRule(timedelta(days=3), timedelta(hours=5))


def test_another_archive_needs_a_name_of_its_own(load):
    with pytest.raises(SettingsError, match="REDPOP_SOURCE=arctic_shift:sandbox"):
        load(REDPOP_SOURCE="arctic_shift", REDPOP_ARCTIC_SHIFT_URL="http://127.0.0.1:8765/arctic_shift")
    settings = load(REDPOP_SOURCE="arctic_shift:sandbox", REDPOP_ARCTIC_SHIFT_URL="http://127.0.0.1:8765/arctic_shift/")
    assert settings.arctic_shift_url == "http://127.0.0.1:8765/arctic_shift"
    assert settings.source_name.reddit == "sandbox"
    assert settings.budget_folder == settings.home
    # The name of a sandbox needs no address of its own, and Reddit's address says nothing of an archive.
    assert load(REDPOP_SOURCE="arctic_shift", REDPOP_OAUTH_URL="http://127.0.0.1:1").source == "arctic_shift"


@pytest.mark.parametrize(
    "url", ["", "arctic-shift.photon-reddit.com", "ftp://x", "http://", "http://x/?a=b", "http://[x"]
)
def test_an_address_that_is_none_is_refused(load, url):
    with pytest.raises(SettingsError, match="REDPOP_ARCTIC_SHIFT_URL"):
        load(REDPOP_SOURCE="arctic_shift:x", REDPOP_ARCTIC_SHIFT_URL=url)


def test_giving_up_before_the_label_age_is_refused(load):
    """Otherwise no post that was found young would ever get a label."""
    with pytest.raises(SettingsError, match="REDPOP_GIVE_UP_DAYS"):
        load(REDPOP_GIVE_UP_DAYS="5")


def test_the_page_of_settings_is_current():
    page = (Path(__file__).resolve().parents[1] / "docs" / "settings.md").read_text(encoding="utf-8")
    assert settings_table.update(page) == page, f"renew it: {settings_table.COMMAND}"


@pytest.mark.parametrize("address", ["10.0.0.5:6379", "head.example:6379", "[fd00::1]:6379", "auto"])
def test_a_cluster_is_named_by_its_head(load, address):
    assert load(REDPOP_RAY_ADDRESS=f" {address} ").ray_address == address
    assert load(RAY_ADDRESS=address).ray_address == address
    assert load(RAY_ADDRESS="other:1", REDPOP_RAY_ADDRESS=address).ray_address == address


def test_without_an_address_the_cluster_is_one_of_our_own(load):
    assert load().ray_address == load(REDPOP_RAY_ADDRESS="local").ray_address == ""


@pytest.mark.parametrize(
    "address", ["10.0.0.5", "head:", ":6379", "head:0", "head:66000", "http://head:8265", "head:x"]
)
def test_what_is_no_head_of_a_cluster_is_refused_by_its_name(load, address):
    with pytest.raises(
        SettingsError, match=r"REDPOP_RAY_ADDRESS: .* write host:port, such as 10\.0\.0\.5:6379, or auto"
    ):
        load(REDPOP_RAY_ADDRESS=address)
    with pytest.raises(SettingsError, match=r"REDPOP_RAY_ADDRESS: .* write host:port"):
        load(RAY_ADDRESS=address)


def test_the_client_of_ray_is_refused_with_the_way_that_works(load):
    with pytest.raises(SettingsError, match=r"REDPOP_RAY_ADDRESS: .* run RedPop on a machine of the cluster"):
        load(REDPOP_RAY_ADDRESS="ray://10.0.0.5:10001")


@pytest.mark.parametrize(("gpus", "given"), [("0", 0), ("0.25", 0.25), ("1", 1), ("4", 4)])
def test_an_actor_has_a_share_of_a_gpu_or_several(load, gpus, given):
    assert load(REDPOP_RAY_GPUS=gpus).ray_gpus == given


def test_one_and_a_half_gpus_cannot_be_had(load):
    with pytest.raises(SettingsError, match=r"REDPOP_RAY_GPUS: 1\.5 GPUs cannot be had"):
        load(REDPOP_RAY_GPUS="1.5")


@pytest.mark.parametrize("compute", ["spark", "RAY ", ""])
def test_networks_run_here_or_on_ray(load, compute):
    with pytest.raises(SettingsError, match="REDPOP_COMPUTE: Input should be 'local' or 'ray'"):
        load(REDPOP_COMPUTE=compute)
