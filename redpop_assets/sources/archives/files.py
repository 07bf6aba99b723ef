"""The bytes of an archive as they are unpacked: plain, gzip or zstd, in bounded memory, with a digest of what was read.

Whatever a file unpacks to, at most some tens of megabytes of it are in memory, and no reading of it goes on for ever
where there is nothing to read (`MOST_NOTHING`).

What the bytes mean belongs in `redpop_assets.sources.archives.posts`.
"""

import codecs
import gzip
import hashlib
import io
import zipfile
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
_UNPACK: Final = "unpack it first, or pack it with gzip or zstd"
_SAVE_AS_CSV: Final = "open it where it was made, and save the table as CSV (UTF-8)"
_WITH_DUCKDB: Final = "write it as CSV, for example with DuckDB: COPY (FROM 'FILE') TO 'posts.csv'"
_GET_AGAIN: Final = "get the file itself"
_ZIP_MAGIC: Final = b"PK\x03\x04"
_FOREIGN: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"BZh", "a bzip2 file", _UNPACK),
    (b"\xfd7zXZ", "an xz file", _UNPACK),
    (b"7z\xbc\xaf", "a 7-Zip file", _UNPACK),
    (_ZIP_MAGIC, "a zip file", _UNPACK),
    (b"Rar!", "a RAR file", _UNPACK),
    (b"\x04\x22\x4d\x18", "an LZ4 file", _UNPACK),
    (b"PAR1", "a Parquet file", _WITH_DUCKDB),
    (b"ARROW1", "an Arrow file", "write it as CSV, for example with pandas: read_feather(…).to_csv('posts.csv')"),
    (b"FEA1", "a Feather file", "write it as CSV, for example with pandas: read_feather(…).to_csv('posts.csv')"),
    (b"SQLite format 3\x00", "an SQLite database", "write its table of posts as CSV: sqlite3 -header -csv FILE"),
    (b"\x89HDF", "an HDF5 file", "write its table of posts as CSV"),
    (b"%PDF", "a PDF", "find the table itself, as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file", _SAVE_AS_CSV),
    (
        b"\x80\x04\x95",
        "a pickle of Python",
        "write it as CSV, for example with pandas: read_pickle(…).to_csv('posts.csv')",
    ),
    (
        b"\x80\x05\x95",
        "a pickle of Python",
        "write it as CSV, for example with pandas: read_pickle(…).to_csv('posts.csv')",
    ),
    (b"RDX", "a workspace of R", "write it as CSV: write.csv(posts, 'posts.csv')"),
    (b"\x89PNG", "a picture", "name the table or dump of posts instead"),
    (b"\xff\xd8\xff", "a picture", "name the table or dump of posts instead"),
    (b"GIF8", "a picture", "name the table or dump of posts instead"),
    (b"version https://git-lfs", "a pointer of Git LFS", "get the file itself: git lfs pull"),
)
_WEB_PAGES: Final = (b"<!doctype", b"<html", b"<?xml")
_HEAD: Final = 4096
# One byte of zero in so many: texts have none, but for a stray one.
_LEAST_OF_BINARY: Final = 50
_SUFFIXES: Final = (".gz", ".zst")
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
    """A file that may be compressed; the content decides how, whatever its name says.

    Raises:
        ArchiveError: it cannot be read, or is of a kind that holds posts in another form, if any.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD)
            self.size = path.stat().st_size
        except OSError as error:
            raise ArchiveError(f"Cannot read {path}: {error.strerror or error}.") from error
        self._compression = (
            "gzip" if head.startswith(_GZIP_MAGIC) else "zstd" if head.startswith(_ZSTD_MAGICS) else "none"
        )
        if problem := _zip_problem(path) if head.startswith(_ZIP_MAGIC) else foreign(head):
            raise ArchiveError(f"{path} is {problem}.")
        suffixes = [suffix.lower() for suffix in path.suffixes]
        packed = bool(suffixes) and suffixes[-1] in _SUFFIXES
        self.suffix = suffixes[-2] if packed and len(suffixes) > 1 else "" if packed or not suffixes else suffixes[-1]
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
            head = self.binary.peek(_HEAD)[:_HEAD]
            encoding = _UTF_16.get(head[:2]) or _utf_16_without_mark(head)
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


def foreign(head: bytes) -> str | None:
    """What a file is that begins so, and what to do; None for one that may be text, or packed text."""
    for magic, name, advice in _FOREIGN:
        if head.startswith(magic):
            return f"{name}: {advice}"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_WEB_PAGES):
        return f"a web page: {_GET_AGAIN}, which a browser offers for download"
    packed = head.startswith((_GZIP_MAGIC, *_ZSTD_MAGICS))
    binary = head.count(0) * _LEAST_OF_BINARY > len(head)
    if not packed and binary and not head.startswith(tuple(_UTF_16)) and _utf_16_without_mark(head) is None:
        return f"neither text nor packed text: {_GET_AGAIN}, or write its posts as CSV"
    return None


def _zip_problem(path: Path) -> str:
    """What an archive of the kind zip is, which office programs use for their files, too."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        names = []
    if "xl/workbook.xml" in names:
        return f"an Excel file: {_SAVE_AS_CSV}"
    if "content.xml" in names and "mimetype" in names:
        return f"a file of an office program: {_SAVE_AS_CSV}"
    return f"a zip file: {_UNPACK}"


def _utf_16_without_mark(head: bytes) -> str | None:
    """The byte order of text that begins so in UTF-16, if every second byte of Latin letters shows it."""
    low, high = head[0:256:2], head[1:256:2]
    if len(high) < 8 or (b"\x00" in low) == (b"\x00" in high):
        return None
    zeros = max(low.count(0), high.count(0))
    if zeros < 0.8 * len(high):
        return None
    return "utf-16-be" if b"\x00" in low else "utf-16-le"


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
