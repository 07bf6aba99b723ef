import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.features.captions import caption_features
from redpop_assets.features.tokens import MOST_TOKENS, caption_tokens, cased_words, words
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.testing.warehouses import blank_warehouse


def tokens_of(caption):
    return caption_tokens([caption]).tokens[0]


def tags_of(caption):
    return caption_tokens([caption]).tags[0]


@pytest.mark.parametrize(
    ("caption", "tokens"),
    [
        ("", []),
        ("...", []),
        ("I made it! Isn’t it GREAT?", ["i", "made", "it", "isn't", "it", "great"]),
        ("rock 'n' roll ''", ["rock", "n", "roll"]),
        ("Sunrise [OC] [1968x1310]", ["sunrise", "[oc]", "[resolution]"]),
        ("Sunrise (OC, 5,184 X 3,456)", ["sunrise", "[oc]", "[resolution]"]),
        ("Sunrise 4000 x 3000", ["sunrise", "[resolution]"]),
        ("The 3rd of 10,000 in 1934", ["the", "#rd", "of", "##,###", "in", "####"]),
        ("at 10:30, 3.5 km.", ["at", "##:##", "#.#", "km"]),
        ("My dog🐶 and ❤️", ["my", "dog", "🐶", "and", "❤"]),
        ("👍🏽 equals 👍", ["👍", "equals", "👍"]),
        ("🇯🇵 1️⃣", ["🇯🇵", "1⃣"]),
        ("🏻", ["🏻"]),
        ("Me (24F) [oh, after all these years]", ["me", "##f", "oh", "after", "all", "these", "years"]),
        ("An unclosed [OC", ["an", "unclosed", "oc"]),
        ("a [b (c) d]", ["a", "b", "c", "d"]),
        ("सूर्योदय cafe\u0301", ["सूर्योदय", "cafe\u0301"]),
        ("STRASSE straße", ["strasse", "strasse"]),
    ],
)
def test_tokens(caption, tokens):
    assert tokens_of(caption) == tokens


@pytest.mark.parametrize(
    ("caption", "tags"),
    [
        ("No tags (but a remark)", []),
        ("[OC] and [oc] and [ Oc ]", ["[oc]"]),
        ("[OC, Norway; 1920×1080]", ["[oc]", "[norway]", "[resolution]"]),
        ("[X-Post from /r/aww]", []),
        ("[x-post r/aww]", ["[x post r aww]"]),
        ("[NSFW][Album] 1920x1080", ["[nsfw]", "[album]", "[resolution]"]),
        ("[🔥] [] [ ]", []),
        ("(OC) (4000 x 3000)", ["[oc]", "[resolution]"]),
        ("(OC Norway)", []),
        ("[F4M]", ["[f#m]"]),
    ],
)
def test_tags(caption, tags):
    assert tags_of(caption) == tags


def test_a_tag_is_also_a_token_in_its_place():
    assert tokens_of("[OC] my cat [at home]") == ["[oc]", "my", "cat", "[at home]"]


def test_long_captions_are_cut_and_keep_their_tags():
    found = caption_tokens(["word " * 100 + "[OC]"])
    assert found.tokens == [["word"] * MOST_TOKENS]
    assert found.tags == [["[oc]"]]


@given(st.text(max_size=80))
def test_words_are_runs_of_letters_digits_and_marks(caption):
    kept = "".join(
        character if unicodedata.category(character)[0] in "LNM" or character == "'" else " "
        for character in caption.replace("’", "'")
    )
    expected = [word.strip("'") for word in kept.split() if any(map(str.isalnum, word))]
    assert cased_words(caption) == expected
    assert words(caption) == [word.casefold() for word in expected]


@given(st.lists(st.text(st.one_of(st.characters(), st.sampled_from("[](),1x ’'🐶")), max_size=60), max_size=4))
def test_captions_do_not_depend_on_each_other(captions):
    together = caption_tokens(captions)
    assert len(together.tokens) == len(together.tags) == len(captions)
    for row, caption in enumerate(captions):
        assert (together.tokens[row], together.tags[row]) == (tokens_of(caption), tags_of(caption))
        assert len(together.tokens[row]) <= MOST_TOKENS
        assert all(together.tokens[row])
        assert len(set(together.tags[row])) == len(together.tags[row])
        assert not any(character.isdecimal() for token in together.tags[row] for character in token)


def test_captions_are_counted_by_the_same_words():
    captions = ["A cat's 3rd life", "", "日本 の 朝", "don't stop"]
    assert caption_features(captions)["words"].tolist() == [len(words(caption)) for caption in captions]


@pytest.mark.parametrize("captions", [["My dog🐶 [OC]", ""], ["", "🔥"], [""]])
def test_the_warehouse_takes_them(tmp_path, captions):
    warehouse = blank_warehouse(tmp_path)
    found = caption_tokens(captions)
    keys = {"caption_sha256": [str(row) for row in range(len(captions))], "code_version": ["1"] * len(captions)}
    warehouse.merge("features.caption_tokens", arrow_table({**keys, "tokens": found.tokens, "tags": found.tags}))
    stored = warehouse.query("SELECT tokens, tags FROM features.caption_tokens ORDER BY caption_sha256")
    assert stored.column("tokens").to_pylist() == found.tokens
    assert stored.column("tags").to_pylist() == found.tags


@given(st.text(alphabet="aBz'.,;|!?: \t-_#*/&", max_size=60))
def test_words_alone_are_what_they_are_before_a_number(text):
    alone = caption_tokens([text]).tokens[0]
    assert caption_tokens([f"{text} 7"]).tokens[0] == [*alone, "#"][:MOST_TOKENS]


@given(st.text(max_size=40))
def test_what_is_no_letter_digit_or_mark_parts_words(text):
    kept = ["'" if one in "'’" else one if unicodedata.category(one)[0] in "LNM" else " " for one in text]
    runs = [run.strip("'") for run in "".join(kept).split()]
    assert cased_words(text) == [run for run in runs if any(one.isalnum() for one in run)]
