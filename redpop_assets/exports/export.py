"""Data for other tools: posts and pictures of the published warehouse in a folder of their own, with a manifest.

A folder is there as a whole or not at all. It is a copy: what is forgotten later has to be deleted in it, too, which is
done by exporting again.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from redpop_assets.errors import SettingsError, WarehouseError
from redpop_assets.exports.parquet import write_parquet
from redpop_assets.exports.posts import PublishedPosts, Selection
from redpop_assets.exports.redcaps import write_redcaps
from redpop_assets.exports.webdataset import SHARD_SIZE, write_webdataset
from redpop_assets.features.family import Encoders
from redpop_assets.spellings import parse_community
from redpop_assets.storage.images import ImageStore

FORMATS: Final = ("parquet", "webdataset", "redcaps")
MANIFEST: Final = "manifest.json"

_NOTES: Final = {
    "licence": "Pictures and captions belong to their authors, and Reddit's terms apply to them: this file grants no "
    "licence to anything it describes.",
    "deletion": "What is deleted on Reddit has to be deleted here as well: export again after a refresh, in place of "
    "this folder. Posts that were forgotten by then are not in it.",
    "authors": "Names of authors are not known: `author` is a hash with a key that is not part of the export.",
    "score": "The label: the score that was read at or past the label age. Empty for posts that are younger, or "
    "masked. Columns with known_at = after_post are no inputs of a prediction.",
}


Writer = Callable[[PublishedPosts, str, Selection, Path, Callable[[int], None]], tuple[int, Mapping[str, int]]]


@dataclass(frozen=True)
class Exported:
    """What became of the posts of one community: those selected, those written, and why others were left out."""

    posts: int
    written: int
    left_out: Mapping[str, int]


def export(
    home: Path,
    folder: Path,
    format: str,
    subreddits: Sequence[str] = (),
    *,
    labelled_only: bool = False,
    encoders: Mapping[str, str] | None = None,
    networks: Encoders | None = None,
    shard_size: int = SHARD_SIZE,
    overwrite: bool = False,
    images: ImageStore | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Exported]:
    """Write the published posts of some communities into a new folder, and say what became of them.

    Args:
        home: home directory: `redpop.duckdb` is read, never the pipeline's own file.
        folder: is made, atomically. Beside what the format consists of (see `write_parquet`, `write_webdataset`,
            `write_redcaps`), it has `manifest.json`: what was exported, from where, and what its columns mean.
        format: one of `FORMATS`.
        subreddits: communities, case ignored; empty for all that have posts.
        labelled_only: leave out posts without a label.
        encoders: whose vectors are wanted, by modality (`image`, `caption`); Parquet only.
        networks: whose other outputs are wanted, as the deployment names them; None for none.
        shard_size: samples of a shard; WebDataset only.
        overwrite: replace the folder, if it holds an export.
        images: the stored pictures; None for those in the home directory.
        progress: called with a community, how many posts of it are selected, and how many of these are done.

    Raises:
        SettingsError: the folder exists and is not to be replaced, or cannot be made; an option does not fit, or names
            no community.
        WarehouseError: nothing is published, a community has no posts, or vectors are missing.
        ArtifactError: WebDataset, and a community has no stored picture.
    """
    if format not in FORMATS:
        raise SettingsError(f"There is no format {format!r}: choose from {', '.join(FORMATS)}.")
    if encoders and format != "parquet":
        raise SettingsError(f"Embeddings are exported as parquet only, not as {format}.")
    if shard_size < 1:
        raise SettingsError(f"A shard has at least one sample, not {shard_size}.")
    folder = folder.expanduser().absolute()
    write: Writer
    if format == "webdataset":
        write = partial(write_webdataset, images=images or ImageStore(home / "images"), shard_size=shard_size)
    else:
        write = write_parquet if format == "parquet" else write_redcaps
    selection = Selection(
        labelled_only, features=format == "parquet", encoders=encoders or {}, networks=networks or Encoders("", "")
    )
    with PublishedPosts(home) as posts:
        chosen = _chosen(posts, subreddits)
        _require_free(folder, overwrite)
        columns = posts.columns(selection)
        staging = _staging(folder)
        try:
            done: dict[str, Exported] = {}
            for subreddit in chosen:
                total = posts.count(subreddit, selection)
                told = partial(progress, subreddit, total) if progress else _nobody
                written, left_out = write(posts, subreddit, selection, staging, told)
                done[subreddit] = Exported(total, written, left_out)
            manifest = {
                "made_by": f"redpop {version('redpop')}",
                "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "format": format,
                "source": posts.source,
                "published": {"file": str(posts.path), "at": posts.published_at.isoformat(), "bytes": posts.bytes},
                "labelled_only": labelled_only,
                "subreddits": {name: asdict(exported) for name, exported in done.items()},
                "notes": _NOTES,
                "files": _files(staging),
            }
            if format != "redcaps":
                shown = ("name", "source", "description", "known_at")
                manifest["columns"] = [{name: getattr(column, name) for name in shown} for column in columns]
            text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
            (staging / MANIFEST).write_text(text, encoding="utf-8")
            _put_in_place(staging, folder)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    return done


def _nobody(finished: int) -> None:
    """Whom to tell of the progress if nobody asks."""


def _chosen(posts: PublishedPosts, subreddits: Sequence[str]) -> list[str]:
    known = posts.subreddits()
    wanted = list(dict.fromkeys(parse_community(name).lower() for name in subreddits)) or list(known)
    had = ", ".join(f"r/{name} ({count})" for name, count in known.items()) or "none"
    if not wanted:
        raise WarehouseError(f"{posts.path} has no posts yet: run `redpop materialize`.")
    for name in wanted:
        if name not in known:
            raise WarehouseError(f"{posts.path} has no posts of r/{name}; it has posts of: {had}.")
    return wanted


def _require_free(folder: Path, overwrite: bool) -> None:
    """Raise SettingsError unless the folder may be made, or replaced, without losing anything but an export."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / MANIFEST).is_file() or "made_by" not in _read_json(folder / MANIFEST):
        raise SettingsError(f"{folder} exists and is no export of RedPop: choose another folder.")
    if not overwrite:
        raise SettingsError(f"{folder} exists: choose another folder, or replace it with --overwrite.")


def _staging(folder: Path) -> Path:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".exporting", dir=folder.parent))
    except OSError as error:
        raise SettingsError(f"{folder} cannot be made: {error.strerror or error}.") from error


def _put_in_place(staging: Path, folder: Path) -> None:
    """Give the folder its name; an export that had it goes away afterwards."""
    old = folder.with_name(f".{folder.name}-{uuid4().hex}.replaced")
    staging.chmod(0o755)  # temporary folders are private
    if folder.exists():
        folder.rename(old)
    try:
        staging.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _files(folder: Path) -> list[dict[str, Any]]:
    files = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            files.append({"file": path.relative_to(folder).as_posix(), "bytes": path.stat().st_size, "sha256": digest})
    return files


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
