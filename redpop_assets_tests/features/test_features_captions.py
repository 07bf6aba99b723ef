import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.features.captions import COLUMNS, EMOTIONS, caption_features

TOP_2013 = Path(__file__).resolve().parents[3] / "shared" / "data" / "reddit_top_2013"


def one(caption: str) -> dict[str, float]:
    return {name: float(values[0]) for name, values in caption_features([caption]).items()}


def test_counts_and_tags():
    found = one("I finally made it to Mt. Fuji! Isn't it GREAT? [OC] [1968x1310]")
    assert found["characters"] == 63
    assert found["words"] == 12
    assert found["digits"] == 8
    assert found["question_marks"] == found["exclamation_marks"] == 1
    assert found["punctuation"] == 1 + 1 + 1 + 1 + 4
    assert found["bracket_tags"] == 2
    assert found["has_oc_tag"] == found["has_resolution_tag"] == 1
    assert found["first_person_share"] == pytest.approx(1 / 12)
    assert found["emoji"] == 0


def test_upper_case_share_is_of_cased_letters():
    assert one("LOOK at 日本 2024")["upper_case_share"] == pytest.approx(4 / 6)
    assert one("日本")["upper_case_share"] == 0


@pytest.mark.parametrize(
    ("caption", "original", "resolution", "square"),
    [
        ("Sunrise (OC, 4000 x 3000)", 1, 1, 0),
        ("Sunrise [oc][1920×1080]", 1, 1, 2),
        ("Sunrise 5,184 X 3,456", 0, 1, 0),
        ("Sunrise in OC, California (Oct 2020)", 0, 0, 0),
        ("An unclosed [OC", 0, 0, 0),
        ("4x4 in the mud", 0, 0, 0),
    ],
)
def test_tags(caption, original, resolution, square):
    found = one(caption)
    assert (found["has_oc_tag"], found["has_resolution_tag"], found["bracket_tags"]) == (original, resolution, square)


@pytest.mark.parametrize(
    ("caption", "count"),
    [
        ("My dog 🐶", 1),
        ("👨‍👩‍👧‍👦 and 👍🏽", 2),
        ("🇯🇵🇫🇷", 2),
        ("🏴󠁧󠁢󠁳󠁣󠁴󠁿", 1),
        ("1️⃣ of 2", 1),
        ("❤️ and ☀", 2),
        ("plain © 2020 ™", 0),
        ("日本の朝", 0),
    ],
)
def test_emoji_are_counted_as_seen(caption, count):
    assert one(caption)["emoji"] == count


@pytest.mark.parametrize(
    "caption", ["", "   ", "🐶🐶", "\ufe0f", "...", "日本の美しい朝", "ภาพถ่าย", "सूर्योदय", "\ud83d", "\x00"]
)
def test_odd_captions_are_finite(caption):
    features = caption_features([caption])
    assert list(features) == list(COLUMNS)
    for values in features.values():
        assert values.shape == (1,)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()


def test_no_words_no_emotions():
    for caption in ("", "🐶", "..."):
        found = one(caption)
        assert found["words"] == found["mean_word_length"] == found["first_person_share"] == 0
        assert all(found[f"nrc_{emotion}"] == 0 for emotion in EMOTIONS)


def test_combining_marks_do_not_split_words():
    assert one("सूर्योदय")["words"] == 1
    assert one("cafe\u0301 noir")["words"] == 2


def test_vader_tells_good_from_bad():
    good, bad = one("What a wonderful, happy dog!"), one("A horrible, sad accident")
    assert good["vader_compound"] > 0.5
    assert bad["vader_compound"] < -0.5
    assert good["vader_negative"] + good["vader_neutral"] + good["vader_positive"] == pytest.approx(1, abs=2e-3)


def test_nrc_is_a_share_of_words_and_knows_inflections():
    assert one("the storm")["nrc_anger"] == 0.5
    bases = ["storm", "mother", "puppy", "jump", "ban", "share", "beach"]
    inflected = ["storms", "mother’s", "puppies", "jumping", "banned", "shared", "beaches", "being"]
    expected, found = caption_features(bases), caption_features(inflected)
    for row, base in enumerate(bases):
        emotions = [expected[f"nrc_{emotion}"][row] for emotion in EMOTIONS]
        assert any(emotions), base
        assert emotions == [found[f"nrc_{emotion}"][row] for emotion in EMOTIONS]
    assert not any(found[f"nrc_{emotion}"][-1] for emotion in EMOTIONS)


def test_rows_do_not_depend_on_each_other():
    captions = ["A storm", "", "Finally home [OC]", "🐶"]
    together = caption_features(captions)
    for row, caption in enumerate(captions):
        alone = caption_features([caption])
        assert all(together[name][row] == alone[name][0] for name in COLUMNS)


def test_no_captions():
    assert all(values.shape == (0,) for values in caption_features([]).values())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(), max_size=80), max_size=4))
def test_any_text_gives_finite_bounded_numbers(captions):
    features = caption_features(captions)
    for name, values in features.items():
        assert np.isfinite(values).all()
        if name.endswith("share") or name.startswith(("nrc_", "has_")):
            assert ((values >= 0) & (values <= 1)).all()
        if name not in ("vader_compound", "coleman_liau", "automated_readability"):
            assert (values >= 0).all()


@pytest.mark.skipif(not TOP_2013.is_dir(), reason=f"no recorded top posts at {TOP_2013}")
def test_real_captions():
    with gzip.open(TOP_2013 / "EarthPorn.csv.gz", "rt", encoding="utf-8", newline="") as file:
        captions = [row["title"] for row in csv.DictReader(file)]
    features = caption_features(captions)
    assert all(np.isfinite(values).all() for values in features.values())
    # The rules of r/EarthPorn demand the resolution in the title.
    assert features["has_resolution_tag"].mean() > 0.99
