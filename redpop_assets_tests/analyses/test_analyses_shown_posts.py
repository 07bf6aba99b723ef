"""Figures that show posts, on pictures that are stored: what they show, and that forgetting takes them along."""

import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from redpop_assets.analyses import image_categories, word_attention
from redpop_assets.analyses.asking import refresh
from redpop_assets.analyses.image_categories import IMAGE_CATEGORIES
from redpop_assets.analyses.object_families import OBJECT_FAMILIES
from redpop_assets.analyses.word_attention import WORD_ATTENTION, cell_probabilities
from redpop_assets.encoders.base import CODE_VERSION
from redpop_assets.storage import forgetting
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.figures import FigureStore
from redpop_assets.storage.images import ImageStore

pytestmark = pytest.mark.integration

CATEGORIES, ATTENTION = "pics/image_category_posts.png", "pics/word_attention.png"


@pytest.fixture(scope="module")
def pictured(untrained, tmp_path_factory):
    """The community with picture files, grids of 2 x 2 cells, and the two predictors that are looked into."""
    own = untrained.copy(tmp_path_factory.mktemp("pictured") / "home")
    images = ImageStore(own.home / "images")
    rng = np.random.default_rng(4)
    hashes = own.warehouse.query("SELECT DISTINCT image_sha256 FROM core.image_fetches WHERE image_sha256 IS NOT NULL")
    hashes = sorted(hashes.column(0).to_pylist())
    rows, grids = [], []
    with images.batch() as batch:
        for digest in hashes:
            data = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(data, "JPEG")
            stored = batch.put(data.getvalue(), "jpg")
            rows.append({"image_sha256": digest, "path": stored.path, "file_sha256": stored.sha256})
            grids.append(rng.normal(size=(6, 2, 2)).astype(np.float16).tobytes())
        batch.commit()
    n = len(rows)
    with own.warehouse.write() as writer:
        same = {"format": "JPEG", "bytes": 1, "width": 60, "height": 40, "phash": "0" * 16, "dhash": "0" * 16}
        for row in rows:
            columns = {**row, **same, "stored_at": np.datetime64("2026-01-01", "us").item()}
            names = ", ".join(columns)
            writer.execute(
                f"INSERT INTO core.images ({names}) VALUES ({', '.join('?' * len(columns))})", list(columns.values())
            )
        writer.append(
            "features.image_grids",
            arrow_table(
                {
                    "image_sha256": hashes,
                    "encoder": [own.encoders.image] * n,
                    "code_version": [CODE_VERSION] * n,
                    **{"channels": [6] * n, "height": [2] * n, "width": [2] * n},
                    "grid": grids,
                }
            ),
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("redpop_assets.predictors.systems.dual_attention.MOST_STEPS", 10)
        patch.setattr("redpop_assets.predictors.systems.dual_attention.LEAST_OF_A_CLASS", 5)
        own.train("dual_attention", "learn_deeply")
        patch.setattr(image_categories, "LEAST_IN_A_CLUSTER", 5)
        for analysis in (IMAGE_CATEGORIES, WORD_ATTENTION, OBJECT_FAMILIES):
            refresh(analysis, [own.study()], own.warehouse)
    return own


@pytest.fixture
def own(pictured, tmp_path):
    return pictured.copy(tmp_path / "home")


def test_categories_hold_the_pictures_of_both_quarters_and_name_their_figure(own):
    rows = own.warehouse.query("FROM marts.image_category_posts").to_pylist()
    assert len(rows) > 50
    shown = [row for row in rows if row["figure"]]
    assert {row["figure"] for row in shown} == {CATEGORIES}
    for category in {row["category"] for row in rows}:
        members = [row for row in rows if row["category"] == category]
        nearest = sorted(members, key=lambda row: row["distance"])[: image_categories.SHOWN]
        assert {row["post_id"] for row in nearest} == {row["post_id"] for row in members if row["figure"]}
    with Image.open(own.home / "figures" / CATEGORIES) as figure:
        assert figure.width > 300


def test_attention_sums_to_one_over_the_words_of_six_posts(own):
    rows = own.warehouse.query("FROM marts.word_attention ORDER BY post_id, position").to_pylist()
    posts = {row["post_id"] for row in rows}
    assert len(posts) == 2 * word_attention.EXAMPLES
    captions = own.warehouse.query("SELECT post_id, caption FROM core.posts").to_pydict()
    caption = dict(zip(captions["post_id"], captions["caption"], strict=True))
    for post in posts:
        own_rows = [row for row in rows if row["post_id"] == post]
        assert sum(row["weight"] for row in own_rows) == pytest.approx(1.0, abs=1e-5)
        assert own_rows[0]["word"] == caption[post].split()[0]
    split = own.warehouse.query("SELECT post_id, split FROM models.training_set").to_pydict()
    part = dict(zip(split["post_id"], split["split"], strict=True))
    assert {part[post] for post in posts} == {"test"}
    assert (own.home / "figures" / ATTENTION).is_file()


def test_a_cell_is_what_the_model_says_of_a_picture_that_is_all_like_it(own):
    study = own.study()
    (model,) = [model for model in study.trained if model.name == "dual_attention"]
    predictor = study.load(model)
    post = study.parts(model.blocks, model.encoders)["test"].data
    post = post.take(np.flatnonzero(post.blocks["image"].present)[:1])
    vector = post.blocks["image"].values[0]
    grid = np.zeros((len(vector), 3, 2), dtype=np.float16)
    grid[:] = np.random.default_rng(0).normal(size=grid.shape)
    found = cell_probabilities(predictor, post, grid)
    assert found.shape == (3, 2)
    assert len(np.unique(found)) == 6
    # The picture itself, cut into cells, is itself in every cell.
    unit = vector / np.linalg.norm(vector)
    from dataclasses import replace

    from redpop_assets.predictors.dataset import Block

    block = post.blocks["image"]
    itself = replace(post, blocks={**post.blocks, "image": Block(unit[None], block.columns, block.present)})
    grid[:] = (5 * unit)[:, None, None]
    same = cell_probabilities(predictor, post, grid)
    assert same == pytest.approx(np.full((3, 2), predictor.probability(itself)[0]), abs=2e-3)
    assert cell_probabilities(predictor, post, grid[:-1]) is None


def test_families_are_those_of_the_model(own):
    rows = own.warehouse.query("FROM marts.object_families ORDER BY rank").to_pylist()
    files = sorted((own.home / "models" / "pics" / "learn_deeply").glob("*/families.json"))
    weights = json.loads(files[0].read_text(encoding="utf-8"))
    assert {row["family"]: [row["weight"], row["weight_low"], row["weight_high"]] for row in rows} == weights
    assert [row["weight"] for row in rows] == sorted((row["weight"] for row in rows), reverse=True)
    assert (own.home / "figures" / "pics/object_families.png").is_file()


@pytest.mark.parametrize(("table", "figure"), [("image_category_posts", CATEGORIES), ("word_attention", ATTENTION)])
def test_forgetting_a_post_takes_its_rows_and_the_figure_that_shows_it(own, table, figure):
    shown = own.warehouse.scalar(
        f"SELECT min(post_id) FROM marts.{table} JOIN core.primary_images USING (post_id) WHERE figure IS NOT NULL "
        "AND image_sha256 IN (SELECT image_sha256 FROM core.primary_images GROUP BY ALL HAVING count(*) = 1)"
    )
    path = own.home / "figures" / figure
    assert path.is_file()
    done = forgetting.forget(own.warehouse, ImageStore(own.home / "images"), {shown: "by_request"})
    assert not path.exists()
    assert done.files >= 2  # and the picture
    rows = own.warehouse.query(f"FROM marts.{table}").to_pylist()
    assert rows
    assert shown not in {row["post_id"] for row in rows}
    assert {row["figure"] for row in rows} == {None}
    assert own.warehouse.scalar(forgetting.trace_query(own.warehouse.schema)) == 0


def test_forgetting_another_post_leaves_figures_alone(own):
    other = own.warehouse.scalar(
        "SELECT min(post_id) FROM core.posts WHERE post_id NOT IN ("
        "SELECT post_id FROM marts.image_category_posts WHERE figure IS NOT NULL "
        "UNION ALL SELECT post_id FROM marts.word_attention)"
    )
    forgetting.forget(own.warehouse, ImageStore(own.home / "images"), {other: "by_request"})
    assert (own.home / "figures" / CATEGORIES).is_file()
    assert (own.home / "figures" / ATTENTION).is_file()


def test_a_post_that_is_no_post_any_more_leaves_figures_with_what_nobody_uses(own):
    shown = own.warehouse.scalar("SELECT min(post_id) FROM marts.word_attention")
    with own.warehouse.write() as writer:
        writer.execute("DELETE FROM core.posts WHERE post_id = $post", {"post": shown})
    done = forgetting.erase_unused_content(own.warehouse, ImageStore(own.home / "images"))
    assert not (own.home / "figures" / ATTENTION).exists()
    assert own.warehouse.scalar("SELECT count(*) FROM marts.word_attention WHERE post_id = $p", {"p": shown}) == 0
    assert done.rows["marts.word_attention"] >= 1


def test_what_was_forgotten_while_an_analysis_ran_is_neither_stored_nor_drawn(own, monkeypatch):
    shown = own.warehouse.scalar("SELECT min(post_id) FROM marts.word_attention")
    FigureStore(own.home / "figures").remove(ATTENTION)
    real = word_attention.measure

    def slow(study):
        finding = real(study)
        forgetting.forget(own.warehouse, ImageStore(own.home / "images"), {shown: "by_request"})
        return finding

    from dataclasses import replace

    outcome = refresh(replace(WORD_ATTENTION, measure=slow), [own.study()], own.warehouse)
    assert outcome.measured == 1
    assert outcome.figures == ()
    assert shown not in {row["post_id"] for row in outcome.rows}
    assert own.warehouse.scalar(forgetting.trace_query(own.warehouse.schema)) == 0
    monkeypatch.undo()
    again = refresh(WORD_ATTENTION, [own.study()], own.warehouse)  # another six
    assert again.figures == (ATTENTION,)


def test_a_digest_tells_equal_figures(own):
    path = own.home / "figures" / ATTENTION
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    path.unlink()
    assert refresh(WORD_ATTENTION, [own.study()], own.warehouse).measured == 1
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
