"""Patterns that strangers wrote, tried on a title: none of them can hang whoever asks, or use up its memory.

Moderators write regular expressions in Python's syntax, look-around and references included, so an engine without these
(RE2) would refuse many, and read others otherwise: its classes are ASCII. A time limit on the search alone is not
enough, because a pattern of forty characters can take seconds to be compiled. So they are tried by a process of their
own, with limits of time and memory: it costs some 20 ms, and only where a community has patterns.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final, Literal

Found = Literal["yes", "no", "invalid", "too slow"]

MOST_SECONDS: Final = 1.0
"""For one pattern …"""

MOST_SECONDS_IN_ALL: Final = 3.0
"""… and for all of them together; those that are left over count as too slow."""

LONGEST: Final = 2_000
"""Characters of a pattern; what is longer counts as too slow."""

_FOUND: Final[dict[object, Found]] = {True: "yes", False: "no"}
_PROGRAM: Final = """
import json, re, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))
except (ImportError, ValueError, OSError):
    pass
asked = json.load(sys.stdin)
for pattern in asked["patterns"]:
    try:
        found = re.search(pattern, asked["text"]) is not None
    except MemoryError:
        break
    except Exception:
        found = None
    print(json.dumps(found), flush=True)
"""


def search(patterns: Sequence[str], text: str) -> tuple[Found, ...]:
    """Whether each pattern is found in a text, in their order; "invalid" is what Python's `re` refuses.

    Takes at most about `MOST_SECONDS_IN_ALL`, whatever the patterns are.
    """
    found: dict[int, Found] = {}
    left = [place for place, pattern in enumerate(patterns) if len(pattern) <= LONGEST]
    ends = time.monotonic() + MOST_SECONDS_IN_ALL
    while left and (seconds := min(MOST_SECONDS, ends - time.monotonic())) > 0:
        answers = _tried([patterns[place] for place in left], text, seconds)
        found.update(zip(left, answers, strict=False))
        # The one that came first had all the time and memory; one behind it is tried again.
        left = left[max(len(answers), 1) :]
    return tuple(found.get(place, "too slow") for place in range(len(patterns)))


def _tried(patterns: Sequence[str], text: str, seconds: float) -> list[Found]:
    """What is found of the patterns up to the one that hangs."""
    command = (sys.executable, "-I", "-S", "-c", _PROGRAM)
    asked = json.dumps({"patterns": list(patterns), "text": text}).encode()
    try:
        said = subprocess.run(
            command, input=asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=seconds, check=False
        ).stdout
    except subprocess.TimeoutExpired as expired:
        said = expired.stdout or b""
    lines = said.decode().splitlines(keepends=True)
    return [_FOUND.get(json.loads(line), "invalid") for line in lines if line.endswith("\n")]
