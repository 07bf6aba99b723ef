"""No account in the clear, wherever and however a submission names it; and what is read of a submission stays."""

import copy
import html
import json
import re
import tracemalloc
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.privacy.names import DELETED, DIGEST
from redpop_assets.privacy.submissions import pseudonymise
from redpop_assets.sources.cleaning import Post, Rejection, clean
from redpop_assets.sources.records import observation_rows, submission_json
from redpop_assets_tests.privacy.shapes import DUMPED, MENTIONS, POST, PROFILE_POST, SHAPES, at, filled, places, planted

KEY = AuthorKey(b"k" * 32)
NOON = datetime(2026, 4, 13, 12, tzinfo=UTC)
MARK = "Zq-Marked_Name7"
WRITTEN = ("title", "selftext", "link_flair_text", "caption")
"""What people wrote: a name that stands there as a word stays."""

marks = st.from_regex(r"Zq[A-Za-z0-9_-]{0,12}7[-_][a-zA-Z]?", fullmatch=True).flatmap(
    lambda name: st.sampled_from([name, name.upper(), name.lower(), name.swapcase()])
)


def holds(text: str, name: str) -> bool:
    """Whether the text has the name, however it is escaped and spelled."""
    before, text = "", text.lower()
    while text != before:
        before = text
        text = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)
        text = html.unescape(unquote(text)).replace("\\", "").lower()
    return name.lower() in text


def everywhere(hidden: dict) -> str:
    """All that is made of a post: its JSON, its reading, and its row in core, which has the details of refusals."""
    outcome = clean(
        hidden, subreddit="pics", removed_by_category=None, author_present=True, allow_over_18=True, from_archive=True,
        post_id="abc12",
    )  # fmt: skip
    readings = observation_rows([{**hidden, "id": "a"}], subreddit="pics", observed_at=NOON, endpoint="info")
    return "\n".join((submission_json(hidden), repr(outcome), repr(readings.to_pylist())))


def hidden_everywhere(post: dict, name: str) -> None:
    hidden = pseudonymise(post, KEY)
    assert not holds(everywhere(hidden), name)
    assert pseudonymise(hidden, KEY) == hidden


def test_the_search_finds_what_is_not_hidden():
    for mention in MENTIONS.values():
        assert holds(everywhere({"id": "abc12", "title": mention(MARK)}), MARK)


@pytest.mark.parametrize("mention", MENTIONS.values(), ids=MENTIONS)
def test_no_mention_is_left_at_any_place(mention):
    for submission in SHAPES.values():
        hidden_everywhere(filled(submission, lambda _: mention(MARK)), MARK)
        hidden_everywhere(filled(submission, lambda _: [mention(MARK), {"x": mention(MARK)}]), MARK)
    for name in POST:
        hidden_everywhere(planted(POST, (name,), mention(MARK)), MARK)


@pytest.mark.parametrize(
    "value",
    [MARK, [MARK], {MARK: MARK}, {"author": {"name": MARK}}, [[MARK, 1]], json.dumps({MARK: 1}), repr([MARK])],
    ids=str,
)
def test_no_bare_name_is_left_at_any_place_but_in_what_people_wrote(value):
    for submission in SHAPES.values():
        hidden_everywhere(filled(submission, lambda name: "" if name in WRITTEN else value), MARK)
        for path in places(submission):
            if path[-1] not in WRITTEN and isinstance(at(submission, path), dict | list):
                hidden_everywhere(planted(submission, path, value), MARK)


def test_no_name_is_left_as_a_key():
    for submission in SHAPES.values():
        for path in places(submission):
            hidden_everywhere(planted(submission, path, MARK, as_key=True), MARK)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), name=marks)
def test_no_invented_shape_leaves_a_name(data, name):
    """A name of any spelling, in any form, inside any nesting, at any place of any shape."""
    form = data.draw(st.sampled_from([*MENTIONS.values(), lambda bare: bare]))
    leaf = form(name)
    invented = data.draw(
        st.recursive(
            st.just(leaf) | st.just([leaf, 1]) | st.just({name: leaf}) | st.just({"author": name, "x": None}),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from([*POST, *DUMPED, "users", "x"]), inner, max_size=3)
                | inner.map(json.dumps)
                | inner.map(repr)
            ),
            max_leaves=4,
        )
    )
    submission = data.draw(st.sampled_from(list(SHAPES.values())))
    path = data.draw(st.sampled_from(list(places(submission))))
    is_content = path[-1] in WRITTEN and isinstance(invented, str)
    if is_content:  # where JSON in a text is what somebody wrote
        invented = MENTIONS["u/x"](name) if leaf == name else leaf
    hidden_everywhere(planted(submission, path, invented), name)


@pytest.mark.parametrize("mention", MENTIONS.values(), ids=MENTIONS)
def test_who_is_mentioned_keeps_one_hash(mention):
    digest = KEY.digest(f"t2_{MARK}" if "t2_" in mention(MARK) else MARK)
    if "_u/" in mention(MARK):
        digest = KEY.digest(f"{MARK}_")  # an underscore of Markdown cannot be told from one of the name
    assert digest in pseudonymise({"title": mention(MARK)}, KEY)["title"]
    assert digest in pseudonymise({"title": mention(MARK.upper())}, KEY)["title"]


@pytest.mark.parametrize(
    "text",
    [
        "Jane_Roe says hello",
        "[OC] 100% of 50%25",
        "R/U/N, either/or, menu/items",
        "cats &amp; dogs &lt;3",
        "C:\\temp\\new",
        "\\u00e9t\\u00e9",
        "see example.com/users",
        "author: Jane Austen",
        "😀 ümläut u/",
        "",
    ],
)
def test_what_mentions_nobody_stays_as_it_was_written(text):
    post = {"title": text, "selftext": text, "link_flair_text": text}
    assert pseudonymise(post, KEY) == post


@pytest.mark.parametrize(
    "link",
    [
        "https://i.redd.it/abc123.jpg",
        "https://preview.redd.it/abc123.jpg?width=4&amp;crop=1:1,smart&amp;auto=webp&amp;s=0f",
        "https://external-preview.redd.it/RBch-u_x_t2_yz.jpg?auto=webp&s=0f",
        "https://i.imgur.com/AbCdE12.jpg?1",
        "imgur.com/a/AbCdE",
        "https://farm5.staticflickr.com/4020/4432%2C1_o.jpg#x",
        "//upload.wikimedia.org/a/b.jpg",
        "http://example.com:8080/a.jpg",
        "example.com:8080/a.jpg",
        "https://www.reddit.com/gallery/abc12",
        "/r/pics/comments/abc12/a_lake/",
        "https://redd.it/abc12",
        "https://www.reddit.com/media?url=https%3A%2F%2Fi.redd.it%2Fabc123.jpg",
        "",
    ],
)
def test_addresses_of_pictures_and_posts_stay(link):
    post = {"url": link, "thumbnail": link, "gallery_data": {"items": [{"outbound_url": link}]}}
    assert pseudonymise(post, KEY) == post


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("/r/u_Jane_Roe/comments/par01/my_lake/", "/r/u_{}/comments/par01/my_lake/"),
        ("https://www.reddit.com/user/Jane_Roe/comments/par02/hill/", "https://www.reddit.com/user/{}/comments/par02/hill/"),
        ("http://old.reddit.com/u/jane_roe/?x=1", "http://old.reddit.com/u/{}/"),
        ("reddit.com/User/JANE_ROE", "reddit.com/user/{}"),
        ("https://www.reddit.com/search?q=author:Jane_Roe", "https://www.reddit.com/"),
        ("https://www.reddit.com/message/compose?to=Jane_Roe", "https://www.reddit.com/"),
        ("https://www.reddit.com/r/pics/comments/abc12/lakes_by_ujane_roe/", "https://www.reddit.com/r/pics/comments/abc12/lakes_by/"),
        ("https://a.b/c.jpg?author=Jane_Roe", "https://a.b/c.jpg?author=u_{}"),
        ("https://Jane_Roe:secret@a.b/c.jpg", "https://_@a.b/c.jpg"),
        ("mailto:Jane_Roe@a.b", "mailto:"),
    ],
)  # fmt: skip
def test_addresses_of_people_hold_a_hash(link, expected):
    assert pseudonymise({"url": link}, KEY)["url"] == expected.format(KEY.digest("jane_roe"))


@pytest.mark.parametrize("name", ["Jane_Roe", "u/Jane_Roe", "/u/jane_roe/", "https://www.reddit.com/user/Jane_Roe/"])
def test_an_author_has_one_hash_however_the_source_spells_the_name(name):
    assert pseudonymise({"author": name}, KEY)["author"] == KEY.digest("jane_roe")


def test_nobody_stays_nobody():
    post = {"author": DELETED, "author_fullname": None}
    assert pseudonymise(post, KEY) == post
    assert pseudonymise({"author": "", "crosspost_parent_list": None}, KEY) == {
        "author": "", "crosspost_parent_list": None,
    }  # fmt: skip


def test_a_post_copied_from_a_profile_does_not_name_it():
    post = {"author": "Other", "subreddit": "pics", "url": PROFILE_POST["url"], "crosspost_parent_list": [PROFILE_POST]}
    digest = KEY.digest("somebody")
    hidden = pseudonymise(post, KEY)
    assert hidden["url"] == f"https://www.reddit.com/user/{digest}/comments/par01/a_lake/"
    assert hidden["crosspost_parent_list"] == [
        {
            "id": "par01",
            "author": digest,
            "subreddit": f"u_{digest}",
            "subreddit_name_prefixed": f"u/{digest}",
            "permalink": f"/r/u_{digest}/comments/par01/a_lake/",
            "domain": f"self.{digest}",
            "title": "A lake",
            "url": f"https://www.reddit.com/user/{digest}/comments/par01/a_lake/",
        }
    ]


def test_a_text_post_says_in_which_community_it_is():
    assert pseudonymise({"domain": "self.Pics", "subreddit": "pics"}, KEY)["domain"] == "self.Pics"
    assert DIGEST.fullmatch(pseudonymise({"domain": "self.Jane_Roe"}, KEY)["domain"].removeprefix("self."))


def test_a_value_of_another_shape_is_refused_as_before():
    """Left out, a flag that nobody can read would count as not set."""
    for value in ("perhaps", ["x"], {"x": 1}):
        hidden = pseudonymise({**DUMPED, "_meta": {}, "subreddit": "pics", "over_18": value}, KEY)
        outcome = clean(
            hidden, subreddit="pics", removed_by_category=None, author_present=None, allow_over_18=False,
            from_archive=True,
        )  # fmt: skip
        assert isinstance(outcome, Rejection)
        assert (outcome.reason, outcome.detail) == ("malformed", "over_18")


@pytest.mark.parametrize("write", [json.dumps, repr])
def test_objects_and_lists_may_come_as_text(write):
    names = ("gallery_data", "media_metadata", "preview", "crosspost_parent_list", "all_awardings")
    post = SHAPES["crosspost"]
    assert pseudonymise(post | {name: write(post[name]) for name in names}, KEY) == pseudonymise(post, KEY)


@pytest.mark.parametrize("text", ["[" * 100_000, "[b'x']", "[1, {2}]", "{", "[x for x in y]"])
def test_text_that_is_no_object_is_hashed(text):
    assert DIGEST.fullmatch(pseudonymise({"preview": text}, KEY)["preview"])


@pytest.mark.parametrize("text", ["{'x': 1e999}", '{"x": NaN}', "{'x': 'somebody'}"])
def test_text_that_is_an_object_is_opened_and_loses_what_is_unknown(text):
    assert pseudonymise({"preview": text}, KEY) == {"preview": {}}


def test_a_long_text_that_is_an_object_costs_some_times_its_length():
    text = "{'images': [" + "{'x': 'y'}, " * 40_000 + "]}"
    tracemalloc.start()
    try:
        assert pseudonymise({"preview": text}, KEY)["preview"]["images"][0] == {}
        assert tracemalloc.get_traced_memory()[1] < 60 * len(text)
    finally:
        tracemalloc.stop()


def test_fields_keep_their_order_and_the_submission_is_left_alone():
    before = copy.deepcopy(POST)
    hidden = pseudonymise(POST, KEY)
    assert before == POST
    assert list(hidden) == [name for name in POST if name in hidden]
    json.loads(submission_json(hidden))


def test_recorded_submissions_are_cleaned_as_if_nothing_were_hidden(shared_data, json_lines):
    """What core reads is kept: all but the author and the words that name somebody are the same either way."""
    compared = 0
    for file in ("submissions_asyncpraw", "submissions_praw", "submissions_prawcore"):
        for line in json_lines(shared_data(f"reddit_recorded/{file}.ndjson.gz")):
            post = line["data"]
            if "<" in json.dumps([post["subreddit"], post["author"]]):
                continue  # placeholders of those who published the recording
            hidden = pseudonymise(post, KEY)
            outcomes = [
                clean(
                    shown, subreddit=post["subreddit"], removed_by_category=None, author_present=None,
                    allow_over_18=True, from_archive=False,
                )
                for shown in (post, hidden)
            ]  # fmt: skip
            assert type(outcomes[0]) is type(outcomes[1])
            if isinstance(outcomes[0], Post):
                fields = ("post_id", "created_at", "kind", "image_urls", "preview_url", "crosspost_parent", "flair")
            else:
                fields = ("post_id", "reason")
            assert [getattr(outcomes[0], name) for name in fields] == [getattr(outcomes[1], name) for name in fields]
            named = [value for value in (post["author"], post.get("author_fullname")) if value not in (None, DELETED)]
            # A community may be called like an account.
            ignored = {*WRITTEN, "subreddit", "domain", "crosspost_parent_list"}
            posts = [hidden, *(hidden.get("crosspost_parent_list") or ())]
            closed = json.dumps([[value for name, value in each.items() if name not in ignored] for each in posts])
            assert not [name for name in named if f'"{name.lower()}"' in closed.lower()]
            compared += 1
    assert compared > 3000
