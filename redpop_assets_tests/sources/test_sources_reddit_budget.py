"""The request budget: counted right whatever overtakes what, shared by processes, and never in the way of a harvest."""

import heapq
import json
import logging
import os
import random
import re
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import example, given, settings
from hypothesis import strategies as st

from redpop_assets.cli.diagnosis import request_budget
from redpop_assets.errors import RedPopError
from redpop_assets.resources import open_source
from redpop_assets.settings import load_settings
from redpop_assets.sources.reddit.budget import (
    GRACE,
    SLICE,
    UNTOLD_REQUESTS,
    UNTOLD_WINDOW,
    WINDOW,
    Ledger,
    RateLimit,
    RequestBudget,
)
from redpop_assets_tests.local_server import LocalServer

pytestmark = pytest.mark.integration

START = 1_776_081_600.0


def told(remaining, used, reset):
    return {"x-ratelimit-remaining": remaining, "x-ratelimit-used": used, "x-ratelimit-reset": reset}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (told("997.0", "3", "15"), (997, 3, 15.0)),
        (told("0.9", "1000.4", "12.5"), (0, 1000, 12.5)),
        (told("-4", "-1", "-2"), (0, 0, 0.0)),
        (told("5", "5", "86400"), (5, 5, WINDOW)),
        (told("5", "5", "soon"), None),
        (told("nan", "5", "5"), None),
        (told("5", "inf", "5"), None),
        (told("", "5", "5"), None),
        ({"x-ratelimit-remaining": "5"}, None),
        ({}, None),
    ],
)
def test_headers_are_floats_and_sometimes_nonsense(headers, expected):
    assert RateLimit.of(headers) == expected


# --- one process ---


@pytest.fixture
def budget(waits):
    return RequestBudget(sleep=waits, clock=waits.clock)


def test_until_an_answer_tells_the_budget_it_is_a_hundred_a_minute(budget, waits):
    sent = []
    for _ in range(350):
        budget.settle(budget.spend(), None)
        sent.append(waits.clock())
    assert budget.remaining is None
    assert sum(waits) == 3 * UNTOLD_WINDOW
    assert all(sent[i + UNTOLD_REQUESTS] - sent[i] >= UNTOLD_WINDOW for i in range(250))


def test_the_budget_is_what_the_last_answer_says(budget, waits):
    budget.settle(budget.spend(), RateLimit(40, 956, 200.0))
    assert budget.remaining == 40
    for _ in range(40):  # answers without the headers
        budget.settle(budget.spend(), None)
    assert (budget.remaining, waits) == (0, [])
    budget.spend()
    assert sum(waits) == 200 + GRACE
    assert max(waits) <= SLICE
    assert budget.remaining == 995  # a new window of as many


def test_a_wait_says_why_and_for_how_long(budget, waits, caplog):
    budget.settle(budget.spend(), RateLimit(0, 600, 89.0))
    budget.settle(budget.spend(), None)
    assert "The request budget is spent (600 requests in 10 min): the next request waits 90 s, until" in caplog.text
    assert len(caplog.records) == 2  # again after a minute
    budget.hold(20)
    budget.spend()
    assert "Reddit asks to wait: the next request waits 20 s, until 12:01:50 UTC." in caplog.text
    assert budget.seconds_waited == sum(waits) == 110


def test_a_held_budget_is_held_for_a_window_at_most(budget, waits):
    budget.hold(86_400)
    budget.hold(1)
    budget.spend()
    assert sum(waits) == WINDOW


def test_a_budget_told_as_nothing_at_all_still_ends(budget, waits):
    for _ in range(5):
        budget.settle(budget.spend(), RateLimit(0, 0, 0.0))
    assert sum(waits) == 4 * GRACE


def test_a_clock_that_was_set_back_does_not_stop_everything_for_hours(tmp_path, waits):
    later = RequestBudget(tmp_path / "ledger.json", clock=lambda: waits.clock() + 86_400)
    later.settle(later.spend(), RateLimit(0, 600, 600.0))
    later.hold(600)
    budget = RequestBudget(tmp_path / "ledger.json", sleep=waits, clock=waits.clock)
    budget.spend()
    assert sum(waits) <= WINDOW


def test_a_request_whose_process_was_killed_is_forgotten_after_a_while(budget, waits):
    budget.spend()
    budget.settle(budget.spend(), RateLimit(90, 10, 300.0))
    assert budget.remaining == 89
    waits(301)
    assert budget.remaining == 99
    waits(601)
    assert budget.remaining == 100


def test_the_state_can_be_looked_at_without_changing_anything(tmp_path, waits):
    file = tmp_path / "budget" / "ledger.json"
    budget = RequestBudget(file, clock=waits.clock)
    assert budget.state().limit is None
    assert not file.parent.exists()
    budget.settle(budget.spend(), RateLimit(90, 10, 300.0))
    before = file.read_bytes()
    assert RequestBudget(file, clock=waits.clock).state().remaining == 90
    assert file.read_bytes() == before


# --- answers that overtake each other ---


@dataclass
class Window:
    """Reddit's side: counts the requests of each window of ten minutes."""

    limit: int
    ends_at: float
    used: int = 0

    def count(self, now):
        while now >= self.ends_at:
            self.ends_at, self.used = self.ends_at + WINDOW, 0
        self.used += 1
        return RateLimit(max(0, self.limit - self.used), self.used, float(int(self.ends_at - now)))


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**32), st.sampled_from([0.01, 1, 10]), st.sampled_from([0.01, 0.3, 5, 60]))
@example(4, 162, 10, 60)  # an answer of the window before comes late
@example(2, 1421, 0.01, 60)  # the first answer of a new window is overtaken
def test_never_more_requests_than_reddit_allows(limit, seed, pause, delay):
    """However long each request is under way, there and back, and whatever overtakes what."""
    rng = random.Random(seed)
    now, ledger, reddit = START, Ledger(), Window(limit, START + rng.uniform(1, 600))
    ledger.roll(now)
    ledger.settle(ledger.take(now), reddit.count(now), now)
    events = [(now + pause * n, n, None, None) for n in range(20 * limit)]  # when somebody wants to ask
    while events:
        now, n, reservation, answer = heapq.heappop(events)
        ledger.roll(now)
        if answer:
            ledger.settle(reservation, answer, now)
        elif reservation:
            heapq.heappush(events, (now + rng.uniform(0, delay), n, reservation, reddit.count(now)))
            assert reddit.used <= limit
        elif reservation := ledger.take(now):
            heapq.heappush(events, (now + rng.uniform(0, delay), n, reservation, None))
        else:
            heapq.heappush(events, (ledger.free_at(now) + pause * rng.random(), n, None, None))
    assert ledger.in_flight == {}


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**32))
def test_whatever_is_left_can_be_used(limit, seed):
    """One request after the other, a window is used up to the last request, and no time is lost but the grace."""
    now, ledger, reddit = START, Ledger(), Window(limit, START + random.Random(seed).uniform(1, 600))
    for n in range(4 * limit):
        ledger.roll(now)
        if (reservation := ledger.take(now)) is None:
            assert reddit.used == limit, n
            assert now < reddit.ends_at <= ledger.free_at(now) < reddit.ends_at + 2 * GRACE
            now = ledger.free_at(now)
            ledger.roll(now)
            reservation = ledger.take(now)
        ledger.settle(reservation, reddit.count(now), now)


def test_a_service_that_forgot_what_was_used_is_believed(budget):
    budget.settle(budget.spend(), RateLimit(0, 600, 10.0)._replace(remaining=5))
    budget.settle(budget.spend(), RateLimit(990, 6, 5.0))
    assert budget.remaining == 990


# --- the file ---


def test_budgets_on_one_file_are_one_budget(tmp_path, waits):
    file = tmp_path / "new" / "folder" / "ledger.json"
    one, other = (RequestBudget(file, sleep=waits, clock=waits.clock) for _ in range(2))
    one.settle(one.spend(), RateLimit(3, 997, 60.0))
    for budget in (one, other, other):
        budget.settle(budget.spend(), None)
    assert (one.remaining, other.remaining, waits) == (0, 0, [])
    one.spend()
    assert sum(waits) == 60 + GRACE
    other.hold(30)
    one.spend()
    assert sum(waits) == 90 + GRACE


def test_the_file_is_that_of_the_app_and_the_api_and_names_neither(tmp_path):
    files = {
        RequestBudget.of(client, url, tmp_path).file
        for client in ("an-id", "another-id", " an-id ")
        for url in ("https://oauth.reddit.com", "https://oauth.reddit.com/", "http://127.0.0.1:8000")
    }
    assert len(files) == 4
    assert not any("an-id" in str(file.name) for file in files)


def test_nobody_waits_with_the_file_locked(tmp_path, waits):
    file = tmp_path / "ledger.json"

    def sleep(seconds):
        with FileLock(file.with_suffix(".lock"), timeout=0):
            waits(seconds)

    budget = RequestBudget(file, sleep=sleep, clock=waits.clock)
    budget.settle(budget.spend(), RateLimit(0, 1, 60.0))
    budget.spend()
    assert len(waits) >= 60 / SLICE


GOOD = asdict(Ledger(limit=10, remaining=5, used=5, resets_at=START + 60))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[1]",
        b"{}",
        b"\xff\xfe",
        b'{"limit": 10, "remai',
        json.dumps({**GOOD, "remaining": None}).encode(),
        json.dumps({**GOOD, "resets_at": float("nan")}).encode(),
        json.dumps({**GOOD, "limit": float("inf")}).encode(),
        json.dumps(GOOD).replace('"used": 5', '"used": 1e999').encode(),
        json.dumps({**GOOD, "in_flight": []}).encode(),
        json.dumps({**GOOD, "in_flight": {"x": "y"}}).encode(),
    ],
)
def test_a_damaged_file_is_begun_anew(tmp_path, waits, caplog, content):
    file = tmp_path / "ledger.json"
    file.write_bytes(content)
    budget = RequestBudget(file, sleep=waits, clock=waits.clock)
    budget.settle(budget.spend(), RateLimit(7, 3, 60.0))
    assert "is damaged" in caplog.text
    assert RequestBudget(file, clock=waits.clock).remaining == 7
    assert waits == []


@pytest.mark.parametrize("broken", ["folder", "file", "lock"])
def test_a_file_that_cannot_be_written_stops_nobody(tmp_path, waits, caplog, broken):
    file = tmp_path / "budget" / "ledger.json"
    if broken == "folder":
        file.parent.write_text("not a folder")
    else:
        file.with_suffix(".lock" if broken == "lock" else ".json").mkdir(parents=True)
    budget = RequestBudget(file, sleep=waits, clock=waits.clock)
    with caplog.at_level(logging.WARNING):
        for n in range(12):
            budget.settle(budget.spend(), RateLimit(9 - n % 10, 1 + n % 10, 60.0))
    assert sum(waits) == 60 + GRACE
    assert caplog.text.count("REDPOP_BUDGET_DIR") == 1
    assert budget.file is None


# --- settings and doctor ---


@pytest.fixture
def variables(server, tmp_path):
    return {
        "REDPOP_HOME": str(tmp_path / "home"),
        "REDPOP_SOURCE": "sandbox",
        "REDPOP_REDDIT_URL": server.url,
        "REDPOP_OAUTH_URL": server.url,
        "REDPOP_REDDIT_TIMEOUT_SECONDS": "5",
        "REDDIT_CLIENT_ID": "an-id",
        "REDDIT_CLIENT_SECRET": "secret",
        "REDDIT_USER_AGENT": "linux:redpop-tests:0.1 (by /u/redpop_tests)",
    }


def test_deployments_on_reddit_share_their_budget_and_others_keep_it_at_home(only, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    elsewhere = {"REDPOP_SOURCE": "sandbox", "REDPOP_OAUTH_URL": "http://127.0.0.1:1"}
    for variables, folder in (
        ({}, tmp_path / "state" / "redpop"),
        (elsewhere, tmp_path / "warehouse"),
        ({"REDPOP_BUDGET_DIR": "~/shared"}, tmp_path / "me" / "shared"),
        ({**elsewhere, "REDPOP_BUDGET_DIR": "/srv/redpop"}, Path("/srv/redpop")),
    ):
        with only(variables, tmp_path):
            assert load_settings().budget_folder == folder


def test_a_deployment_keeps_its_budget_and_doctor_shows_it(only, tmp_path, server, variables):
    server.answer = lambda _: server.reply(
        {"kind": "Listing", "data": {"children": []}}, headers=told("896.0", "104", "300")
    )
    with only(variables, tmp_path):
        settings = load_settings()
        assert "not known yet" in request_budget(settings)
        for _ in range(2):  # each with its login
            with open_source(settings).open() as source:
                source.answer()
            assert RequestBudget.of("an-id", server.url, tmp_path / "home").remaining == 896
        text = request_budget(settings)
        RequestBudget.of("an-id", server.url, tmp_path / "home").hold(50)
        held = request_budget(settings)
    assert re.match(r"896 of 1000 requests left until \d\d:\d\d:\d\d UTC, 0 under way; shared in ", text)
    assert str(tmp_path / "home") in text
    assert re.search(r"Reddit asks to wait (50|49) s more", held)
    assert "an-id" not in text


def test_doctor_says_what_to_do_about_a_folder_that_cannot_be_written(only, tmp_path, variables):
    (tmp_path / "home").write_text("not a folder")
    with only(variables, tmp_path), pytest.raises(RedPopError, match="REDPOP_BUDGET_DIR"):
        request_budget(load_settings())


# --- several processes ---

CLIENT = """
import sys
from redpop_assets.sources.reddit.budget import RequestBudget
from redpop_assets.sources.reddit.client import RedditClient
from pathlib import Path

url, folder, ids = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
client = RedditClient("an-id", "secret", "linux:redpop-tests:0.1 (by /u/redpop_tests)", reddit_url=url, oauth_url=url,
                      budget=RequestBudget.of("an-id", url, folder))
sys.stdin.readline()
pages = sum(1 for _ in client.info(f"p{i}" for i in range(100 * ids)))
print(pages, client.requests_made, client.seconds_waited > 0)
"""


class Stingy(LocalServer):
    """A Reddit with a small budget in short windows, the first of them nearly over; it notes whom it refused.

    A window has to be longer than an answer may take on a busy machine, as Reddit's of ten minutes are.
    """

    SECONDS = 8.0

    def __init__(self, limit):
        self.limit, self.used, self.counts, self.refused = limit, 0, [], 0
        self.ends_at = time.monotonic() + 1.0
        self.lock = threading.Lock()
        stingy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                self.answer(200, {"access_token": "x", "token_type": "bearer", "expires_in": 3600, "scope": "*"}, {})

            def do_GET(self):
                status, headers = stingy.admit()
                self.answer(status, {"kind": "Listing", "data": {"children": []}}, headers)

            def answer(self, status, body, headers):
                data = json.dumps(body).encode()
                self.send_response_only(status)
                for name, value in {"content-length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        super().__init__(Handler)

    def admit(self):
        with self.lock:
            now = time.monotonic()
            while now >= self.ends_at:
                self.counts.append(self.used)
                self.used, self.ends_at = 0, self.ends_at + self.SECONDS
            if self.used == self.limit:
                self.refused += 1
                return 429, {"retry-after": "1"}
            self.used += 1
            return 200, told(f"{self.limit - self.used}.0", str(self.used), f"{self.ends_at - now:.2f}")


def test_processes_share_the_budget_and_all_finish(tmp_path):
    stingy = Stingy(limit=12)
    processes = []
    try:
        for _ in range(3):
            command = [sys.executable, "-c", CLIENT, stingy.url, str(tmp_path / "budget"), "9"]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            processes.append(subprocess.Popen(command, env=environment, text=True, **pipes))
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
        stingy.stop()
    results = [output.split() for output, _ in outputs]
    assert [(pages, made) for pages, made, _ in results] == [("9", "10")] * 3, outputs  # with the login
    assert any(waited == "True" for _, _, waited in results)
    assert stingy.refused == 0
    assert sum(stingy.counts) + stingy.used == 27
