"""Telling people by webhook: how an announcement is written, and how it is sent to those who receive it.

What is worth telling is in `redpop_assets.announcements`.
"""

import hashlib
import ipaddress
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

_TIMEOUT: Final = (5.0, 10.0)  # seconds, to connect and between two pieces of the answer
_PAUSES: Final = (1.0, 3.0)  # seconds before the second and the third attempt
_MOST_LETTERS: Final = 1900  # Discord takes 2,000
_EXAMPLE: Final = "write an address like https://hooks.example.org/…, or several with commas between them"


@dataclass(frozen=True)
class Announcement:
    """Something that people want to know.

    Attributes:
        key: tells it apart from all others, also after a restart.
        event: its kind: night_failed, harvest_failed, stale, drift or new_champion.
        subreddit: community in lower case; empty for all of them.
        text: a sentence or some for people.
        at: when it happened (UTC).
    """

    key: str
    event: str
    subreddit: str
    text: str
    at: datetime

    @property
    def payload(self) -> dict[str, Any]:
        """What is sent: `text` is shown by Slack and Mattermost, `content` by Discord; nobody is called by name."""
        text = " ".join(self.text.split()).replace("<", "‹").replace(">", "›")
        text = text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"
        return {
            "event": self.event,
            "subreddit": self.subreddit,
            "at": self.at.isoformat(),
            "text": text,
            "content": text,
            "allowed_mentions": {"parse": []},
        }


@dataclass(frozen=True)
class Receiver:
    """An address that announcements are sent to; whoever knows it can write there, so only its host is shown."""

    url: str

    def __repr__(self) -> str:
        return f"Receiver({self.host})"

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def name(self) -> str:
        """Digest of the address, by which is remembered what it was told."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def tell(self, announcement: Announcement, *, sleep: Callable[[float], None] = time.sleep) -> bool:
        """Send an announcement, and again if that fails; False if it did not arrive. Raises nothing."""
        import requests

        problem = ""
        for pause in (*_PAUSES, None):
            try:
                answer = requests.post(self.url, json=announcement.payload, timeout=_TIMEOUT, allow_redirects=False)
            except requests.RequestException as error:  # whose message has the address
                problem = type(error).__name__
            else:
                if answer.ok and not answer.is_redirect:
                    return True
                problem = f"HTTP {answer.status_code}"
                if answer.status_code < 500 and answer.status_code != 429:
                    break
            if pause is not None:
                sleep(pause)
        log.warning("%s did not take what it was told (%s): %s", self.host, problem, announcement.event)
        return False


def parse_receivers(text: str) -> tuple[Receiver, ...]:
    """The receivers in a text, with commas between their addresses.

    Raises:
        ValueError: one is no address, or sends in the clear; the message does not repeat it.
    """
    found = [part.strip() for part in text.split(",") if part.strip()]
    for url in found:
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError(f"one of them is no address of a webhook: {_EXAMPLE}") from None
        if parts.scheme not in ("http", "https") or not host or any(letter.isspace() for letter in url):
            raise ValueError(f"one of them is no address of a webhook: {_EXAMPLE}")
        if parts.scheme == "http" and not _is_this_machine(host):
            raise ValueError(f"{host} would be told in the clear: write https://, or an address of this machine")
    return tuple(Receiver(url) for url in dict.fromkeys(found))


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
