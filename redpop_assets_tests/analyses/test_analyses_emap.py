"""EMAP of predictors: sides are told apart, and only a planted interaction makes a gap."""

from dataclasses import replace

import numpy as np
import pytest

from redpop_assets.analyses import emap
from redpop_assets.analyses.asking import refresh
from redpop_assets.analyses.emap import EMAP, crossed, sees_both
from redpop_assets.analyses.study import Model
from redpop_assets.encoders.base import CODE_VERSION
from redpop_assets.predictors.base import Predictor, Training
from redpop_assets.predictors.dataset import BLOCK_NAMES
from redpop_assets.storage.arrow import arrow_table

pytestmark = pytest.mark.integration


class Planted(Predictor):
    """Says a product, or a sum, of the first component of the picture and the number of words."""

    name = "planted"
    title = "of the test"
    requires = frozenset()
    uses = frozenset({"image", "text"})
    code_version = "1"

    def __init__(self, product: bool, blocks=("image", "text")):
        super().__init__()
        self.product, self._fitted = product, True
        self.columns = {name: {"image": ("embedding_0",), "text": ("words",)}[name] for name in blocks}

    def _fit(self, train, validation):  # noqa: ARG002
        return Training(np.zeros(len(validation)))

    def _predict(self, data):
        picture, words = (np.nan_to_num(data.blocks[name].values[:, 0]) for name in ("image", "text"))
        return (picture * words if self.product else picture + words).astype(np.float64)

    def _save_files(self, folder):  # noqa: ARG002
        return []

    def _load_files(self, folder):
        pass


@pytest.fixture
def measured(community, monkeypatch):
    """The row of a planted predictor in a community whose labels are what it predicts, and noise."""

    def measure(product, model=None):
        study = community.study()
        predictor = Planted(product)
        model = Model("planted", "d" * 64, community.encoders, ("image", "text"))
        parts = study.parts(model.blocks)
        rng = np.random.default_rng(3)
        labels = {
            part: (predictor.predict(found.data) + 0.3 * rng.normal(size=len(found.data))).astype(np.float32)
            for part, found in parts.items()
        }
        planted = {
            part: replace(found, data=replace(found.data, log_score=labels[part])) for part, found in parts.items()
        }
        monkeypatch.setattr(type(study), "parts", lambda *_: planted)
        return emap._measure(study, model, predictor)

    return measure


def test_a_planted_interaction_makes_a_gap_beyond_chance(measured):
    row = measured(product=True)
    assert row["gap_low"] > 0.2
    assert row["gap"] == pytest.approx(row["spearman"] - row["additive_spearman"])
    assert row["additive_share"] < 0.6
    assert row["reason"] is None


def test_a_sum_makes_none(measured):
    row = measured(product=False)
    assert row["gap"] == pytest.approx(0.0, abs=1e-6)
    assert row["gap_low"] <= 0.0 <= row["gap_high"]
    assert row["spearman_low"] > 0.8
    assert row["additive_share"] == pytest.approx(1.0)


def test_a_crossed_post_has_the_picture_of_one_and_the_text_of_the_other(community):
    study = community.study()
    data = study.parts(BLOCK_NAMES)["test"].data
    texts, pictures = np.array([3, 0, 2]), np.array([1, 5, 2])
    cosine = np.arange(len(data) ** 2, dtype=np.float32).reshape(len(data), len(data)) / len(data) ** 2
    made = crossed(data, texts, pictures, cosine)
    assert made.captions == tuple(data.captions[row] for row in texts)
    assert (made.created_at == data.created_at[texts]).all()
    assert made.log_score is None
    of_picture = {"image", "pixels", "visual", "objects", "concepts", "seen", "faces", "image_text"}
    for name, block in data.blocks.items():
        if name == "agreement":
            assert made.blocks[name].values[:, 0] == pytest.approx(cosine[texts, pictures])
            assert made.blocks[name].values[:, 1] == pytest.approx(1 - cosine[texts, pictures])
        elif name in ("neighbours", "retrieved"):
            for at, column in enumerate(block.columns):
                source = pictures if column.startswith(("image_", "both_")) else texts
                assert np.array_equal(made.blocks[name].values[:, at], block.values[source, at])
        else:
            source = pictures if name in of_picture else texts
            assert np.array_equal(made.blocks[name].values, block.values[source], equal_nan=True), name
    same = crossed(data, np.arange(len(data)), np.arange(len(data)), None)
    assert all(
        np.array_equal(same.blocks[name].values, block.values, equal_nan=True)
        for name, block in data.blocks.items()
        if name != "agreement"
    )
    assert not same.blocks["agreement"].present.any()


def test_agreement_of_a_pair_is_the_cosine_of_its_vectors(community, tmp_path):
    own = community.copy(tmp_path / "home")
    data = own.study().parts([])["test"].data
    rng = np.random.default_rng(0)
    clip = community.encoders.clip
    with own.warehouse.write() as writer:
        for table, key, source in (
            ("features.image_embeddings", "image_sha256", "core.primary_images"),
            ("features.caption_embeddings", "caption_sha256", "core.posts"),
        ):
            keys = writer.query(f"SELECT DISTINCT {key} FROM {source} WHERE {key} IS NOT NULL ORDER BY 1").column(0)
            vectors = rng.normal(size=(len(keys), 4)).astype(np.float32)
            rows = {key: keys.to_pylist(), "encoder": [clip] * len(keys), "code_version": [CODE_VERSION] * len(keys)}
            writer.append(table, arrow_table({**rows, "embedding": list(map(list, vectors))}))
    found = emap._agreement(own.study(), Model("any", "d", community.encoders, ()), data)
    assert found.shape == (len(data), len(data))
    pairs = own.warehouse.query(
        "SELECT a.post_id AS text, b.post_id AS picture, list_dot_product(c.embedding, v.embedding) AS cosine "
        "FROM core.posts AS a, core.primary_images AS b, features.caption_embeddings AS c, "
        "features.image_embeddings AS v "
        "WHERE c.caption_sha256 = a.caption_sha256 AND v.image_sha256 = b.image_sha256 AND c.encoder = $clip "
        "AND v.encoder = $clip AND a.post_id IN (SELECT unnest($ids)) AND b.post_id IN (SELECT unnest($ids))",
        {"clip": clip, "ids": list(data.post_ids)},
    ).to_pylist()
    at = {post: row for row, post in enumerate(data.post_ids)}
    for pair in pairs:
        assert found[at[pair["text"]], at[pair["picture"]]] == pytest.approx(pair["cosine"], rel=1e-4)
    assert np.isfinite(found).sum() == len(pairs)


def test_without_vectors_no_pair_agrees(community):
    data = community.study().parts([])["test"].data
    assert np.isnan(emap._agreement(community.study(), Model("any", "d", community.encoders, ()), data)).all()


def test_who_sees_both():
    assert sees_both(Planted(True))
    assert not sees_both(Planted(True, ("image",)))
    assert not sees_both(Planted(True, ("text",)))


def test_only_trained_predictors_of_both_sides_are_asked_and_only_once(community, tmp_path):
    own = community.copy(tmp_path / "home")
    outcome = refresh(EMAP, [own.study()], own.warehouse)
    (row,) = outcome.rows
    assert (row["subreddit"], row["predictor"]) == ("pics", "fusion_lightgbm")
    assert row["spearman_low"] > 0
    assert row["gap_low"] <= row["gap"] <= row["gap_high"]
    assert outcome.measured == 1
    before = own.warehouse.fingerprint("marts.emap")
    assert refresh(EMAP, [own.study()], own.warehouse).measured == 0
    assert own.warehouse.fingerprint("marts.emap") == before
    assert refresh(EMAP, [own.study(seed=8)], own.warehouse).measured == 1


def test_a_small_test_part_is_said(community, monkeypatch):
    monkeypatch.setattr(emap, "LEAST_POSTS", 1000)
    (row,) = emap.measure(community.study()).rows
    assert "too few test posts" in row["reason"]
    assert "spearman" not in row
