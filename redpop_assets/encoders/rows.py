"""Between encoders and the warehouse: stored pictures and captions in, rows of the embedding tables out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import overload

import numpy as np
import pyarrow as pa
from PIL import Image

from redpop_assets.encoders.base import CODE_VERSION, ImageEncoder, Provenance, TextEncoder
from redpop_assets.images.decode import open_rgb
from redpop_assets.storage.arrow import arrow_table, utc_now
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse


@dataclass(frozen=True)
class _StoredPictures(Sequence[Image.Image]):
    """Pictures that are opened when they are asked for, so that the encoder's workers decode them."""

    store: ImageStore
    paths: Sequence[str]

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Image.Image: ...
    @overload
    def __getitem__(self, index: slice) -> "_StoredPictures": ...
    def __getitem__(self, index: int | slice) -> "Image.Image | _StoredPictures":
        if isinstance(index, slice):
            return _StoredPictures(self.store, self.paths[index])
        return open_rgb(self.store.read(self.paths[index]))


def embed_images(encoder: ImageEncoder, store: ImageStore, rows: pa.Table) -> pa.Table:
    """Rows of features.image_embeddings for rows with `image_sha256` and `path` (in the store)."""
    pictures = _StoredPictures(store, rows.column("path").to_pylist())
    return _rows(encoder.provenance, "image_sha256", rows, encoder.encode(pictures))


def embed_captions(encoder: TextEncoder, rows: pa.Table) -> pa.Table:
    """Rows of features.caption_embeddings for rows with `caption_sha256` and `caption`."""
    return _rows(encoder.provenance, "caption_sha256", rows, encoder.encode(rows.column("caption").to_pylist()))


def record_encoder(warehouse: Warehouse, provenance: Provenance) -> None:
    """Enter an encoder into features.encoders when it first writes a vector."""
    row = {**asdict(provenance), "first_used_at": utc_now()}
    warehouse.append("features.encoders", arrow_table({name: [value] for name, value in row.items()}))


def _rows(provenance: Provenance, key: str, rows: pa.Table, vectors: np.ndarray) -> pa.Table:
    return arrow_table(
        {
            key: rows.column(key).to_pylist(),
            "encoder": [provenance.encoder] * rows.num_rows,
            "code_version": [CODE_VERSION] * rows.num_rows,
            "embedding": vectors,
        }
    )
