"""Export as WebDataset: tar files of samples, each a picture and a JSON beside it, under the id of the post."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from redpop_assets.errors import ArtifactError
from redpop_assets.exports.posts import PublishedPosts, Selection
from redpop_assets.storage.images import ImageStore

SHARD_SIZE: Final = 1000
"""Samples of a shard, but for the last one."""

_LEFT_OUT = ("no_image", "image_unreadable")


def write_webdataset(
    posts: PublishedPosts,
    subreddit: str,
    selection: Selection,
    folder: Path,
    on_progress: Callable[[int], None],
    *,
    images: ImageStore,
    shard_size: int = SHARD_SIZE,
) -> tuple[int, Mapping[str, int]]:
    """Write `<subreddit>-000000.tar`, `<subreddit>-000001.tar`, … and `<subreddit>-index.json`.

    A sample is `<post id>.<jpg, png, webp or gif>`, the stored file, and `<post id>.json`. Samples are in the order of
    time, `shard_size` to a shard; no shard is empty and no number is left out. Equal posts make equal bytes. Returns
    the samples written, and the posts left out: those without a stored picture (`no_image`) and those whose file is
    missing or damaged (`image_unreadable`). `on_progress` is told how many posts are done.

    Raises ArtifactError if no post has a stored picture.
    """
    left_out = dict.fromkeys(_LEFT_OUT, 0)
    shards: list[dict[str, Any]] = []
    done = 0
    with ExitStack() as open_shard:
        for post in _posts(posts, subreddit, selection):
            done += 1
            try:
                picture = images.read(post["image_path"]) if post["image_path"] else None
            except ArtifactError:
                left_out["image_unreadable"] += 1
                continue
            if picture is None:
                left_out["no_image"] += 1
                continue
            if not shards or shards[-1]["samples"] == shard_size:
                open_shard.close()
                shards.append({"file": f"{subreddit}-{len(shards):06d}.tar", "samples": 0})
                tar = open_shard.enter_context(
                    tarfile.open(folder / shards[-1]["file"], "w", format=tarfile.USTAR_FORMAT)
                )
            extension = Path(post["image_path"]).suffix.removeprefix(".")
            text = json.dumps(post, ensure_ascii=False, default=lambda moment: moment.isoformat()).encode()
            for name, data in ((extension, picture), ("json", text)):
                member = tarfile.TarInfo(f"{post['post_id']}.{name}")
                member.size = len(data)
                member.mtime = int(post["created_at"].timestamp())
                tar.addfile(member, io.BytesIO(data))
            shards[-1]["samples"] += 1
            on_progress(done)
    written = sum(shard["samples"] for shard in shards)
    if not written:
        raise ArtifactError(
            f"None of the {done} posts of r/{subreddit} has a stored picture: fetch them with REDPOP_FETCH_IMAGES=true "
            "and `redpop materialize`, or export as parquet or redcaps."
        )
    index = {"subreddit": subreddit, "samples": written, "left_out": left_out, "shards": shards}
    (folder / f"{subreddit}-index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return written, left_out


def _posts(posts: PublishedPosts, subreddit: str, selection: Selection) -> Iterator[dict[str, Any]]:
    for batch in posts.read(subreddit, selection):
        yield from batch.to_pylist()
