"""What a home remembers of its logins at Reddit: when one last worked, and since when Reddit has refused it.

Reddit revokes keys. One that worked yesterday and is refused today is another matter than one that never worked, and
asking every hour changes nothing. The memory is a small file of the home, not of the warehouse, which is published;
it knows the key by a digest. Without it, or where it cannot be written, every login is tried as if it were the first.
"""

import hashlib
import json
import logging
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from redpop_assets.errors import CredentialsRefused, WarehouseError
from redpop_assets.sources.services import WAYS_ON
from redpop_assets.storage.shared_text import Memory, text_at

FILE: Final = "login.json"
"""Name of the memory in the home."""

SHORTEST_REST, LONGEST_REST = timedelta(minutes=30), timedelta(hours=12)
"""How long schedules leave a key alone that Reddit refuses: as long as it has been refused, within these."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Login:
    """What is remembered of one key. Times are aware, by this machine's clock.

    Attributes:
        key: digest of client id and secret.
        worked_at: when Reddit last let it in; None if it never did.
        refused_since, refused_at: first and last refusal after that; None while it works.
        reason: what Reddit said then.
    """

    key: str
    worked_at: datetime | None = None
    refused_since: datetime | None = None
    refused_at: datetime | None = None
    reason: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what the file has.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: it is something else.
        """
        fields = json.loads(text)
        moments = {
            name: datetime.fromisoformat(fields[name]) if fields[name] else None
            for name in ("worked_at", "refused_since", "refused_at")
        }
        return cls(**{**fields, **moments})

    @property
    def next_attempt(self) -> datetime | None:
        """Before that, asking would only be refused again; None while the key is not refused."""
        if self.refused_at is None or self.refused_since is None:
            return None
        return self.refused_at + min(max(self.refused_at - self.refused_since, SHORTEST_REST), LONGEST_REST)

    def is_resting(self, now: datetime) -> bool:
        """Whether the key was refused so lately that it is not worth asking."""
        return self.next_attempt is not None and now < self.next_attempt

    def told(self) -> str:
        """How a person is told that it is refused, and what to do."""
        if self.worked_at is None:
            return f"This key has never worked here. {self.reason} {WAYS_ON}"
        return (
            f"Reddit refuses the key since {self.refused_since:%Y-%m-%d %H:%M} UTC; it last worked at "
            f"{self.worked_at:%Y-%m-%d %H:%M} UTC, so it was probably revoked, or its secret renewed. {self.reason} "
            "What was read stays, and the schedules go on by themselves when the key works again; see the app at "
            f"https://www.reddit.com/prefs/apps. {WAYS_ON}"
        )


class Logins:
    """The memory of a home.

    Args:
        memory: where it is: the folder of the home, or what machines share.
        client_id, client_secret: the key that is used now; another one is not remembered.
    """

    def __init__(self, memory: Memory, client_id: str, client_secret: str) -> None:
        self._memory = memory
        self._text = text_at(memory, FILE)
        secret = f"{client_id.strip()}\0{client_secret.strip()}".encode()
        self._key = hashlib.blake2b(secret, digest_size=8, person=b"redpop").hexdigest()

    def last(self) -> Login:
        """What is remembered of the key; nothing if it is another one, or the file is not there or damaged."""
        with suppress(OSError, WarehouseError, ValueError, KeyError, TypeError, AttributeError):
            text = self._text.read()
            found = None if text is None else Login.parse(text)
            if found is not None and found.key == self._key:
                return found
        return Login(self._key)

    def worked(self, now: datetime | None = None) -> None:
        """Note that Reddit let the key in."""
        self._write(Login(self._key, worked_at=now or datetime.now(UTC)))

    def refused(self, error: CredentialsRefused, now: datetime | None = None) -> CredentialsRefused:
        """Note that Reddit refused the key; returns the error that tells it apart from one that never worked."""
        when, before = now or datetime.now(UTC), self.last()
        login = replace(before, refused_since=before.refused_since or when, refused_at=when, reason=str(error))
        self._write(login)
        return CredentialsRefused(login.told())

    def _write(self, login: Login) -> None:
        if isinstance(self._memory, Path) and not self._memory.is_dir():
            return  # asking whether a key works makes no home
        try:
            self._text.write(json.dumps(asdict(login), default=datetime.isoformat))
        except (OSError, WarehouseError) as error:
            _log.warning("%s cannot be written (%s): logins are not remembered.", self._text.where, error)
