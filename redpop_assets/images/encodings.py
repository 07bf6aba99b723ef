"""Bodies that a server packed although it was asked not to (Content-Encoding), unpacked within a limit.

Names that stand for no packing (`none`, `utf-8`, `binary`, …) mean nothing here, as in browsers.
"""

import zlib
from collections.abc import Callable, Iterator

import zstandard

from redpop_assets.errors import RedPopError

_MOST_LAYERS = 5
_PIECE = 65_536  # bytes
_WINDOW = 8 * 1024 * 1024  # bytes; what RFC 9659 allows a zstd of the web


class Undecodable(RedPopError):
    """A body that is packed in a way that cannot be undone, or in too many layers."""


class TooBig(RedPopError):
    """A body that is larger, once unpacked, than it may be."""


def packings(header: str) -> list[str]:
    """The names in a Content-Encoding header that stand for a packing, the outermost last; `identity` is none."""
    names = [name.strip().lower().removeprefix("x-") for name in header.split(",")]
    return [name for name in names if name in _UNPACK or name in _UNKNOWN]


def unpacked(body: bytes, names: list[str], *, max_bytes: int) -> bytes:
    """Undo packings, given as by `packings`.

    What is damaged or cut off ends there: whether the picture is whole, its decoder knows.

    Args:
        body: As received.
        names: Packings, in the order in which they were applied.
        max_bytes: Largest result, between layers as well.

    Raises:
        Undecodable: A packing is unknown here, or there are more than five.
        TooBig: A layer holds more than `max_bytes`.
    """
    if len(names) > _MOST_LAYERS:
        raise Undecodable(f"The body is packed {len(names)} times.")
    for name in reversed(names):
        if name not in _UNPACK:
            raise Undecodable(f"The body is encoded as {name} although identity was asked for.")
        pieces: list[bytes] = []
        size = 0
        for piece in _UNPACK[name](body):
            pieces.append(piece)
            size += len(piece)
            if size > max_bytes:
                raise TooBig(f"The body, encoded as {name}, exceeds {max_bytes} bytes.")
        body = b"".join(pieces)
    return body


def _inflated(body: bytes) -> Iterator[bytes]:
    """Gzip (of several members as well) and deflate, which servers send with and without the header of zlib."""
    windows = [zlib.MAX_WBITS | 32, -zlib.MAX_WBITS]
    while body and windows:
        unpacking = zlib.decompressobj(windows[0])
        begun = False
        try:
            while not unpacking.eof and (piece := unpacking.decompress(body, _PIECE)):
                begun = True
                yield piece
                body = unpacking.unconsumed_tail
        except zlib.error:
            if begun:
                return
            windows = windows[1:]  # no header that it knows
            continue
        if not unpacking.eof:
            return
        body, windows = unpacking.unused_data, windows[:1]


def _of_zstd(body: bytes) -> Iterator[bytes]:
    unpacking = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    with unpacking.stream_reader(body, read_across_frames=True) as reader:
        try:
            while piece := reader.read(_PIECE):
                yield piece
        except zstandard.ZstdError:
            return


_UNPACK: dict[str, Callable[[bytes], Iterator[bytes]]] = {"gzip": _inflated, "deflate": _inflated, "zstd": _of_zstd}
_UNKNOWN = frozenset({"br", "compress", "dcb", "dcz"})
