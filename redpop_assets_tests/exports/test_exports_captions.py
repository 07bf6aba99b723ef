import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.exports.captions import redcaps_caption


@pytest.mark.parametrize(
    ("title", "caption"),
    [
        ("Sunrise over the Lake [OC] (1920x1080)", "sunrise over the lake"),
        ("My cat, 4032 × 3024, asleep", "my cat, , asleep"),
        ("Found on a friend\u2019s property", "found on a friend's property"),
        ("Café in São Paulo \U0001f600 again", "cafe in sao paulo again"),
        ("photo by @some_one.else!", "photo by <usr>!"),
        ("(both [kinds) of] brackets", "of] brackets"),
        ("The Mona Lisa â€“ a copy", "the mona lisa a copy"),
        ("ＷＩＤＥ letters", "wide letters"),
        ("Lake 1920x1080 view", "lake view"),
        ("  many \n spaces  ", "many spaces"),
        ("[OC]", ""),
        ("日本", ""),
        ("Tom &amp; Jerry", "tom & jerry"),
    ],
)
def test_titles_and_their_captions(title, caption):
    assert redcaps_caption(title) == caption


@given(st.text())
def test_a_caption_is_clean_whatever_the_title(title):
    caption = redcaps_caption(title)
    assert caption.isascii()
    assert caption == " ".join(caption.split())
    assert caption == caption.lower()
