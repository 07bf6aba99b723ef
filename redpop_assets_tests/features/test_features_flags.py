import numpy as np
import pytest

from redpop_assets.features.flags import COLUMNS, flag_features


def test_flags():
    features = flag_features(
        ["image", "gallery", "crosspost", "image"],
        [1, 5, 1, 1],
        [None, None, "abc", "def"],
        [True, False, False, False],
        ["OC", None, "", "  "],
        [False, True, False, False],
        [False, False, True, False],
    )
    assert list(features) == list(COLUMNS)
    assert all(values.dtype == np.float32 and values.shape == (4,) for values in features.values())
    assert features["is_gallery"].tolist() == [0, 1, 0, 0]
    assert features["image_count"].tolist() == [1, 5, 1, 1]
    assert features["is_crosspost"].tolist() == [0, 0, 1, 1]
    assert features["is_original_content"].tolist() == [1, 0, 0, 0]
    assert features["has_flair"].tolist() == [1, 0, 0, 0]
    assert features["over_18"].tolist() == [0, 1, 0, 0]
    assert features["spoiler"].tolist() == [0, 0, 1, 0]


def test_no_posts():
    assert all(values.shape == (0,) for values in flag_features([], [], [], [], [], [], []).values())


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="image_count, spoiler must have"):
        flag_features(["image"], [], [None], [False], [None], [False], [])
