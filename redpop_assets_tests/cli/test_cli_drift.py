"""`redpop accept-drift` as people type it."""

from functools import partial

import pytest

from redpop_assets.refresh.drift import profile_rows, read_accepted, read_sample
from redpop_assets.storage.arrow import utc_now
from redpop_assets.storage.warehouse import Warehouse

pytestmark = pytest.mark.integration

PIXELS = "features.image_features"


@pytest.fixture
def redpop(redpop, tmp_path, encoders):
    """On the home directory `home`."""
    return partial(
        redpop,
        REDPOP_HOME=str(tmp_path / "home"),
        REDPOP_SUBREDDITS="pics,EarthPorn",
        REDPOP_IMAGE_ENCODER=encoders.image,
        REDPOP_CAPTION_ENCODER=encoders.caption,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory, fill, encoders):
    """Content of the file of `drifted`."""
    warehouse = Warehouse(tmp_path_factory.mktemp("drifted") / "home", source="reddit", lock_timeout=30)
    fill(warehouse, "earthporn", posts=120)
    for table in (PIXELS, "features.caption_features"):
        sample = read_sample(warehouse, "earthporn", table, encoders)
        warehouse.merge("features.profiles", profile_rows("earthporn", table, sample.check().renewed, utc_now()))
    with warehouse.write() as writer:
        writer.execute(f"UPDATE {PIXELS} SET sharpness = sharpness + 3")
        writer.execute("UPDATE features.caption_features SET words = 2 * words + 9")
    return warehouse.live.read_bytes()


@pytest.fixture
def drifted(tmp_path, made):
    """A warehouse with r/earthporn, whose pixels and captions were accepted before sharpness and words changed."""
    warehouse = Warehouse(tmp_path / "home", source="reddit", lock_timeout=30)
    warehouse.live.parent.mkdir(parents=True)
    warehouse.live.write_bytes(made)
    return warehouse


def test_one_table_is_accepted_and_the_others_go_on_warning(redpop, drifted, encoders):
    answer = redpop("accept-drift", "r/EarthPorn", "image_features")
    assert answer.code == 0
    assert f"{PIXELS}, sharpness: PSI " in answer.output
    assert f"Accepted for r/earthporn: {PIXELS}." in answer.output
    assert "redpop materialize" in answer.output
    assert read_sample(drifted, "earthporn", PIXELS, encoders).check().passed
    assert not read_sample(drifted, "earthporn", "features.caption_features", encoders).check().passed


def test_without_a_table_everything_that_drifted_is_accepted_once(redpop, drifted, encoders):
    answer = redpop("accept-drift", "earthporn")
    assert answer.code == 0
    assert f"{PIXELS}, sharpness: " in answer.output
    assert "features.caption_features, words: " in answer.output
    for table in (PIXELS, "features.caption_features"):
        assert read_sample(drifted, "earthporn", table, encoders).check().passed
    before = drifted.fingerprint("features.profiles")
    answer = redpop("accept-drift", "earthporn")
    assert answer.code == 0
    assert "Nothing to accept: all features of r/earthporn look as before." in answer.output
    assert drifted.fingerprint("features.profiles") == before


def test_a_table_that_looks_as_before_is_left_alone(redpop, drifted):
    before = read_accepted(drifted, "earthporn", PIXELS)
    answer = redpop("accept-drift", "earthporn", "features.post_flags")
    assert answer.code == 0
    assert "Nothing to accept: features.post_flags of r/earthporn" in answer.output
    assert read_accepted(drifted, "earthporn", PIXELS) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cats"], "r/cats is not configured. Add it: REDPOP_SUBREDDITS=pics,EarthPorn,cats"),
        (["pics", "nonsense"], "There is no table nonsense whose features are compared. Name one of author_features,"),
        (["pics", "timestamp_features"], "There is no table timestamp_features whose features are compared."),
    ],
)
def test_unknown_names_are_errors_that_list_the_known_ones(redpop, drifted, arguments, message):
    before = drifted.fingerprint("features.profiles")
    answer = redpop("accept-drift", *arguments)
    assert (answer.code, message in answer.output) == (1, True)
    assert drifted.fingerprint("features.profiles") == before


def test_without_a_warehouse_it_says_where_one_would_be(redpop):
    answer = redpop("accept-drift", "pics")
    assert answer.code == 1
    assert "There is no warehouse at" in answer.output
