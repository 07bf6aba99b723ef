"""Posts that are seen better later: a gallery was still being processed, a removal was undone.

The raw layer keeps the JSON of a post as first seen. It is replaced only by a later reading that shows content which
the first one lacked; which readings do, `cleaning.supersedes` says. Nothing here talks to a network or a warehouse.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pyarrow as pa

from redpop_assets.reddit.cleaning import supersedes
from redpop_assets.reddit.records import submission_json
from redpop_assets.storage.arrow import naive_utc


def revised_submissions(
    stored: pa.Table, seen: Iterable[dict[str, Any]], *, read_at: datetime, origin: str = "listing"
) -> pa.Table:
    """The rows of `stored` whose JSON a later reading supersedes, with that JSON: to be merged into raw.submissions.

    Args:
        stored: rows of raw.submissions, with all their columns.
        seen: pseudonymised submission objects with an `id`; posts that are not in `stored` are passed over.
        read_at: when they were read (aware); readings that are not newer than the row supersede nothing.
        origin: as in `records.submission_rows`.

    Returns:
        Rows as `stored`, with new `json`, `origin` and `revised_at`; `discovered_at` stays.
    """
    moment = naive_utc(read_at)
    later = {post["id"]: post for post in seen}
    revised = []
    for row in stored.to_pylist():
        post = later.get(row["post_id"])
        if post is None or moment <= (row["revised_at"] or row["discovered_at"]):
            continue
        known = json.loads(row["json"])
        if supersedes(known if isinstance(known, dict) else {}, post):
            revised.append({**row, "json": submission_json(post), "origin": origin, "revised_at": moment})
    return pa.Table.from_pylist(revised, schema=stored.schema)
