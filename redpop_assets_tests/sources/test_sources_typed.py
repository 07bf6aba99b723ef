"""The door: every spelling of a number, a flag, a time, a nested value and of nothing, and what is refused instead."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.labels import MOST_SCORE
from redpop_assets.literals import JSON, MOST_LEVELS, exceeds_levels, literal
from redpop_assets.sources.typed import BrokenRecordError, CommentPage, comment_page, is_missing, moment, typed

NEW_YEAR = datetime(2019, 1, 1, tzinfo=UTC)
MARKERS = ["", " ", "NA", "N/A", "NaN", "nan", "None", "null", "NULL", "\\N", "<NA>", "NaT", "#N/A"]


def record(**fields):
    return {"id": "a1", "title": "one", "created_utc": 1546300800, "score": 5, "url": "x"} | fields


def value(name, cell, *, from_table=True):
    found = typed(record(**{name: cell}), from_table=from_table)
    assert found.emptied == []
    return found.submission[name]


def refusal(**fields):
    with pytest.raises(BrokenRecordError) as caught:
        typed(record(**fields), from_table=True)
    return str(caught.value)


@pytest.mark.parametrize("from_table", [False, True])
@pytest.mark.parametrize(
    ("cell", "meant"),
    [
        *[(text, 3000) for text in ("3000", "3e3", "3E+03", "3,000", "3000.0", "3000.", "+3000", " 3000 ", 3000.0)],
        *[("1e+05", 100_000), ("12,345", 12_345), ("1,234,567.0", 1_234_567), ("-4", -4), ("0", 0)],
    ],
)
def test_whole_numbers(cell, meant, from_table):
    found = value("score", cell, from_table=from_table)
    assert (found, type(found)) == (meant, int)
    assert value("num_comments", cell, from_table=from_table) == meant


@pytest.mark.parametrize(
    "cell", ["many", "12k", "12.5", "1,2", "3.000", "1.234.000", "0x10", "1_000", "inf", "9" * 5000, True, [1]]
)
def test_what_is_no_score_refuses_the_post(cell):
    assert refusal(score=cell).startswith("score holds ")


@pytest.mark.parametrize("score", [2**31 - 1, -(2**31), 2**63, 10**400, "1e300", MOST_SCORE + 1])
def test_scores_that_nobody_has_are_refused(score):
    assert "beyond 10,000,000" in refusal(score=score) or "too large" in refusal(score=score)


@pytest.mark.parametrize(("name", "cell"), [("num_comments", 2**31), ("upvote_ratio", 7), ("gilded", "1e400")])
def test_a_lesser_value_that_cannot_be_meant_is_left_out_and_told(name, cell):
    found = typed(record(**{name: cell}))
    assert found.submission[name] is None
    assert len(found.emptied) == 1
    assert found.emptied[0].startswith(f"{name} holds ")


@pytest.mark.parametrize("from_table", [False, True])
@pytest.mark.parametrize(
    ("cells", "meant"),
    [
        (("True", "true", "TRUE", "t", "T", "1", "1.0", "yes", "Y", 1, 1.0, True), True),
        (("False", "false", "FALSE", "f", "F", "0", "0.0", "no", "N", 0, 0.0, False), False),
        ((*MARKERS, None), None),
    ],
)
def test_flags(cells, meant, from_table):
    for name in ("over_18", "is_self", "stickied", "spoiler", "is_video", "promoted"):
        assert [value(name, cell, from_table=from_table) for cell in cells] == [meant] * len(cells)


def test_a_flag_that_keeps_a_post_from_being_shown_is_never_guessed():
    for cell in ("maybe", 2, "on", ["x"]):
        assert "neither true nor false" in refusal(over_18=cell)
    assert typed(record(locked="maybe")).submission["locked"] is None


def test_edited_is_false_or_a_time():
    assert [value("edited", cell) for cell in ("False", "0", "1546300900", "2019-01-01 00:01:40", "true")] == [
        *(False, False, 1546300900.0, 1546300900.0, True)
    ]


@pytest.mark.parametrize(
    "written",
    [
        *(1546300800, 1546300800.0, "1546300800", "1546300800.0", 1546300800000, "1546300800000", 1546300800000000000),
        *("1.546300800E+09", "2019-01-01 00:00:00", "2019-01-01T00:00:00", "2019-01-01T00:00:00Z", "2019-01-01 00:00"),
        *("2019-01-01 00:00:00+00:00", "2019-01-01 01:00:00+01:00", "2018-12-31T19:00:00-0500", "20190101T000000Z"),
        *("2019-01-01 00:00:00 UTC", "2019-01-01 00:00:00+00", "2019-01-01T00:00:00.000Z"),
    ],
)
def test_times(written):
    assert moment(written) == NEW_YEAR
    found = typed(record(created_utc=written, retrieved_on=written), from_table=True)
    assert found.created_at == NEW_YEAR
    assert found.submission["created_utc"] == found.submission["retrieved_on"] == 1546300800


@pytest.mark.parametrize(
    ("written", "why"),
    [
        *[(text, "rounded") for text in ("1.55E+09", "1.5463e9", "1.54630080e+09", "2e9", JSON.decode("1.55e9"))],
        *[(text, "no time between") for text in (0, 1, "1", 253402300000, "9999-12-31 00:00", "1970-01-01 00:00", -5)],
        *[(text, "no time") for text in ("yesterday", "01/02/2019 10:00", True, [1], "9" * 500, 10**400)],
        ("2019-01-01", "a day without a time"),
    ],
)
def test_times_that_are_none(written, why):
    assert why in refusal(created_utc=written)


def test_a_number_in_scientific_notation_stays_a_number_elsewhere():
    found = typed(record(upvote_ratio=JSON.decode("9.7e-1"), x=JSON.decode("1.5e3")))
    assert json.dumps([found.submission["upvote_ratio"], found.submission["x"]]) == "[0.97, 1500.0]"


@pytest.mark.parametrize("marker", MARKERS)
def test_missing_values_of_tables(marker):
    fields = dict.fromkeys(
        ("score", "num_comments", "upvote_ratio", "over_18", "preview", "author", "unheard_of"), marker
    )
    found = typed(record(**fields), from_table=True)
    assert {name: found.submission[name] for name in fields} == dict.fromkeys(fields)
    assert found.emptied == []
    # A post may be called so.
    assert typed(record(title=marker), from_table=True).submission["title"] == marker
    assert is_missing(marker)


def test_python_writes_nan_into_json_and_lines_with_it_are_not_lost():
    found = typed(JSON.decode('{"id": "a1", "title": "t", "created_utc": 1546300800, "score": NaN, "gilded": 1e999}'))
    assert found.submission["score"] is None
    assert found.emptied == ["gilded holds '1e999', which is too large"]
    with pytest.raises(BrokenRecordError, match="'Infinity'"):
        typed(JSON.decode('{"id": "a1", "title": "t", "created_utc": 1546300800, "score": Infinity}'))


NESTED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(found=st.lists(NESTED, max_size=3) | st.dictionaries(st.text(), NESTED, max_size=3))
def test_nested_values_come_back_from_json_and_from_python(found):
    assert literal(json.dumps(found)) == found
    assert literal(repr(found)) == found
    assert literal(json.dumps(json.dumps(found))) == found


def test_literals_of_old_pythons_and_tuples():
    assert literal("{u'id': u'\\xe9\\n', 'n': 12L, 't': (1, None), 'v': nan, 'q': \"it's\"}") == {
        **{"id": "é\n", "n": 12, "t": [1, None], "v": None, "q": "it's"}
    }
    assert literal("[(1,), ()]") == [[1], []]


@pytest.mark.parametrize(
    "text",
    ["", "x", "[1", "{'a': 'b}", "'\\'" * 100_000, "[" * 100_000, "{'a': " * 500, "__import__('os')", "{'a': x}"],
)
def test_texts_that_are_no_literal(text):
    with pytest.raises(ValueError, match=r"neither JSON nor"):
        literal(text)


@pytest.mark.parametrize("write", [json.dumps, repr])
def test_cells_with_nested_values(write):
    parent = {"id": "p1", "over_18": 1, "author": "x", "score": "12"}
    found = typed(
        record(crosspost_parent_list=write([parent]), preview=write({"images": []}), y=write({"a": "b"})),
        from_table=True,
    )
    assert found.submission["crosspost_parent_list"] == [{"id": "p1", "over_18": True, "author": "x", "score": 12}]
    assert (found.submission["preview"], found.submission["y"]) == ({"images": []}, {"a": "b"})


def test_a_nested_value_that_is_cut():
    found = typed(record(preview='{"images": [', all_awardings="x" * 200_000), from_table=True)
    assert (found.submission["preview"], found.submission["all_awardings"]) == (None, None)
    # What such a cell holds may name people: only its length is told.
    assert found.emptied[1] == "all_awardings holds 200,000 characters, which are neither JSON nor a Python literal"
    for name in ("crosspost_parent_list", "gallery_data", "media_metadata"):
        assert "neither JSON" in refusal(**{name: '[{"author": "Jane_Roe_42"'})
        assert "Jane" not in refusal(**{name: '[{"author": "Jane_Roe_42"'})


def test_names_that_columns_go_by():
    found = typed(
        {
            "post_id": "t3_b2",
            "title": "t",
            "timestamp": "2019-01-01 00:00:00",
            "upvotes": "1,234",
            "link": "u",
            "nsfw": "1",
        },
        from_table=True,
    ).submission
    assert {name: found[name] for name in ("id", "created_utc", "score", "url", "over_18")} == {
        **{"id": "b2", "created_utc": 1546300800, "score": 1234, "url": "u", "over_18": True}
    }
    assert "link" not in found
    whole = typed(record(ups=7, username="somebody", author="another")).submission
    assert (whole["score"], whole["ups"], whole["author"]) == (5, 7, "another")


def test_where_ids_are_found():
    ids = [{"id": "t3_a1"}, {"id": 123456}, {"name": "t3_c3"}, {"permalink": "/r/pics/comments/d4d4/title/"}]
    others = record()
    del others["id"]
    assert [typed(others | known).submission["id"] for known in ids] == ["a1", "123456", "c3", "d4d4"]
    for unknown in ({}, {"id": "1.00E+05"}, {"name": "bob"}, {"id": "not an id", "name": "x"}):
        with pytest.raises(BrokenRecordError, match="no usable id"):
            typed(others | unknown)


def test_depth_is_bounded():
    deep = []
    for _ in range(MOST_LEVELS - 2):
        deep = [deep]
    assert not exceeds_levels({"x": deep})
    assert exceeds_levels({"x": [[deep]]})
    with pytest.raises(BrokenRecordError, match="deep"):
        typed(record(x=[[deep]]))


@given(
    found=st.dictionaries(st.sampled_from(list(record())) | st.sampled_from(["over_18", "preview", "edited"]), NESTED)
)
def test_whatever_a_record_holds_it_is_typed_or_refused(found):
    for from_table in (False, True):
        try:
            outcome = typed(record() | found, from_table=from_table)
        except BrokenRecordError:
            continue
        again = typed(outcome.submission, from_table=from_table)
        assert again.submission == outcome.submission
        assert again.emptied == []
        json.dumps(outcome.submission, allow_nan=False)


@pytest.mark.parametrize("name", ["score", "created_utc", "over_18", "gallery_data", "id", "num_comments"])
def test_no_message_repeats_a_text_that_may_name_somebody(name):
    try:
        said = typed(record(**{name: "Jane Roe /u/Jane_Roe"})).emptied
    except BrokenRecordError as error:
        said = [str(error)]
    assert said
    assert "Jane" not in str(said)


@pytest.mark.parametrize(
    ("address", "post"),
    [
        ("https://www.reddit.com/r/Maps/comments/ppvl7/a_map/", CommentPage("ppvl7", "Maps")),
        ("/r/maps/comments/ppvl7", CommentPage("ppvl7", "maps")),
        ("http://old.reddit.com/r/reddit.com/comments/ppvl7?x=1", CommentPage("ppvl7", "reddit.com")),
        ("/user/Jane-Roe_4/comments/ppvl7/t/", CommentPage("ppvl7", "u_Jane-Roe_4")),
        ("/r/u_Jane/comments/ppvl7/t/", CommentPage("ppvl7", "u_Jane")),
        ("https://reddit.com/comments/PPVL7#top", CommentPage("ppvl7", "")),
        ("https://www.reddit.com/r/Maps/comments/ppvl7/a_map/c0ffee/?context=3", CommentPage("ppvl7", "Maps", True)),
        *[(other, None) for other in ("[{'permalink': '/r/Maps/comments/ppvl7/x/'}]", "see /r/Maps/comments/ppvl7/")],
        *[(other, None) for other in ("https://i.redd.it/ppvl7.jpg", "", None, 7, "/r/maps/", "/comments/ppv-l7")],
    ],
)
def test_addresses_of_comments(address, post):
    assert comment_page(address) == post


def test_a_post_is_of_the_community_of_its_address():
    post = {"title": "t", "created_utc": 1546300800, "score": 1, "full_permalink": "/r/Maps/comments/a1/t/"}
    assert typed(post).submission["subreddit"] == "Maps"
    assert typed(post | {"subreddit": "pics"}).submission["subreddit"] == "pics"
    assert typed(post | {"subreddit": ""}, from_table=True).submission["subreddit"] == "Maps"
