"""What the columns of tables mean, as people have them: by name, by content, by what is told, and when it is asked."""

import gzip
import io
import json
import zipfile

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.errors import ArchiveError
from redpop_assets.sources.archives.columns import Told, told, understand
from redpop_assets.sources.archives.posts import columns_of, read
from redpop_assets.sources.typed import Dates

USUAL = {
    "id": ["a1", "a2", "a3b"],
    "title": ["one", "two", "three"],
    "created_utc": ["1546300800", "1546300900", "1546301000"],
    "score": ["5", "7", "3,000"],
    "url": ["https://i.redd.it/1.jpg", "https://i.redd.it/2.jpg", "http://x.org/3.png"],
}
PAGES = [f"https://www.reddit.com/r/Maps/comments/{post}/some_title/" for post in USUAL["id"]]


def understood(columns, asked="", **more):
    """What is understood of a table of these columns, None for one that is not there."""
    columns = {name: cells for name, cells in ({**columns, **more}).items() if cells is not None}
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    return understand("t.csv", list(columns), rows, told(asked), lambda name: iter(columns[name]))


def taken(columns, asked="", **more):
    return dict(understood(columns, asked, **more).headers)


def how(columns, word, asked="", **more):
    return next(meaning for meaning in understood(columns, asked, **more).meanings if meaning.word == word)


def question(columns, asked="", **more):
    with pytest.raises(ArchiveError) as caught:
        understood(columns, asked, **more)
    return str(caught.value)


def without(*names):
    return {name: cells for name, cells in USUAL.items() if name not in names}


SPELLINGS = {
    "id": ["post_id", "Post ID", "submission", "SubmissionId", "data.id"],
    "created_utc": ["created", "Created UTC", "created_date", "Created_At", "timestamp", "Date", "createdUtc"],
    "score": ["ups", "upvotes", "Upvotes", "number_of_upvotes", "Number of Upvotes", "numberOfUpvotes", "post_score"],
    "title": ["Title", "post_title", "Post Title", "raw_caption", "data.title"],
    "url": ["URL", "image_url", "link", "Image URL", "url_overridden_by_dest"],
}


@pytest.mark.parametrize(("name", "spelling"), [(name, each) for name, all_ in SPELLINGS.items() for each in all_])
def test_names_that_people_use(name, spelling):
    columns = {spelling if own == name else own: cells for own, cells in USUAL.items()}
    assert taken(columns)[name] == spelling


@pytest.mark.parametrize(
    ("name", "spelling", "cells"),
    [
        ("author", "username", ["bob", "[deleted]", "Jane_Roe"]),
        ("author", "author_name", ["u/bob", "None", "Jane-Roe"]),
        ("subreddit", "Community", ["pics", "r/aww", "Maps"]),
        ("num_comments", "comms_num", ["1", "2", "3.0"]),
        ("over_18", "NSFW", ["true", "f", "0"]),
        ("upvote_ratio", "Upvote Ratio", ["0.97", "0.5", "1"]),
        ("observed_at", "scraped_at", ["2019-02-01", "2019-02-01 10:00", "2019-02-01T10:00Z"]),
        ("crosspost_parent_list", "Crosspost_Parent_List", ["", "[]", "[{'id': 'x1'}]"]),
    ],
)
def test_what_a_post_need_not_have(name, spelling, cells):
    assert taken(USUAL, **{spelling: cells})[name] == spelling


def test_what_is_left_out_is_said():
    found = understood(USUAL, sentiment=["x", "y", "z"], subscribers=["1", "2", "3"])
    assert found.left_out == ("sentiment", "subscribers")
    assert [meaning.word for meaning in found.meanings] == ["id", "time", "title", "score", "url"]


# The id


@pytest.mark.parametrize("column", ["permalink", "full_permalink", "full_link", "post_url", "Where it stands"])
def test_an_id_that_only_the_address_of_the_comments_has(column):
    columns = {**without("id"), column: PAGES}
    assert taken(columns)["permalink"] == column
    assert how(columns, "id").source == how(columns, "community").source == f"from `{column}`"


def test_links_that_are_comments_and_links_at_once():
    columns = without("id", "url")
    found = taken(columns, url=PAGES)
    assert (found["permalink"], found["url"]) == ("url", "url")
    found = taken(columns, url=PAGES, image_url=USUAL["url"])
    assert (found["permalink"], found["url"]) == ("url", "image_url")
    # One link to other comments among the pictures names no post.
    assert "id" in question(columns, url=[*USUAL["url"][:2], PAGES[2]])


def test_links_to_posts_of_others_name_no_post():
    links = [f"https://www.reddit.com/r/aww/comments/z{n}/other_title/" for n in range(3)]
    found = taken(USUAL, url=links, subreddit=["bestof"] * 3)
    assert (found["id"], found["url"], found.get("permalink")) == ("id", "url", None)
    text = question(USUAL, url=links)
    assert "--columns id=id or --columns id=url" in text
    assert taken(USUAL, "id=id", url=links)["id"] == "id"
    assert taken(USUAL, "id=url", url=links)["permalink"] == "url"
    # Of one comment, or inside what lies in a cell.
    assert "no column for id" in question(without("id"), url=[f"{link}c1" for link in links])
    parents = [f"[{{'id': 'z{n}', 'permalink': '/r/aww/comments/z{n}/x/'}}]" for n in range(3)]
    found = taken(USUAL, crosspost_parent_list=parents, extra=parents)
    assert (found["id"], found.get("permalink")) == ("id", None)


def test_a_full_name_is_an_id_and_another_name_is_none():
    names = [f"t3_{post}" for post in USUAL["id"]]
    assert taken(without("id"), name=names)["name"] == "name"
    assert how(without("id"), "id", name=names).source == "`name`"
    assert "no column for id" in question(without("id"), name=["Bob", "Jane", "t3_a1"])


def test_numbers_of_rows_are_no_ids():
    rows = ["0", "1", "2"]
    assert "`id` numbers the rows" in question(USUAL, id=rows)
    assert taken(USUAL, id=rows, post_id=USUAL["id"])["id"] == "post_id"
    meaning = how(USUAL, "id", id=rows, permalink=PAGES)
    assert (meaning.source, meaning.how) == ("from `permalink`", "`id` is not the id that stands there")
    assert taken(USUAL, id=["100", "205", "3"])["id"] == "id"  # ids of digits alone are some


# The time


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["1546300800", "1546300900.0", "1546300900"], "epoch in seconds"),
        (["1546300800000", "1546300900000", ""], "epoch in parts of a second"),
        (["2019-01-01 00:00:00", "2019-01-01T10:00:00", "NaT"], "ISO without zone, taken as UTC"),
        (["2019-01-01 00:00:00Z", "2019-01-01T10:00:00+01:00", "2019-01-01 10:00 UTC"], "ISO with zone"),
        (["2019-01-01", "2019-01-02", "2019-01-03"], "days without a time, taken as 00:00 UTC"),
        (["13/01/2019 10:00", "2/1/2019 10:00", "3/1/2019 10:00"], "dates without zone, taken as UTC, day-first"),
        (
            ["1/13/2019 10:00 PM", "2/1/2019 1:00 AM", "3/1/2019 10:00 AM"],
            "dates without zone, taken as UTC, month-first",
        ),
        (["Jan 13, 2019 10:00", "2 Feb 2019 10:00", "2019/01/13 10:00"], "dates without zone, taken as UTC"),
    ],
)
def test_how_a_time_is_written_is_said(cells, said):
    assert how(USUAL, "time", created_utc=None, date=cells).how == said


def test_the_order_of_dates_is_that_of_the_whole_file():
    dates = ["1/2/2019 10:00", "2/2/2019 10:00", "3/4/2019 10:00"]
    text = question(USUAL, created_utc=None, date=dates)
    assert "--columns time=date:day-first or --columns time=date:month-first" in text
    found = understood(USUAL, "time=date:month-first", created_utc=None, date=dates)
    assert found.dates == Dates("month-first", days=True)
    # Behind the rows that are looked at first.
    rows = [dict.fromkeys(USUAL, "1") | {"date": "1/2/2019 10:00"}]
    found = understand("t", [*without("created_utc"), "date"], rows, Told(), lambda _: iter(["1/2/2019", "1/20/2019"]))
    assert found.dates.order == "month-first"
    both = [*dates[:1], "20/1/2019 10:00", "1/20/2019 10:00"]
    assert "in others the month" in question(USUAL, created_utc=None, date=both)


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        (["2019-01-01", "2019-01-02", "2019-01-03"], ["2019-01-01 10:00", "2019-01-02 10:00", "2019-01-03 10:00"]),
        (["2019-01-01 10:00", "2019-01-02 10:00", "2019-01-03 10:00"], USUAL["created_utc"]),
        (["1.55E+09", "1.55E+09", "1.55E+09"], ["2019-01-01 10:00", "2019-01-02 10:00", "2019-01-03 10:00"]),
        (["Monday", "Tuesday", "Monday"], USUAL["created_utc"]),
        (["", "", ""], USUAL["created_utc"]),
    ],
)
def test_the_time_that_tells_more_is_taken(worse, better):
    for one, other in (("date", "timestamp"), ("timestamp", "created_at")):
        for columns in ({one: worse, other: better}, {other: better, one: worse}):
            meaning = how(without("created_utc"), "time", **columns)
            assert meaning.source == f"`{other}`"
            assert meaning.how.endswith(f"rather than `{one}`")


# Two for one


def test_two_candidates_that_differ_are_asked_about():
    text = question(without("score"), upvotes=["1", "2", "3"], points=["1", "2", "4"])
    assert "`upvotes` and `points`, and they differ" in text
    assert "--columns score=upvotes" in text
    assert taken(without("score"), "score=points", upvotes=["1", "2", "3"], points=["1", "2", "4"])["score"] == "points"
    assert taken(without("score"), upvotes=["1", "2", "3"], points=["1", "2", "3"])["score"] == "upvotes"
    text = question(without("created_utc"), timestamp=["1546300800"] * 3, created_at=["1546300801"] * 3)
    assert "may be the time of a post" in text
    same = how(without("created_utc"), "time", timestamp=["1546300800"] * 3, created_at=["2019-01-01T00:00Z"] * 3)
    assert (same.source, same.how) == ("`created_at`", "ISO with zone; rather than `timestamp`")


def test_what_stands_there_overrules_a_name():
    meaning = how(USUAL, "score", score=["0.8", "-0.2", "0.1"], ups=["5", "7", "3"])
    assert (meaning.source, meaning.how) == ("`ups`", "rather than `score`")


def test_names_of_the_api_are_not_asked_about():
    found = taken(USUAL, ups=["6", "8", "9"], created=["1546329600"] * 3, points=["1", "1", "1"])
    assert [found[name] for name in ("score", "ups", "created_utc", "created")] == [
        *("score", "ups", "created_utc", "created")
    ]
    assert "points" not in found.values()


def test_a_name_that_comes_twice(tmp_path):
    for names, score in (("Score,score", "score"), ("score,score", "score.2")):
        header = names.replace(",", ",title,")
        text = f"id,{header},created_utc,url\na1,good,one,5,1546300800,http://x.org/1.png\n"
        found = columns_of(written(tmp_path, "t.csv", text))
        assert found.headers["score"] == score


# What is told


def test_what_is_told_overrules_everything():
    found = taken(USUAL, "time=when,title=t, score = s", when=["2019-01-01 10:00"] * 3, t=["x"] * 3, s=["1"] * 3)
    assert (found["created_utc"], found["title"], found["score"]) == ("when", "t", "s")
    assert how(USUAL, "time", "time=when", when=["2019-01-01 10:00"] * 3).how.endswith("as told")
    found = taken(USUAL, "id=where", where=PAGES)
    assert found["permalink"] == "where"
    assert "id" not in found


def test_names_with_commas_colons_and_equals():
    assert told("time=date, local:day-first,id=a=b").headers == {"created_utc": "date, local", "id": "a=b"}
    assert told("time=at:12").headers == {"created_utc": "at:12"}
    assert (
        told("time=date:exact:month-first").dates == told("time=date:month-first:exact").dates == Dates("month-first")
    )
    assert told("id=x,time=y:exact").text == told("time=y:exact, id=x").text
    assert told("").text == ""


@pytest.mark.parametrize("wrong", ["time", "=x", "when=x", "time=", "time:x", "rubbish=1,id=2"])
def test_what_says_nothing_is_one_sentence(wrong):
    with pytest.raises(ArchiveError, match="says nothing of columns"):
        told(wrong)


def test_columns_that_are_not_there():
    text = question(USUAL, "time=when")
    assert "no column `when` for time; it has `id`, `title`" in text
    text = question({"a": ["1"], "b": ["2"]})
    assert "no column for id, title, time, score, url" in text
    assert "--columns id=NAME" in text


@given(st.text(max_size=40))
def test_whatever_is_told_is_understood_or_refused(text):
    try:
        found = told(text)
    except ArchiveError:
        return
    assert isinstance(found.text, str)


# Whole files


def written(folder, name, text, encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def posts(path, **options):
    return [row.submission for chunk in read(path, **options) for row in chunk.rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_an_export_with_times_in_letters_and_a_mark_at_its_beginning(tmp_path, encoding):
    header = "id,title,score,upvote_ratio,num_comments,created_utc,subreddit,subscribers,permalink,url,is_nsfw,body"
    row = (
        'k1,"A title, with comma",1234,0.97,56,2021-03-04 05:06:07,Maps,99,/r/Maps/comments/k1/a/,http://x.org/a.png,f,'
    )
    (post,) = posts(written(tmp_path, "export.csv", f"{header}\n{row}\n", encoding))
    assert (post["created_utc"], post["score"], post["over_18"]) == (1614834367.0, 1234, False)
    assert "subscribers" not in post


def test_days_alone_are_taken_and_counted_unless_only_exact_times_are_wanted(tmp_path):
    text = "title,created_date,url,full_permalink,score\n" + "".join(
        f"one,{when},http://x.org/a.png,{page},5\n"
        for when, page in zip(["2014-01-01", "2014-01-02", "2014-01-03 10:00:00"], PAGES, strict=True)
    )
    path = written(tmp_path, "t.csv", text)
    (chunk,) = read(path)
    assert [row.submission["created_utc"] for row in chunk.rows] == [1388534400.0, 1388620800.0, 1388743200.0]
    assert (chunk.days_alone, chunk.broken) == (2, 0)
    assert "--columns time=created_date:exact" in columns_of(path).days_hint
    (chunk,) = read(path, columns=told("time=created_date:exact"))
    assert [row.submission["id"] for row in chunk.rows] == ["a3b"]
    assert [sample.line for sample in chunk.broken_samples] == [2, 3]
    assert chunk.days_alone == 0


@pytest.mark.parametrize("day", ["2014-01-03", "3.1.2014", "03/01/2014", " 2014-01-03 "])
def test_a_day_is_one_in_every_spelling(tmp_path, day):
    text = f"title,date,url,permalink,score\none,{day},http://x.org/a.png,{PAGES[0]},5\n"
    (chunk,) = read(written(tmp_path, "t.csv", text), columns=told("time=date:day-first"))
    assert [row.submission["created_utc"] for row in chunk.rows] == [1388707200.0]
    assert chunk.days_alone == 1


def test_a_day_is_no_time_of_a_dump(tmp_path):
    path = tmp_path / "d.ndjson"
    path.write_text('{"id": "a1", "subreddit": "pics", "title": "t", "created_utc": "2014-01-03", "score": 1}\n')
    with pytest.raises(ArchiveError, match="a day without a time"):
        list(read(path))


def test_dates_of_a_whole_file(tmp_path):
    rows = "".join(f"a{n},one,{n % 12 + 1}/2/2020 10:00,5,http://x.org/a.png\n" for n in range(1200))
    text = f"id,title,date,score,url\n{rows}z9,one,1/31/2020 10:00,5,http://x.org/a.png\n"
    found = posts(written(tmp_path, "t.csv", text))
    assert len(found) == 1201
    assert found[0]["created_utc"] == 1577959200.0  # the second of January
    with pytest.raises(ArchiveError, match="its rows do not tell"):
        list(read(written(tmp_path, "u.csv", text.replace("1/31/", "1/1/"))))


def test_the_community_is_that_of_the_files_name_where_nothing_else_tells(tmp_path):
    text = "id,title,created_utc,score,url\na1,one,1546300800,5,http://x.org/1.png\n"
    wanted = ["pics", "aww", "old_pics"]
    for name, community in {
        "pics.csv": "pics",
        "r_pics_2019.csv": "pics",
        "2019-AWW.posts.csv": "aww",
        "old_pics.csv": "old_pics",
    }.items():
        assert [post["subreddit"] for post in posts(written(tmp_path, name, text), subreddits=wanted)] == [community]
    for name in ("posts.csv", "pics_and_aww.csv", "epics.csv"):
        with pytest.raises(ArchiveError, match="no subreddit; if all posts are of one community"):
            posts(written(tmp_path, name, text), subreddits=wanted)


# Files that are not what they are called


@pytest.mark.parametrize(
    "name", ["t.csv", "t.json", "t.ndjson", "t.jsonl", "t.tsv", "t", "t.csv.gz", "t.csv.zst", "t.zip"]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("kind", ["table", "dump", "list"])
def test_what_a_file_is_decides_how_it_is_read(tmp_path, name, pack, kind):
    post = {"id": "a1", "title": "one", "created_utc": 1546300800, "score": 5, "url": "http://x.org/1.png"}
    text = {
        "table": ",".join(post) + "\n" + ",".join(map(str, post.values())) + "\n",
        "dump": json.dumps(post) + "\n",
        "list": json.dumps([post]),
    }[kind]
    path = tmp_path / name
    path.write_bytes(pack(text.encode()))
    assert [post["id"] for post in posts(path)] == ["a1"]


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            zipped("[Content_Types].xml", "xl/workbook.xml"),
            "an Excel file: open it where it was made, and save the table",
        ),
        (zipped("mimetype", "content.xml"), "a file of an office program"),
        (zipped("posts.csv"), "a zip file: unpack it first"),
        (b"PK\x03\x04cut", "a zip file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Word file"),
        (b"PAR1\x15\x04", "a Parquet file: write it as CSV, for example with DuckDB"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"<!DOCTYPE html><html>", "a web page: get the file itself"),
        (b"SQLite format 3\x00", "an SQLite database"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x93NUMPY\x01\x00" + bytes(range(256)) + bytes(100), "neither text nor packed text"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_other_files_are_one_sentence(tmp_path, content, words, pack):
    if content.startswith(b"PK") and pack is gzip.compress:
        words = "zip file"
    for name in ("posts.csv", "posts.json.gz", "posts"):
        path = tmp_path / name
        path.write_bytes(pack(content))
        with pytest.raises(ArchiveError, match=words) as caught:
            posts(path)
        assert str(path) in str(caught.value)
