import csv
import gzip
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.features import captions as module
from redpop_assets.features.captions import COLUMNS, EMOTIONS, READABILITY_RANGE, caption_features
from redpop_assets.storage.schema import load_schema

TOP_2013 = Path(__file__).resolve().parents[3] / "shared" / "data" / "reddit_top_2013"


def one(caption: str) -> dict[str, float]:
    return {name: float(values[0]) for name, values in caption_features([caption]).items()}


def definition(caption: str) -> dict[str, float]:
    """What the columns of counts, shares and sentiment say, character by character and word by word."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    kept = "".join(
        character if unicodedata.category(character)[0] in "LNM" or character == "'" else " "
        for character in caption.replace("’", "'")
    )
    words = [word.strip("'").casefold() for word in kept.split() if any(map(str.isalnum, word))]
    upper, lower = sum(map(str.isupper, caption)), sum(map(str.islower, caption))
    sentiment = SentimentIntensityAnalyzer().polarity_scores(caption)
    return {
        "characters": len(caption),
        "words": len(words),
        "mean_word_length": sum(map(len, words)) / max(len(words), 1),
        "upper_case_share": upper / max(upper + lower, 1),
        "digits": sum(map(str.isdigit, caption)),
        "punctuation": sum(unicodedata.category(character)[0] == "P" for character in caption),
        "question_marks": sum(character in "?？" for character in caption),
        "exclamation_marks": sum(character in "!！" for character in caption),
        "vader_negative": sentiment["neg"],
        "vader_neutral": sentiment["neu"],
        "vader_positive": sentiment["pos"],
        "vader_compound": sentiment["compound"],
    }


def test_columns_are_those_of_the_table():
    table = load_schema()["features.caption_features"]
    assert table.column_names == ("caption_sha256", "code_version", *COLUMNS)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=60),
            st.text(st.sampled_from("aB I'’.!?[]()#1９é\u0301ßŉǅ日ก🐶\ufe0f\u20e3—“”"), max_size=40),
            st.lists(st.sampled_from(["I", "LOVE", "this", "not", "sad!", "my", "dog's", "❤️", "but"])).map(" ".join),
        ),
        max_size=4,
    )
)
def test_counts_and_sentiment_equal_the_definition(captions):
    features = caption_features(captions)
    for row, caption in enumerate(captions):
        for name, value in definition(caption).items():
            assert features[name][row] == np.float32(value), name


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


def test_rows_are_the_same_in_small_blocks(monkeypatch):
    captions = ["A storm", "", "Finally home [OC]", "🐶", "Hello. World! Again?", "日本"] * 2
    whole = caption_features(captions)
    monkeypatch.setattr(module, "_BLOCK", 5)
    for name, values in caption_features(captions).items():
        assert values.tobytes() == whole[name].tobytes()


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


@pytest.mark.parametrize(
    ("caption", "sentences"),
    [
        ("", 0),
        ("🐶 ...", 0),
        ("My cat", 1),
        ("My cat. Her sofa.", 2),
        ("Is it? Yes! It is", 3),
        ("I finally made it! [OC] [1968x1310]", 1),
        ("[OC] [Norway]", 1),
        ("Mt. Fuji and Dr. Who on St. Mary's at 5 p.m. in the U.S. today", 1),
        ("So... this happened. So... We won", 3),
        ("My wife and I. We love it", 2),
        ("“Wow!” She said 3.5 times", 2),
        ("東京。大阪。", 2),
    ],
)
def test_sentences(caption, sentences):
    assert one(caption)["sentences"] == sentences


def test_readability_follows_its_formulas():
    # 33 letters, 2 numerals, 8 words, 2 sentences.
    found = one("My grandmother painted this. She is over 90!")
    assert found["has_readability"] == 1
    assert found["coleman_liau"] == pytest.approx(5.88 * 33 / 8 - 29.6 * 2 / 8 - 15.8, abs=1e-4)
    assert found["automated_readability"] == pytest.approx(4.71 * 35 / 8 + 0.5 * 8 / 2 - 21.43, abs=1e-4)


def test_long_words_read_harder():
    plain = one("The big dog ran up the old hill to see us")
    learned = one("Extraordinary architectural accomplishments characterise contemporary metropolitan neighbourhoods")
    for index in ("coleman_liau", "automated_readability"):
        assert plain[index] < learned[index] <= READABILITY_RANGE[1]


@pytest.mark.parametrize("caption", ["", "Sunrise", "Internationalisation everywhere", "🐶", "日本の美しい朝"])
def test_a_caption_of_fewer_than_three_words_has_no_readability(caption):
    found = one(caption)
    assert found["has_readability"] == found["coleman_liau"] == found["automated_readability"] == 0


@pytest.mark.parametrize(
    ("caption", "share"),
    [
        ("A Day In The Life", 1),
        ("A day in the LIFE", 0),
        ("Only the first word", 1 / 4),
        ("I and I", 0),
        ("3 Dogs 4 cats", 1 / 2),
        ("日本", 0),
        ("", 0),
    ],
)
def test_title_case_share(caption, share):
    assert one(caption)["title_case_share"] == pytest.approx(share)


@pytest.mark.parametrize(
    ("column", "caption", "count"),
    [
        ("ellipses", "So... I did it … twice.....", 3),
        ("ellipses", "One. Two.. three", 0),
        ("quotations", 'My friend calls him "Mr Photogenic" and “Bob”', 2),
        ("quotations", "«Bonjour» and „Hallo“ and 「こんにちは」", 3),
        ("quotations", "don't won't 5'11 and 6\"", 0),
        ("round_brackets", "Sunrise (OC, 4000 x 3000) at home (finally)", 2),
        ("round_brackets", "a smile :( and an open ( one", 0),
        ("user_mentions", "Thanks u/some_body and /u/other-one, not menu/item", 2),
        ("subreddit_mentions", "x-post from r/aww and /r/Cats_2, or/and", 2),
        ("subreddit_mentions", "see https://example.org/r/pics", 0),
        ("numbers", "7 cats, 10,000 dogs at 3.5 km, the 3rd [1968x1310]", 3),
        ("has_year", "Detroit, 1943", 1),
        ("has_year", "The 1960s [1920x1080]", 1),
        ("has_year", "2,000 of 20001 a1943 18.99", 0),
        ("has_age", "My 3 year-old daughter", 1),
        ("has_age", "Me (24F) and my cat", 1),
        ("has_age", "[M 31] before and after", 1),
        ("has_age", "Adopted him aged 7", 1),
        ("has_age", "my 5yo drew this", 1),
        ("has_age", "Found after 3 years of looking", 0),
    ],
)
def test_facts_of_style(column, caption, count):
    assert one(caption)[column] == count


@pytest.mark.skipif(not TOP_2013.is_dir(), reason=f"no recorded top posts at {TOP_2013}")
def test_real_captions():
    with gzip.open(TOP_2013 / "EarthPorn.csv.gz", "rt", encoding="utf-8", newline="") as file:
        captions = [row["title"] for row in csv.DictReader(file)]
    features = caption_features(captions)
    assert all(np.isfinite(values).all() for values in features.values())
    # The rules of r/EarthPorn demand the resolution in the title.
    assert features["has_resolution_tag"].mean() > 0.99
