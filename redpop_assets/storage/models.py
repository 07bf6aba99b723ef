"""The files of trained predictors, a folder per model, named by content. What is in them belongs to the predictors."""

import hashlib
import re
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redpop_assets.errors import ArtifactError
from redpop_assets.storage.staging import held_folder, is_held_name

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNSETTLED = 3600.0  # seconds


@dataclass
class NewModel:
    """A model being saved: write files below `folder`; `digest` is known when the block has ended."""

    folder: Path
    digest: str = ""


class ModelStore:
    """Folders `<root>/<subreddit>/<predictor>/<digest>/`, complete or absent, never changed afterwards."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def new(self, subreddit: str, predictor: str) -> Iterator[NewModel]:
        """Give an empty folder to save a model in, and move it to its digest, atomically, when the block ends well.

        Raises `ArtifactError` when nothing was saved or a name is not fit for a folder.
        """
        parent = self._parent(subreddit, predictor)
        with held_folder(parent) as folder:
            model = NewModel(folder)
            yield model
            if not any(path.is_file() for path in folder.rglob("*")):
                raise ArtifactError(
                    f"{predictor} for {subreddit} saved no file: its save(folder) has to write at least one."
                )
            digest = folder_digest(folder)
            target = parent / digest
            if target.exists() and folder_digest(target) != digest:
                shutil.rmtree(target)
            if not target.exists():
                folder.rename(target)
            model.folder, model.digest = target, digest

    def folder(self, subreddit: str, predictor: str, digest: str) -> Path:
        """Folder of a stored model, its files checked against the digest.

        Raises `ArtifactError` when the model is missing or damaged.
        """
        if not _SHA256.fullmatch(digest):
            raise ArtifactError(f"{digest!r} is no digest of a model: give 64 lower-case hexadecimal digits.")
        folder = self._parent(subreddit, predictor) / digest
        if not folder.is_dir():
            raise ArtifactError(f"The model {folder} is missing: restore it from a copy, or train {predictor} again.")
        if folder_digest(folder) != digest:
            raise ArtifactError(
                f"The model {folder} is damaged, its files are not those of its digest: delete the folder and restore "
                f"it from a copy, or train {predictor} again."
            )
        return folder

    def prune(self, keep: Collection[tuple[str, str, str]]) -> int:
        """Remove the models nobody refers to any more; returns their number.

        They hold what was learnt from posts that may be forgotten by now. The newest ones stay, whose row in the
        warehouse may be on its way.

        Args:
            keep: subreddit, predictor and digest of each model that is in use.
        """
        used = {self._parent(subreddit, predictor) / digest for subreddit, predictor, digest in keep}
        newest = time.time() - _UNSETTLED
        unused = [
            folder
            for folder in self.root.glob("*/*/*")
            if not is_held_name(folder.name) and folder not in used and folder.stat().st_mtime < newest
        ]
        for folder in unused:
            shutil.rmtree(folder)
        return len(unused)

    def _parent(self, subreddit: str, predictor: str) -> Path:
        for name in (subreddit, predictor):
            if not _NAME.fullmatch(name):
                raise ArtifactError(f"{name!r} cannot name a folder of models: use letters, digits and _ . + -")
        return self.root / subreddit / predictor


def folder_digest(folder: Path) -> str:
    """SHA-256 over relative names and bytes of all files below `folder`, in the order of the names; hexadecimal."""
    digest = hashlib.sha256()
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for name in sorted(files):
        with files[name].open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{len(name.encode())}:{name}:{content}\n".encode())
    return digest.hexdigest()
