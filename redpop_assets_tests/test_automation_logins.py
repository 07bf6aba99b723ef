"""The schedules and a key that Reddit refuses: they skip with the reason, try again by themselves, and go on."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from redpop_assets.automation import build_schedules
from redpop_assets.definitions import build_defs
from redpop_assets.errors import CredentialsRefused
from redpop_assets.resources import logins_of
from redpop_assets.settings import load_settings

KEY = {
    "REDPOP_SUBREDDITS": "pics",
    "REDPOP_PREDICTORS": "subreddit_median",
    "REDDIT_CLIENT_ID": "an-id",
    "REDDIT_CLIENT_SECRET": "a-secret",
    "REDDIT_USER_AGENT": "linux:redpop-tests:0.1 (by /u/somebody)",
}
REFUSAL = CredentialsRefused("Reddit refuses the client id or secret (HTTP 401).")


@pytest.fixture
def skipped(only, tmp_path):
    """What both schedules say to these settings instead of running; None where they run."""
    (tmp_path / "home").mkdir()

    def reasons(**variables: str) -> set[str | None]:
        with only({"REDPOP_HOME": str(tmp_path / "home"), **KEY, **variables}, tmp_path):
            settings = load_settings()
            repository = build_defs(settings).get_repository_def()
            return {
                schedule.evaluate_tick(
                    dg.build_schedule_context(
                        scheduled_execution_time=datetime(2026, 6, 2, 3, tzinfo=UTC), repository_def=repository
                    )
                ).skip_message
                for schedule in build_schedules(settings)
            }

    return reasons


@pytest.fixture
def logins(only, tmp_path):
    with only({"REDPOP_HOME": str(tmp_path / "home"), **KEY}, tmp_path):
        return logins_of(load_settings())


def test_a_refused_key_is_left_alone_for_a_while_and_then_tried_again(skipped, logins):
    assert skipped() == {None}
    now = datetime.now(UTC)
    logins.worked(now - timedelta(days=9))
    logins.refused(REFUSAL, now - timedelta(hours=1))
    assert skipped() == {None}
    logins.refused(REFUSAL, now)
    (reason,) = skipped()
    assert "Reddit refuses the key since" in reason
    assert "it last worked at" in reason
    assert "It is tried again from" in reason
    assert "REDPOP_SOURCE=arctic_shift" in reason
    logins.worked(now)
    assert skipped() == {None}


def test_what_needs_no_key_does_not_wait_for_one(skipped, logins):
    logins.refused(REFUSAL)
    assert skipped(REDPOP_SOURCE="arctic_shift") == {None}
    assert skipped(REDPOP_SOURCE="arctic_shift", REDDIT_CLIENT_ID="", REDDIT_USER_AGENT="") == {None}
    assert skipped(REDDIT_CLIENT_SECRET="another") == {None}


def test_without_a_key_both_ways_on_are_named(skipped):
    (reason,) = skipped(REDDIT_CLIENT_ID="")
    assert reason.startswith("REDDIT_CLIENT_ID not set")
    assert "redpop doctor" in reason
    assert "REDPOP_SOURCE=arctic_shift" in reason
