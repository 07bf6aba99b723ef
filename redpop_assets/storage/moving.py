"""Copies the files of a deployment from one place to another, and makes sure that they arrived."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import islice

from redpop_assets.errors import ArtifactError
from redpop_assets.storage.files import Files, folder_digest

_AT_A_TIME = 64  # files whose bytes may be in memory


@dataclass
class Copied:
    """What is at the target and was compared: pictures and figures, their bytes, and models."""

    files: int = 0
    bytes: int = 0
    models: int = 0


def copy_store(source: Files, target: Files, progress: Callable[[Copied], None] | None = None) -> Copied:
    """Copy pictures, figures and models; what is there already is compared, and replaced where it differs.

    Every file is read again at the target, every model checked against its digest. Nothing is deleted. Nobody else may
    write at either place meanwhile.

    Args:
        source: files of any kind of the deployment that has them.
        target: files of any kind of the place where they go.
        progress: told what is done, after some files and after each model.

    Raises:
        ArtifactError: a picture or a model of the source is damaged, or something did not arrive.
        StoreError: a place does not answer.
    """
    done = Copied()
    tell = progress or (lambda _: None)
    for kind in ("images", "figures"):
        ours, theirs = source.beside(kind), target.beside(kind)
        with ThreadPoolExecutor(max(ours.at_once, theirs.at_once, 4), thread_name_prefix="redpop-copy") as pool:
            for keys in _chunks(found.path for found in ours.listed()):
                copied = list(pool.map(partial(_copy_file, ours, theirs, named=kind == "images"), keys))
                done.files += len(copied)
                done.bytes += sum(copied)
                tell(done)
    ours, theirs = source.beside("models"), target.beside("models")
    for model in ours.folders():
        done.models += _copy_folder(ours, theirs, model.key)
        tell(done)
    return done


def _copy_file(source: Files, target: Files, key: str, *, named: bool) -> int:
    """Copy a file, which may be named by its digest, and return its size in bytes."""
    data = source.read(key)
    digest, name = sha256(data).hexdigest(), key.rpartition("/")[2].partition(".")[0]
    if named and digest != name:
        raise ArtifactError(
            f"The image {source.where}/{key} is damaged: `redpop images verify --repair` first, then copy again."
        )
    if _digest_at(target, key) != digest:
        target.replace(key, data)
        if _digest_at(target, key) != digest:
            raise ArtifactError(f"{target.where}/{key} is not what was written there: see to that place, copy again.")
    return len(data)


def _copy_folder(source: Files, target: Files, key: str) -> bool:
    """Copy a model; False for half of one, which a killed process left."""
    parent, _, digest = key.rpartition("/")
    try:
        folder = source.folder(key)
    except FileNotFoundError:
        return False
    if folder_digest(folder) != digest:
        raise ArtifactError(f"The model {source.where}/{key} is damaged: delete it, train again, then copy again.")
    try:
        arrived = folder_digest(target.folder(key)) == digest
    except FileNotFoundError:
        arrived = False
    if not arrived:
        with target.building(parent) as staging:
            shutil.copytree(folder, staging, dirs_exist_ok=True)
            target.put_folder(staging, key)
        if folder_digest(target.folder(key)) != digest:
            raise ArtifactError(f"{target.where}/{key} is not what was written there: see to that place, copy again.")
    return True


def _digest_at(place: Files, key: str) -> str:
    digest = sha256()
    try:
        for piece in place.pieces(key):
            digest.update(piece)
    except FileNotFoundError:
        return ""
    return digest.hexdigest()


def _chunks(keys: Iterator[str]) -> Iterator[Sequence[str]]:
    while some := list(islice(keys, _AT_A_TIME)):
        yield some
