"""A sandbox that runs in another process: starting and ending it, and its control panel, over HTTP as for others."""

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from redpop_assets.errors import RedPopError

_READY_SECONDS = 60.0
_LONGEST_ANSWER = 60.0
_FORESEEN_AT_ONCE = 50
_LONGEST_SIGN_OF_LIFE = 5.0  # of the clock, which is there at once; what listens and says nothing is no sandbox


@contextmanager
def sandbox_process(
    port: int, *, state: Path, subreddits: Sequence[str], posts: int = 1000, options: Sequence[str] = ()
) -> Iterator[str]:
    """Run `redpop sandbox` beside this process and end it afterwards; one that runs there already is used as it is.

    Args:
        port: where it listens.
        state: folder that keeps its clock and deletions.
        subreddits: its communities.
        posts: per community at the beginning.
        options: more of its command line.

    Yields:
        Its URL.

    Raises:
        RedPopError: it does not come up.
    """
    url = sandbox_url(port)
    if _answers(url):
        yield url
        return
    command = [sys.executable, "-m", "redpop_assets.cli", "sandbox", "--port", str(port), "--posts", str(posts)]
    command += ["--state", str(state), *options]
    for name in subreddits:
        command += ["--subreddit", name]
    # A file and no pipe, which would hold the sandbox up once it is full.
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        try:
            _wait_until_ready(process, url, log)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=15)


def sandbox_url(port: int) -> str:
    """Where a sandbox of this machine answers."""
    return f"http://127.0.0.1:{port}"


def advance_clock(url: str, duration: timedelta) -> str:
    """Let time pass in a running sandbox; returns its new time.

    Raises:
        RedPopError: no sandbox answers there.
    """
    answer = ask_sandbox(f"{url}/sandbox/clock", {"advance_seconds": duration.total_seconds()})
    return str(json.loads(answer)["now"])


def switch_chaos(url: str, *, on: Iterable[str] = (), off: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """Switch situations in a running sandbox; returns all of them, as they are now.

    Raises:
        RedPopError: no sandbox answers there, or there is no such situation.
    """
    body = {"on": list(on), "off": list(off)}
    situations: dict[str, dict[str, Any]] = json.loads(
        ask_sandbox(f"{url}/sandbox/chaos", body if body["on"] or body["off"] else None)
    )
    return situations


def delete_in_sandbox(url: str, what: Mapping[str, str]) -> list[str]:
    """Delete a post (`post_id`, `reason`) or close an account (`author`) in a running sandbox; returns the posts' ids.

    Raises:
        RedPopError: no sandbox answers there, or it has no such post or account.
    """
    posts: list[str] = json.loads(ask_sandbox(f"{url}/sandbox/delete", dict(what)))["posts"]
    return posts


def listed(url: str, subreddit: str) -> list[str]:
    """Ids of the posts that `new` shows now, to its end and undisturbed."""
    ids: list[str] = json.loads(ask_sandbox(f"{url}/sandbox/listed?subreddit={subreddit}"))
    return ids


def truth(url: str, subreddit: str = "") -> dict[str, dict[str, Any]]:
    """What the sandbox knows of every post so far, by id; of one community or of all."""
    lines = ask_sandbox(f"{url}/sandbox/truth" + (f"?subreddit={subreddit}" if subreddit else "")).splitlines()
    return {row["id"]: row for row in map(json.loads, lines) if "id" in row}  # the first line is no post


def readings(url: str, subreddit: str, hours: Sequence[float]) -> str:
    """What somebody kept who read every post of a community at these ages, as JSON lines.

    Raises:
        RedPopError: no sandbox answers there, or it has no such community.
    """
    return ask_sandbox(f"{url}/sandbox/readings?subreddit={subreddit}&hours={','.join(map(str, hours))}")


def foreseen(url: str, readings: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """What the best forecaster expects of posts that were read at some moments, as log scores.

    Args:
        url: of the sandbox.
        readings: post id -> Unix seconds.

    Raises:
        RedPopError: no sandbox answers there, or it has no such post.
    """
    found: dict[str, float] = {}
    ids = list(readings)
    for first in range(0, len(ids), _FORESEEN_AT_ONCE):
        some = {post_id: list(readings[post_id]) for post_id in ids[first : first + _FORESEEN_AT_ONCE]}
        found |= json.loads(ask_sandbox(f"{url}/sandbox/foreseen", some))
    return found


def ask_sandbox(url: str, body: object = None, *, timeout: float = _LONGEST_ANSWER) -> str:
    """What the panel of a running sandbox answers within `timeout` seconds; a body makes it a POST of JSON.

    Raises:
        RedPopError: nothing answers there, or it refuses.
    """
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=timeout) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            raise RedPopError(f"The sandbox refuses: {error.read().decode(errors='replace')}") from error
    except (urllib.error.URLError, OSError) as error:
        raise RedPopError(f"No sandbox answers at {url} ({error}): start one with `redpop sandbox`.") from error


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: IO[str]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not _answers(url):
        if process.poll() is not None:
            log.seek(0)
            raise RedPopError(f"The sandbox did not start. {log.read().strip().removeprefix('Error: ')}")
        if time.monotonic() > deadline:
            raise RedPopError(f"The sandbox does not answer at {url}: choose another --port.")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        ask_sandbox(f"{url}/sandbox/clock", timeout=_LONGEST_SIGN_OF_LIFE)
    except RedPopError:
        return False
    return True
