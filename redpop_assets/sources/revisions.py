"""Posts that are seen better later: a gallery was still being processed, a removal was undone, a table said little.

The raw layer keeps the JSON of a post as first seen. It is replaced only by a later reading that shows content which
the first one lacked, whether an answer of the API or a line of a file shows it; which readings do,
`cleaning.supersedes` says. Nothing here talks to a network.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from redpop_assets.sources.cleaning import supersedes
from redpop_assets.sources.records import submission_json
from redpop_assets.storage.arrow import naive_utc
from redpop_assets.storage.rows import Writer

# DuckDB's Python client takes 0.1 ms for each element of a list that is a parameter, so ids come as one text.
_LAST_READ = """
SELECT post_id, coalesce(revised_at, discovered_at) AS read_at FROM raw.submissions
WHERE post_id IN (SELECT unnest(string_split($ids, ',')))
"""
_STORED = "FROM raw.submissions WHERE post_id IN (SELECT unnest(string_split($ids, ',')))"


class Reading(NamedTuple):
    """A submission object as somebody saw it: pseudonymised, with an `id`; and when (aware)."""

    submission: dict[str, Any]
    read_at: datetime


def revise(writer: Writer, readings: Iterable[Reading], *, origin: str = "listing") -> set[str]:
    """Replace the JSON of stored posts by later readings that supersede it; returns the ids of these posts.

    The JSON of posts is read only where a reading is newer than it.
    """
    readings = list(readings)
    ids = ",".join({reading.submission["id"] for reading in readings})
    known = writer.query(_LAST_READ, {"ids": ids})
    last = dict(zip(known.column("post_id").to_pylist(), known.column("read_at").to_pylist(), strict=True))
    newer = [r for r in readings if r.submission["id"] in last and naive_utc(r.read_at) > last[r.submission["id"]]]
    if not newer:
        return set()
    stored = writer.query(_STORED, {"ids": ",".join({reading.submission["id"] for reading in newer})})
    revised = revised_submissions(stored, newer, origin=origin)
    writer.merge("raw.submissions", revised)
    return set(revised.column("post_id").to_pylist())


def revised_submissions(stored: pa.Table, readings: Iterable[Reading], *, origin: str = "listing") -> pa.Table:
    """The rows of `stored` whose JSON later readings supersede, with the JSON of the last one that does.

    Args:
        stored: rows of raw.submissions, with all their columns.
        readings: in any order; posts that are not in `stored` are passed over, and readings that are not newer than the
            row supersede nothing.
        origin: as in `records.submission_rows`.

    Returns:
        Rows as `stored`, with new `json`, `origin` and `revised_at`; `discovered_at` stays. To be merged into
        raw.submissions.
    """
    later: dict[str, list[Reading]] = {}
    for reading in sorted(readings, key=lambda reading: reading.read_at):
        later.setdefault(reading.submission["id"], []).append(reading)
    revised = []
    for row in stored.to_pylist():
        found = json.loads(row["json"])
        before = found if isinstance(found, dict) else {}
        last, better = row["revised_at"] or row["discovered_at"], None
        for reading in later.get(row["post_id"], ()):
            if naive_utc(reading.read_at) > last and supersedes(before, reading.submission):
                before, better = reading.submission, reading
        if better is not None:
            text, moment = submission_json(better.submission), naive_utc(better.read_at)
            revised.append({**row, "json": text, "origin": origin, "revised_at": moment})
    return pa.Table.from_pylist(revised, schema=stored.schema)
