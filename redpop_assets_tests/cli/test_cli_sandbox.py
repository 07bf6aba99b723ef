"""The sandbox on the command line: what goes wrong, deletions, and a server that is started with chaos."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import timedelta

import pytest

from redpop_assets.demo.sandbox import ask_sandbox, truth
from redpop_assets.errors import RedPopError
from redpop_assets.sandbox.chaos import SITUATIONS
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.server import running
from redpop_assets.sandbox.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
def sandbox():
    """(world, URL, port) of a small one."""
    world = World(seed=5, posts_per_subreddit=30, history=timedelta(days=20))
    with running(world, Clock(world.epoch)) as url:
        yield world, url, url.rpartition(":")[2]


def test_situations_are_shown_and_switched(redpop, sandbox):
    _, url, port = sandbox
    answer = redpop("sandbox", "chaos", "--port", port)
    assert answer.code == 0
    assert all(name in answer.output for name in SITUATIONS)
    assert "every post by [deleted]" in answer.output
    redpop("sandbox", "chaos", "--on", "all", "--off", "resets", "--port", port)
    redpop("sandbox", "chaos", "--off", "resets", "--off", "timeouts", "--port", port)
    rows = json.loads(ask_sandbox(f"{url}/sandbox/chaos"))
    assert {name for name, row in rows.items() if not row["on"]} == {"resets", "timeouts"}


def test_an_unknown_situation_names_those_that_there_are(redpop, sandbox):
    for arguments in (("chaos", "--on", "thunder", "--port", sandbox[2]), ("--with", "thunder")):
        answer = redpop("sandbox", *arguments)
        assert answer.code == 1
        assert "'thunder'" in answer.output
        assert "rate-limits" in answer.output


def test_a_post_and_an_account_are_deleted(redpop, sandbox):
    world, url, port = sandbox
    post = next(post for post in world.posts("pics", world.epoch.timestamp()) if post.kind == "image")
    answer = redpop("sandbox", "delete", post.id, "--reason", "missing", "--port", port)
    assert (answer.code, post.id in answer.output) == (0, True)
    answer = redpop("sandbox", "delete", "--author", post.author, "--port", port)
    assert answer.code == 0
    known = truth(url)
    assert (known[post.id]["missing"], known[post.id]["author_gone"]) == (True, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Name one"),
        (("1abc", "--author", "x"), "Name one"),
        (("1abc",), "no such post or account"),
        (("1abc", "--reason", "boredom"), "choose from deleted"),
    ],
)
def test_a_wrong_deletion_says_so(redpop, sandbox, arguments, words):
    answer = redpop("sandbox", "delete", *arguments, "--port", sandbox[2])
    assert answer.code == 1
    assert words in answer.output


def test_a_sandbox_that_is_not_there(redpop):
    for arguments in (("chaos",), ("delete", "1abc")):
        answer = redpop("sandbox", *arguments, "--port", "1")
        assert answer.code == 1
        assert "start one with `redpop sandbox`" in answer.output


def test_advancing_a_sandbox_that_is_not_there(redpop):
    answer = redpop("sandbox", "advance", "8d", "--port", "1")
    assert answer.code == 1
    assert "redpop sandbox" in answer.output


def test_advancing_a_sandbox(redpop):
    world = World(posts_per_subreddit=10)
    clock = Clock(world.epoch)
    with running(world, clock) as url:
        answer = redpop("sandbox", "advance", "8d", "--port", url.rpartition(":")[2])
    assert answer.code == 0
    assert "2026-06-09" in answer.output
    assert (clock.now() - world.epoch).days == 8


def test_the_demo_with_chaos_lets_time_pass_by_itself(redpop):
    answer = redpop("demo", "--chaos", "--advance", "8d")
    assert answer.code == 1
    assert "leave --advance out" in answer.output


@pytest.mark.parametrize(
    ("options", "on"),
    [
        (["--chaos"], set(SITUATIONS)),
        (["--with", "resets", "--with", "dead-images"], {"resets", "dead-images"}),
        ([], set()),
    ],
)
def test_a_sandbox_starts_with_what_was_asked_for_and_keeps_its_deletions(tmp_path, options, on):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "redpop_assets.cli", "sandbox", "--port", str(port), "--posts", "20"]
    command += ["--days", "10", "--state", str(tmp_path), "--budget", "77", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={"PATH": os.environ["PATH"]}, cwd=tmp_path)
    try:
        for _ in range(600):
            with contextlib.suppress(RedPopError):
                rows = json.loads(ask_sandbox(f"{url}/sandbox/chaos"))
                break
            time.sleep(0.05)
        assert {name for name, row in rows.items() if row["on"]} == on
        post = json.loads(ask_sandbox(f"{url}/sandbox/listed?subreddit=pics"))[0]
        with urllib.request.urlopen(f"{url}/sandbox/listed?subreddit=pics&listing=top&t=year", timeout=5) as answer:
            assert post in json.loads(answer.read())
        ask_sandbox(f"{url}/sandbox/delete", {"post_id": post})
        assert post in json.loads((tmp_path / "deletions.json").read_text())["posts"]
    finally:
        process.terminate()
        process.wait()
