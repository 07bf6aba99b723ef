"""What is known of communities beside their posts: what they are, the rules of their moderators, how many people.

An answer is stored as the source gave it, whichever source it is: the fields of an archive are those of the Reddit API.
When it was read is part of it, because what a community asked of posts last year may be something else today.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, TypeGuard

import pyarrow as pa

from redpop_assets.literals import exceeds_levels
from redpop_assets.privacy.submissions import nameless
from redpop_assets.sources.typed import moment
from redpop_assets.storage.arrow import naive_utc
from redpop_assets.storage.rows import Writer

log = logging.getLogger(__name__)

COMMUNITIES: Final = pa.schema(
    [
        ("subreddit", pa.string()),
        ("answer", pa.string()),
        ("read_at", pa.timestamp("us")),
        ("json", pa.string()),
    ]
)
COMMUNITY_SIZES: Final = pa.schema(
    [
        ("subreddit", pa.string()),
        ("day", pa.date32()),
        ("subscribers", pa.int64()),
    ]
)

_MOST_MEMBERS: Final = 2**40


@dataclass(frozen=True, slots=True)
class KeptCommunity:
    """What was new: readings of a community, and days whose number of members was not known, or was another."""

    readings: int
    days: int


def keep_community(
    writer: Writer,
    subreddit: str,
    *,
    read_at: datetime,
    about: Mapping[str, Any] | None = None,
    rules: Sequence[Any] | Mapping[str, Any] | None = None,
    post_requirements: Mapping[str, Any] | None = None,
    sizes: Iterable[tuple[datetime, int]] = (),
) -> KeptCommunity:
    """Store what a source said of a community; storing it again changes nothing.

    Args:
        writer: of the warehouse.
        subreddit: the partition.
        read_at: when the source answered (aware). An answer that says by `retrieved_on` when it was read counts as of
            then.
        about: as of `/r/x/about`, with or without its envelope (`kind`, `data`).
        rules: as of `/r/x/about/rules`, or the list in it.
        post_requirements: as of `/api/v1/x/post_requirements`.
        sizes: days (aware; any moment of them) and members, as `ArcticShiftClient.subscribers` gives them. The members
            that `about` tells count for its day.

    Raises:
        WarehouseError: the warehouse does not take it.
    """
    partition = subreddit.lower()
    answers = {
        "about": _opened(about, "data"),
        "rules": _opened(rules, "rules"),
        "post_requirements": post_requirements,
    }
    days: dict[date, int] = {}
    readings = []
    for answer, value in answers.items():
        if not _is_usable(answer, value):
            continue
        at = _read_at(value, read_at)
        if isinstance(value, Mapping):
            members = value.get("subscribers")
            if _is_number_of_members(members):
                days[at.date()] = members
            said: Any = value
        else:
            said = sorted((rule for rule in value if isinstance(rule, Mapping)), key=_priority)
        text = json.dumps(nameless(answer, said), ensure_ascii=False, separators=(",", ":"))
        readings.append((partition, answer, naive_utc(at), text.encode("utf-8", "replace").decode()))
    days |= {at.astimezone(UTC).date(): members for at, members in sizes if _is_number_of_members(members)}
    # What was read of a moment stays as it was read.
    new_readings = writer.append("raw.communities", _table(COMMUNITIES, readings))
    merged = writer.merge(
        "raw.community_sizes", _table(COMMUNITY_SIZES, [(partition, day, members) for day, members in days.items()])
    )
    return KeptCommunity(new_readings, merged.inserted + merged.updated)


def _opened(answer: Any, name: str) -> Any:
    """What an envelope holds; what has none is itself."""
    return answer[name] if isinstance(answer, Mapping) and isinstance(answer.get(name), Mapping | list) else answer


def _is_usable(answer: str, value: Any) -> bool:
    if value is None:
        return False
    if isinstance(value, list | tuple) == (answer == "rules") and isinstance(value, Mapping | list | tuple):
        if not exceeds_levels(value):
            return True
        log.warning("What the source says of a community (%s) lies too deep in itself; it is not kept.", answer)
        return False
    log.warning("What the source says of a community (%s) has another shape than Reddit gives it; not kept.", answer)
    return False


def _read_at(value: Mapping[str, Any] | Sequence[Any], otherwise: datetime) -> datetime:
    """When an answer was read, as it says itself; of a list, as its first element says."""
    first = value if isinstance(value, Mapping) else next(iter(value), None)
    try:
        found = moment(first.get("retrieved_on")) if isinstance(first, Mapping) else otherwise
    except ValueError:
        return otherwise
    return min(found, otherwise)


def _priority(rule: Mapping[str, Any]) -> float:
    priority = rule.get("priority")
    return float(priority) if isinstance(priority, int | float) and priority == priority else float("inf")


def _is_number_of_members(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_MEMBERS


def _table(schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
