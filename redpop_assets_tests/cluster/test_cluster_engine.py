"""How work is cut for a cluster, and what comes back where there is none."""

import pickle
import sys
import time
from collections import defaultdict
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.cluster.engine import OnRay, Shares, owner_of, shared_out
from redpop_assets.cluster.pipeline import _Sealed
from redpop_assets.cluster.session import Session, last_line
from redpop_assets.errors import SettingsError
from redpop_assets.images.download import Asking
from redpop_assets.images.fetch import FetchPolicy
from redpop_assets.refresh.engine import Local
from redpop_assets.resources import engine_of
from redpop_assets.settings import load_settings
from redpop_assets.storage.bucket import Bucket
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.location import open_files

HOSTS = ("i.redd.it", "i.imgur.com", "imgur.com", "preview.redd.it", "a.example.co.uk", "127.0.0.1", "[2600::1]")


@pytest.mark.parametrize(
    ("url", "owner"),
    [
        ("https://i.redd.it/a.jpg", "redd.it"),
        ("http://PREVIEW.redd.it:80/a.jpg?s=1", "redd.it"),
        ("https://imgur.com/a", "imgur.com"),
        ("https://i.imgur.com./a.png", "imgur.com"),
        ("http://localhost/1.png", "localhost"),
        ("http://93.184.216.34/1.png", "93.184.216.34"),
        ("http://0x5db8d822/1.png", "93.184.216.34"),
        ("http://[2600::1]/1.png", "2600::1"),
        ("ftp://i.redd.it/a.jpg", ""),  # not asked, so nobody's
        ("http://127.0.0.1/a.jpg", ""),
        ("no address", ""),
    ],
)
def test_who_owns_a_url(url, owner):
    assert owner_of(url, frozenset()).strip("[]") == owner


@given(st.lists(st.sampled_from(HOSTS), max_size=60), st.integers(1, 9))
def test_an_owner_is_in_one_part_and_nothing_is_lost(hosts, count):
    due = [{"url": f"http://{host}/{number}"} for number, host in enumerate(hosts)]
    parts = shared_out(due, count, frozenset())
    assert len(parts) <= count
    assert all(parts)
    assert sorted(row["url"] for part in parts for row in part) == sorted(row["url"] for row in due)
    owners = defaultdict(set)
    for number, part in enumerate(parts):
        assert part == sorted(part, key=due.index)  # the newest pictures first, as they came
        for row in part:
            owners[owner_of(row["url"], frozenset())].add(number)
    assert all(len(numbers) == 1 for numbers in owners.values())


def test_parts_are_of_similar_size_where_owners_are():
    due = [{"url": f"http://h{number % 8}.example{number % 8}.com/{number}"} for number in range(80)]
    assert [len(part) for part in shared_out(due, 4, frozenset())] == [20] * 4


def test_a_bucket_travels_without_its_threads_and_its_key_is_not_shown(tmp_path):
    variables = {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": "a-secret", "AWS_REGION": "eu-central-1"}
    files = open_files("s3://bucket/redpop", tmp_path, "images", variables)
    assert isinstance(files, Bucket)
    files.link.pool.submit(int).result()
    asking = Asking(ImageStore(files), FetchPolicy(), frozenset(), 4, timedelta(days=1))
    assert "a-secret" not in repr(_Sealed(asking))
    there = pickle.loads(pickle.dumps(asking))
    assert there.store.place.where == "s3://bucket/redpop/images"
    assert there.store.place.link.pool is not files.link.pool


def test_without_ray_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    engine = OnRay(Session(""), Shares(0, 1, 1, 1))
    asking = Asking(ImageStore(tmp_path), FetchPolicy(), frozenset(), 4, timedelta(days=1))
    assert list(engine.fetched([], asking)) == []  # nothing to do needs no cluster
    with pytest.raises(SettingsError, match=r"pip install 'redpop\[cluster\]', or set REDPOP_COMPUTE=local"):
        list(engine.fetched([{"url": "http://example.com/a.png"}], asking))


def test_of_an_error_from_elsewhere_its_end_is_told():
    assert last_line(ValueError("Traceback:\n  File\n\nIt  ran out of memory\n")) == "It ran out of memory"
    assert last_line(ValueError()) == "ValueError"


@pytest.mark.parametrize(("compute", "kind"), [("local", Local), ("ray", OnRay)])
def test_the_settings_choose_who_does_the_work_and_nothing_is_started_for_that(only, tmp_path, compute, kind):
    with only({"REDPOP_COMPUTE": compute}, tmp_path), engine_of(load_settings()) as engine:
        assert type(engine) is kind


def test_an_address_where_nobody_answers_is_said_at_once():
    pytest.importorskip("ray", reason="there is no Ray: pip install 'redpop[cluster]'")
    began = time.monotonic()
    with pytest.raises(SettingsError, match=r"There is no Ray cluster at 127\.0\.0\.1:1 .*refused.*ray start --head"):
        Session("127.0.0.1:1").start()
    assert time.monotonic() - began < 60  # of which most is the import of Ray; Ray itself asks for two minutes
