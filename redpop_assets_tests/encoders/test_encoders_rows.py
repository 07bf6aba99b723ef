import io
import threading
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from PIL import Image

from redpop_assets.encoders.base import CODE_VERSION, Choice, unit_rows
from redpop_assets.encoders.chunks import record_encoder
from redpop_assets.encoders.engine import Way
from redpop_assets.encoders.load import load_image_encoder, load_text_encoder
from redpop_assets.encoders.rows import (
    CAPTION_EMBEDDINGS,
    IMAGE_CLASSES,
    IMAGE_EMBEDDINGS,
    IMAGE_GRIDS,
    caption_chunks,
    image_chunks,
    running,
    tune_captions,
    tune_images,
)
from redpop_assets.errors import RedPopError
from redpop_assets.images.decode import open_rgb
from redpop_assets.storage.images import ImageStore
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

ORIENTATION = 274
SIZES = [(640, 427), (1537, 2003), (320, 240), (3203, 1601)]  # two are decoded at a half for 256 pixels


class CountingStore(ImageStore):
    """A store that counts how often each file is read."""

    def __init__(self, root):
        super().__init__(root)
        self.reads = Counter()

    def read(self, relative):
        self.reads[relative] += 1
        return super().read(relative)


def packed(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def stored(tmp_path_factory, photos):
    """22 pictures: JPEGs of several sizes, PNGs, one turned by its metadata, one whose metadata are broken."""
    store = CountingStore(tmp_path_factory.mktemp("images"))
    files = []
    for number in range(18):
        size = SIZES[number % len(SIZES)]
        part = photos[number % 2].crop((5 * number, 3 * number, 300 + 15 * number, 250 + 7 * number)).resize(size)
        files.append((packed(part, "JPEG", quality=90), "jpg"))
    files.append((packed(photos[0].crop((0, 0, 300, 300)), "PNG"), "png"))
    files.append((packed(photos[1].convert("L"), "PNG"), "png"))
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    files.append((packed(photos[0].resize((2001, 1603)), "JPEG", exif=turned), "jpg"))
    files.append((packed(photos[1].resize((2003, 1601)), "JPEG", exif=b"Exif\x00\x00XX"), "jpg"))
    images = [store.put(data, extension) for data, extension in files]
    assert len({image.sha256 for image in images}) == 22
    return store, pa.table({"image_sha256": [i.sha256 for i in images], "path": [i.path for i in images]})


@pytest.fixture
def store(stored):
    stored[0].reads.clear()
    return stored[0]


@pytest.fixture(scope="module")
def classifier(bundled_images):
    return load_image_encoder(bundled_images.name, device="cpu", probabilities=True)


@pytest.fixture(scope="module")
def grids():
    return load_image_encoder("timm:resnet18/random", device="cpu", grids=True, batch_size=3)


@pytest.fixture
def warehouse(tmp_path, keep):
    return keep(blank_warehouse(tmp_path / "home"))


def column(tables, name):
    return pa.concat_tables(tables).column(name).to_pylist()


def vectors_of(table):
    return np.array(table.column("embedding").to_pylist(), np.float32)


def embedded_images(encoder, store, rows):
    """All rows of features.image_embeddings."""
    return pa.concat_tables(chunk.tables[IMAGE_EMBEDDINGS] for chunk in image_chunks([encoder], store, rows))


def embedded_captions(encoder, rows):
    """All rows of features.caption_embeddings."""
    return pa.concat_tables(chunk.tables[CAPTION_EMBEDDINGS] for chunk in caption_chunks(encoder, rows))


def cosines(a, b):
    return (a * b).sum(axis=1)


def lanes_and_decoders():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("redpop-")]


def test_pictures_come_in_their_order_and_in_chunks(classifier, stored, store):
    rows = stored[1]
    chunks = list(image_chunks([classifier], store, rows, chunk_size=9))
    assert [chunk.items for chunk in chunks] == [16, 6]  # two batches of 8 make the first
    tables = [chunk.tables[IMAGE_EMBEDDINGS] for chunk in chunks]
    assert column(tables, "image_sha256") == rows.column("image_sha256").to_pylist()
    assert set(column(tables, "encoder")) == {classifier.name}
    assert set(column(tables, "code_version")) == {CODE_VERSION}
    assert all(chunk.unreadable == [] for chunk in chunks)
    assert all(chunk.device_seconds[classifier.name] > 0 for chunk in chunks)
    assert lanes_and_decoders() == []


@pytest.mark.parametrize(("chunk_size", "sizes"), [(1, [1] * 22), (3, [3] * 7 + [1]), (5, [6] * 3 + [4]), (256, [22])])
def test_a_chunk_ends_with_a_batch(grids, stored, store, chunk_size, sizes):
    chunks = image_chunks([grids], store, stored[1], chunk_size=chunk_size)
    assert [chunk.items for chunk in chunks] == sizes


def test_vectors_are_close_to_those_of_pictures_decoded_in_full(classifier, stored, store):
    rows = stored[1]
    vectors = vectors_of(embedded_images(classifier, store, rows))
    full = classifier.encode([open_rgb(store.read(path)) for path in rows.column("path").to_pylist()])
    assert cosines(vectors, full).min() > 0.999


def test_several_encoders_in_one_pass_equal_single_passes(classifier, grids, stored, store):
    (chunk,) = image_chunks([classifier, grids], store, stored[1])
    assert set(store.reads.values()) == {1}
    assert len(store.reads) == 22
    assert list(chunk.tables) == [IMAGE_EMBEDDINGS, IMAGE_CLASSES, IMAGE_GRIDS]
    assert chunk.device_seconds.keys() == {classifier.name, grids.name}
    together = chunk.tables[IMAGE_EMBEDDINGS]
    assert together.num_rows == 44
    for encoder in (classifier, grids):
        alone = embedded_images(encoder, store, stored[1])
        own = together.filter(pc.equal(together.column("encoder"), encoder.name))
        assert own.column("image_sha256").equals(alone.column("image_sha256"))
        assert cosines(vectors_of(own), vectors_of(alone)).min() > 0.9999


def test_probabilities_sum_to_one(classifier, stored, store):
    (chunk,) = image_chunks([classifier], store, stored[1])
    table = chunk.tables[IMAGE_CLASSES]
    probabilities = np.array(table.column("probabilities").to_pylist(), np.float32)
    assert probabilities.shape == (22, 1000)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert table.column("image_sha256").equals(chunk.tables[IMAGE_EMBEDDINGS].column("image_sha256"))
    assert np.bincount(probabilities.argmax(axis=1))[[698, 985]].sum() > 11  # the palace and the daisy


def test_the_mean_of_a_grid_is_its_vector(grids, stored, store):
    (chunk,) = image_chunks([grids], store, stored[1])
    rows = chunk.tables[IMAGE_GRIDS].to_pylist()
    assert {(row["channels"], row["height"], row["width"]) for row in rows} == {(512, 7, 7)}
    unpacked = np.stack([np.frombuffer(row["grid"], "<f2").reshape(512, 7, 7) for row in rows])
    means = unit_rows(unpacked.astype(np.float32).mean(axis=(2, 3)), "image")
    assert cosines(means, vectors_of(chunk.tables[IMAGE_EMBEDDINGS])).min() > 0.99999


def test_what_cannot_be_read_is_listed_and_the_rest_is_complete(tmp_path, grids, stored, store):
    own = ImageStore(tmp_path)
    paths = stored[1].column("path").to_pylist()
    good = [own.put(store.read(path), path.rpartition(".")[2]) for path in paths[:5]]
    missing, damaged = (own.put(store.read(path), "jpg") for path in paths[5:7])
    text = own.put(b"no picture at all", "jpg")
    cut = own.put(store.read(paths[7])[:9_000], "jpg")
    own.remove(missing.path)
    (own.place.root / damaged.path).write_bytes(b"\xff\xd8\xff other bytes")
    images = [missing, good[0], damaged, *good[1:], text, cut]
    rows = pa.table({"image_sha256": [i.sha256 for i in images], "path": [i.path for i in images]})
    (chunk,) = image_chunks([grids], own, rows)
    assert chunk.items == 5
    for name in (IMAGE_EMBEDDINGS, IMAGE_GRIDS):
        assert column([chunk.tables[name]], "image_sha256") == [image.sha256 for image in good]
    found = [(picture.image_sha256, picture.path, picture.reason) for picture in chunk.unreadable]
    reasons = ["file_unusable", "file_unusable", "not_image_bytes", "decode_error"]
    bad = [missing, damaged, text, cut]
    assert found == [(image.sha256, image.path, reason) for image, reason in zip(bad, reasons, strict=True)]
    assert "is missing" in chunk.unreadable[0].detail
    assert "is damaged" in chunk.unreadable[1].detail


def test_pictures_that_are_all_missing_make_a_chunk_without_rows(tmp_path, grids, stored):
    chunks = list(image_chunks([grids], ImageStore(tmp_path), stored[1], chunk_size=16))
    assert [(len(chunk.tables), chunk.items) for chunk in chunks] == [(0, 0)] * len(chunks)
    assert sum(len(chunk.unreadable) for chunk in chunks) == 22


def test_no_pictures_and_no_captions_give_no_chunks(grids, bundled_texts, stored, store):
    rows = stored[1].slice(0, 0)
    assert list(image_chunks([grids], store, rows)) == []
    captions = pa.table({"caption_sha256": pa.array([], pa.string()), "caption": pa.array([], pa.string())})
    assert list(caption_chunks(bundled_texts, captions)) == []


def test_closing_early_ends_the_threads_and_reads_no_further(grids, stored, store):
    rows = pa.concat_tables([stored[1]] * 20)
    chunks = image_chunks([grids], store, rows, chunk_size=3)
    first = next(chunks)
    assert first.items == 3
    assert lanes_and_decoders() != []
    chunks.close()
    assert lanes_and_decoders() == []
    assert store.reads.total() < 60


def test_an_error_ends_the_threads_and_names_encoder_and_picture(stored, store):
    encoder = load_image_encoder("timm:test_resnet/random", device="cpu", batch_size=4)
    encoder.engine.module.std.fill_(float("nan"))
    keys = stored[1].column("image_sha256").to_pylist()
    expected = rf"timm:test_resnet/random failed in the batch that begins with {keys[0]}: The vector of image 0"
    with pytest.raises(RedPopError, match=expected):
        list(image_chunks([encoder], store, stored[1]))
    assert lanes_and_decoders() == []


def test_threads_of_torch_are_as_before(grids, stored, store):
    import torch

    before = torch.get_num_threads()
    list(image_chunks([grids], store, stored[1].slice(0, 4)))
    assert torch.get_num_threads() == before


@pytest.fixture(scope="module")
def captions():
    words = ["my", "cat", "sunset", "over", "the", "old", "harbour", "found", "this", "🔥", "[OC]", "after", "rain"]
    random = np.random.default_rng(7)
    texts = [" ".join(random.choice(words, length)) for length in random.integers(0, 30, 150)]
    return pa.table({"caption_sha256": [f"{number:064x}" for number in range(150)], "caption": texts})


def test_caption_chunks_equal_encode(bundled_texts, captions):
    chunks = list(caption_chunks(bundled_texts, captions, chunk_size=40))
    sizes = [chunk.items for chunk in chunks]
    assert sum(sizes) == 150
    assert all(40 <= size <= 40 + bundled_texts.engine.batch_size for size in sizes[:-1])
    table = pa.concat_tables([chunk.tables[CAPTION_EMBEDDINGS] for chunk in chunks]).sort_by("caption_sha256")
    assert table.column("caption_sha256").to_pylist() == captions.column("caption_sha256").to_pylist()
    encoded = bundled_texts.encode(captions.column("caption").to_pylist())
    assert cosines(vectors_of(table), encoded).min() > 0.99999
    assert lanes_and_decoders() == []


def test_captions_beyond_the_window_are_all_there(bundled_texts, captions, monkeypatch):
    monkeypatch.setattr("redpop_assets.encoders.rows._WINDOW", 64)
    keys = embedded_captions(bundled_texts, captions).column("caption_sha256").to_pylist()
    assert sorted(keys) == captions.column("caption_sha256").to_pylist()


def test_closing_early_ends_the_threads_of_captions(bundled_texts, captions):
    chunks = caption_chunks(bundled_texts, pa.concat_tables([captions] * 10), chunk_size=16)
    next(chunks)
    chunks.close()
    assert lanes_and_decoders() == []


def test_all_rows_land_in_the_warehouse(warehouse, classifier, grids, bundled_texts, stored, store, captions):
    for encoder in (classifier, grids, bundled_texts):
        record_encoder(warehouse, running(encoder))
    some = stored[1].slice(14)
    chunks = [*image_chunks([classifier, grids], store, some, chunk_size=4), *caption_chunks(bundled_texts, captions)]
    for chunk in chunks:
        with warehouse.write() as writer:
            for name, table in chunk.tables.items():
                assert writer.merge(name, table).inserted == table.num_rows
    counts = {
        name: warehouse.scalar(f"SELECT count(*) FROM {name}")
        for name in (IMAGE_EMBEDDINGS, IMAGE_CLASSES, IMAGE_GRIDS, CAPTION_EMBEDDINGS)
    }
    assert list(counts.values()) == [16, 8, 8, 150]
    joined = warehouse.query(
        "SELECT len(embedding) = dimension AS fits, sqrt(list_inner_product(embedding, embedding)) AS length"
        f" FROM (FROM {IMAGE_EMBEDDINGS} SELECT encoder, embedding UNION ALL"
        f" FROM {CAPTION_EMBEDDINGS} SELECT encoder, embedding) JOIN features.encoders USING (encoder)"
    )
    assert joined.num_rows == 166
    assert set(joined.column("fits").to_pylist()) == {True}
    np.testing.assert_allclose(joined.column("length").to_pylist(), 1, atol=1e-5)
    (size,) = warehouse.query(f"SELECT DISTINCT octet_length(grid) AS size FROM {IMAGE_GRIDS}").column("size")
    assert size.as_py() == 2 * 512 * 7 * 7


def test_how_an_encoder_runs_is_recorded(warehouse, grids, monkeypatch):
    def row():
        (found,) = warehouse.query("FROM features.encoders").to_pylist()
        return found

    record_encoder(warehouse, running(grids))
    first = row()
    how = ("backend", "precision", "batch_size", "items_per_second", "min_cosine")
    assert [first[name] for name in how] == ["torch", "float32", None, None, None]
    for values in (("openvino", "bfloat16", 4, 120.5, 0.9995), ("torch", "float32", 16, 99.0, 1.0)):
        with monkeypatch.context() as patch:
            patch.setattr(grids.engine, "way", Way(*values[:2]))
            patch.setattr(grids.engine, "choice", Choice(*values, "here"))
            record_encoder(warehouse, running(grids))
        assert tuple(row()[name] for name in how) == values
    record_encoder(warehouse, running(grids))
    assert row() == first  # with the time of its first use


@pytest.mark.usefixtures("measured_shortly")
def test_pictures_that_are_due_tune_their_encoder(tmp_path, stored, store):
    encoder = load_image_encoder("timm:test_resnet/random", device="cpu")
    assert tune_images(encoder, store, stored[1], tmp_path) is None
    assert store.reads.total() == 0
    due = pa.concat_tables([stored[1]] * 10)
    choice = tune_images(encoder, store, due, tmp_path)
    assert choice == encoder.engine.choice
    assert choice.items_per_second > 0
    assert choice.min_cosine >= 0.999
    assert store.reads.total() <= 32
    before = load_image_encoder(encoder.name, device="cpu").encode([Image.new("RGB", (200, 200), (9, 99, 199))])
    after = encoder.encode([Image.new("RGB", (200, 200), (9, 99, 199))])
    assert cosines(before, after).min() > 0.999
    assert sum(chunk.items for chunk in image_chunks([encoder], store, due)) == 220


def test_missing_pictures_do_not_disturb_the_measurement(tmp_path, stored):
    encoder = load_image_encoder("timm:test_resnet/random", device="cpu")
    assert tune_images(encoder, ImageStore(tmp_path / "none"), pa.concat_tables([stored[1]] * 10), tmp_path) is None


@pytest.mark.usefixtures("measured_shortly")
def test_captions_that_are_due_tune_their_encoder(tmp_path, tiny_bert, captions):
    encoder = load_text_encoder(f"transformers:tiny/{tiny_bert}", device="cpu")
    before = embedded_captions(encoder, captions).sort_by("caption_sha256")
    assert tune_captions(encoder, captions, tmp_path) is None
    choice = tune_captions(encoder, pa.concat_tables([captions] * 2), tmp_path)
    assert choice == encoder.engine.choice
    after = embedded_captions(encoder, captions).sort_by("caption_sha256")
    assert cosines(vectors_of(before), vectors_of(after)).min() > 0.999
