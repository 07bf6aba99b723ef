"""The second way into the raw tables: an import of a file of posts, or of readings of their scores.

It goes on where it was interrupted. A reading alone says nothing of what its post is, of which community, or whether
it was forgotten: readings of posts that are not stored are counted and left out, and taken when the file is imported
again after their posts.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.privacy.names import in_text
from redpop_assets.sources.archives.columns import Told
from redpop_assets.sources.archives.one_record import ArchivedReading
from redpop_assets.sources.archives.posts import (
    BROKEN_SAMPLES,
    BrokenLine,
    Chunk,
    Position,
    impossible,
    is_prefix,
)
from redpop_assets.sources.archives.posts import read as read_archive
from redpop_assets.sources.archives.records import (
    IDS,
    KnownReading,
    Record,
    forgotten_ids,
    raw_rows,
    reading_rows,
    without,
)
from redpop_assets.sources.revisions import Reading, revise
from redpop_assets.sources.values import parse_created_utc
from redpop_assets.storage.arrow import naive_utc, utc_now
from redpop_assets.storage.rows import Reader
from redpop_assets.storage.warehouse import Warehouse

# A transaction costs about 0.1 s, whatever its size; a post of a dump takes about 20 kB of memory while it waits.
_CHUNK_SIZE: Final = 2000

_INTERRUPTED = """
SELECT * FROM raw.imports
WHERE file = $file AND asked = $asked AND finished_at IS NULL
    AND observed_at IS NOT DISTINCT FROM $observed_at
"""
# What is stored of some posts, by community.
_STORED = f"""
SELECT subreddit, sum(submissions)::BIGINT AS submissions, sum(observations)::BIGINT AS observations
FROM (
    SELECT subreddit, 1 AS submissions, 0 AS observations
    FROM raw.submissions WHERE post_id IN ({IDS})
    UNION ALL
    SELECT subreddit, 0, 1 FROM raw.observations WHERE post_id IN ({IDS})
)
GROUP BY subreddit
"""
_POSTS = f"""
SELECT post_id, subreddit, json->>'created_utc' AS created_utc FROM raw.submissions WHERE post_id IN ({IDS})
"""
_READINGS = f"""
SELECT post_id, observed_at, score FROM raw.observations
WHERE post_id IN ({IDS}) AND observed_at BETWEEN $first AND $last
"""


@dataclass(frozen=True)
class Imported:
    """What a file held of one community, and what of it was new.

    `revised` posts were known, and are shown better by the file: with pictures that were not there yet, or standing
    again. `forgotten` posts were left out, because they or the posts they copy are in raw.tombstones. `readings` are
    further ones, of these posts or of posts that were known.
    """

    posts: int = 0
    new_submissions: int = 0
    new_observations: int = 0
    forgotten: int = 0
    revised: int = 0
    readings: int = 0

    def __add__(self, other: "Imported") -> "Imported":
        return Imported(
            self.posts + other.posts,
            self.new_submissions + other.new_submissions,
            self.new_observations + other.new_observations,
            self.forgotten + other.forgotten,
            self.revised + other.revised,
            self.readings + other.readings,
        )


@dataclass(frozen=True)
class ImportReport:
    """What an import found and what of it was new, the part before an interruption included.

    `resumed_after` is the number of lines that an interrupted import had done already, 0 without one. The samples of
    broken lines are those of this run, and so is `emptied`, the number of values that could not be meant and were left
    out of their posts. `days_alone` posts of this run have a day for a time. `contradicting` is the number of scores of
    this run that are not stored, because another score of the same post at the same moment is. `stopped_after` is the
    last line that was read where there was a limit and the file goes on. `unknown` readings are of posts that are not
    stored, and are left out; `checked` is the number of readings alone in a file of which nothing is stored.
    """

    by_subreddit: Mapping[str, Imported]
    observed_at_rules: tuple[str, ...]
    broken: int
    broken_samples: tuple[BrokenLine, ...]
    other_subreddit: int
    resumed_after: int
    emptied: int = 0
    emptied_samples: tuple[BrokenLine, ...] = ()
    days_alone: int = 0
    contradicting: int = 0
    stopped_after: int | None = None
    unknown: int = 0
    checked: int = 0

    @property
    def posts(self) -> int:
        """Posts of all communities asked for."""
        return self.total.posts

    @property
    def new_submissions(self) -> int:
        """Of these, posts that were not known before."""
        return self.total.new_submissions

    @property
    def new_observations(self) -> int:
        """Readings of scores that were not known before."""
        return self.total.new_observations

    @property
    def forgotten(self) -> int:
        """Posts that were left out because they were forgotten."""
        return self.total.forgotten

    @property
    def total(self) -> Imported:
        """The sums over all communities."""
        return sum(self.by_subreddit.values(), Imported())


def import_archive(
    path: Path,
    subreddits: str | Collection[str],
    warehouse: Warehouse,
    key: AuthorKey,
    *,
    observed_at: datetime | None = None,
    progress: Callable[[Chunk], None] | None = None,
    limit: int | None = None,
    columns: Told | None = None,
) -> ImportReport:
    """Append the posts of a file to the raw tables, in one pass for all communities; again, it adds nothing.

    A post that is known gets the JSON of the file where that is newer and shows more of it (see `revisions`).

    Every chunk is written in one transaction together with the place in the file where it ends (raw.imports). If an
    import of the same bytes, communities, `observed_at` and `columns` was interrupted, this one goes on from there.
    Forgotten posts are not stored again. A file does not say whether its posts still stand, so raw.presence is left
    alone.

    Args:
        path: see `archives.read`.
        subreddits: whose posts are wanted; in lower case, these are the partitions.
        warehouse, key: as for `Harvest`.
        observed_at: when the scores were read, for rows that do not say so (aware).
        progress: called after every chunk.
        limit: most records of the file to look at; the next import goes on behind them, as after an interruption.
        columns: what is known of the columns of a table.

    Raises:
        ArchiveError: as `archives.read`; chunks before it are kept.
    """
    names = (subreddits,) if isinstance(subreddits, str) else subreddits
    done = _Pass(path, sorted({name.lower() for name in names}), observed_at, key, columns or Told())
    done.go_on_from(warehouse)
    chunk = None
    for chunk in read_archive(
        path,
        subreddits=done.subreddits,
        observed_at=observed_at,
        chunk_size=_CHUNK_SIZE,
        after=done.resumed_after,
        limit=limit,
        columns=columns,
    ):
        done.store(chunk, warehouse, key)
        if progress is not None:
            progress(chunk)
    assert chunk is not None  # the last one may be empty, but there always is one
    with warehouse.write() as writer:
        writer.merge("raw.imports", done.rows(chunk, finished=not chunk.more))
    return _report(done.imported, done.rules, chunk, done)


def check_archive(
    path: Path,
    subreddits: Collection[str],
    *,
    observed_at: datetime | None = None,
    progress: Callable[[Chunk], None] | None = None,
    limit: int | None = None,
    columns: Told | None = None,
) -> ImportReport:
    """What `import_archive` would find in a file, of which nothing is stored; nothing is said of what is new.

    Raises:
        ArchiveError: as `archives.read`.
    """
    names = sorted({name.lower() for name in subreddits})
    posts: Counter[str] = Counter()
    rules: set[str] = set()
    checked = 0
    chunk = None
    for chunk in read_archive(path, subreddits=names, observed_at=observed_at, limit=limit, columns=columns):
        posts.update(str(row.submission.get("subreddit") or names[0]).lower() for row in chunk.rows)
        checked += len(chunk.readings)
        rules |= _rules_of(chunk)
        if progress is not None:
            progress(chunk)
    assert chunk is not None
    found = _report({name: Imported(posts[name]) for name in names}, rules, chunk)
    return replace(found, checked=checked)


def _report(
    found: Mapping[str, Imported], rules: Collection[str], chunk: Chunk, before: "_Pass | None" = None
) -> ImportReport:
    """What a reading that ended with a chunk found, with what the runs before it counted."""
    return ImportReport(
        by_subreddit=found,
        observed_at_rules=tuple(sorted(rules)),
        broken=chunk.broken + (before.broken_before if before else 0),
        broken_samples=(*chunk.broken_samples, *(before.refused if before else ()))[:BROKEN_SAMPLES],
        other_subreddit=chunk.other_subreddit + (before.other_before if before else 0),
        resumed_after=before.resumed_after.records if before and before.resumed_after else 0,
        emptied=chunk.emptied,
        emptied_samples=chunk.emptied_samples,
        days_alone=chunk.days_alone,
        contradicting=before.contradicting if before else 0,
        stopped_after=chunk.position.records if chunk.more else None,
        unknown=before.unknown if before else 0,
    )


class _Pass:
    """One pass over a file for some communities, which may take several runs."""

    def __init__(
        self, path: Path, subreddits: list[str], observed_at: datetime | None, key: AuthorKey, columns: Told
    ) -> None:
        self.subreddits = subreddits
        # Which communities, and what was told of columns: what differs in these begins anew.
        self._asked = sha256("\n".join([",".join(subreddits), *filter(None, [columns.text])]).encode()).hexdigest()
        self.imported = {name: Imported() for name in subreddits}
        self.rules: set[str] = set()
        self.resumed_after: Position | None = None
        # Counted by the runs before this one.
        self.broken_before = self.other_before = 0
        self.contradicting = self.unknown = 0
        # Readings that cannot be true, as their posts are known: those of this run, counted in `broken_before`.
        self.refused: list[BrokenLine] = []
        self._path = path
        # What somebody posted is downloaded as u_NAME_posts.jsonl.
        self._file = in_text(path.name, key.digest)
        self._observed_at = naive_utc(observed_at) if observed_at else None
        self._started_at = utc_now()

    def go_on_from(self, warehouse: Warehouse) -> None:
        """Take over what an interrupted run has done, if the file still begins with the bytes that it read."""
        if not warehouse.exists():
            return
        rows = warehouse.query(
            _INTERRUPTED,
            {"file": self._file, "asked": self._asked, "observed_at": self._observed_at},
        ).to_pylist()
        if not rows:
            return
        place = Position(rows[0]["records"], rows[0]["bytes_read"], rows[0]["bytes"], rows[0]["sha256"])
        if not is_prefix(self._path, place):
            return
        self.resumed_after = place
        self.broken_before, self.other_before = rows[0]["broken"], rows[0]["other_subreddits"]
        self.rules = set(rows[0]["observed_at_rules"])
        self._started_at = rows[0]["started_at"]
        self.unknown = rows[0]["unknown_readings"] or 0
        for row in rows:
            self.imported[row["subreddit"]] = Imported(
                *(row["posts"], row["new_posts"], row["new_observations"], row["forgotten"]),
                *(row["revised_posts"] or 0, row["readings"] or 0),
            )

    def store(self, chunk: Chunk, warehouse: Warehouse, key: AuthorKey) -> None:
        """Append the posts of a chunk, and note where it ends, in one transaction."""
        posts = [Record.of(row, self.subreddits[0], key) for row in chunk.rows]
        origin = f"archive:{self._file}"
        tables = raw_rows(posts, origin=origin, endpoint="archive")
        ids = {post.post_id for post in posts} | {reading.post_id for reading in chunk.readings}
        self.rules |= _rules_of(chunk)
        with warehouse.write() as writer:
            forgotten = forgotten_ids(writer, posts, ids)
            before = _stored(writer, ids)
            for table, rows in tables.items():
                writer.append(table, without(rows, forgotten))
            known = self._known(writer, chunk.readings, forgotten)
            further = reading_rows(known, key, endpoint="archive")
            for table, rows in further.items():
                writer.append(table, rows)
            after = _stored(writer, ids)
            kept = (post for post in posts if post.post_id not in forgotten)
            revised = revise(writer, (Reading(post.submission, post.row.observed_at) for post in kept), origin=origin)
            if sum(n for _, n in after.values()) - sum(n for _, n in before.values()) < len(posts) + len(known):
                read = pa.concat_tables([tables["raw.observations"], further["raw.observations"]])
                self.contradicting += _contradicting(writer, read)
            own: dict[str, list[Record]] = defaultdict(list)
            for post in posts:
                own[post.subreddit].append(post)
            readings = Counter(reading.subreddit for reading in known)
            for name in own.keys() | readings.keys():
                found = own[name]
                (submissions, observations), (old_submissions, old_observations) = after[name], before[name]
                self.imported[name] += Imported(
                    posts=len(found),
                    new_submissions=submissions - old_submissions,
                    new_observations=observations - old_observations,
                    forgotten=sum(post.post_id in forgotten for post in found),
                    revised=len({post.post_id for post in found} & revised),
                    readings=readings[name],
                )
            writer.merge("raw.imports", self.rows(chunk))

    def _known(
        self, reader: Reader, readings: Collection[ArchivedReading], forgotten: Collection[str]
    ) -> list[KnownReading]:
        """The readings of posts that are stored and wanted; the others are counted."""
        if not readings:
            return []
        rows = reader.query(_POSTS, {"ids": ",".join({reading.post_id for reading in readings})}).to_pylist()
        posts = {row["post_id"]: (row["subreddit"], parse_created_utc(row["created_utc"])) for row in rows}
        now = datetime.now(UTC)
        found = []
        for reading in readings:
            subreddit, created_at = posts.get(reading.post_id, (None, None))
            if reading.post_id in forgotten or subreddit is None:
                self.unknown += reading.post_id not in forgotten
                continue
            if subreddit not in self.imported:
                self.other_before += 1
                continue
            observed_at = reading.observed_at
            if observed_at is None and reading.age is not None and created_at is not None:
                observed_at = created_at + reading.age
            problem = (
                "no time at which it was read" if observed_at is None else impossible(observed_at, created_at, now)
            )
            if observed_at is None or problem is not None:
                self.broken_before += 1
                if len(self.refused) < BROKEN_SAMPLES:
                    self.refused.append(BrokenLine(reading.line, problem or ""))
                continue
            found.append(KnownReading(reading.post_id, subreddit, observed_at, reading))
        return found

    def rows(self, chunk: Chunk, *, finished: bool = False) -> pa.Table:
        """Rows of raw.imports as they are at the end of the chunk, one per community."""
        now = utc_now()
        place = chunk.position
        counts = list(self.imported.values())
        shared: dict[str, Any] = {
            "file": self._file,
            "asked": self._asked,
            "bytes": place.bytes_total,
            "bytes_read": place.bytes_read,
            "sha256": place.sha256,
            "records": place.records,
            "broken": self.broken_before + chunk.broken,
            "other_subreddits": self.other_before + chunk.other_subreddit,
            "observed_at_rules": sorted(self.rules),
            "unknown_readings": self.unknown,
        }
        moments = {
            "observed_at": self._observed_at,
            "started_at": self._started_at,
            "updated_at": now,
            "finished_at": now if finished else None,
        }
        return pa.table(
            {
                "subreddit": list(self.imported),
                "posts": [imported.posts for imported in counts],
                "new_posts": [imported.new_submissions for imported in counts],
                "new_observations": [imported.new_observations for imported in counts],
                "forgotten": [imported.forgotten for imported in counts],
                "revised_posts": [imported.revised for imported in counts],
                "readings": [imported.readings for imported in counts],
                **{
                    name: pa.array([value] * len(counts), pa.list_(pa.string()) if isinstance(value, list) else None)
                    for name, value in shared.items()
                },
                **{name: pa.array([value] * len(counts), pa.timestamp("us")) for name, value in moments.items()},
            }
        )


def _rules_of(chunk: Chunk) -> set[str]:
    return {row.observed_at_rule for row in chunk.rows} | {reading.observed_at_rule for reading in chunk.readings}


def _stored(reader: Reader, ids: Collection[str]) -> dict[str, tuple[int, int]]:
    """Rows of raw.submissions and of raw.observations that some posts have, by community."""
    rows = reader.query(_STORED, {"ids": ",".join(ids)}).to_pylist()
    return defaultdict(lambda: (0, 0), {row["subreddit"]: (row["submissions"], row["observations"]) for row in rows})


def _contradicting(reader: Reader, readings: pa.Table) -> int:
    """How many readings have another score than what is stored of the same post and moment."""
    rows = readings.select(["post_id", "observed_at", "score"]).to_pylist()
    if not rows:
        return 0
    moments = [row["observed_at"] for row in rows]
    ids = ",".join({row["post_id"] for row in rows})
    stored = reader.query(_READINGS, {"ids": ids, "first": min(moments), "last": max(moments)}).to_pylist()
    known = {(row["post_id"], row["observed_at"]): row["score"] for row in stored}
    return sum(
        known.get((row["post_id"], row["observed_at"]), row["score"]) != row["score"]
        for row in rows
        if row["score"] is not None
    )
