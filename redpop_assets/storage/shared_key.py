"""The key that hides author names, where several machines work on one deployment: the first one makes it for all.

Each home has a copy in `author.key`, where it is looked for by whatever hides names.
"""

import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from redpop_assets.errors import SettingsError
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.storage.postgres import Postgres
from redpop_assets.storage.shared_text import SharedText, TextRow

NAME: Final = "author.key"
"""Name of the text that has it, in hexadecimal digits."""


def shared_author_key(postgres: Postgres, path: Path, may_be_new: Callable[[], bool] = lambda: True) -> AuthorKey:
    """The key of all machines: that of this home if there is none yet, and else this home takes it.

    Args:
        postgres: what they share.
        path: of the copy in this home.
        may_be_new: whether a key may be made where there is none: not for a warehouse whose authors are hidden already.

    Raises:
        SettingsError: this home has another key, or none where none may be made; or its copy cannot be read or made.
        WarehouseError: the database cannot be opened.
    """
    text = TextRow(postgres, NAME)
    with text.alone():
        if (written := text.read()) is None:
            if not path.exists() and not may_be_new():
                raise SettingsError(
                    f"The authors of the warehouse are hidden by a key that neither {path} nor {text.where} has; any "
                    "other one would make new authors of them. Copy author.key of the home that was moved to that "
                    "place, or harvest there first."
                )
            key = AuthorKey.load_or_create(path)
            text.write(key.secret.hex())
            return key
    theirs = _parsed(written, text)
    if not path.exists():
        _take(path, theirs)
    mine = AuthorKey.load_or_create(path)
    if mine != theirs:
        raise SettingsError(
            f"{path} is another key than the one in {text.where}: one author would have two hashes. If this home has "
            "posts of its own, give it a Postgres of its own; if it has none, move its author.key away, and it takes "
            "the other one."
        )
    return mine


def renew_author_key(postgres: Postgres, path: Path) -> None:
    """Replace the key for all machines; the copies of other homes are refused from then on.

    Raises:
        SettingsError, WarehouseError: as `shared_author_key`.
    """
    text = TextRow(postgres, NAME)
    with text.alone():
        path.unlink(missing_ok=True)
        text.write(AuthorKey.load_or_create(path).secret.hex())


def _parsed(written: str, text: SharedText) -> AuthorKey:
    if not re.fullmatch("[0-9a-f]{64}", written):
        raise SettingsError(f"{text.where} holds no key: write that of a home there, in 64 hexadecimal digits.")
    return AuthorKey(bytes.fromhex(written))


def _take(path: Path, key: AuthorKey) -> None:
    """Make the copy, whole or not at all, readable by its owner only."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(key.secret)
        with suppress(FileExistsError):
            os.link(beside, path)
    except OSError as error:
        raise SettingsError(f"The key that hides author names cannot be kept in {path}: {error}") from error
    finally:
        beside.unlink(missing_ok=True)
