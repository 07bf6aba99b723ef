"""The bytes of an archive as they are unpacked: plain, gzip or zstd, in bounded memory, with a digest of what was read.

Whatever a file unpacks to, at most some tens of megabytes of it are in memory, and no reading of it goes on for ever
where there is nothing to read (`MOST_NOTHING`).

What the bytes mean belongs in `redpop_assets.sources.archives.posts`.
"""

import codecs
import gzip
import hashlib
import io
import zlib
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final

import zstandard

from redpop_assets.errors import ArchiveError

CUT: Final = (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError, OSError)
"""What reading raises where the file is cut or damaged."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
# A frame, or one of the sixteen kinds of skippable frame that parallel compressors write first.
_ZSTD_MAGICS: Final = (b"\x28\xb5\x2f\xfd", *(bytes([kind, 0x2A, 0x4D, 0x18]) for kind in range(0x50, 0x60)))
_UNPACK_FIRST: Final = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip", b"7z\xbc\xaf": "7-Zip"}
_SUFFIXES: Final = {".gz": "gzip", ".zst": "zstd"}
# Dumps of Reddit are written with a window of 2 GiB; by default zstandard refuses more than 128 MiB.
_ZSTD_WINDOW: Final = 2**31
# A block of a frame takes 4 bytes at least and becomes 128 KiB at most: this much at a time is 32 MiB at worst, and all
# that zstandard's decompressor can be held to, for it gives everything that its input holds.
_ZSTD_READ: Final = 1024
_BUFFER: Final = 128 * 1024
MOST_NOTHING: Final = 4 * 1024**3
"""Unpacked bytes of nothing but white space in a row after which a file is given up."""

_UTF_16: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class ArchiveFile:
    """A file that may be compressed; the content decides how, and the name has to agree.

    Raises:
        ArchiveError: it cannot be read, or is compressed in a way that is not supported.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                head = file.read(8)
            self.size = path.stat().st_size
        except OSError as error:
            raise ArchiveError(f"Cannot read {path}: {error.strerror or error}.") from error
        for magic, name in _UNPACK_FIRST.items():
            if head.startswith(magic):
                raise ArchiveError(f"{path} is a {name} file: unpack it first, or pack it with gzip or zstd.")
        self._compression = (
            "gzip" if head.startswith(_GZIP_MAGIC) else "zstd" if head.startswith(_ZSTD_MAGICS) else "none"
        )
        suffixes = [suffix.lower() for suffix in path.suffixes]
        expected = _SUFFIXES.get(suffixes[-1]) if suffixes else None
        if expected and self._compression != expected and self.size:
            raise ArchiveError(f"{path} is named like a {expected} file but does not begin like one: get it again.")
        self.suffix = (
            suffixes[-2] if expected and len(suffixes) > 1 else suffixes[-1] if suffixes and not expected else ""
        )
        """Suffix of the name in lower case, that of the compression left out, such as `.csv`."""

    def open(self) -> "OpenArchive":
        """Begin to unpack at the start of the file."""
        return OpenArchive(self.path, self._compression)


class OpenArchive:
    """An archive while it is read: its unpacked bytes as `binary`, or as `text`, and what that took of the file."""

    def __init__(self, path: Path, compression: str) -> None:
        self._file = _DigestedFile(path)
        unpacked: Any = self._file
        if compression == "gzip":
            unpacked = gzip.GzipFile(fileobj=self._file)
        elif compression == "zstd":
            unpacked = _ZstdFrames(self._file)
        self._unpacked = unpacked
        self.binary = io.BufferedReader(unpacked, _BUFFER)
        try:
            encoding = _UTF_16.get(self.binary.peek(2)[:2])
        except CUT:
            encoding = None  # who reads on meets the same damage, and reports it
        if encoding:
            self.binary = io.BufferedReader(_AsUtf8(self.binary, encoding), _BUFFER)

    @cached_property
    def text(self) -> io.TextIOWrapper:
        """The bytes as UTF-8.

        What is no UTF-8 becomes lone surrogates, so that it spoils its own line only. Line ends stay as they are: the
        CSV parser alone knows those inside quotes.
        """
        return io.TextIOWrapper(self.binary, encoding="utf-8-sig", errors="surrogateescape", newline="")

    def skip_blank_lines(self) -> int:
        """Go behind the empty lines that are in memory already, and say how many these are."""
        ahead = self.binary.peek(1)
        end = ahead.rfind(b"\n", 0, len(ahead) - len(ahead.lstrip())) + 1
        self.binary.read(end)
        return ahead.count(b"\n", 0, end)

    def unpacked(self) -> int:
        """Bytes that were unpacked so far."""
        return int(self._unpacked.tell())

    def bytes_read(self) -> int:
        """Bytes of the file, compressed or not, that were taken so far."""
        return self._file.taken

    def sha256(self) -> str:
        """SHA-256 of these bytes, hexadecimal."""
        return self._file.digest.hexdigest()

    def __enter__(self) -> "OpenArchive":
        return self

    def __exit__(self, *exception: object) -> None:
        self.binary.close()
        self._file.close()


def sha256_of_first(path: Path, size: int) -> str:
    """SHA-256, hexadecimal, of the first `size` bytes of a file, or of all of it where it is shorter."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(size, 1024 * 1024))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()


class _DigestedFile(io.RawIOBase):
    """A file that counts and digests what is read of it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self.taken = 0
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._file.readinto(buffer) or 0
        self.digest.update(memoryview(buffer)[:size])
        self.taken += size
        return size

    def tell(self) -> int:
        return self.taken

    def close(self) -> None:
        self._file.close()
        super().close()


class _ZstdFrames(io.RawIOBase):
    """Unpacked bytes of all frames of a zstd file; zstandard's own reader ends silently when a frame is cut."""

    def __init__(self, file: IO[bytes] | io.RawIOBase) -> None:
        self._file = file
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._frame = self._decompressor.decompressobj()
        self._inside_frame = False
        self._compressed = b""
        self._ready = memoryview(b"")
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            compressed = self._compressed or self._file.read(_ZSTD_READ)
            if not compressed:
                if self._inside_frame:
                    raise EOFError("the file ends inside a zstd frame")
                return 0
            self._ready = memoryview(self._frame.decompress(compressed))
            self._inside_frame = not self._frame.eof
            self._compressed = self._frame.unused_data
            if self._frame.eof:
                self._frame = self._decompressor.decompressobj()
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        self._given += size
        return size

    def tell(self) -> int:
        return self._given


class _AsUtf8(io.RawIOBase):
    """UTF-16, as spreadsheets and PowerShell write it, as UTF-8. Half pairs become what is no UTF-8 either."""

    def __init__(self, file: io.BufferedReader, encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._ready = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._ended:
            block = self._file.read(_BUFFER)
            self._ended = not block
            try:
                text = self._decoder.decode(block, final=self._ended)
            except UnicodeDecodeError as error:
                raise EOFError(f"no UTF-16: {error.reason}") from error
            self._ready = memoryview(text.encode("utf-8", "surrogatepass"))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size
