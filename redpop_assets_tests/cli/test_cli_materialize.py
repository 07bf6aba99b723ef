"""`redpop materialize` as people type it: what stops it before it starts, and what it says."""

import time

import pytest

pytestmark = pytest.mark.integration


def test_without_credentials_it_says_at_once_how_to_get_and_set_them(redpop, tmp_path):
    began = time.monotonic()
    answer = redpop("materialize", "-r", "pics")
    assert time.monotonic() - began < 30  # what is missing now is missing in a minute, too
    assert answer.code == 1
    assert "REDDIT_CLIENT_ID, REDDIT_CLIENT_SECRET, REDDIT_USER_AGENT not set" in answer.output
    assert "https://www.reddit.com/prefs/apps" in answer.output
    assert ".env" in answer.output
    assert (tmp_path / "warehouse").is_dir()


def test_a_community_that_is_not_configured(redpop):
    answer = redpop("materialize", "-r", "aww")
    assert answer.code == 1
    assert "r/aww is not configured. Add it: REDPOP_SUBREDDITS=pics,EarthPorn,aww" in answer.output


@pytest.mark.parametrize("select", ["key:nothing/such", "group:(", "wrong:thing", "group:none"])
def test_a_selection_of_nothing(redpop, select):
    answer = redpop("materialize", "--select", select)
    assert answer.code == 1
    assert select in answer.output
    assert "core/posts" in answer.output or "Examples" in answer.output


def test_no_harvest_leaves_nothing_of_the_raw_layer(redpop):
    answer = redpop("materialize", "--select", "group:raw", "--no-harvest")
    assert answer.code == 1
    assert "chooses no asset" in answer.output


@pytest.mark.end_to_end
class TestOnAPipeline:
    def test_another_source_is_refused(self, here, pipeline, tmp_path):
        copied = pipeline.deployment.copy(tmp_path / "home")  # the run that fails is recorded
        answer = here(copied, "materialize", "--select", "group:marts", REDPOP_SOURCE="elsewhere")
        assert answer.code == 1
        assert "was filled by sandbox, not by elsewhere" in answer.output

    def test_materialize_a_selection(self, here, pipeline, tmp_path):
        copied = pipeline.deployment.copy(tmp_path / "home")
        answer = here(copied, "materialize", "--select", "group:marts", "-r", "r/Pics")
        assert answer.code == 0, answer.output
        assert "what is made of all communities: up to date" in answer.output
        assert "redpop leaderboard" in answer.output
