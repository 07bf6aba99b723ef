"""The figures of one home directory: PNG files of analyses, a folder per community."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from redpop_assets.errors import ArtifactError
from redpop_assets.storage.staging import held_folder

if TYPE_CHECKING:
    from redpop_assets.storage.warehouse import Warehouse

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


class FigureStore:
    """Files `<root>/<subreddit>/<name>.png`, complete or absent.

    A figure that shows posts is named by the column `figure` of a row of each of them, so that forgetting finds it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def of(cls, warehouse: "Warehouse") -> "FigureStore":
        """The one beside a warehouse."""
        return cls(warehouse.published.parent / "figures")

    @staticmethod
    def relative(subreddit: str, name: str) -> str:
        """Path of a figure below the store. Raises `ArtifactError` for what cannot name a file."""
        for part in (subreddit, name):
            if not _NAME.fullmatch(part):
                raise ArtifactError(f"{part!r} cannot name a figure: use letters, digits and _ . + -")
        return f"{subreddit}/{name}.png"

    def write(self, relative: str, png: bytes) -> Path:
        """Store a figure, atomically; a file with the same bytes is left alone."""
        path = self.path(relative)
        if not (path.is_file() and path.read_bytes() == png):
            with held_folder(path.parent) as staging:
                (staging / path.name).write_bytes(png)
                (staging / path.name).replace(path)
        return path

    def path(self, relative: str) -> Path:
        """Where a figure is, or would be, stored. Raises `ArtifactError` for a path that leads elsewhere."""
        subreddit, _, file = relative.partition("/")
        if self.relative(subreddit, file.removesuffix(".png")) != relative:
            raise ArtifactError(f"{relative!r} is no path of a figure; they look like pics/words.png.")
        return self.root / relative

    def read(self, relative: str) -> bytes:
        """A figure. Raises `ArtifactError` when it is missing."""
        try:
            return self.path(relative).read_bytes()
        except FileNotFoundError:
            raise ArtifactError(f"The figure {self.root / relative} is missing: run `redpop analyse` again.") from None

    def names(self, subreddit: str) -> list[str]:
        """Names of the figures of a community, sorted, without `.png`."""
        return sorted(path.stem for path in (self.root / subreddit).glob("*.png") if not path.name.startswith("."))

    def remove(self, relative: str) -> bool:
        """Delete a figure; False if there was none."""
        try:
            self.path(relative).unlink()
        except FileNotFoundError:
            return False
        return True
