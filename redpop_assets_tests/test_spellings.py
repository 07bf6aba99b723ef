"""Names, ids and addresses as people paste them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.errors import SettingsError
from redpop_assets.spellings import author_of, is_nobody, parse_account, parse_community, parse_post

HOSTS = [
    "reddit.com",
    "www.reddit.com",
    "old.reddit.com",
    "m.reddit.com",
    "new.reddit.com",
    "np.reddit.com",
    "sh.reddit.com",
]


@pytest.mark.parametrize(
    "text",
    [
        *("John_Doe-7", " John_Doe-7\n", "u/John_Doe-7", "/u/John_Doe-7", "/u/John_Doe-7/", "U/John_Doe-7"),
        *("user/John_Doe-7", "/user/John_Doe-7", "@John_Doe-7", "<u/John_Doe-7>", '"John_Doe-7"', "u / John_Doe-7"),
        *("/user/John_Doe-7/submitted", "u/John_Doe-7?sort=top", "\u200bJohn_Doe-7", "@u/John_Doe-7"),
        *(f"https://{host}/user/John_Doe-7" for host in HOSTS),
        *(f"{host}/u/John_Doe-7/" for host in HOSTS),
        "http://www.reddit.com/u/John_Doe-7/comments/?sort=new&utm_source=share#top",
        "https://www.reddit.com/r/u_John_Doe-7/comments/1tq0abc/x/",
        "//www.reddit.com/user/John_Doe-7",
        "HTTPS://WWW.REDDIT.COM/user/John_Doe-7",
    ],
)
def test_accounts(text):
    assert parse_account(text) == "John_Doe-7"


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "u/", "/user/", "r/pics", "[deleted]", "two words", "x" * 21, "Zoë", "https://example.com/u/x"),
        *("https://www.reddit.com/", "https://reddit.com@example.com/u/x", "https://evilreddit.com/user/x"),
        *("https://[bad/u/x", "example.com/u/x", "mailto:x@example.com"),
    ],
)
def test_what_names_no_account(text):
    with pytest.raises(SettingsError, match="names no account: give its name"):
        parse_account(text)


@pytest.mark.parametrize(
    "text",
    [
        *("1tq0abc", " t3_1TQ0abc ", "/comments/1tq0abc", "comments/1tq0abc/", "/r/pics/comments/1tq0abc/a_title/"),
        *("redd.it/1tq0abc", "https://redd.it/1tq0abc", "https://redd.it/1tq0abc/?x=1", "r/comments/comments/1tq0abc"),
        *(f"https://{host}/r/pics/comments/1tq0abc/a_title/" for host in HOSTS),
        "https://reddit.com/comments/1tq0abc",
        "https://www.reddit.com/gallery/1tq0abc?x=1",
        "https://www.reddit.com/tb/1tq0abc",
        "https://www.reddit.com/r/pics/comments/1tq0abc/a_title/kx1y2z3/?context=3",
        "https://www.reddit.com/r/pics/comments/1tq0abc.json?raw_json=1",
        "https://www.reddit.com/user/John/comments/1tq0abc/a_title",
        "https://www.reddit.com/r/pics/duplicates/1tq0abc/a_title",
        "<https://www.reddit.com/r/pics/comments/1tq0abc/>",
        "https://www.reddit.com/r/pics/comments/t3_1tq0abc/",
        "https://www.reddit.com/r/pics/comments/1tq0abc/%C3%A9t%C3%A9/",
    ],
)
def test_posts(text):
    assert parse_post(text) == "1tq0abc"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, "names no post: give its id") for text in ("", "r/pics", "two words", "1tq0-abc", "u/John")),
        ("https://example.com/comments/1tq0abc", "names no post: give its id"),
        ("https://evilreddit.com/comments/1tq0abc", "names no post: give its id"),
        ("https://reddit.com@example.com/comments/1tq0abc", "names no post: give its id"),
        ("https://www.reddit.com/r/pics/s/AbCdEf1234", "is a share link, and only Reddit knows"),
        ("/r/pics/s/AbCdEf1234?share=1", "is a share link, and only Reddit knows"),
        ("https://www.reddit.com/u/John/s/AbCdEf1234", "is a share link, and only Reddit knows"),
        ("https://i.redd.it/abcdef.jpg", "names no post but a file of one"),
        ("v.redd.it/abcdef", "names no post but a file of one"),
        ("t1_kx1y2z3", "names no post but a comment"),
        ("t2_abc", "names no post but an account"),
    ],
)
def test_what_names_no_post(text, message):
    with pytest.raises(SettingsError, match=message):
        parse_post(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *((text, "EarthPorn") for text in ("EarthPorn", " r/EarthPorn ", "/r/EarthPorn/", "R/EarthPorn")),
        ("r/EarthPorn/top", "EarthPorn"),
        *((f"https://{host}/r/EarthPorn/top/?t=week", "EarthPorn") for host in HOSTS),
        ("reddit.com/r/EarthPorn", "EarthPorn"),
        ("https://www.reddit.com/r/EarthPorn/comments/1tq0abc/x/", "EarthPorn"),
        *((text, "reddit.com") for text in ("reddit.com", "r/reddit.com", "https://www.reddit.com/r/reddit.com/")),
        ("u_" + "x" * 20, "u_" + "x" * 20),
        *((text, "u_a-b_c") for text in ("u_a-b_c", "r/u_a-b_c", "u/a-b_c", "https://www.reddit.com/user/a-b_c/")),
        *(("DC", "DC"), ("x" * 21, "x" * 21), ("_x", "_x")),
    ],
)  # fmt: skip
def test_communities(text, name):
    assert parse_community(text) == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, "is no community but a listing over many") for text in ("all", "r/Popular", "/r/friends/", "mod")),
        *((text, "is no community but a listing over many") for text in ("random", "r/all/top", "myrandom")),
        ("https://www.reddit.com/r/all", "is no community but a listing over many"),
        ("pics+aww", "is several communities: name each"),
        ("https://www.reddit.com/r/pics+aww/top", "is several communities: name each"),
        ("https://www.reddit.com/user/john/m/animals", "is several communities: name each"),
        *((text, "is no name of a subreddit") for text in ("", "a", "x" * 22, "a-b", "two words", "Käse", "r/", "a.b")),
        *((text, "is no name of a subreddit") for text in ("u_" + "x" * 21, "https://reddit.com/", "x.com/r/pics")),
    ],
)  # fmt: skip
def test_what_is_no_community(text, message):
    with pytest.raises(SettingsError, match=message):
        parse_community(text)


@pytest.mark.parametrize(("text", "name"), [("r/user", "user"), ("user", "user"), ("r/comments", "comments")])
def test_communities_with_the_names_of_prefixes(text, name):
    assert parse_community(text) == name


@given(st.text(max_size=40) | st.from_regex(r"(https?://)?(www\.)?reddit\.com/[ru]/\S{0,20}", fullmatch=True))
def test_whatever_is_written_is_read_or_refused(text):
    for parse in (parse_account, parse_post, parse_community):
        try:
            found = parse(text)
        except SettingsError:
            continue
        assert found
        assert parse(found) == found, "what was read is read as itself"


@pytest.mark.parametrize(
    ("cell", "author"),
    [
        *((cell, None) for cell in (None, "", " ", "None", "nan", "NaN", "NULL", "null", "NA", "N/A", "\\N", "<NA>")),
        ("[removed]", None),
        *((cell, "John") for cell in ("John", " John", "u/John", "/u/John/", "https://www.reddit.com/user/John")),
        *(("[deleted]", "[deleted]"), (3, 3), ("Zoë Q", "Zoë Q"), (" two words ", "two words")),
    ],
)  # fmt: skip
def test_authors_of_tables(cell, author):
    assert author_of(cell) == author
    assert is_nobody(cell) is (author in (None, "[deleted]"))
