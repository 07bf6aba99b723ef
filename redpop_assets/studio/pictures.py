"""Pictures that visitors bring: hostile files until a decoder has had them, and in memory only, for a while."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redpop_assets.images.decode import ORIGINAL, ImageRejected, open_rgb
from redpop_assets.images.decoder import DecoderDied, Decoders, DecoderUnavailable
from redpop_assets.refresh.new_post import Picture
from redpop_assets.studio.refusals import Refusal

if TYPE_CHECKING:
    from PIL.Image import Image

_DECODERS = 2
_WAITING = 8
_PER_SESSION = 8
_KEPT_SECONDS = 1800.0
_KEPT_BYTES = 512_000_000
_DECODE_SECONDS = 20.0

_SENTENCES = {
    "not_image_bytes": "This is no picture that can be read: take a JPEG, PNG, WebP or GIF.",
    "decode_error": "The picture is damaged, or was cut off on its way: save it anew, or take another one.",
    "animated": "The picture moves, and RedPop looks at still ones only: take a single frame of it.",
}


@dataclass
class _Kept:
    session: str
    picture: Picture
    used_at: float

    @property
    def bytes(self) -> int:
        return self.picture.image.width * self.picture.image.height * 3


class Pictures:
    """Decoded pictures of visitors by random ids, which nobody but the session that brought them can use.

    At most 8 pictures per session and 512 MB in all are kept, each for half an hour after its last use; the one that
    was not used for longest goes first. For one event loop.

    Args:
        max_bytes: largest file.
        max_pixels: largest width x height.
        min_edge: shortest edge of a picture that counts (pixels).
        clock: seconds that only grow.
    """

    def __init__(
        self, *, max_bytes: int, max_pixels: int, min_edge: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.max_bytes, self._max_pixels, self._min_edge = max_bytes, max_pixels, min_edge
        self._clock = clock
        self._kept: dict[str, _Kept] = {}  # the one used last stands last
        self._inside = 0
        self._decoders: Decoders | None = None

    async def keep(self, session: str, chunks: AsyncIterator[bytes]) -> tuple[str, Picture]:
        """Read a picture that comes in, have it decoded, and keep it.

        Args:
            session: whose it is.
            chunks: the file, as it arrives.

        Returns:
            Its id, and the picture as every predictor sees it: upright, RGB.

        Raises:
            Refusal: it is too large (413), no picture that counts (422), or too many are being looked at (503).
        """
        if self._inside >= _DECODERS + _WAITING:
            raise Refusal(503, "Many pictures are being looked at. Try again in a moment.", retry_after=2)
        self._inside += 1
        try:
            data = await self._received(chunks)
            picture = Picture(await self._decoded(data))
        finally:
            self._inside -= 1
        identity = secrets.token_urlsafe(24)
        self._kept[identity] = _Kept(session, picture, self._clock())
        self._make_room(session)
        return identity, picture

    def of(self, session: str, identity: str) -> Picture:
        """The picture of that id.

        Raises:
            Refusal: this session has none of that id, or no longer (404).
        """
        self._forget_old()
        kept = self._kept.get(identity)
        if kept is None or not secrets.compare_digest(kept.session, session):
            raise Refusal(404, "The picture is no longer kept: choose it again.", title="The picture is gone")
        kept.used_at = self._clock()
        self._kept[identity] = self._kept.pop(identity)
        return kept.picture

    def forget(self, session: str, identity: str) -> None:
        """Let go of a picture, if it is this session's."""
        kept = self._kept.get(identity)
        if kept is not None and secrets.compare_digest(kept.session, session):
            del self._kept[identity]

    def close(self) -> None:
        """Let go of everything, and end the decoders."""
        self._kept.clear()
        if self._decoders is not None:
            self._decoders.close()

    async def _received(self, chunks: AsyncIterator[bytes]) -> bytes:
        data = bytearray()
        async for chunk in chunks:
            if len(data) + len(chunk) > self.max_bytes:
                raise Refusal(
                    413,
                    f"The picture has more than {self.max_bytes / 1e6:,.0f} MB: save it smaller.",
                    title="Too large",
                )
            data += chunk
        if not data:
            raise Refusal(422, "The picture is empty: choose another file.")
        return bytes(data)

    async def _decoded(self, data: bytes) -> "Image":
        if self._decoders is None:
            self._decoders = Decoders(
                _DECODERS,
                timeout=_DECODE_SECONDS,
                max_bytes=self.max_bytes,
                max_pixels=self._max_pixels,
                min_edge=self._min_edge,
                max_aspect=5.0,
                store=ORIGINAL,
            )
        try:
            _, _, bare = await self._decoders.inspect(data)
            # A decoder has read this very file to its end without harm; it has no metadata any more.
            return await asyncio.to_thread(open_rgb, bare, max_pixels=self._max_pixels)
        except ImageRejected as error:
            raise Refusal(422, self._sentence(error), title="No picture that counts") from error
        except DecoderDied as error:
            raise Refusal(
                422, "The picture could not be decoded within memory and time: take another one.", title="No picture"
            ) from error
        except DecoderUnavailable as error:
            raise Refusal(503, "Pictures cannot be decoded just now; titles can be asked about.") from error

    def _sentence(self, error: ImageRejected) -> str:
        others = {
            "too_small": f"The picture is too small to count: its shorter edge has to have {self._min_edge} pixels.",
            "too_many_pixels": f"The picture has more than {self._max_pixels / 1e6:,.0f} megapixels: save it smaller.",
            "aspect_extreme": "The picture is more than five times as long as it is wide: cut a part out of it.",
        }
        return (_SENTENCES | others).get(error.reason, _SENTENCES["decode_error"])

    def _forget_old(self) -> None:
        oldest = self._clock() - _KEPT_SECONDS
        for identity in [identity for identity, kept in self._kept.items() if kept.used_at < oldest]:
            del self._kept[identity]

    def _make_room(self, session: str) -> None:
        self._forget_old()
        own = [identity for identity, kept in self._kept.items() if kept.session == session]
        for identity in own[: max(0, len(own) - _PER_SESSION)]:
            del self._kept[identity]
        while len(self._kept) > 1 and sum(kept.bytes for kept in self._kept.values()) > _KEPT_BYTES:
            del self._kept[next(iter(self._kept))]
