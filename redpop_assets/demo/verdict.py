"""The verdict of the demo with chaos: what the warehouse has, compared with the sandbox's own truth."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from redpop_assets.removals import DELETIONS
from redpop_assets.storage import forgetting
from redpop_assets.storage.warehouse import Warehouse

_GPS = 0x8825  # the part of a file's EXIF data that holds the place
# By what has befallen a picture: these have to be stored, of those nothing may be kept. Between them are pictures that
# were there for a while, and animations, which the rules refuse.
_SOUND = frozenset({None, "wrong-types", "rotated-images", "long-lengths"})
_NO_PICTURES = frozenset({"html-images", "broken-images", "lying-lengths", "pixel-bombs", "opted-out-images"})


@dataclass
class Report:
    """What was done and found.

    Attributes:
        runs: started.
        failures: steps of runs that failed.
        unfinished: communities whose step never got through.
        listed: ids that `new` showed at any harvest.
        checks: what must not have happened, and the ids or addresses to which it did.
        notes: what else is worth knowing.
    """

    runs: int = 0
    failures: int = 0
    unfinished: list[str] = field(default_factory=list)
    listed: set[str] = field(default_factory=set)
    checks: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def lost_nothing(self) -> bool:
        """The verdict."""
        return not any(self.checks.values())


def examine(warehouse: Warehouse, images: Path, truth: Mapping[str, Mapping[str, Any]], report: Report) -> None:
    """Compare the warehouse with what the sandbox knows, and write down what is wrong.

    Args:
        warehouse: after the last run.
        images: where the files of pictures lie.
        truth: lines of /sandbox/truth by post id.
        report: gets checks and notes.
    """
    raw = _column(warehouse, "SELECT post_id FROM raw.submissions")
    buried = _column(warehouse, "SELECT post_id FROM raw.tombstones")
    report.checks["steps that no run finished"] = report.unfinished
    report.checks["posts that `new` showed and the warehouse lacks"] = sorted(report.listed - raw - buried)
    report.checks["raw posts in neither or both of core.posts and core.rejected_posts"] = sorted(
        _column(
            warehouse,
            "SELECT post_id FROM raw.submissions WHERE (post_id IN (SELECT post_id FROM core.posts)) "
            "= (post_id IN (SELECT post_id FROM core.rejected_posts))",
        )
    )
    _examine_images(warehouse, truth, report)
    report.checks["files that say where they were taken"] = [
        path.name for path in sorted(images.glob("??/*")) if _has_place(path)
    ]
    _examine_deletions(warehouse, truth, raw, buried, report)
    standing = {
        post_id
        for post_id, row in truth.items()
        if not row["removed_by_category"] and not row["missing"] and post_id not in raw | buried
    }
    report.notes.append(f"{len(raw)} posts are stored; {len(standing)} that stand were never within reach of `new`.")
    readings = warehouse.query(
        "SELECT count(*) AS readings, sum(requests) AS requests, count(*) FILTER (overlapped = FALSE) AS gaps "
        "FROM raw.listing_reads"
    ).to_pylist()[0]
    report.notes.append(
        f"{readings['readings']} readings of listings with {readings['requests']} requests; {readings['gaps']} of them "
        "found a gap, which other listings have to fill."
    )


def _examine_images(warehouse: Warehouse, truth: Mapping[str, Mapping[str, Any]], report: Report) -> None:
    traits = {media: trait for row in truth.values() for media, trait in row["media"].items()}
    fetches = warehouse.query("SELECT url, status, reason, attempts FROM core.image_fetches").to_pylist()
    wrongly_dead, wrongly_kept = [], []
    outcomes: Counter[tuple[str, str]] = Counter()
    for fetch in fetches:
        trait = traits.get(_media_id(fetch["url"]), "gone")
        outcomes[fetch["status"], fetch["reason"] or ""] += 1
        if fetch["status"] == "failed" and trait in _SOUND:
            wrongly_dead.append(f"{fetch['url']} ({fetch['reason']}, {trait or 'sound'})")
        if fetch["status"] == "stored" and trait in _NO_PICTURES:
            wrongly_kept.append(f"{fetch['url']} ({trait})")
    report.checks["pictures given up although they are sound"] = wrongly_dead
    report.checks["files kept although they are no pictures, or unwanted"] = wrongly_kept
    report.checks["pictures never asked for"] = sorted(
        _column(
            warehouse,
            "SELECT image_urls[1] FROM core.posts WHERE image_urls[1] NOT IN (SELECT url FROM core.image_fetches)",
        )
    )
    placeholders = sum(
        fetch["status"] == "stored" and traits.get(_media_id(fetch["url"])) == "placeholder-images" for fetch in fetches
    )
    again = sum(fetch["status"] == "stored" and fetch["attempts"] > 1 for fetch in fetches)
    report.notes.append(
        f"{outcomes['stored', '']} pictures stored, {again} of them after more than one attempt, and {placeholders} "
        "of the one that stands for removed ones (recognised once enough posts share it). Others: "
        + ", ".join(
            f"{number} {reason}{' (asked again later)' if status == 'retry' else ''}"
            for (status, reason), number in outcomes.most_common()
            if status != "stored"
        )
        + "."
    )


def _examine_deletions(
    warehouse: Warehouse, truth: Mapping[str, Mapping[str, Any]], raw: set[str], buried: set[str], report: Report
) -> None:
    gone = {post_id for post_id, row in truth.items() if row["missing"] or row["removed_by_category"] in DELETIONS}
    missed = _column(warehouse, "SELECT post_id FROM raw.presence WHERE misses > 0")
    subreddits = _column(warehouse, "SELECT DISTINCT subreddit FROM raw.submissions")
    overdue = {post_id for name in subreddits for post_id in forgetting.due(warehouse, name)}
    report.checks["deleted posts that nobody noticed"] = sorted((gone & raw) - missed - overdue)
    report.checks["posts noticed to be deleted and kept"] = sorted(overdue)
    report.checks["names kept of accounts noticed to be closed"] = sorted(
        _column(
            warehouse,
            "SELECT post_id FROM raw.submissions WHERE regexp_full_match(json->>'author', '[0-9a-f]{32}') "
            "AND post_id IN (SELECT post_id FROM raw.observations GROUP BY post_id "
            "HAVING NOT arg_max_null(author_present, observed_at))",
        )
    )
    report.checks["posts forgotten although they stand"] = sorted(
        post_id for post_id in buried - gone if post_id in truth and truth[post_id]["crosspost_of"] not in gone
    )
    closed = sum(row["author_gone"] for post_id, row in truth.items() if post_id in raw)
    report.notes.append(
        f"{len(gone & (raw | buried))} stored posts were deleted or went missing: {len(buried)} posts are forgotten, "
        f"{len(gone & missed & raw)} missing ones are watched; {closed} stored posts have no author any more."
    )


def _column(warehouse: Warehouse, statement: str) -> set[str]:
    return set(warehouse.query(statement).column(0).to_pylist())


def _has_place(path: Path) -> bool:
    with Image.open(path) as image:
        return bool(image.getexif().get_ifd(_GPS))


def _media_id(url: str) -> str:
    return url.rpartition("/")[2].partition(".")[0]
