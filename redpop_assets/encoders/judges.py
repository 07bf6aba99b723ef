"""The judges of pictures that a deployment has weights of, loaded when they are asked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from redpop_assets.encoders.base import Provenance
from redpop_assets.encoders.heads import ImageScorer, VectorScorer

Judge = ImageScorer | VectorScorer

NIMA_HEAD: Final = "head"
"""Written instead of a network, it stands for the last layer of NIMA alone, on the vectors of the image encoder."""


@dataclass(frozen=True)
class Judges:
    """Which judges there are.

    Attributes:
        iipa: weights of IIPA, a path; empty for none.
        nima: network and weights of NIMA; both empty for none. The network is one of timm, or `NIMA_HEAD`.
        aesthetic: weights of a head on CLIP vectors, a path; empty for none.
        image_encoder: the encoder under a NIMA head.
        clip: the encoder under the aesthetics head.
        device: where networks run.
        recorded: provenance of an encoder that has made vectors; None for one that has not yet.
    """

    iipa: str
    nima: tuple[str, str]
    aesthetic: str
    image_encoder: str
    clip: str
    device: str
    recorded: Callable[[str], Provenance | None]

    @property
    def names(self) -> list[str]:
        """Those whose weights are named."""
        weights = {"iipa": self.iipa, "nima": self.nima[0], "aesthetic": self.aesthetic}
        return [judge for judge, named in weights.items() if named]

    def load(self) -> Iterator[tuple[Judge, str]]:
        """Each judge, and the encoder whose vectors it looks at: "" if it looks at pictures.

        A judge of vectors is left out as long as there are none.

        Raises:
            SettingsError, WeightsUnavailable: weights that are named cannot be had.
        """
        from redpop_assets.encoders.load import resolve_device

        if self.iipa:
            from redpop_assets.encoders.iipa import load_iipa

            yield load_iipa(self.iipa, device=resolve_device(self.device)), ""
        network, weights = self.nima
        if network == NIMA_HEAD:
            from redpop_assets.encoders.nima import load_nima_head

            if encoder := self.recorded(self.image_encoder):
                yield load_nima_head(weights, encoder), encoder.encoder
        elif network:
            from redpop_assets.encoders.nima import load_nima

            yield load_nima(weights, backbone=network, device=resolve_device(self.device)), ""
        if self.aesthetic:
            from redpop_assets.encoders.aesthetic import load_aesthetic

            if encoder := self.recorded(self.clip):
                yield load_aesthetic(self.aesthetic, encoder), encoder.encoder
