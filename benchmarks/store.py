"""How many pictures per second come out of a folder and out of object storage, one at a time and read ahead.

Run `python benchmarks/store.py` for a folder alone, or `python benchmarks/store.py s3://bucket/prefix` with the
variables of the service (docs/operate.md) for both. `--wait 20` has every answer of the service come 20 milliseconds
later, as from far away. The pictures are photographs of scikit-learn, each with other bytes; they do not stay.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from redpop_assets.encoders.load import load_image_encoder
from redpop_assets.settings import load_settings
from redpop_assets.storage.bucket import Bucket
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.location import open_files, parse_location

ENCODER = "timm:tf_efficientnet_lite0/bundled"


class Far(Bucket):
    """Object storage that answers later."""

    wait = 0.0

    def read(self, key: str) -> bytes:
        """See `Bucket.read`."""
        time.sleep(self.wait)
        return super().read(key)


def main() -> None:
    """Store, read and encode the pictures at each place, and print the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("location", nargs="?", default="")
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--wait", type=float, default=0.0, help="milliseconds")
    options = parser.parse_args()
    files = photographs(options.pictures)
    print(f"{len(files)} pictures of {sum(map(len, files)) / len(files) / 1000:.0f} kB")
    with tempfile.TemporaryDirectory() as folder:
        for location in filter(None, ["folder", options.location]):
            where = "" if location == "folder" else parse_location(location)
            place = open_files(where, Path(folder), "images", load_settings().store_variables)
            if isinstance(place, Bucket):
                place = Far(place.link, place.name)
                place.wait = options.wait / 1000
            measure(location, ImageStore(place), files)


def measure(name: str, store: ImageStore, files: list[bytes]) -> None:
    """Print the rates of one place."""
    from redpop_assets.encoders.rows import image_chunks  # brings torch, which the options do without

    paths: list[str] = []

    def put() -> None:
        with store.batch() as batch:
            paths.extend(batch.put(data, "jpg").path for data in files)
            batch.commit()

    rate(f"{name}: stored", len(files), put)
    rate(f"{name}: read one at a time", len(files), lambda: [store.read(path) for path in paths])
    ahead = store.ahead(paths)
    rate(f"{name}: read ahead", len(files), lambda: [ahead.read(index) for index in range(len(paths))])
    ahead.close()
    rows = pa.table({"image_sha256": [path[3:67] for path in paths], "path": paths})
    encoder = load_image_encoder(ENCODER, device="cpu")
    list(image_chunks([encoder], store, rows.slice(0, 64)))
    rate(f"{name}: encoded", len(files), lambda: list(image_chunks([encoder], store, rows)))
    rate(f"{name}: removed", len(files), lambda: store.remove(*paths))


def rate(what: str, count: int, work: Callable[[], object]) -> None:
    """Print how often something is done per second."""
    began = time.perf_counter()
    work()
    print(f"{what:34} {count / (time.perf_counter() - began):8.0f} per second", flush=True)


def photographs(count: int) -> list[bytes]:
    """JPEGs that differ."""
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(7)
    photos = load_sample_images().images
    files = []
    for number in range(count):
        pixels = photos[number % len(photos)].copy()
        pixels[:8, :8] = random.integers(0, 255, (8, 8, 3))
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=85)
        files.append(file.getvalue())
    return files


if __name__ == "__main__":
    main()
