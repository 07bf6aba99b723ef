"""Networks and downloads on Ray: the same rows as in one process, whoever dies in between."""

import gc
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from redpop_assets.arithmetic import SAME_EVERYWHERE
from redpop_assets.cluster.engine import Fetching, OnRay, Shares
from redpop_assets.cluster.pipeline import Actors, results
from redpop_assets.cluster.session import Session
from redpop_assets.cluster.trial import try_out
from redpop_assets.encoders.judges import Judges
from redpop_assets.errors import RedPopError, WeightsUnavailable
from redpop_assets.features.family import Encoders, Networks
from redpop_assets.images.download import FETCHES, Asking, download_images
from redpop_assets.images.fetch import FetchPolicy
from redpop_assets.refresh.embeddings import Encoding, refresh_captions, refresh_images
from redpop_assets.refresh.engine import Local, Running
from redpop_assets.refresh.features import Scope
from redpop_assets.storage.files import Folder
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.shards import Shards
from redpop_assets.testing.ray_machines import two_machines
from redpop_assets.testing.warehouses import blank_warehouse
from redpop_assets_tests.cluster.work import NeverDone, OfOneProcess, Refused, where
from redpop_assets_tests.local_server import LocalServer

pytestmark = [
    pytest.mark.end_to_end,
    # What ray does while it sends its own settings to an actor, and one of its processes for another that it has ended.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
pytest.importorskip("ray", reason="ray is not installed: pip install 'redpop[cluster]'")

IMAGES, CAPTIONS = "timm:tf_efficientnet_lite0/bundled", "sentence_transformers:all-MiniLM-L6-v2/bundled"
PER_HOST = 2


class Pictures:
    """A server of pictures by number, which counts what is asked at once of each of its names; `/dead` is 404.

    Pictures 8 and 9 wait for `gate`.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.asked: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        now: Counter[str] = Counter()
        lock = threading.Lock()

        class Answer(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805
                host = handler.headers["Host"]
                with lock:
                    self.asked[handler.path] += 1
                    now[host] += 1
                    self.most[host] = max(self.most[host], now[host])
                time.sleep(0.05)
                if handler.path in ("/8", "/9"):
                    self.gate.wait(60)
                body = b"" if handler.path == "/dead" else picture(int(handler.path.strip("/")))
                with lock:
                    now[host] -= 1
                handler.send_response(404 if handler.path == "/dead" else 200)
                handler.send_header("Content-Length", str(len(body)))
                handler.end_headers()
                handler.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = LocalServer(Answer)
        self.port = self.server.http.server_port


def picture(number: int) -> bytes:
    """A JPEG of its own for each number."""
    small = np.random.default_rng(number).integers(0, 255, (6, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((320, 240), Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def pictures():
    served = Pictures()
    yield served
    served.gate.set()
    served.server.stop()


@pytest.fixture(scope="module", autouse=True)
def gone():
    """What Ray leaves of its processes is collected here, where its warnings are expected, and not in another test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def session():
    opened = Session("")
    before = signal.getsignal(signal.SIGTERM)
    opened.start()
    assert signal.getsignal(signal.SIGTERM) == before  # how a run of Dagster is ended
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def on_ray(session):
    return OnRay(session, Shares(networks=1, cpus=1, gpus=1, fetchers=2))


class Home:
    """A warehouse with posts of pictures, and the jobs that are done there."""

    def __init__(self, folder: Path, urls: list[str], engine) -> None:
        self.warehouse = blank_warehouse(folder)
        self.store = ImageStore(folder / "images")
        self.engine = engine
        rows = [
            {
                **{"post_id": f"p{number:03}", "subreddit": "pics", "author": "a", "kind": "image"},
                **{"caption": f"A picture, the {number}th", "caption_sha256": sha256(b"%d" % number).hexdigest()},
                **dict.fromkeys(("is_original_content", "over_18", "spoiler"), False),
                **{"code_version": "1", "image_urls": [url], "created_at": datetime(2026, 1, 1 + number % 28)},
            }
            for number, url in enumerate(urls)
        ]
        with self.warehouse.write() as writer:
            schema = writer.query("SELECT * FROM core.posts LIMIT 0").schema
            writer.append("core.posts", pa.Table.from_pylist(rows, schema=schema))

    def download(self, policy: FetchPolicy):
        return download_images(
            self.warehouse,
            self.store,
            "pics",
            policy,
            images_per_post=1,
            recheck=None,
            chunk_size=4,
            progress=lambda _: None,
            ask=self.engine.fetched,
        )

    def encode(self):
        judges = Judges("", ("", ""), "", IMAGES, "", "cpu", lambda _: None)
        scope = Scope(
            "pics",
            self.warehouse,
            self.store,
            Encoders(IMAGES, CAPTIONS),
            Networks("cpu", judges),
            timedelta(days=7),
            8,
            lambda _: None,
            lambda _: None,
            self.engine,
        )
        encoding = Encoding([IMAGES], [CAPTIONS], grids=False, tuning=None)
        return {**refresh_images(scope, encoding), **refresh_captions(scope, encoding)}

    def rows(self, table: str, *without: str):
        order = "EXCLUDE (" + ", ".join(without) + ")" if without else ""
        return self.warehouse.query(f"SELECT * {order} FROM {table} ORDER BY ALL").to_pylist()

    def leftovers(self):
        return [path for path in (self.store.place.root.parent / "runs").rglob("*") if path.is_file()]


def policy_for(pictures) -> FetchPolicy:
    hosts = frozenset({f"127.0.0.1:{pictures.port}", f"localhost:{pictures.port}"})
    return FetchPolicy(allowed_hosts=hosts, decoders=1, per_host=PER_HOST)


def test_the_same_rows_as_of_one_process_and_no_host_asked_more_at_once_than_it_may_be(tmp_path, pictures, on_ray):
    urls = [f"http://{('127.0.0.1', 'localhost')[n % 2]}:{pictures.port}/{n}" for n in range(16)]
    urls.append(f"http://127.0.0.1:{pictures.port}/dead")
    homes = [Home(tmp_path / name, urls, engine) for name, engine in (("local", Local()), ("ray", on_ray))]
    done, told = [], []
    for home in homes:
        pictures.most.clear()
        done.append(home.download(policy_for(pictures)))
        assert len(pictures.most) == 2
        assert max(pictures.most.values()) <= PER_HOST
        told.append(home.encode())
        assert home.leftovers() == []
    assert done[0] == done[1]
    assert (done[1].fetched, done[1].stored) == (17, 16)
    assert set(pictures.asked.values()) == {2}  # each home asked once
    times = {"fetched_at", "checked_at", "next_attempt_at"}
    for table, without in {"core.image_fetches": times, "core.images": {"stored_at"}}.items():
        local, ray = (home.rows(table, *without) for home in homes)
        assert local == ray
        assert len(ray) >= 16
    for table, column in {
        "features.image_embeddings": "embedding",
        "features.caption_embeddings": "embedding",
        "features.image_classes": "probabilities",
    }.items():
        local, ray = (home.rows(table) for home in homes)
        assert [{**row, column: None} for row in local] == [{**row, column: None} for row in ray]
        assert len(ray) >= 16
        assert np.allclose([row[column] for row in local], [row[column] for row in ray], rtol=0, atol=1e-6)
    local, ray = (home.rows("features.encoders", "first_used_at") for home in homes)
    assert local == ray
    for table in ("features.image_embeddings", "features.caption_embeddings"):
        assert len({home[table]["rows_computed"] for home in told}) == 1
    # Nothing is due any more, so nobody is asked.
    asked = pictures.asked.copy()
    assert homes[1].download(policy_for(pictures)).fetched == 0
    assert pictures.asked == asked
    assert homes[1].encode()["features.caption_embeddings"]["rows_computed"] == 0
    assert "data-usage-metrics-poller" not in {thread.name for thread in threading.enumerate()}


def test_a_process_that_is_killed_loses_what_it_was_making_and_nothing_is_had_twice(tmp_path, pictures, session):
    store = ImageStore(tmp_path / "images")
    urls = [f"http://127.0.0.1:{pictures.port}/{n}" for n in range(12)]
    row = {"status": "new", "detail": "", "attempts": 0}
    part = pa.Table.from_pylist([{**row, "url": url} for url in urls], schema=FETCHES)
    policy = replace(policy_for(pictures), per_host=1)
    asking = Asking(store, policy, frozenset(), 4, timedelta(days=30))
    work = OfOneProcess(Fetching(asking), tmp_path / "pid")
    pictures.gate.clear()
    found = []
    for result in results(session, work, [part], Actors(1, 1), Shards(store.place)):
        if not found:
            first = {row["url"] for row in result.tables["core.image_fetches"].to_pylist()}
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
            pictures.gate.set()
        found += result.tables["core.image_fetches"].to_pylist()
    assert sorted(row["url"] for row in found) == sorted(urls)
    assert {row["status"] for row in found} == {"stored"}
    assert len((tmp_path / "pid.all").read_text().split()) == 2  # processes
    asked = {f"http://127.0.0.1:{pictures.port}{path}": count for path, count in pictures.asked.items()}
    assert {asked[url] for url in first} == {1}
    assert max(asked.values()) <= 2
    assert all(store.exists(f"{name[:2]}/{name}.jpg") for name in (row["image_sha256"] for row in found))


def test_what_a_worker_refuses_is_said_as_if_it_had_been_here(tmp_path, session):
    parts = [pa.table({"url": ["a"]})]
    with pytest.raises(WeightsUnavailable, match="there is no /nowhere"):
        list(results(session, Refused(), parts, Actors(1, 1), Shards(ImageStore(tmp_path / "images").place)))


def test_networks_are_asked_where_they_are(tmp_path, on_ray):
    running = Running(ImageStore(tmp_path), "auto", False, None, 8)
    pid, device, name = on_ray.asks(where, "a network", running=running)
    assert pid != os.getpid()
    assert (device, name) == ("cpu", "a network")  # a cluster without GPUs


def test_a_part_that_kills_its_process_each_time_fails_the_run_with_a_sentence(tmp_path, session):
    parts = [pa.table({"url": ["a", "b"]})]
    found = results(session, NeverDone(), parts, Actors(1, 1), Shards(ImageStore(tmp_path / "images").place))
    assert next(found).done == ("a",)
    with pytest.raises(RedPopError, match=r"given up after 3 processes had died of it\..* the next run goes on"):
        next(found)
    assert not list((tmp_path / "runs").glob("*"))


def test_each_machine_is_tried_before_anything_depends_on_it(tmp_path, session):
    said = try_out(session, Folder(tmp_path / "images"))
    assert said.startswith("Ray on this machine, for the time of a run: 1 machine, ")
    assert said.endswith(f"each sees {tmp_path / 'runs'}")


@pytest.fixture
def machines(tmp_path):
    with two_machines(tmp_path) as environment:
        yield environment


def test_two_machines_share_the_work_of_a_run_that_knows_the_address(tmp_path, machines):
    command = [sys.executable, "-m", "redpop_assets_tests.cluster.work", str(tmp_path / "images")]
    ran = subprocess.run(command, env={**machines, **SAME_EVERYWHERE}, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    told = ran.stdout.splitlines()
    assert f"at {machines['RAY_ADDRESS']}: 2 machines, 2 processors, 0 GPUs" in told[-2]
    assert told[-1].split() == ["a,b,c,d,e,f", "2", "True"]
