"""What networks said, when the networks are not what one expects."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from redpop_assets.assets.tables import _computing
from redpop_assets.encoders.base import CODE_VERSION as ENCODING_VERSION
from redpop_assets.encoders.lanes import threads_per_pass
from redpop_assets.storage.arrow import arrow_table

pytestmark = pytest.mark.end_to_end

NOWHERE = "http://127.0.0.1:9"  # nobody is asked: only assets behind the harvest run
CLASSIFIER = "timm:tf_efficientnet_lite0/bundled"


@pytest.fixture
def filled(deploy, fill):
    """A deployment with sixty posts whose pictures nobody has classified or judged."""
    deployment = deploy(NOWHERE, REDPOP_IMAGE_ENCODER=CLASSIFIER)
    fill(deployment.warehouse, posts=60)
    with deployment.warehouse.write() as writer:
        columns = {
            column.name: {"VARCHAR": "''", "TIMESTAMP": "now()::TIMESTAMP"}.get(column.type, "1")
            for column in writer.schema["core.images"].columns
        }
        values = ", ".join(f"{value} AS {name}" for name, value in (columns | {"image_sha256": "image_sha256"}).items())
        writer.execute(f"INSERT INTO core.images BY NAME SELECT {values} FROM features.image_features")
        for table in ("features.image_objects", "features.image_scores"):
            writer.execute(f"DELETE FROM {table}")
    return deployment


def classified(deployment, classes):
    """Let a classifier of so many classes have seen all pictures."""
    pictures = [row["image_sha256"] for row in deployment.rows("SELECT image_sha256 FROM features.image_features")]
    rows = {
        "image_sha256": pictures,
        "encoder": [CLASSIFIER] * len(pictures),
        "code_version": [ENCODING_VERSION] * len(pictures),
        "probabilities": pa.array([[1 / classes] * classes] * len(pictures), pa.list_(pa.float32())),
    }
    deployment.warehouse.merge("features.image_classes", pa.table(rows))
    return len(pictures)


def test_a_classifier_of_other_things_than_imagenets_says_nothing_of_objects(filled):
    classified(filled, 10)
    run = filled.run("pics", 'key:"features/image_objects"')
    assert run.success
    assert filled.scalar("SELECT count(*) FROM features.image_objects") == 0


def test_a_classifier_of_imagenet_does(filled):
    pictures = classified(filled, 1000)
    run = filled.run("pics", 'key:"features/image_objects"')
    assert run.success
    assert run.metadata["features/image_objects"]["rows_computed"] == pictures > 30
    found = filled.rows("SELECT families, entropy FROM features.image_objects")
    assert len(found) == pictures
    assert {row["entropy"] for row in found} == {1}
    again = filled.run("pics", 'key:"features/image_objects"')
    assert again.metadata["features/image_objects"]["rows_computed"] == 0


def test_a_judge_whose_weights_are_no_longer_named_leaves_no_scores(filled):
    pictures = [row["image_sha256"] for row in filled.rows("SELECT image_sha256 FROM features.image_features")]
    same = {"scorer": "iipa", "weights": "path", "weights_sha256": "0", "code_version": "1"}
    numbers = {name: np.zeros(len(pictures), np.float32) for name in ("score", "spread")}
    rows = {"image_sha256": pictures, **{name: [value] * len(pictures) for name, value in same.items()}, **numbers}
    filled.warehouse.merge("features.image_scores", arrow_table(rows))
    assert filled.run("pics", 'key:"features/image_scores"').success
    assert filled.scalar("SELECT count(*) FROM features.image_scores") == 0


def test_reproducible_figures_come_of_float32_on_the_processor_whatever_is_faster(deploy, fill):
    vectors = []
    for threads in (1, 2):
        deployment = deploy(NOWHERE, REDPOP_REPRODUCIBLE="true", REDPOP_DEVICE="cuda:99")
        fill(deployment.warehouse, "pics", posts=220, images=False)
        with deployment.warehouse.write() as writer:
            writer.execute("DELETE FROM features.caption_embeddings; DELETE FROM features.encoders")
        with threads_per_pass(threads):
            assert deployment.run("pics", 'key:"features/caption_embeddings"').success
        assert deployment.rows("SELECT backend, precision, batch_size FROM features.encoders") == [
            {"backend": "torch", "precision": "float32", "batch_size": None}
        ]
        assert not (deployment.home / "tuning").exists()
        rows = deployment.rows("SELECT caption_sha256, embedding FROM features.caption_embeddings ORDER BY ALL")
        assert len(rows) > 200
        vectors.append(rows)
    assert vectors[0] == vectors[1]


def test_reproducible_steps_add_up_on_one_thread_and_others_as_they_like(deploy):
    with threads_per_pass(2):
        for reproducible, threads in (("true", 1), ("false", 2)):
            with _computing(deploy(NOWHERE, REDPOP_REPRODUCIBLE=reproducible).settings):
                assert torch.get_num_threads() == threads
            assert torch.get_num_threads() == 2
