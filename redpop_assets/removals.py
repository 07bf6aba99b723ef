"""What counts as deletion, as removal, and as "not seen": the one place that decides what may be forgotten for ever.

Forgetting cannot be undone by a later reading, so it needs evidence that can be read in one way only:

- **deletion**: Reddit's own word, in the newest reading of the post, that its author or Reddit for good took it down
  (`DELETIONS`); or the account's name missing, by Reddit's own answer, under a post that stands. What it names leaves
  every table and file.
- **removal**: anything else by which a post is not shown: moderators and filters, which may change their mind; a
  category that Reddit may yet invent; words anybody could have written; a dump that says gone, but not by whom. The
  post is rejected, and kept in case it stands again.
- **not seen**: an answer without the post. It counts towards a deletion only where it was believed, several times in a
  row, and over a time in which an outage ends (`MISSES_UNTIL_GONE`, `MISSING_UNTIL_GONE`).

`_meta` of a dump with two readings tells the history of a post: only `was_deleted_later` says that it is gone,
`removal_type` says whose a deletion was, and after `was_initially_deleted` the post stands again. The table for people
is in docs/operate.md, "Forgetting".
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

DELETIONS: Final = (
    "deleted",
    "author",
    "content_takedown",
    "copyright_takedown",
    "anti_evil_ops",
    "community_ops",
    "legal",
)
"""Categories after which nothing is kept: the author, or Reddit by a decision that stands, took the post down."""

REVERSIBLE: Final = ("moderator", "automod_filtered", "reddit")
"""Categories that often end: what moderators, their filters or Reddit's spam filter hide is approved again."""

REMOVERS: Final = frozenset({*DELETIONS, *REVERSIBLE})
"""All categories that Reddit is known to use."""

UNKNOWN: Final = "unknown"
"""Taken down, and nobody says by whom: a removal."""

MISSES_UNTIL_GONE: Final = 3
"""Times in a row that Reddit has to leave out a post that it is asked for …"""

MISSING_UNTIL_GONE: Final = timedelta(hours=48)
"""… over at least this time, before the post counts as gone: unknown ids are left out silently, and some come back."""

NOBODY: Final = (None, "", "[deleted]")
"""What stands in the place of an author who is not named any more."""

# What Reddit writes over the text, and over the title of a post whose author deleted it. Anybody may write these words,
# too; where Reddit did, it took the author's name away as well.
_WORDS: Final = (
    (re.compile(r"\[ ?deleted(?: by user)? ?\]", re.IGNORECASE), "deleted"),
    (re.compile(r"\[ ?removed(?: by moderators?)? ?\]", re.IGNORECASE), "moderator"),
    (re.compile(r"\[ ?removed by reddit\b.*copyright.*\]", re.IGNORECASE), "copyright_takedown"),
    (re.compile(r"\[ ?removed by reddit\b.*\]", re.IGNORECASE), "content_takedown"),
)
_LONGEST_WORDS: Final = 500  # characters: Reddit's own have less than 100
_CATEGORIES_SINCE: Final = datetime(2020, 1, 1, tzinfo=UTC).timestamp()


def removal(submission: Mapping[str, Any]) -> str | None:
    """Who took a post down, as of the newest reading that its JSON tells of; None while it stands.

    One of `DELETIONS` only where the JSON can be read in no other way.
    """
    category = submission.get("removed_by_category")
    said = (category if isinstance(category, str) else type(category).__name__) if category else None
    found = submission.get("_meta")
    meta = found if isinstance(found, Mapping) else {}
    if _is_true(meta.get("was_deleted_later")):
        kind = meta.get("removal_type")
        return kind if isinstance(kind, str) and kind else said or UNKNOWN
    if _is_true(meta.get("was_initially_deleted")):
        # All else that speaks of a removal is of the first reading; but a title that is gone is gone.
        return _by_words(submission, "title")
    if said:
        return said
    if submission.get("removal_reason") == "legal":
        return "legal"
    # Posts that went before Reddit noted by whom have no category for ever, only the traces of it.
    if words := _by_words(submission, "title", "selftext"):
        return words
    hidden = submission.get("is_robot_indexable") is False
    return "not_indexable" if hidden and _is_older_than_categories(submission) else None


def _by_words(submission: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        text = submission.get(name)
        remover = _remover(text.strip()) if isinstance(text, str) else None
        if remover in DELETIONS and submission.get("author") not in NOBODY:
            return UNKNOWN
        if remover:
            return remover
    return None


def _remover(text: str) -> str | None:
    if len(text) > _LONGEST_WORDS:
        return None
    return next((remover for pattern, remover in _WORDS if pattern.fullmatch(text)), None)


def _is_older_than_categories(submission: Mapping[str, Any]) -> bool:
    made = submission.get("created_utc")
    try:
        return not isinstance(made, bool) and float(made) < _CATEGORIES_SINCE  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False


def _is_true(value: Any) -> bool:
    """A flag as JSON has it, or as a table made of JSON."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true") or value == 1
