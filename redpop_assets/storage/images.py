"""The image files of one home directory, stored once per content. What is in them belongs in `redpop_assets.images`."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from redpop_assets.errors import ArtifactError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")


@dataclass(frozen=True)
class StoredImage:
    """A stored file: SHA-256 of its bytes (hexadecimal), its path below the store, its size in bytes."""

    sha256: str
    path: str
    size: int


class ImageStore:
    """Content-addressed files `<root>/ab/<sha256>.<extension>`; equal bytes are stored once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, data: bytes, extension: str) -> StoredImage:
        """Store the bytes, atomically; nothing is written when they are there already.

        `extension` comes without a dot, in lower case. A file of another size than `data`, as a full disk leaves it,
        is replaced.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        target = self.path(sha256, extension)
        if not (target.exists() and target.stat().st_size == len(data)):
            target.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=target.parent, prefix=".new-", delete=False) as file:
                temporary = Path(file.name)
                try:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                    temporary.chmod(0o644)  # temporary files are private; pictures are for every user of the machine
                    temporary.replace(target)
                except BaseException:
                    temporary.unlink(missing_ok=True)
                    raise
        return StoredImage(sha256, target.relative_to(self.root).as_posix(), len(data))

    def path(self, sha256: str, extension: str) -> Path:
        """Where an image is, or would be, stored. Raises `ArtifactError` for what is no digest or no extension."""
        if not _SHA256.fullmatch(sha256) or not _EXTENSION.fullmatch(extension):
            raise ArtifactError(
                f"{sha256!r}, {extension!r} names no stored image: give a SHA-256 in lower-case hexadecimal and an "
                "extension without a dot, such as jpg."
            )
        return self.root / sha256[:2] / f"{sha256}.{extension}"

    def read(self, relative: str) -> bytes:
        """Bytes of the image at `StoredImage.path`.

        Raises `ArtifactError` when there is no such file or its bytes are not those of its name.
        """
        sha256, _, extension = Path(relative).name.partition(".")
        path = self.path(sha256, extension)
        if path.relative_to(self.root).as_posix() != relative:
            raise ArtifactError(f"{relative!r} is no path in the image store; they look like ab/<sha256>.jpg.")
        if not path.exists():
            raise ArtifactError(f"The image {path} is missing. {_REMEDY}")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ArtifactError(f"The image {path} is damaged: its bytes are not those of its name. {_REMEDY}")
        return data


_REMEDY = (
    "Restore the folder images/ of the home directory from a copy, or delete the rows of this image from core.images "
    "and core.image_fetches so that it is fetched again."
)
