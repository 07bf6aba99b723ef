"""Export as annotations of RedCaps, which its own tools download and filter, and which `redpop import` reads again."""

import json
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from redpop_assets.exports.captions import redcaps_caption
from redpop_assets.exports.posts import PublishedPosts, Selection


def write_redcaps(
    posts: PublishedPosts, subreddit: str, selection: Selection, folder: Path, on_progress: Callable[[int], None]
) -> tuple[int, Mapping[str, int]]:
    """Write `annotations/<subreddit>_<year>.json`, one file per year (UTC) that has posts; returns the posts written.

    Each annotation has the fields of RedCaps: `image_id` (the id of the post), `author` (a keyed hash, null where it
    is unknown), `url` (of the primary picture), `raw_caption` (the title), `caption` (see `redcaps_caption`),
    `subreddit`, `score` (the label; null below the label age), `created_utc` (seconds), `permalink`,
    `crosspost_parents`; and one more, `observed_at`: when the score was read, so that it is a label again where the
    file is imported. Unlike RedCaps, nothing is dropped for a low score. `on_progress` is told how many posts are done.
    """
    annotations = folder / "annotations"
    annotations.mkdir(exist_ok=True)
    rows = (row for batch in posts.read(subreddit, selection) for row in batch.to_pylist())
    done = 0
    for year, members in groupby(rows, key=lambda row: row["created_at"].year):
        info = {
            "start_date": f"{year}-01-01",
            "end_date": f"{year}-12-31",
            "url": f"https://www.reddit.com/r/{subreddit}",
            "version": "redpop",
        }
        with (annotations / f"{subreddit}_{year}.json").open("w", encoding="utf-8") as file:
            file.write(f'{{"info": {json.dumps(info)}, "annotations": [')
            for number, row in enumerate(members):
                file.write(",\n" if number else "\n")
                json.dump(_annotation(row), file)
                done += 1
                on_progress(done)
            file.write("\n]}\n")
    return done, {}


def _annotation(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "image_id": row["post_id"],
        "author": row["author"],
        "url": row["image_urls"][0],
        "raw_caption": row["caption"],
        "caption": redcaps_caption(row["caption"]),
        "subreddit": row["subreddit"],
        "score": row["score"],
        "created_utc": int(row["created_at"].timestamp()),
        "permalink": f"/r/{row['subreddit']}/comments/{row['post_id']}/",
        "crosspost_parents": [row["crosspost_parent"]] if row["crosspost_parent"] else None,
        "observed_at": row["score_observed_at"].isoformat() if row["score_observed_at"] else None,
    }
