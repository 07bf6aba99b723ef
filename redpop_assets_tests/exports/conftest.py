"""A home directory with published posts, pictures and features, without a graph or a network."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse

FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}


def picture(number: int) -> tuple[bytes, str]:
    """A small picture of one colour, each number another, and its format."""
    format = list(FORMATS)[number % 3]
    file = io.BytesIO()
    Image.new("RGB", (40 + number % 7, 30), (number % 256, 7 * number % 256, 90)).save(file, format)
    return file.getvalue(), format


def rows_of(warehouse: Warehouse, table: str, **columns: list) -> pa.Table:
    """Rows of a table; columns that are not given are empty."""
    count = len(next(iter(columns.values())))
    names = warehouse.schema[table].column_names
    return pa.table({name: pa.array(columns.get(name, [None] * count)) for name in names})


@dataclass(frozen=True)
class Home:
    path: Path
    warehouse: Warehouse
    images: ImageStore
    posts: list[str]
    """Ids of r/pics, oldest first."""


@pytest.fixture(scope="session")
def filled_home(fill, tmp_path_factory) -> Home:
    """60 posts of r/pics, of which one in ten has no picture and the newest have no label, and 20 of r/earthporn."""
    path = tmp_path_factory.mktemp("export") / "home"
    warehouse, images = Warehouse(path, source="test", lock_timeout=30), ImageStore(path / "images")
    ids = fill(warehouse, "pics", posts=60, days=800)
    fill(warehouse, "earthporn", posts=20, days=30, seed=1)
    stored = warehouse.query("SELECT DISTINCT image_sha256 FROM core.image_fetches WHERE image_sha256 IS NOT NULL")
    digests = sorted(stored.column("image_sha256").to_pylist())
    pictures = [picture(number) for number in range(len(digests))]
    files = [images.put(data, FORMATS[format]) for data, format in pictures]
    size = len(digests)
    rows = rows_of(
        warehouse,
        "core.images",
        image_sha256=digests,
        path=[file.path for file in files],
        format=[format for _, format in pictures],
        bytes=[file.size for file in files],
        width=[40] * size,
        height=[30] * size,
        phash=["0" * 16] * size,
        dhash=["0" * 16] * size,
        stored_at=np.full(size, np.datetime64("2026-05-01T00:00:00", "us")),
    )
    warehouse.merge("core.images", rows)
    warehouse.publish()
    return Home(path, warehouse, images, ids)
