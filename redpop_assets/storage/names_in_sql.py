"""What SQL cannot do for a migration: the hiding of people, as functions that a connection is given."""

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import duckdb

from redpop_assets.privacy import names
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.privacy.submissions import pseudonymise


def give_functions(conn: duckdb.DuckDBPyConnection, key_file: Path) -> None:
    """Let SQL on this connection call `pseudonymised(json)` and `text_without_names`, `link_without_names`.

    The last two have forms for lists, `texts_…` and `links_…`. The key is read, or made, when the first name is met.
    """

    @cache
    def key() -> AuthorKey:
        return AuthorKey.load_or_create(key_file)

    def digest(name: str) -> str:
        return key().digest(name)

    def pseudonymised(text: str) -> str:
        try:
            submission = json.loads(text)
        except (ValueError, RecursionError):  # of which nobody could read anything
            return "{}"
        kept = pseudonymise(submission, digest) if isinstance(submission, dict) else {}
        return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))

    def link_without_names(link: str) -> str:
        hidden = names.in_link(link, digest)
        return digest(link) if hidden is None else hidden

    conn.create_function("pseudonymised", pseudonymised, ["VARCHAR"], "VARCHAR")
    text_without_names = partial(names.in_text, digest=digest)
    for kind, change in (("text", text_without_names), ("link", link_without_names)):
        conn.create_function(f"{kind}_without_names", _on_text(change), ["VARCHAR"], "VARCHAR")
        conn.create_function(f"{kind}s_without_names", _on_list(change), ["VARCHAR[]"], "VARCHAR[]")


def _on_text(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: change(text)


def _on_list(change: Callable[[str], str]) -> Callable[[list[str | None]], list[str | None]]:
    return lambda texts: [None if text is None else change(text) for text in texts]
