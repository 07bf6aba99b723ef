"""The files of trained predictors, a folder per model, named by content. What is in them belongs to the predictors."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from redpop_assets.errors import ArtifactError
from redpop_assets.storage.files import Files, Folder, files_below, folder_digest

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNSETTLED = timedelta(hours=1)


@dataclass
class NewModel:
    """A model being saved: write files below `folder`; `digest` is known when the block has ended."""

    folder: Path
    digest: str = ""


class ModelStore:
    """Folders `<subreddit>/<predictor>/<digest>/`, complete or absent, never changed afterwards.

    Attributes:
        place: Where they are; a folder may be given as its path.
    """

    def __init__(self, place: Files | Path) -> None:
        self.place = Folder(place) if isinstance(place, Path) else place

    @contextmanager
    def new(self, subreddit: str, predictor: str) -> Iterator[NewModel]:
        """Give an empty folder to save a model in, and store it under its digest, atomically, when the block ends well.

        Raises `ArtifactError` when nothing was saved or a name is not fit for a folder.
        """
        parent = self._parent(subreddit, predictor)
        with self.place.building(parent) as folder:
            model = NewModel(folder)
            yield model
            if not files_below(folder):
                raise ArtifactError(
                    f"{predictor} for {subreddit} saved no file: its save(folder) has to write at least one."
                )
            model.digest = folder_digest(folder)
            model.folder = self.place.put_folder(folder, f"{parent}/{model.digest}")

    def folder(self, subreddit: str, predictor: str, digest: str) -> Path:
        """Local folder with the files of a stored model, checked against the digest.

        Raises:
            ArtifactError: the model is missing or damaged.
            StoreError: the store does not answer.
        """
        if not _SHA256.fullmatch(digest):
            raise ArtifactError(f"{digest!r} is no digest of a model: give 64 lower-case hexadecimal digits.")
        key = f"{self._parent(subreddit, predictor)}/{digest}"
        where = f"{self.place.where}/{key}"
        try:
            folder = self.place.folder(key)
        except FileNotFoundError:
            raise ArtifactError(
                f"The model {where} is missing: restore it from a copy, or train {predictor} again."
            ) from None
        if folder_digest(folder) != digest:
            raise ArtifactError(
                f"The model {where} is damaged, its files are not those of its digest: delete it and restore it from a "
                f"copy, or train {predictor} again."
            )
        return folder

    def prune(self, keep: Collection[tuple[str, str, str]]) -> int:
        """Remove the models nobody refers to any more; returns their number.

        They hold what was learnt from posts that may be forgotten by now. The newest ones stay, whose row in the
        warehouse may be on its way.

        Args:
            keep: subreddit, predictor and digest of each model that is in use.
        """
        used = {f"{self._parent(subreddit, predictor)}/{digest}" for subreddit, predictor, digest in keep}
        unused = [found.key for found in self.place.folders() if found.key not in used and found.age > _UNSETTLED]
        for key in unused:
            self.place.remove_folder(key)
        return len(unused)

    def _parent(self, subreddit: str, predictor: str) -> str:
        for name in (subreddit, predictor):
            if not _NAME.fullmatch(name):
                raise ArtifactError(f"{name!r} cannot name a folder of models: use letters, digits and _ . + -")
        return f"{subreddit}/{predictor}"
