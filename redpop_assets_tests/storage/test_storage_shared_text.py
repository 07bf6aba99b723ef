"""What processes keep together: the same in files of one machine and in a Postgres of several."""

import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from redpop_assets.encoders.base import Choice
from redpop_assets.encoders.tuning import _recall, _remember
from redpop_assets.errors import CredentialsRefused, SettingsError, WarehouseError
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.resources import author_key
from redpop_assets.settings import load_settings
from redpop_assets.sources import shared_value
from redpop_assets.sources.arctic_shift.pace import Pace
from redpop_assets.sources.reddit.budget import RateLimit, RequestBudget
from redpop_assets.sources.reddit.logins import Logins
from redpop_assets.sources.shared_value import SharedValue
from redpop_assets.storage.postgres import Postgres
from redpop_assets.storage.shared_key import renew_author_key
from redpop_assets.storage.shared_text import Memory, TextRow, text_at

pytestmark = pytest.mark.integration


@pytest.fixture(params=["files", "Postgres"])
def memory(request, tmp_path) -> Memory:
    """Where texts are kept: each test sees both."""
    if request.param == "files":
        return tmp_path / "memory"
    return Postgres(request.getfixturevalue("postgres"))


def test_what_is_written_is_read_by_all_and_replaced_whole(memory):
    mine, theirs, another = text_at(memory, "some"), text_at(memory, "some"), text_at(memory, "another")
    assert mine.read() is None
    mine.write("ä\n" * 3)
    assert theirs.read() == "ä\n" * 3
    assert another.read() is None
    with theirs.alone():
        theirs.write("")
    assert mine.read() == ""


COUNTING = """
import sys
from pathlib import Path
from redpop_assets.storage.postgres import Postgres
from redpop_assets.storage.shared_text import text_at
text = text_at(Postgres(sys.argv[1]) if "://" in sys.argv[1] else Path(sys.argv[1]), "count")
for _ in range(20):
    with text.alone():
        text.write(str(int(text.read() or 0) + 1))
"""


def test_no_change_is_lost_between_threads_and_processes(memory):
    named = memory.dsn if isinstance(memory, Postgres) else str(memory)
    command = [sys.executable, "-c", COUNTING, named]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}) as other:
        shared = text_at(memory, "count")

        def count(text) -> None:
            for _ in range(20):
                with text.alone():
                    text.write(str(int(text.read() or 0) + 1))

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(count, [shared, shared, text_at(memory, "count")]))
        assert other.wait(timeout=60) == 0
    assert shared.read() == "80"


def value_in(memory: Memory) -> SharedValue[list[int]]:
    return SharedValue(text_at(memory, "numbers"), [], json.loads, json.dumps, what="The list", alone="counts alone")


def test_a_value_is_changed_by_one_at_a_time_and_not_by_an_error(memory):
    mine, theirs = value_in(memory), value_in(memory)
    with mine.change() as numbers:
        numbers.append(1)
    with theirs.change() as numbers:
        numbers.append(2)
    assert mine.read() == [1, 2]
    with pytest.raises(ZeroDivisionError), mine.change() as numbers:
        numbers.append(1 // 0)
    assert theirs.read() == [1, 2]


def test_a_damaged_value_is_begun_anew_and_told(memory, caplog):
    text_at(memory, "numbers").write("{")
    with value_in(memory).change() as numbers:
        numbers.append(3)
    assert value_in(memory).read() == [3]
    assert "is damaged" in caplog.text


def test_two_share_one_budget_and_one_pace(memory):
    now = 1_000_000.0
    first, second = (RequestBudget.of("an-id", "https://oauth.reddit.com", memory) for _ in range(2))
    first._clock = second._clock = lambda: now
    reservation = first.spend()
    first.settle(reservation, RateLimit(used=95, remaining=5.0, reset=300.0))
    for _ in range(3):
        second.spend()
    assert first.remaining == 2
    assert RequestBudget.of("other", "https://oauth.reddit.com", memory).remaining is None

    slept: list[float] = []
    paces = [Pace(2, text_at(memory, "a.pace"), clock=lambda: now + sum(slept), sleep=slept.append) for _ in range(2)]
    for _ in range(3):
        for pace in paces:
            pace.wait()
    assert sum(slept) == pytest.approx(2.5, abs=0.1)


def test_two_know_when_the_key_last_worked(memory, tmp_path):
    (tmp_path / "memory").mkdir()
    first, second = (Logins(memory, "an-id", "a-secret") for _ in range(2))
    first.worked()
    refused = second.refused(CredentialsRefused("401"))
    assert "refuses the key since" in str(refused)
    assert first.last().refused_since is not None
    assert Logins(memory, "an-id", "another").last().worked_at is None


def test_how_a_network_runs_fastest_is_known_to_all(memory):
    subject, choice = {"encoder": "some"}, Choice("torch", "bfloat16", 8, 12.5, 0.9999, "a processor")
    assert _recall(text_at(memory, "image-x.json"), subject) is None
    _remember(text_at(memory, "image-x.json"), subject, choice)
    assert _recall(text_at(memory, "image-x.json"), subject) == choice
    assert _recall(text_at(memory, "image-x.json"), {"encoder": "another"}) is None


def test_without_the_server_a_process_goes_on_alone_until_it_is_back(postgres_server, postgres, monkeypatch, caplog):
    value = value_in(Postgres(postgres))
    with value.change() as numbers:
        numbers.append(1)
    postgres_server.stop()
    try:
        with value.change() as numbers:
            numbers.append(2)
        assert value.read() == [1, 2]
        assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
        assert "counts alone for a minute" in caplog.text
        with pytest.raises(WarehouseError):
            text_at(Postgres(postgres), "numbers").read()
    finally:
        postgres_server.start()
    monkeypatch.setattr(value, "_alone_until", 0.0)
    with value.change() as numbers:
        numbers.append(3)
    assert value_in(Postgres(postgres)).read() == [1, 3]  # what was counted alone is not known to the others
    assert shared_value._ALONE_SECONDS == 60
    assert postgres.split(":")[2].partition("@")[0] not in caplog.text


def test_the_first_machine_makes_the_author_key_and_the_others_take_it(tmp_path, only, postgres):
    with only({}, tmp_path):
        homes = [load_settings(home=tmp_path / str(number), dagster_storage=postgres) for number in range(4)]
        first, second, third, fourth = homes
        with ThreadPoolExecutor(2) as pool:
            assert len({key.secret for key in pool.map(author_key, [first, second])}) == 1
        assert (first.home / "author.key").read_bytes() == (second.home / "author.key").read_bytes()
        assert (second.home / "author.key").stat().st_mode & 0o077 == 0
        assert author_key(first) == author_key(second)

        AuthorKey.load_or_create(third.home / "author.key")
        with pytest.raises(SettingsError, match=r"another key than the one in postgresql://redpop@127") as refused:
            author_key(third)
        assert author_key(first).secret.hex() not in str(refused.value)

        old = author_key(first)
        renew_author_key(first.shared_postgres, first.home / "author.key")
        assert author_key(first) != old
        assert author_key(fourth) == author_key(first)
        with pytest.raises(SettingsError, match=r"move its author\.key away"):
            author_key(second)

        TextRow(first.shared_postgres, "author.key").write("no key")
        with pytest.raises(SettingsError, match="holds no key"):
            author_key(first)


def test_a_home_that_had_a_key_before_keeps_it_for_all(tmp_path, only, postgres):
    with only({}, tmp_path):
        before = author_key(load_settings(home=tmp_path / "first"))
        first, second = (load_settings(home=tmp_path / name, dagster_storage=postgres) for name in ("first", "second"))
        assert author_key(first) == author_key(second) == before
