"""Files in object storage: S3 and what speaks as it does, Google's and Azure's, by obstore.

An object is there as a whole or not at all, and there is no renaming. So a folder is there when its manifest is,
`<key>.json`, which is written last and removed first.

What obstore, and whom it asks, say of errors becomes a `StoreError` here: one sentence that says what to do.
"""

import hashlib
import json
import os
import re
import shutil
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from redpop_assets.errors import StoreError
from redpop_assets.storage.files import Batch, Files, FoundFile, FoundFolder, files_below, folder_digest
from redpop_assets.storage.staging import held_folder, is_held_name

if TYPE_CHECKING:
    from obstore.store import ObjectStore

AT_ONCE: Final = 16
"""Requests under way at once. Each may hold a picture, so it is also what bounds the memory."""

CACHE_BYTES: Final = 2 * 1024**3
"""Most bytes of models that are kept on the disk for reading, beside those used within the hour."""

KEEPS_VERSIONS: Final = (
    "the bucket keeps versions, so what is deleted, such as pictures of forgotten posts, stays as an old version that "
    "RedPop can neither see nor delete: switch versioning off, or set a lifecycle rule that expires noncurrent "
    "versions and delete markers after a day"
)

_AT_A_TIME = 1000  # keys of a deletion, and of a page of a listing
_IN_USE = timedelta(hours=1)
_KEPT = timedelta(days=7)
_FOLDER = re.compile(r"(?P<key>[^/]+/[^/]+/[0-9a-f]{64})(?:\.json|/.+)")
_CODE = re.compile(r"<Code>(\w+)</Code>|\(code: (\w+)\)")
_STATUS = re.compile(r"status code: (\d{3})")
_REFUSED_KEYS = ("SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken", "InvalidToken", "AuthorizationHeader")


@dataclass
class Link:
    """The way to a place in object storage, which all kinds of files share.

    Attributes:
        client: What asks.
        where: The place as a URL, without a slash at its end.
        home: Home directory, whose folder `cache` holds copies of models for reading.
        keeps_versions: Whether an object was met that says it has versions: what is deleted there may come back.
    """

    client: "ObjectStore"
    where: str
    home: Path
    keeps_versions: bool = field(default=False)

    def __getstate__(self) -> dict[str, object]:
        """What another process needs of it; threads are its own."""
        return {name: value for name, value in vars(self).items() if name != "pool"}

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        """Threads that wait for answers."""
        return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="redpop-store")

    def note_version(self, version: str | None) -> None:
        """Note what an answer says of versions. Google numbers every object, whether it keeps old ones or not."""
        self.keeps_versions |= version is not None and not self.where.startswith("gs:")

    @contextmanager
    def asking(self, what: str) -> Iterator[None]:
        """Foreign errors of the block become a `StoreError`; `what` says what was asked for, as in `read pictures`.

        A missing object stays a `FileNotFoundError`.
        """
        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error) or "ContainerNotFound" in str(error):
                raise StoreError(self._sentence(what, error)) from error
            raise FileNotFoundError(str(error).partition("\n")[0]) from None
        except BaseError as error:
            raise StoreError(self._sentence(what, error)) from error

    def _sentence(self, what: str, error: Exception) -> str:
        text = str(error).partition("\n\nDebug source")[0]
        code = next((code for found in _CODE.finditer(text) for code in found.groups() if code), "")
        status = next(iter(_STATUS.findall(text)), "")
        failed = f"{self.where} cannot be asked to {what}"
        if code in ("NoSuchBucket", "ContainerNotFound"):
            return f"{failed}: there is no such bucket. Make it, or correct REDPOP_STORE."
        if "/latest/api/token" in text or "/latest/meta-data" in text or "metadata.google" in text:
            return (
                f"{failed}: no key was given, and this machine has none of its own. Set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or what your service wants (docs/operate.md)."
            )
        if code.startswith(_REFUSED_KEYS) or status == "401" or type(error).__name__ == "UnauthenticatedError":
            return (
                f"{failed}: it does not accept the key ({code or status or 'refused'}). Check AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or what your service wants, and the clock."
            )
        if code == "AccessDenied" or status == "403" or type(error).__name__ == "PermissionDeniedError":
            return f"{failed}: the key is not allowed to. Allow it to list, read, write and delete objects there."
        if status.startswith("3") or "redirect" in text:
            return f"{failed}: the bucket is somewhere else. Set AWS_REGION to its region."
        if "builder error" in text:
            return f"{failed}: its address is none. Correct AWS_ENDPOINT_URL."
        if status.startswith("5") or code in ("SlowDown", "InternalError", "ServiceUnavailable"):
            return f"{failed}: it answers with errors ({code or status}), also when asked again. Try later."
        if "error sending request" in text or "HTTP error" in text or "timed out" in text:
            return (
                f"{failed}: there is no answer. See that it runs, that the network leads there, and that "
                "AWS_ENDPOINT_URL (or what your service wants) is right."
            )
        return f"{failed}: {code or status or type(error).__name__}, {' '.join(text.split())[:300]}"


class Bucket(Files):
    """Files of one kind in object storage.

    Attributes:
        link: The way there.
        name: The kind, which all keys begin with: `images`, `models`, `figures`.
    """

    at_once = AT_ONCE

    def __init__(self, link: Link, name: str) -> None:
        self.link = link
        self.name = name
        self.where = f"{link.where}/{name}"
        self.aside = link.home

    @property
    def caveat(self) -> str:
        """What is left of deleted files, as far as it was noticed, as a sentence; empty for nothing."""
        return KEEPS_VERSIONS if self.link.keeps_versions else ""

    def beside(self, name: str) -> "Bucket":
        """The files of another kind."""
        return Bucket(self.link, name)

    def batch(self) -> "BucketBatch":
        """A batch that stores while more is put; nothing of it can be taken back."""
        return BucketBatch(self)

    def replace(self, key: str, data: bytes) -> None:
        """Store a file, or others in place of its bytes, atomically."""
        with self.link.asking("store files"):
            # In one request: of one in parts, a killed process would leave parts that nobody can list here.
            obstore.put(self.link.client, self._path(key), data, mode="overwrite", use_multipart=False)

    def create(self, key: str, data: bytes) -> None:
        """Store a file whose key says which bytes it has, unless it is there with as many."""
        with self.link.asking("store files"):
            try:
                obstore.put(self.link.client, self._path(key), data, mode="create")
            except AlreadyExistsError:
                if self.sizes([key]).get(key) != len(data):
                    self.replace(key, data)

    def read(self, key: str) -> bytes:
        """The bytes of a file. Raises `FileNotFoundError`."""
        with self.link.asking("read files"):
            return bytes(obstore.get(self.link.client, self._path(key)).bytes())

    def pieces(self, key: str) -> Iterator[bytes]:
        """The bytes of a file, a piece at a time. Raises `FileNotFoundError`."""
        with self.link.asking("read files"):
            for piece in obstore.get(self.link.client, self._path(key)).stream():
                yield bytes(piece)

    def sizes(self, keys: Iterable[str]) -> dict[str, int]:
        """Those of the files that are there, with their sizes in bytes."""
        wanted = list(dict.fromkeys(keys))
        found = map(self._size, wanted) if len(wanted) == 1 else self.link.pool.map(self._size, wanted)
        return {key: size for key, size in zip(wanted, found, strict=True) if size is not None}

    def remove(self, keys: Iterable[str]) -> int:
        """Delete files and return how many of them were there."""
        removed = 0
        rest = iter(keys)
        while some := list(islice(rest, _AT_A_TIME)):
            removed += len(self.sizes(some))
            # All of them: what another process has stored since is deleted as well, and a missing bucket is noticed.
            with suppress(FileNotFoundError), self.link.asking("delete files"):
                obstore.delete(self.link.client, list(map(self._path, some)))
        return removed

    def listed(self, prefix: str = "") -> Iterator[FoundFile]:
        """All files below a key, in the order of their keys; what begins with a dot is not ours."""
        now = datetime.now(UTC)
        start = f"{self.name}/{prefix}" if prefix else self.name
        with self.link.asking("list files"):
            for page in obstore.list(self.link.client, start, chunk_size=_AT_A_TIME):
                for found in page:
                    key = found["path"].removeprefix(f"{self.name}/")
                    if not any(part.startswith(".") for part in key.split("/")):
                        age = max(timedelta(0), now - found["last_modified"])
                        yield FoundFile(key, found["size"], age)

    def leftovers(self, older_than: timedelta) -> list[FoundFile]:  # noqa: ARG002
        """None: an object is there as a whole or not at all."""
        return []

    def remove_leftovers(self, older_than: timedelta) -> int:  # noqa: ARG002
        """None: an object is there as a whole or not at all."""
        return 0

    def building(self, parent: str) -> AbstractContextManager[Path]:  # noqa: ARG002
        """An empty folder where copies for reading are."""
        return held_folder(self._cache)

    def put_folder(self, folder: Path, key: str) -> Path:
        """Store the files of a folder, then the manifest that makes them one."""
        files = files_below(folder)

        def store(file: tuple[str, Path]) -> dict[str, object]:
            name, path = file
            data = path.read_bytes()
            self.replace(f"{key}/{name}", data)
            return {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

        manifest = {"files": list(self.link.pool.map(store, files))}
        self.replace(f"{key}.json", json.dumps(manifest, indent=1).encode())
        return self._keep(folder, key)

    def folder(self, key: str) -> Path:
        """A copy, which is fetched if there is none. Raises `FileNotFoundError` when nothing is stored."""
        kept = self._copy(key)
        try:
            manifest = json.loads(self.read(f"{key}.json"))
        except FileNotFoundError:
            shutil.rmtree(kept, ignore_errors=True)  # it was deleted, by another machine perhaps
            raise
        if kept.is_dir():
            if folder_digest(kept) == kept.name:
                os.utime(kept)
                return kept
            shutil.rmtree(kept, ignore_errors=True)

        with held_folder(self._cache) as folder:

            def fetch(name: str) -> None:
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError), path.open("wb") as out:  # what is missing shows in the digest
                    out.writelines(self.pieces(f"{key}/{name}"))

            names = [file["name"] for file in manifest["files"]]
            list(self.link.pool.map(fetch, names))
            return self._keep(folder, key)

    def folders(self) -> Iterator[FoundFolder]:
        """All stored folders, complete or not; their keys have three names."""
        ages: dict[str, timedelta] = {}
        for found in self.listed():
            if match := _FOLDER.fullmatch(found.path):
                key = match["key"]
                ages[key] = min(found.age, ages.get(key, found.age))
        for key, age in ages.items():
            yield FoundFolder(key, age)

    def remove_folder(self, key: str) -> None:
        """Delete a stored folder, first of all its manifest, and the copy."""
        self.remove([f"{key}.json"])
        self.remove(found.path for found in self.listed(key))
        shutil.rmtree(self._copy(key), ignore_errors=True)

    def _path(self, key: str) -> str:
        return f"{self.name}/{key}"

    def _size(self, key: str) -> int | None:
        with self.link.asking("look for files"):
            try:
                found = obstore.head(self.link.client, self._path(key))
            except FileNotFoundError:
                return None
        self.link.note_version(found["version"])
        return found["size"]

    @property
    def _cache(self) -> Path:
        return self.link.home / "cache" / self.name

    def _copy(self, key: str) -> Path:
        return self._cache / key.rpartition("/")[2]

    def _keep(self, folder: Path, key: str) -> Path:
        """Move a complete folder to where copies are, unless another process was first, and make room for it."""
        target = self._copy(key)
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():
                raise
            if folder_digest(target) != target.name:
                shutil.rmtree(target)
                folder.rename(target)
        os.utime(target)
        self._make_room()
        return target

    def _make_room(self) -> None:
        """Delete the copies that nobody used for long, and the oldest others beyond the bound; none used just now."""
        copies = []
        for copy in self._cache.iterdir():
            with suppress(FileNotFoundError):  # another process makes room, too
                if not is_held_name(copy.name):
                    size = sum(path.stat().st_size for _, path in files_below(copy))
                    copies.append((time.time() - copy.stat().st_mtime, size, copy))
        total = 0
        for age, size, copy in sorted(copies):
            total += size
            if age > _KEPT.total_seconds() or (total > CACHE_BYTES and age > _IN_USE.total_seconds()):
                shutil.rmtree(copy, ignore_errors=True)


class BucketBatch(Batch):
    """Files that are stored while more is put, at most `AT_ONCE` at a time."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._under_way: deque[Future[None]] = deque()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for future in self._under_way:
            future.cancel()
        self._under_way.clear()

    def put(self, key: str, data: bytes) -> None:
        """Begin to store a file; waits while too many are under way. Raises what came of earlier ones."""
        while len(self._under_way) >= AT_ONCE:
            self._under_way.popleft().result()
        self._under_way.append(self._bucket.link.pool.submit(self._bucket.create, key, data))

    def commit(self) -> None:
        """Wait until everything put so far is stored. Rows that name the files may be written afterwards."""
        while self._under_way:
            self._under_way.popleft().result()


def probe(link: Link) -> None:
    """Write, list, read and delete an object; the link knows afterwards whether it has versions.

    Raises:
        StoreError: one of it does not work.
    """
    place = Bucket(link, "probe")
    key = f"redpop-{os.urandom(8).hex()}"
    with link.asking("store files"):
        link.note_version(obstore.put(link.client, f"{place.name}/{key}", b"redpop")["version"])
    try:
        if key not in [found.path for found in place.listed()]:
            raise StoreError(f"{link.where} does not list what was just stored there: it is no place for RedPop.")
        if place.read(key) != b"redpop":
            raise StoreError(f"{link.where} gives other bytes than were just stored there: it is no place for RedPop.")
    finally:
        place.remove([key])
    if place.sizes([key]):
        raise StoreError(f"{link.where} still has what was just deleted there: it is no place for RedPop.")
