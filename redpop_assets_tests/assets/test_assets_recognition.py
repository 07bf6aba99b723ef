"""Families that are computed only if they are named: faces and words in pictures, from the files to the blocks."""

from datetime import UTC
from importlib.resources import files

import numpy as np
import pytest

from redpop_assets.definitions import build_defs
from redpop_assets.images.decode import open_rgb
from redpop_assets.refresh.blocks import read_dataset
from redpop_assets.refresh.new_post import NewPost
from redpop_assets.resources import deployed_encoders, judges_of
from redpop_assets.sandbox.pictures import Look, render
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.forgetting import forget
from redpop_assets.storage.images import ImageStore

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(900)]

NOWHERE = "http://127.0.0.1:9"  # nobody is asked: only assets behind the harvest run
TABLES = ("features.image_faces", "features.image_text")
SELECTED = 'key:"features/image_faces" or key:"features/image_text"'


@pytest.fixture(scope="module")
def shown():
    """Post -> the file of its picture: a face, words, neither, and what is no picture."""
    meme = Look("sea", "vivid", "crisp", "words", "plain", "close", 1)
    return {
        "pi00000": files("skimage").joinpath("data/astronaut.png").read_bytes(),
        "pi00001": render(meme),
        "pi00002": files("sklearn").joinpath("datasets/images/flower.jpg").read_bytes(),
        "pi00004": b"\xff\xd8\xff no JPEG",
    }


@pytest.fixture(scope="module")
def recognised(deploy, fill, shown):
    """A deployment that names both families, and the metadata of their first run."""
    deployment = deploy(NOWHERE, REDPOP_OPTIONAL_FAMILIES="faces,image_text")
    warehouse, images = deployment.warehouse, ImageStore(deployment.settings.home / "images")
    fill(warehouse, posts=5)
    digests = warehouse.query(
        "SELECT post_id, image_sha256 FROM core.primary_images WHERE image_sha256 IS NOT NULL ORDER BY post_id"
    )
    assert digests.column("post_id").to_pylist() == list(shown)
    stored = [images.put(data, "png" if post == "pi00000" else "jpg") for post, data in shown.items()]
    count = len(stored)
    columns = {
        "image_sha256": digests.column("image_sha256").to_pylist(),
        "path": [file.path for file in stored],
        "format": ["JPEG"] * count,
        **{name: np.full(count, 512, np.int32) for name in ("bytes", "width", "height")},
        **{name: ["0" * 16] * count for name in ("phash", "dhash")},
        "stored_at": np.full(count, np.datetime64("2026-01-01", "us")),
        **{name: [None] * count for name in ("file_sha256", "pixel_sha256")},
        "contrast": np.full(count, 50.0),
    }
    with warehouse.write() as writer:
        for table in TABLES:
            writer.execute(f"DELETE FROM {table}")
    warehouse.merge("core.images", arrow_table(columns))
    run = deployment.run("pics", SELECTED)
    assert run.success
    return deployment, run.metadata


def test_each_picture_is_looked_at_once(recognised):
    deployment, first = recognised
    assert deployment.rows("SELECT has_face, faces FROM features.image_faces ORDER BY has_face DESC") == [
        {"has_face": 1, "faces": 1},
        {"has_face": 0, "faces": 0},
        {"has_face": 0, "faces": 0},
    ]
    assert sorted(row["lines"] for row in deployment.rows("SELECT lines FROM features.image_text"))[:2] == [0, 0]
    assert deployment.scalar("SELECT max(characters) FROM features.image_text") >= len("NO FILTER") - 1
    assert {first[f"features/{table}"]["rows_computed"] for table in ("image_faces", "image_text")} == {4}
    # The damaged picture is tried again, what there is is not.
    again = deployment.run("pics", SELECTED)
    assert again.success
    assert {again.metadata[f"features/{table}"]["rows_computed"] for table in ("image_faces", "image_text")} == {1}


@pytest.mark.parametrize("name", ["faces", "image_text"])
def test_a_post_that_is_not_made_yet_has_the_same_values(recognised, shown, name):
    deployment, _ = recognised
    settings, warehouse = deployment.settings, deployment.warehouse
    encoders = deployed_encoders(settings)
    data = read_dataset(warehouse, "pics", encoders, [name])
    block = data.blocks[name]
    assert block.present.tolist() == [True, True, True, False, False]
    for row, (post_id, picture) in enumerate(list(shown.items())[:3]):
        post = NewPost(
            warehouse,
            "pics",
            (data.captions[row],),
            open_rgb(picture),
            posted_at=data.created_at[row].item().replace(tzinfo=UTC),
            author=None,
            matured_after=settings.label_rule.final_age,
            device="cpu",
            judges=judges_of(settings, warehouse.query),
        )
        made = post.block(name, encoders)
        assert made.columns == block.columns
        # Columns that networks give; small pictures are decoded in full either way.
        np.testing.assert_allclose(made.values[0], block.values[row], atol=1e-4, err_msg=post_id)


def test_what_was_recognised_goes_with_the_picture(recognised, tmp_path):
    deployment = recognised[0].copy(tmp_path / "home")
    warehouse = deployment.warehouse
    before = {table: deployment.scalar(f"SELECT count(*) FROM {table}") for table in TABLES}
    forgotten = forget(warehouse, ImageStore(deployment.settings.home / "images"), {"pi00000": "author"})
    for table in TABLES:
        assert forgotten.rows[table] == 1
        assert deployment.scalar(f"SELECT count(*) FROM {table}") == before[table] - 1
    assert deployment.scalar("SELECT count(*) FROM features.image_faces WHERE has_face = 1") == 0


def test_who_does_not_name_them_does_not_have_them(recognised):
    deployment, _ = recognised

    def assets(names):
        settings = deployment.using(REDPOP_OPTIONAL_FAMILIES=names).settings
        return {key.to_user_string() for key in build_defs(settings).resolve_all_asset_keys()}

    both = {"features/image_faces", "features/image_text"}
    assert assets("faces,image_text") - assets("") == both
    assert assets("faces") & both == {"features/image_faces"}
