"""A post that is not made yet is seen as the graph sees a post of that moment."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC

import numpy as np
import pytest
from PIL import Image

from redpop_assets.features.family import Networks
from redpop_assets.images.decode import open_rgb
from redpop_assets.predictors.dataset import BLOCK_NAMES
from redpop_assets.refresh.blocks import block_columns, read_dataset
from redpop_assets.refresh.new_post import Drafts, NewPost, Picture
from redpop_assets.resources import deployed_encoders, judges_of
from redpop_assets.storage.images import ImageStore
from redpop_assets_tests.fixtures.deployments import NOT_IN_PIPELINE

pytestmark = pytest.mark.end_to_end

NETWORKS = {
    *("image", "caption", "concepts", "agreement", "ratings", "objects", "neighbours", "environment", "title_past"),
}


@pytest.fixture(scope="module")
def stored(pipeline):
    """(warehouse, encoders, dataset of all blocks) of r/pics after its run."""
    deployment = pipeline.deployment
    settings = deployment.settings
    encoders = deployed_encoders(settings)
    return deployment.warehouse, encoders, read_dataset(deployment.warehouse, "pics", encoders)


@pytest.fixture(scope="module")
def asked(pipeline, stored):
    """A post of the middle of r/pics, asked about as if it were not there; and its row in the dataset."""
    warehouse, _, data = stored
    settings = pipeline.deployment.settings
    row = next(
        row
        for row in np.argsort(data.created_at)[len(data) // 2 :]
        if data.blocks["image"].present[row] and data.blocks["author"].values[row, 0] > 0
    )
    picture = warehouse.query(
        "SELECT i.path FROM core.primary_images JOIN core.images AS i USING (image_sha256) WHERE post_id = $post",
        {"post": data.post_ids[row]},
    ).to_pylist()[0]
    post = NewPost(
        warehouse,
        "pics",
        (data.captions[row],),
        open_rgb(ImageStore(settings.home / "images").read(picture["path"])),
        posted_at=data.created_at[row].item().replace(tzinfo=UTC),
        author=data.authors[row],
        matured_after=settings.label_rule.final_age,
        device="cpu",
        judges=judges_of(settings, warehouse.query),
    )
    return post, row


@pytest.mark.parametrize("name", [name for name in BLOCK_NAMES if name not in NOT_IN_PIPELINE])
def test_each_block_is_that_of_the_post(stored, asked, name):
    _, encoders, data = stored
    post, row = asked
    made, known = post.block(name, encoders), data.blocks[name]
    assert known.present[row]
    assert made.columns == known.columns
    assert len(block_columns(name)) > 0
    if name == "flags":  # that is what the people who ask do not say
        return
    there = ~np.isnan(known.values[row])
    assert np.array_equal(~np.isnan(made.values[0]), there)
    if name in NETWORKS | {"pixels", "visual"}:
        # Networks run in lower precision in the graph, where large JPEGs are decoded at a fraction of their size.
        a, b = made.values[0][there], known.values[row][there]
        assert (a @ b) / (np.linalg.norm(a) * np.linalg.norm(b)) > 0.995
    else:
        np.testing.assert_allclose(made.values[0], known.values[row], rtol=1e-5, atol=1e-6)


def test_without_a_picture_it_lacks_what_is_made_of_one(pipeline, stored):
    warehouse, encoders, data = stored
    settings = pipeline.deployment.settings
    post = NewPost(
        warehouse,
        "pics",
        ("A title alone",),
        None,
        posted_at=data.created_at.max().item().replace(tzinfo=UTC),
        author=None,
        matured_after=settings.label_rule.final_age,
        device="cpu",
        judges=judges_of(settings, warehouse.query),
    )
    of_pictures = {"image", "pixels", "visual", "objects", "concepts", "agreement", "ratings", "faces", "image_text"}
    assert {name for name in BLOCK_NAMES if post.block(name, encoders) is None} == of_pictures
    with pytest.raises(ValueError, match="no block 'colour'"):
        post.block("colour", encoders)


def test_no_family_minds_that_several_people_ask_at_once(pipeline, stored):
    warehouse, encoders, data = stored
    settings = pipeline.deployment.settings
    networks = Networks("cpu", judges_of(settings, warehouse.query))
    picture = Picture(Image.new("RGB", (64, 48), "green"))
    moment = data.created_at.max().item().replace(tzinfo=UTC)
    titles = [f"Anna saw {number} cats in Paris on Tuesday: {title}" for number, title in enumerate(data.captions[:12])]

    def blocks_of(drafts, title):
        draft = drafts.draft("pics", [title], picture, posted_at=moment, author=None)
        return {name: draft.block(name, encoders) for name in BLOCK_NAMES if name not in NOT_IN_PIPELINE}

    one_after_the_other = Drafts(warehouse, networks, settings.label_rule.final_age)
    alone = [blocks_of(one_after_the_other, title) for title in titles]
    at_once = Drafts(warehouse, networks, settings.label_rule.final_age)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda title: blocks_of(at_once, title), titles))
    for one, other in zip(alone, together, strict=True):
        for name, block in one.items():
            np.testing.assert_array_equal(other[name].values, block.values, err_msg=name)
