"""The figures of a deployment: PNG files of analyses, a folder per community."""

import re
from pathlib import Path

from redpop_assets.errors import ArtifactError
from redpop_assets.storage.files import Files, Folder
from redpop_assets.storage.images import ImageStore

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


class FigureStore:
    """Files `<subreddit>/<name>.png`, complete or absent.

    A figure that shows posts is named by the column `figure` of a row of each of them, so that forgetting finds it.

    Attributes:
        place: Where they are; a folder may be given as its path.
    """

    def __init__(self, place: Files | Path) -> None:
        self.place = Folder(place) if isinstance(place, Path) else place

    @classmethod
    def beside(cls, images: ImageStore) -> "FigureStore":
        """The figures of the deployment that has these pictures."""
        return cls(images.place.beside("figures"))

    @staticmethod
    def relative(subreddit: str, name: str) -> str:
        """Path of a figure below the store. Raises `ArtifactError` for what cannot name a file."""
        for part in (subreddit, name):
            if not _NAME.fullmatch(part):
                raise ArtifactError(f"{part!r} cannot name a figure: use letters, digits and _ . + -")
        return f"{subreddit}/{name}.png"

    def write(self, relative: str, png: bytes) -> None:
        """Store a figure, atomically; a file with the same bytes is left alone."""
        key = self._key(relative)
        try:
            if self.place.read(key) == png:
                return
        except FileNotFoundError:
            pass
        self.place.replace(key, png)

    def read(self, relative: str) -> bytes:
        """A figure. Raises `ArtifactError` when it is missing."""
        try:
            return self.place.read(self._key(relative))
        except FileNotFoundError:
            raise ArtifactError(
                f"The figure {self.place.where}/{relative} is missing: run `redpop analyse` again."
            ) from None

    def names(self, subreddit: str) -> list[str]:
        """Names of the figures of a community, sorted, without `.png`."""
        paths = (Path(found.path) for found in self.place.listed(subreddit))
        return sorted(path.stem for path in paths if path.suffix == ".png")

    def remove(self, *relatives: str) -> int:
        """Delete figures, and return how many were there."""
        return self.place.remove([self._key(relative) for relative in relatives])

    def _key(self, relative: str) -> str:
        """Raises `ArtifactError` for a path that leads elsewhere."""
        subreddit, _, file = relative.partition("/")
        if self.relative(subreddit, file.removesuffix(".png")) != relative:
            raise ArtifactError(f"{relative!r} is no path of a figure; they look like pics/words.png.")
        return relative
