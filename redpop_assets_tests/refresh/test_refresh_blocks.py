"""From feature tables to blocks: the right rows of the right posts, and nothing that became known only afterwards."""

from dataclasses import replace

import numpy as np
import pytest

from redpop_assets.features.family import Encoders
from redpop_assets.features.registry import BLOCKS
from redpop_assets.predictors.dataset import BLOCK_NAMES
from redpop_assets.refresh.blocks import (
    block_columns,
    block_digests,
    dataset_digest,
    make_block,
    read_dataset,
)
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.schema import load_schema

pytestmark = pytest.mark.integration


@pytest.fixture
def filled(empty_warehouse, fill, keep):
    fill(empty_warehouse, posts=60)
    fill(empty_warehouse, "earthporn", posts=20, seed=1)
    return keep(empty_warehouse)


def test_what_became_known_after_the_post_is_no_input():
    refused = {
        (block, column.name)
        for block, table in ((name, family.table) for name, family in BLOCKS.items())
        for column in load_schema()[table].columns
        if column.known_at == "after_post"
    }
    assert ("flags", "over_18") in refused  # moderators set it, too
    offered = {(block, column.name) for block in BLOCKS for column in block_columns(block)}
    assert not offered & refused
    assert {column.known_at for block in BLOCKS for column in block_columns(block)} <= {"before_post", "at_post"}


def test_a_dataset_is_one_community_in_the_order_of_ids(filled, encoders):
    data = read_dataset(filled, "pics", encoders)
    ids = filled.query("SELECT post_id, created_at FROM core.posts WHERE subreddit = 'pics' ORDER BY 1").to_pydict()
    assert data.subreddit == "pics"
    assert list(data.post_ids) == ids["post_id"]
    assert data.created_at.tolist() == ids["created_at"]
    assert data.log_score is None
    assert set(data.blocks) == set(BLOCK_NAMES)


def test_chosen_posts_are_as_they_are_among_all(filled, encoders):
    everybody = read_dataset(filled, "pics", encoders)
    chosen = everybody.post_ids[5:25:3]
    data = read_dataset(filled, "pics", encoders, chosen=[*reversed(chosen), "of another community"])
    assert data.post_ids == chosen
    assert dataset_digest(data) == dataset_digest(everybody.take(np.arange(5, 25, 3)))
    assert len(read_dataset(filled, "pics", encoders, chosen=[])) == 0


@pytest.mark.parametrize("pictures", [True, False])
@pytest.mark.parametrize("rows_at_once", [1, 7, 60, 1000])
def test_a_block_has_the_same_digest_in_however_many_parts_it_is_read(
    empty_warehouse, fill, encoders, pictures, rows_at_once
):
    fill(empty_warehouse, posts=20, images=pictures)
    with empty_warehouse.read() as reader:
        whole = read_dataset(reader, "pics", encoders)
        whole = replace(whole, log_score=np.arange(20, dtype=np.float32))
        found = list(block_digests(reader, whole, encoders, BLOCK_NAMES, rows_at_once=rows_at_once))
    for block in found:
        alone = replace(whole, blocks={block.name: whole.blocks[block.name]})
        assert (block.digest, block.present) == (dataset_digest(alone), whole.blocks[block.name].present.sum())
    assert [block.name for block in found] == list(BLOCK_NAMES)


def test_a_block_of_no_posts_has_a_digest(empty_warehouse, fill, encoders):
    fill(empty_warehouse, posts=5)
    with empty_warehouse.read() as reader:
        nobody = read_dataset(reader, "pics", encoders, chosen=[])
        found = list(block_digests(reader, nobody, encoders, ["text"]))
    assert [(block.digest, block.present) for block in found] == [
        (dataset_digest(replace(nobody, blocks={"text": nobody.blocks["text"]})), 0)
    ]


@pytest.mark.parametrize("block", sorted(set(BLOCK_NAMES) - {"ratings"}))
def test_every_post_has_its_own_values(filled, encoders, block):
    data = read_dataset(filled, "pics", encoders)
    found = data.blocks[block]
    table = BLOCKS[block].table
    columns = [column.name for column in block_columns(block)]
    keys = load_schema()[table].column_names
    links = [name for name in ("image_sha256", "caption_sha256", "post_id") if name in keys]
    on = " AND ".join(f"f.{link} = {'i' if link == 'image_sha256' else 'p'}.{link}" for link in links)
    rows = filled.query(
        f"SELECT p.post_id, {', '.join('f.' + name for name in columns)} FROM core.posts AS p "
        f"LEFT JOIN core.image_fetches AS i ON i.url = p.image_urls[1] JOIN {table} AS f ON {on} "
        "WHERE p.subreddit = 'pics'"
    ).to_pylist()
    assert len(rows) == found.present.sum() > 0
    position = {post_id: index for index, post_id in enumerate(data.post_ids)}
    for row in rows:
        flat = np.concatenate([np.atleast_1d(np.asarray(row[name], dtype=np.float32)) for name in columns])
        assert np.array_equal(found.values[position[row["post_id"]]], flat)


def test_a_dead_picture_leaves_a_gap_and_a_repeated_one_is_shared(filled, encoders):
    data = read_dataset(filled, "pics", encoders)
    gone = {
        row["post_id"]
        for row in filled.query(
            "SELECT post_id FROM core.posts JOIN core.image_fetches ON url = image_urls[1] WHERE status = 'failed'"
        ).to_pylist()
    }
    for block in ("image", "pixels", "visual", "objects", "concepts"):
        found = data.blocks[block]
        assert {post for post, there in zip(data.post_ids, found.present, strict=True) if not there} == {
            post for post in gone if post.startswith("pi")
        }
        assert np.isnan(found.values[~found.present]).all()
        assert np.array_equal(found.values[38], found.values[39])
    for block in ("caption", "text", "time", "author", "flags", "entities", "community"):
        assert data.blocks[block].present.all()


def test_columns_of_arrays_are_numbered_in_their_order(filled, encoders):
    data = read_dataset(filled, "pics", encoders)
    assert data.blocks["image"].columns == tuple(f"embedding_{n}" for n in range(6))
    hours = [name for name in data.blocks["time"].columns if name.startswith("hour_onehot")]
    assert hours == [f"hour_onehot_{n:02d}" for n in range(24)]


def test_vectors_of_other_encoders_and_versions_do_not_count(filled, encoders):
    other = read_dataset(filled, "pics", Encoders(image="timm:resnet50/random", caption=encoders.caption))
    assert other.blocks["image"].columns == ()
    assert not other.blocks["image"].present.any()
    assert other.blocks["pixels"].present.any()
    for table in ("features.image_embeddings", "features.caption_features", "features.timestamp_features"):
        with filled.write() as writer:
            writer.execute(f"UPDATE {table} SET code_version = 'of another time'")
    data = read_dataset(filled, "pics", encoders)
    for block in ("image", "text", "time"):
        assert not data.blocks[block].present.any()
    assert data.blocks["caption"].present.all()


def test_two_versions_side_by_side_do_not_double_a_post(filled, encoders):
    before = dataset_digest(read_dataset(filled, "pics", encoders))
    with filled.write() as writer:
        for table in ("features.image_embeddings", "features.caption_features"):
            old = writer.query(f"SELECT * REPLACE ('0' AS code_version) FROM {table}")
            assert writer.append(table, old) > 0
    assert dataset_digest(read_dataset(filled, "pics", encoders)) == before


def test_a_community_without_posts_is_an_empty_dataset(filled, encoders):
    data = read_dataset(filled, "aww", encoders)
    assert len(data) == 0
    assert set(data.blocks) == set(BLOCK_NAMES)
    assert data.blocks["time"].values.shape == (0, len(data.blocks["time"].columns))


def test_training_and_prediction_agree_on_columns(filled, encoders):
    """What one post is given by hand has the columns that the tables have, in their order."""
    from redpop_assets.features.captions import caption_features
    from redpop_assets.features.flags import flag_features
    from redpop_assets.features.timestamps import timestamp_features

    data = read_dataset(filled, "pics", encoders)
    made = {
        "text": caption_features(["A caption"]),
        "time": timestamp_features(np.array(["2026-01-01T00:00:00"], dtype="datetime64[s]")),
        "flags": flag_features(["image"], [1], [None], [False], [None], [False], [False]),
    }
    for block, features in made.items():
        assert make_block(block, features).columns == data.blocks[block].columns


def test_a_missing_column_is_an_error():
    with pytest.raises(KeyError, match="hour"):
        make_block("time", {"weekday": np.zeros(1, dtype=np.float32)})


def test_the_digest_sees_every_value(filled, encoders):
    def digest():
        return dataset_digest(read_dataset(filled, "pics", encoders))

    before = digest()
    assert digest() == before
    statements = (
        "UPDATE features.author_features SET past_posts = past_posts + 1 WHERE post_id = 'pi00003'",
        "UPDATE core.posts SET created_at = created_at + INTERVAL 1 SECOND WHERE post_id = 'pi00003'",
        "DELETE FROM features.caption_embeddings WHERE caption_sha256 = "
        "(SELECT caption_sha256 FROM core.posts WHERE post_id = 'pi00003')",
    )
    seen = {before}
    for statement in statements:
        with filled.write() as writer:
            assert writer.execute(statement) == 1
        seen.add(digest())
    assert len(seen) == 4
    with filled.write() as writer:
        writer.execute("UPDATE core.posts SET flair = 'x', over_18 = true")
        writer.execute("UPDATE features.post_flags SET over_18 = 7")  # refused as input, so nothing depends on it
    assert digest() in seen


def test_scores_of_judges_stand_side_by_side(filled, encoders):
    pictures = filled.query("SELECT DISTINCT image_sha256 FROM features.image_features").column(0).to_pylist()
    rows = {
        "image_sha256": [*pictures, *pictures[:50]],
        "scorer": ["nima"] * len(pictures) + ["iipa"] * 50,
        "weights": ["path"] * (len(pictures) + 50),
        "weights_sha256": ["1"] * (len(pictures) + 50),
        "code_version": ["1"] * (len(pictures) + 50),
        "score": np.arange(len(pictures) + 50, dtype=np.float32),
        "spread": np.full(len(pictures) + 50, 2, np.float32),
    }
    filled.merge("features.image_scores", arrow_table(rows))
    found = read_dataset(filled, "pics", encoders, ["ratings"]).blocks["ratings"]
    assert found.columns == ("intrinsic_popularity", "rating", "rating_spread", "aesthetic")
    assert np.isnan(found.values[found.present][:, 3]).all()
    assert set(found.values[found.present][:, 2]) == {2}
    first = filled.query(
        "SELECT post_id FROM core.primary_images WHERE image_sha256 = $picture ORDER BY 1", {"picture": pictures[0]}
    ).to_pylist()[0]["post_id"]
    row = read_dataset(filled, "pics", encoders, ["ratings"]).post_ids.index(first)
    assert found.values[row].tolist()[:3] == [len(pictures), 0, 2]
