"""What a home remembers of its key: whether it ever worked, and since when it is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from redpop_assets.errors import CredentialsRefused
from redpop_assets.sources.reddit.logins import FILE, LONGEST_REST, SHORTEST_REST, Login, Logins

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
REFUSAL = CredentialsRefused("Reddit refuses the client id or secret (HTTP 401).")


@pytest.fixture
def logins(tmp_path):
    return Logins(tmp_path, "an-id", "a-secret")


def test_a_key_that_never_worked_is_told_as_one(logins):
    said = str(logins.refused(REFUSAL, NOW))
    assert said.startswith("This key has never worked here. Reddit refuses the client id or secret (HTTP 401).")
    assert "reddit.com/prefs/apps" in said
    assert "REDPOP_SOURCE=arctic_shift" in said


def test_a_key_that_worked_is_told_since_when_it_is_refused(logins):
    logins.worked(NOW)
    first = str(logins.refused(REFUSAL, NOW + HOUR))
    again = str(logins.refused(REFUSAL, NOW + 8 * HOUR))
    assert first == again
    assert "refuses the key since 2026-05-01 13:00 UTC; it last worked at 2026-05-01 12:00 UTC" in again


def test_a_refused_key_rests_for_a_while_and_is_tried_again(logins):
    assert not logins.last().is_resting(NOW)
    logins.refused(REFUSAL, NOW)
    assert logins.last().next_attempt == NOW + SHORTEST_REST
    logins.refused(REFUSAL, NOW + HOUR)
    assert logins.last().is_resting(NOW + 1.9 * HOUR)
    assert not logins.last().is_resting(NOW + 2 * HOUR)
    logins.refused(REFUSAL, NOW + 100 * HOUR)
    assert logins.last().next_attempt == NOW + 100 * HOUR + LONGEST_REST
    logins.worked(NOW + 101 * HOUR)
    assert not logins.last().is_resting(NOW + 101 * HOUR)
    assert logins.last().worked_at == NOW + 101 * HOUR


def test_another_key_or_another_secret_is_not_the_one_that_was_refused(logins, tmp_path):
    logins.refused(REFUSAL, NOW)
    for other in (Logins(tmp_path, "an-id", "new secret"), Logins(tmp_path, "other", "a-secret")):
        assert other.last() == Login(other.last().key)


def test_the_file_holds_no_secret(logins, tmp_path):
    logins.worked(NOW)
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    assert "a-secret" not in text
    assert "an-id" not in text


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"key": 1}', b"null", b'{"worked_at": "x"}'])
def test_a_damaged_memory_is_none(logins, tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    assert logins.last().worked_at is None
    logins.worked(NOW)
    assert logins.last().worked_at == NOW


def test_a_memory_that_cannot_be_kept_stops_nobody(tmp_path, caplog):
    (tmp_path / FILE).mkdir()
    logins = Logins(tmp_path, "an-id", "a-secret")
    logins.worked(NOW)
    assert "logins are not remembered" in caplog.text
    Logins(tmp_path / "none", "an-id", "a-secret").worked(NOW)
    assert not (tmp_path / "none").exists()
