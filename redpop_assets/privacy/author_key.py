"""The secret of a deployment that turns names of people into hashes, and the file that keeps it."""

import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from redpop_assets.errors import SettingsError

_KEY_BYTES = 32


@dataclass(frozen=True)
class AuthorKey:
    """The secret that turns names of people into hashes; one per deployment.

    Without the key nobody can tell whose hash it is, not even by hashing every known name. With the same key, one
    author's posts stay together, which splits without leaks need. A lost key unlinks old posts from new ones.
    """

    secret: bytes = field(repr=False)

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Read the key file, or make it with 32 random bytes, readable by its owner only.

        Raises:
            SettingsError: the file cannot be read or made, or holds no key.
        """
        try:
            if not path.exists():
                _write_once(path, secrets.token_bytes(_KEY_BYTES))
            secret = path.read_bytes()
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
        except OSError as error:
            raise SettingsError(f"The key that hides author names cannot be kept in {path}: {error}") from error
        if len(secret) != _KEY_BYTES:
            raise SettingsError(
                f"{path} holds no key ({len(secret)} bytes instead of {_KEY_BYTES}): restore it from a backup. If "
                "there is none, delete it; known authors then count as new ones."
            )
        return cls(secret)

    def digest(self, name: str) -> str:
        """The first 32 hex digits of HMAC-SHA256 (RFC 2104) of the name, whose case does not matter."""
        message = name.lower().encode("utf-8", "surrogatepass")
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()[:32]

    def digests(self, name: str) -> list[str]:
        """Under what hashes an account may be stored: its own, and those that imports of former versions gave to
        spellings such as `u/name`, which tables have."""
        return [self.digest(f"{before}{name}") for before in ("", "u/", "/u/", "/user/", " ")]


def _write_once(path: Path, secret: bytes) -> None:
    """Make the file whole or not at all; if another process is first, its file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent) as draft:  # mode 0600
        draft.write(secret)
        draft.flush()
        os.fsync(draft.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft.name, path)
