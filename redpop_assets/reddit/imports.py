"""The second way into the raw tables: an import of a table or dump, by chunks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from redpop_assets.reddit.archives import ArchivedPost, BrokenLine, Chunk
from redpop_assets.reddit.archives import read as read_archive
from redpop_assets.reddit.cleaning import parse_post_id
from redpop_assets.reddit.listings import Listing, Page
from redpop_assets.reddit.records import (
    OBSERVATIONS,
    SIGHTINGS,
    SUBMISSIONS,
    AuthorKey,
    observation_rows,
    pseudonymise,
    sighting_rows,
    submission_rows,
)
from redpop_assets.storage.warehouse import Warehouse


@dataclass(frozen=True)
class ImportReport:
    """What an import found and what of it was new."""

    posts: int
    new_submissions: int
    new_observations: int
    observed_at_rules: tuple[str, ...]
    broken: int
    broken_samples: tuple[BrokenLine, ...]
    other_subreddit: int


def import_archive(
    path: Path,
    subreddit: str,
    warehouse: Warehouse,
    key: AuthorKey,
    *,
    observed_at: datetime | None = None,
    progress: Callable[[Chunk], None] | None = None,
) -> ImportReport:
    """Append the posts of a table or dump to the raw tables; importing a file again adds nothing.

    Args:
        path: see `archives.read`.
        subreddit: whose posts are wanted; also the partition, in lower case.
        warehouse, key: as for `Harvest`.
        observed_at: when the scores were read, for rows that do not say so (aware).
        progress: called after every chunk.

    Raises:
        ArchiveError: as `archives.read`; chunks before it are kept.
    """
    partition = subreddit.lower()
    posts = submissions = observations = 0
    rules: set[str] = set()
    chunk: Chunk | None = None
    for chunk in read_archive(path, subreddit=subreddit, observed_at=observed_at):
        tables = _archive_tables(chunk.rows, partition, f"archive:{path.name}", key)
        with warehouse.write() as writer:
            submissions += writer.append("raw.submissions", tables["raw.submissions"])
            observations += writer.append("raw.observations", tables["raw.observations"])
            writer.append("raw.sightings", tables["raw.sightings"])
        posts += len(chunk.rows)
        rules.update(row.observed_at_rule for row in chunk.rows)
        if progress is not None:
            progress(chunk)
    return ImportReport(
        posts=posts,
        new_submissions=submissions,
        new_observations=observations,
        observed_at_rules=tuple(sorted(rules)),
        broken=chunk.broken if chunk else 0,
        broken_samples=chunk.broken_samples if chunk else (),
        other_subreddit=chunk.other_subreddit if chunk else 0,
    )


def _archive_tables(rows: Sequence[ArchivedPost], partition: str, origin: str, key: AuthorKey) -> dict[str, pa.Table]:
    """Rows of the three raw tables; those of one moment and listing are built together."""
    parts: dict[str, list[pa.Table]] = {
        "raw.submissions": [SUBMISSIONS.empty_table()],
        "raw.observations": [OBSERVATIONS.empty_table()],
        "raw.sightings": [SIGHTINGS.empty_table()],
    }
    grouped: dict[tuple[datetime, str | None, str | None], list[ArchivedPost]] = {}
    for row in rows:
        grouped.setdefault((row.observed_at, row.listing, row.time_filter), []).append(row)
    for (moment, listing, time_filter), members in grouped.items():
        hidden = tuple(_identified(pseudonymise(member.submission, key)) for member in members)
        parts["raw.submissions"].append(
            submission_rows(hidden, subreddit=partition, discovered_at=moment, origin=origin)
        )
        parts["raw.observations"].append(
            observation_rows(hidden, subreddit=partition, observed_at=moment, endpoint="archive")
        )
        if listing is not None:
            ranks = tuple(member.rank or 0 for member in members)
            page = Page(Listing(listing, time_filter or ""), moment, 0, hidden, ranks)
            parts["raw.sightings"].append(sighting_rows(page, subreddit=partition))
    return {table: pa.concat_tables(found) for table, found in parts.items()}


def _identified(submission: dict[str, Any]) -> dict[str, Any]:
    """Archives may spell the id as `t3_…` or give it as `name` only."""
    post_id = parse_post_id(submission.get("id")) or parse_post_id(submission.get("name"))
    return submission if submission.get("id") == post_id else {**submission, "id": post_id}
