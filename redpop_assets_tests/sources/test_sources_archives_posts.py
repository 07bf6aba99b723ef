import csv
import gzip
import hashlib
import io
import json
import re
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redpop_assets.errors import ArchiveError
from redpop_assets.sources.archives import document, posts
from redpop_assets.sources.archives.posts import BROKEN_SAMPLES, Position, is_prefix, read
from redpop_assets.sources.cleaning import REASONS, Post, clean

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
TABLES = DATA / "reddit_top_2013"
RECORDED = DATA / "reddit_recorded"

BORN = 1_376_000_000
SEEN = datetime(2013, 8, 20, tzinfo=UTC)


def post(number, **fields):
    post_id = f"a{number}"
    return {
        "id": post_id,
        "title": f"post {number}",
        "created_utc": BORN + number,
        "score": number,
        "url": "x",
    } | fields


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def table(*rows, columns=("id", "title", "created_utc", "score", "url")):
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([columns, *rows])
    return text.getvalue().encode()


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


def read_all(path, **options):
    """All rows, and the last chunk."""
    chunks = list(read(path, **options))
    rows = [row for chunk in chunks for row in chunk.rows]
    return rows, chunks[-1]


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("name", ["dump.ndjson", "dump.jsonl", "RS_2013-08", "dump.txt"])
def test_a_dump_in_every_dress(tmp_path, name, compress):
    suffix = {gzip.compress: ".gz", zstandard.compress: ".zst"}.get(compress, "")
    path = written(tmp_path, name + suffix, compress(lines(*map(post, range(25)))))
    chunks = list(read(path, observed_at=SEEN, chunk_size=10))
    assert [len(chunk.rows) for chunk in chunks] == [10, 10, 5]
    assert [row.submission for chunk in chunks for row in chunk.rows] == [post(number) for number in range(25)]
    assert chunks[-1].bytes_read == chunks[-1].bytes_total == path.stat().st_size


def test_compression_and_format_are_seen_without_a_telling_name(tmp_path):
    packed = written(tmp_path, "packed", gzip.compress(table(["a1", "one", BORN, 5, "x"])))
    rows, _ = read_all(packed)
    assert rows[0].submission["title"] == "one"


def test_progress_grows_with_the_compressed_bytes(tmp_path):
    path = written(
        tmp_path, "d.ndjson.gz", gzip.compress(lines(*(post(n, selftext=str(n) * 400) for n in range(5000))))
    )
    progress = [chunk.bytes_read for chunk in read(path, observed_at=SEEN, chunk_size=500)]
    assert progress == sorted(progress)
    assert 0 < progress[0] < progress[-1] == path.stat().st_size


def test_wrappers_and_records(tmp_path):
    plain, wrapped = post(1), {"kind": "t3", "data": post(2)}
    recorded = {"data": post(3, subreddit="Pics"), "observed_at": "2013-08-19T01:02:03Z", "position": 7}
    path = written(
        tmp_path,
        "d.ndjson",
        lines(
            plain,
            wrapped,
            recorded | {"listing": "r/pics/top?t=week"},
            recorded | {"listing": "r/pics/new"},
            recorded | {"listing": "r/popular/hot"},
            recorded | {"listing": "api/info"},
            {"kind": "t1", "data": {"id": "c1", "body": "a comment"}},
        ),
    )
    rows, last = read_all(path, observed_at=SEEN)
    assert [row.submission["id"] for row in rows] == ["a1", "a2", "a3", "a3", "a3", "a3"]
    assert [(row.listing, row.time_filter, row.rank) for row in rows] == [
        *[(None, None, None)] * 2,
        ("top", "week", 7),
        ("new", "", 7),
        *[(None, None, None)] * 2,
    ]
    assert rows[2].observed_at == datetime(2013, 8, 19, 1, 2, 3, tzinfo=UTC)
    assert (last.broken, last.broken_samples[0].line) == (1, 7)


def test_which_rule_said_when_the_score_was_read(tmp_path):
    day = 86_400
    path = written(
        tmp_path,
        "d.ndjson",
        lines(
            post(1, retrieved_on=BORN + day, _meta={"retrieved_2nd_on": BORN + 2 * day}),
            post(2, retrieved_on=str(BORN + day)),
            post(3, retrieved_utc=BORN + 3 * day),
            post(4, observed_at="2013-08-19T00:00:00", retrieved_on=BORN + day),
            post(5),
        ),
    )
    rows, _ = read_all(path, observed_at=SEEN)
    assert [row.observed_at_rule for row in rows] == [
        *("retrieved_2nd_on", "retrieved_on", "retrieved_utc", "observed_at", "given")
    ]
    assert rows[0].observed_at == datetime.fromtimestamp(BORN + 2 * day, UTC)
    assert rows[3].observed_at == datetime(2013, 8, 19, tzinfo=UTC)
    assert rows[4].observed_at == SEEN
    rows, _ = read_all(path)
    assert (rows[4].observed_at_rule, rows[4].observed_at) == ("newest_post", datetime.fromtimestamp(BORN + 5, UTC))


def test_the_newest_post_may_come_last_and_in_another_community(tmp_path):
    path = written(tmp_path, "d.ndjson", lines(post(1), post(2, subreddit="b"), post(900, subreddit="b")))
    rows, last = read_all(path, subreddits=("a",))
    assert rows[0].observed_at == datetime.fromtimestamp(BORN + 900, UTC)
    assert (len(rows), last.other_subreddit) == (1, 2)


def test_a_reading_before_the_post_was_made_is_broken(tmp_path):
    path = written(tmp_path, "d.ndjson", lines(post(1), post(10 * 86_400)))
    rows, last = read_all(path, observed_at=datetime.fromtimestamp(BORN, UTC) + timedelta(days=1))
    assert (len(rows), last.broken) == (1, 1)
    assert "after it was observed" in last.broken_samples[0].error


def test_a_time_without_zone_is_refused(tmp_path):
    with pytest.raises(ArchiveError, match="time zone"):
        read(written(tmp_path, "d.ndjson", lines(post(1))), observed_at=datetime(2013, 8, 20))


def test_only_the_community_asked_for(tmp_path):
    path = written(
        tmp_path,
        "d.ndjson",
        lines(post(1, subreddit="PICS"), post(2, subreddit="aww"), post(3), post(4, subreddit=None)),
    )
    rows, last = read_all(path, subreddits=("pics",), observed_at=SEEN)
    assert [row.submission["id"] for row in rows] == ["a1", "a3", "a4"]
    assert last.other_subreddit == 1
    rows, last = read_all(path, observed_at=SEEN)
    assert (len(rows), last.other_subreddit) == (4, 0)


def test_several_communities_in_one_pass(tmp_path):
    path = written(
        tmp_path,
        "d.ndjson",
        lines(post(1, subreddit="PICS"), post(2, subreddit="aww"), post(3, subreddit="cats"), post(4)),
    )
    rows, last = read_all(path, subreddits=("Pics", "cats"), observed_at=SEEN)
    assert [row.submission["id"] for row in rows] == ["a1", "a3"]
    assert (last.other_subreddit, last.broken) == (1, 1)
    assert "import the file for that one alone" in last.broken_samples[0].error


def test_a_community_is_recognised_however_it_is_written(tmp_path):
    nested = {"crosspost_parent_list": [{"id": "b1", "subreddit": "pics", "title": "x"}]}
    own = [
        b'{"id":"a1","title":"escaped","created_utc":1376000000,"sub\\u0072eddit":"p\\u0049CS"}',
        b'{"id":"a2","title":"twice","created_utc":1376000000,"subreddit":"aww","subreddit":"pics"}',
        b'{"id":"a3","title":"half \\ud83d","created_utc":1376000000,"subreddit":"pics"}',
        json.dumps({"kind": "t3", "subreddit": "aww", "title": "x", "data": post(4, subreddit="pics")}).encode(),
        json.dumps(post(5) | {"crosspost_parent_list": [{"subreddit": "aww"}]}).encode(),
    ]
    others = [
        b'{"id":"c1","title":"about \\"subreddit\\":\\"pics\\"","created_utc":1376000000,"subreddit":"aww"}',
        b'{"id":"c2","title":"half \\ud83d","created_utc":1376000000,"subreddit":"aww"}',
        json.dumps(post(3, subreddit="aww") | nested).encode(),
    ]
    path = written(tmp_path, "d.ndjson", b"\r\n".join(own + others))
    rows, last = read_all(path, subreddits=("pics",), observed_at=SEEN)
    assert [row.submission["id"] for row in rows] == ["a1", "a2", "a3", "a4", "a5"]
    assert (last.other_subreddit, last.broken) == (3, 0)


_NAMES = st.sampled_from(["pics", "Pics", "PICS", "aww", "u_pics", "", None, 5])
_VALUES = st.none() | st.text(max_size=5) | st.sampled_from(["pics", '"subreddit":"pics"', "\ud800"]) | st.floats()


@st.composite
def _lines_of_a_dump(draw):
    """A line that may be a post: fields missing or of wrong kinds, nested posts, cut lines, bytes that are no UTF-8."""
    fields = draw(st.dictionaries(st.sampled_from(["score", "x", "author", "data", "kind"]), _VALUES))
    fields |= draw(
        st.fixed_dictionaries({}, optional={"subreddit": _NAMES, "title": st.just("t"), "id": st.just("a1")})
    )
    fields |= draw(
        st.fixed_dictionaries(
            {}, optional={"crosspost_parent_list": st.lists(st.fixed_dictionaries({"subreddit": _NAMES}), max_size=2)}
        )
    )
    if draw(st.booleans()):
        fields |= {"created_utc": BORN}
    line = json.dumps(fields, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    damage = draw(st.sampled_from(["none", "none", "cut", "byte"]))
    at = draw(st.integers(0, len(line)))
    return line[:at] if damage == "cut" else line[:at] + b"\xff" + line[at:] if damage == "byte" else line


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(_lines_of_a_dump(), max_size=12))
def test_the_quick_look_at_a_line_changes_no_outcome(tmp_path, monkeypatch, found):
    path = written(tmp_path, "d.ndjson", b"\n".join([json.dumps(post(1, subreddit="pics")).encode(), *found]))
    rows, quick = read_all(path, subreddits=("pics",), observed_at=SEEN)
    with monkeypatch.context() as patch:
        patch.setattr(posts, "_is_seen_to_be_of_other", lambda *_: False)
        all_rows, slow = read_all(path, subreddits=("pics",), observed_at=SEEN)
    assert rows == all_rows
    # Of another community's line, the quick look does not say whether it has an id and a time.
    assert quick.broken + quick.other_subreddit == slow.broken + slow.other_subreddit
    assert quick.broken <= slow.broken


def test_a_file_of_others_is_no_error_and_says_so(tmp_path):
    rows, last = read_all(written(tmp_path, "d.ndjson", lines(post(1, subreddit="aww"))), subreddits=("pics",))
    assert (rows, last.other_subreddit) == ([], 1)


def test_a_long_stretch_of_others_still_reports_progress(tmp_path, monkeypatch):
    monkeypatch.setattr(posts, "_LINES_WITHOUT_CHUNK", 10)
    path = written(tmp_path, "d.ndjson", lines(*(post(n, subreddit="aww") for n in range(25))))
    assert [chunk.other_subreddit for chunk in read(path, subreddits=("pics",))] == [10, 20, 25]


def test_broken_lines_are_counted_sampled_and_never_fatal(tmp_path, monkeypatch):
    monkeypatch.setattr(posts, "LONGEST_LINE", 2000)
    bad = [
        b'{"id": "a1", "title"\n',
        b"[1, 2]\n",
        b'{"title": "no id", "created_utc": 1376000000}\n',
        b'{"id": "a1", "created_utc": 1376000000, "body": "a comment"}\n',
        b'{"id": "a1", "title": "no time"}\n',
        b'{"id": "a1", "title": "infinite", "created_utc": 1376000000, "score": Infinity}\n',
        b'{"id": "a1", "title": "huge", "created_utc": 1376000000, "score": 1e999}\n',
        b'{"id": "a1", "title": "\xff\xfe", "created_utc": 1376000000}\n',
        b"[" * 1900 + b"\n",
        b'{"id": "a1", "title": "' + b"x" * 5000 + b'"}\n',
    ]
    content = b"\xef\xbb\xbf" + lines(post(1)) + b"\n  \n" + b"".join(bad) + b"junk\n" * 30 + lines(post(2))
    rows, last = read_all(written(tmp_path, "d.ndjson", content), observed_at=SEEN)
    assert [row.submission["id"] for row in rows] == ["a1", "a2"]
    assert last.broken == len(bad) + 30
    assert len(last.broken_samples) == BROKEN_SAMPLES
    assert [sample.line for sample in last.broken_samples[:10]] == list(range(4, 14))
    assert all(sample.error for sample in last.broken_samples)


def test_a_file_without_a_post_is_an_error(tmp_path):
    contents = {
        "comments.ndjson": lines({"id": "c1", "body": "text", "created_utc": BORN}),
        "empty.ndjson": b"",
        "empty.csv": b"",
        "empty.csv.gz": gzip.compress(b""),
        "header.csv": table(),
        "hello.txt": b"hello\n",
        "array.json": b'\n[{"id": "a1"}]',
        "page.zst": b"<html>",
        "posts.tar.bz2": b"BZh91AY",
        "posts.zip": b"PK\x03\x04abc",
    }
    messages = {}
    for name, content in contents.items():
        with pytest.raises(ArchiveError) as caught:
            list(read(written(tmp_path, name, content)))
        messages[name] = str(caught.value)
        assert str(tmp_path / name) in messages[name]
    assert "comments" in messages["comments.ndjson"]
    assert "Line 1: no title" in messages["array.json"]
    assert "unpack it first" in messages["posts.zip"]
    assert "no column for id, title, time, score, url" in messages["hello.txt"]
    with pytest.raises(ArchiveError, match="No such file"):
        read(tmp_path / "missing.csv")
    with pytest.raises(ArchiveError, match="directory"):
        read(tmp_path)


def test_missing_columns_are_named(tmp_path):
    path = written(tmp_path, "t.csv", table(["a1", "one", 5], columns=("id", "title", "votes")))
    with pytest.raises(ArchiveError, match=r"no column for time, score, url\."):
        read(path)


def test_cells_become_the_types_of_the_api(tmp_path):
    columns = ("id", "title", "created_utc", "score", "url", "over_18", "is_self", "edited", "selftext", "upvote_ratio")
    columns += ("link_flair_text", "num_comments", "distinguished")
    rows = [
        ["t3_a1", " one ", "1376000000.0", "12", "x", "False", "True", "False", "", "0.97", "", "3.0", ""],
        ["a2", "False", "1376000001", "-4", "", "True", "False", "1376000500.0", "12", "", "True", "", "moderator"],
        ["a3", "", "1376000002", "1", "x", "", "", "True", "", "", "", "", ""],
    ]
    found, _ = read_all(written(tmp_path, "t.csv", table(*rows, columns=columns)), observed_at=SEEN)
    values = [tuple(row.submission.values()) for row in found]
    assert values == [
        ("a1", " one ", 1376000000.0, 12, "x", False, True, False, "", 0.97, None, 3, None),
        ("a2", "False", 1376000001.0, -4, None, True, False, 1376000500.0, "12", None, "True", None, "moderator"),
        ("a3", "", 1376000002.0, 1, "x", None, None, True, "", None, None, None, None),
    ]
    assert [type(value) for value in values[0][2:4]] == [float, int]


def test_quoted_fields_may_hold_line_ends_and_quotes(tmp_path):
    titles = ["two\r\nlines", 'a "quoted" word, and a comma', "one\nmore", "\u00e4\u2028\U0001f408"]
    rows = [[f"a{n}", title, BORN, 1, "x"] for n, title in enumerate(titles)]
    found, last = read_all(written(tmp_path, "t.csv", table(*rows)), observed_at=SEEN)
    assert [row.submission["title"] for row in found] == titles
    assert last.broken == 0


def test_broken_rows_of_a_table(tmp_path):
    good = ["a1", "one", BORN, 1, "x"]
    rows = [
        good,
        ["a2", "short", BORN],
        ["a3", "x", BORN, "many", "x"],
        ["", "x", BORN, 1, "x"],
        ["a5", "x", "nan", 1, "x"],
    ]
    content = table(*rows) + b'a6,"unclosed,1376000000,1,x\r\n'
    found, last = read_all(written(tmp_path, "t.csv", content), observed_at=SEEN)
    assert [row.submission["id"] for row in found] == ["a1"]
    assert [sample.line for sample in last.broken_samples][:4] == [3, 4, 5, 6]
    assert last.broken == 5
    assert "score holds 4 characters, " in last.broken_samples[1].error


@pytest.mark.parametrize("name", ["d.ndjson.gz", "d.ndjson.zst", "t.csv.gz", "t.csv.zst"])
def test_a_cut_file_gives_what_it_had_and_says_so(tmp_path, name):
    texts = [str(number) * 300 for number in range(3000)]
    if name.startswith("d"):
        content = lines(*(post(number, title=text) for number, text in enumerate(texts)))
    else:
        content = table(*([f"a{number}", text, BORN + number, 1, "x"] for number, text in enumerate(texts)))
    packed = gzip.compress(content) if name.endswith("gz") else zstandard.compress(content)
    path = written(tmp_path, name, packed[: len(packed) * 3 // 4])
    found = []
    chunks = (found.extend(chunk.rows) for chunk in read(path, chunk_size=100))
    with pytest.raises(ArchiveError, match="cut or damaged") as caught:
        list(chunks)
    assert 500 < len(found) < 3000
    assert [row.submission["title"] for row in found] == texts[: len(found)]
    assert f"the {len(found)} posts" in str(caught.value)


ANNOTATIONS = [
    {
        "image_id": "bpzj7r",
        "author": "somebody",
        "url": "https://i.redd.it/ho0wntksivy21.jpg",
        "raw_caption": "Found on a friend\u2019s property",
        "caption": "found on a friend's property",
        "subreddit": "airplants",
        "score": 72,
        "created_utc": 1558144601,
        "permalink": "/r/airplants/comments/bpzj7r/found/",
        "crosspost_parents": None,
    },
    {
        "image_id": "bpzj7s",
        "author": "None",
        "image_url": "https://imgur.com/abcde",
        "raw_caption": "A crosspost",
        "caption": "a crosspost",
        "subreddit": "airplants",
        "score": 2,
        "created_utc": 1558144701,
        "permalink": "/r/airplants/comments/bpzj7s/found/",
        "crosspost_parents": ["bpzj00"],
    },
]
INFO = {"start_date": "2019-05-01", "end_date": "2019-05-31", "url": "https://redcaps.xyz", "version": "0.1.0"}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("name", ["airplants_2019.json", "airplants_2019"])
def test_annotations_of_redcaps(tmp_path, name, compress, indent):
    suffix = {gzip.compress: ".gz", zstandard.compress: ".zst"}.get(compress, "")
    document = {"info": INFO, "annotations": [*ANNOTATIONS, {"image_id": "x1"}, "rubbish"], "more": [1]}
    path = written(tmp_path, name + suffix, compress(json.dumps(document, indent=indent).encode()))
    rows, last = read_all(path, subreddits=("AirPlants",))
    assert [row.submission for row in rows] == [
        {
            "id": "bpzj7r",
            "title": "Found on a friend\u2019s property",
            "caption": "found on a friend's property",
            "url": "https://i.redd.it/ho0wntksivy21.jpg",
            "author": "somebody",
            "subreddit": "airplants",
            "score": 72,
            "created_utc": 1558144601,
            "permalink": "/r/airplants/comments/bpzj7r/found/",
        },
        {
            "id": "bpzj7s",
            "title": "A crosspost",
            "caption": "a crosspost",
            "url": "https://imgur.com/abcde",
            "author": "[deleted]",
            "subreddit": "airplants",
            "score": 2,
            "created_utc": 1558144701,
            "permalink": "/r/airplants/comments/bpzj7s/found/",
            "crosspost_parent": "t3_bpzj00",
        },
    ]
    assert (last.broken, [sample.line for sample in last.broken_samples]) == (2, [3, 4])
    # When RedCaps read the scores is not in its files.
    assert {(row.observed_at_rule, row.observed_at.timestamp()) for row in rows} == {("newest_post", 1558144701)}


@pytest.mark.parametrize("indent", [None, 1])
def test_one_array_of_submissions(tmp_path, indent):
    path = written(tmp_path, "posts.json", b"\n " + json.dumps([post(n) for n in range(25)], indent=indent).encode())
    chunks = list(read(path, observed_at=SEEN, chunk_size=10))
    assert [row.submission for chunk in chunks for row in chunk.rows] == [post(number) for number in range(25)]
    assert [len(chunk.rows) for chunk in chunks] == [10, 10, 5]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    values=st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=5,
    ),
    indent=st.sampled_from([None, 0, 3]),
    window=st.integers(1, 40),
)
def test_a_document_is_read_through_a_window_of_any_width(monkeypatch, values, indent, window):
    monkeypatch.setattr(document, "WINDOW", window)
    text = io.StringIO(json.dumps({"info": {"a": [1]}, "annotations": values}, indent=indent))
    read = document.Document(text)
    read.enter("annotations")
    read.take("[")
    found = []
    while read.next_character() != "]":
        found.append(read.value())
        if read.next_character() != "]":
            read.take(",")
    assert found == values


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b'[{"id": "a1", "title": "t", "created_utc": 1376000000}, {"id": "a2", ', "cut or damaged"),
        (b'[{"id": "a1", "title": "t", "created_utc": 1376000000} {"id": "a2"}]', "instead of ','"),
        (b'[{"id": "a1", "title": "t", "created_utc": 1376000000}, ' + b"[" * 100_000, "cut or damaged"),
        (b'{"info": {}, "annotations": [{"image_id": "a1", "raw_caption": "", "created_utc": 1376000000}', "too early"),
    ],
)
def test_a_broken_document_gives_what_it_had_and_says_so(tmp_path, content, error):
    found = []
    chunks = (found.extend(chunk.rows) for chunk in read(written(tmp_path, "d.json", content), observed_at=SEEN))
    with pytest.raises(ArchiveError, match=error):
        list(chunks)
    assert [row.submission["id"] for row in found] == ["a1"]


def test_annotations_that_are_missing(tmp_path):
    path = written(tmp_path, "d.json", json.dumps({"info": INFO, "images": []}).encode())
    with pytest.raises(ArchiveError, match="no annotations"):
        list(read(path))


def test_a_document_is_never_in_memory_as_a_whole(tmp_path):
    filler = "x" * 900
    posts = json.dumps([post(number, selftext=filler) for number in range(6000)]).encode()
    path = written(tmp_path, "posts.json", posts)
    tracemalloc.start()
    try:
        assert sum(len(chunk.rows) for chunk in read(path, observed_at=SEEN, chunk_size=100)) == 6000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(posts) / 4


@pytest.mark.parametrize("odd", ["[" * 5000 + "]" * 5000, '{"score": tru}', "nul", '{"x": "\\u12"}', "9" * 5000])
def test_one_broken_element_of_a_document_takes_no_other_with_it(tmp_path, odd):
    content = f"[{json.dumps(post(1))}, {odd}, {json.dumps(post(2))}]".encode()
    for known in (content, content.replace(b"tru}", b'"\xff"}')):
        rows, last = read_all(written(tmp_path, "d.json", known), observed_at=SEEN)
        assert [row.submission["id"] for row in rows] == ["a1", "a2"]
        assert (last.broken, last.broken_samples[0].line) == (1, 2)


@pytest.mark.parametrize("window", [1, 7, 64])
def test_a_broken_element_is_passed_through_a_window_of_any_width(monkeypatch, tmp_path, window):
    monkeypatch.setattr(document, "WINDOW", window)
    odd = '{"a": "]\\"}[", "b": [1, {"c": "\\\\"}], "score": tru, "d": [[{}]]}'
    content = f"[{json.dumps(post(1))}, {odd}, {json.dumps(post(2))}]".encode()
    rows, last = read_all(written(tmp_path, "d.json", content), observed_at=SEEN)
    assert ([row.submission["id"] for row in rows], last.broken) == (["a1", "a2"], 1)


def test_the_answer_of_an_archive(tmp_path):
    path = written(tmp_path, "answer.json", json.dumps({"data": [post(1), post(2)]}).encode())
    assert [row.submission["id"] for row in read_all(path, observed_at=SEEN)[0]] == ["a1", "a2"]


def _packed(name, parts):
    """The parts as gzip or zstd, without having them in memory together."""
    target = io.BytesIO()
    with (
        gzip.open(target, "wb")
        if name.endswith(".gz")
        else zstandard.ZstdCompressor().stream_writer(target, closefd=False) as file
    ):
        for part in parts:
            file.write(part)
    return target.getvalue()


MB = 1024 * 1024
ROW = b"a1,one,1376000001,1,x\n"
BOMBS = {
    "newlines.ndjson": [lines(post(1)), *[b"\n" * MB] * 100, lines(post(2))],
    "newlines.csv": [table(), ROW, *[b"\n" * MB] * 50, ROW],
    "spaces.json": [*[b" " * MB] * 40, b"[", lines(post(1)), b",", *[b" " * MB] * 40, lines(post(2)), b"]"],
    "one_line.ndjson": [lines(post(1)), *[b"[" * MB] * 100, b"\n", lines(post(2))],
    "one_line.csv": [table(), ROW, *[b"x" * MB] * 60, b"\n", ROW],
    "commas.csv": [table(), ROW, b"," * (4 * MB) + b"\n", ROW],
    "wide.ndjson": [lines(post(1)), b"[" + b"[]," * MB + b"0]\n", lines(post(2))],
    "wide.json": [b"[", lines(post(1)), b",[" + b"[]," * MB + b"0],", lines(post(2)), b"]"],
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_what_unpacks_to_much_takes_little_and_hides_no_post(tmp_path, name, suffix):
    path = written(tmp_path, name + suffix, _packed(suffix, BOMBS[name]))
    assert path.stat().st_size < MB
    tracemalloc.start()
    try:
        rows, last = read_all(path, observed_at=SEEN)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(rows), last.broken) == (2, 0 if name.startswith(("newlines", "spaces")) else 1)
    assert peak < 150 * MB


def test_a_stretch_of_nothing_is_told_as_progress_and_given_up_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(posts, "_BYTES_WITHOUT_CHUNK", 5 * MB)
    content = _packed(".gz", [lines(post(1)), *[b"\n" * MB] * 40, lines(post(2))])
    path = written(tmp_path, "d.ndjson.gz", content)
    counts = [len(chunk.rows) for chunk in read(path, observed_at=SEEN)]
    assert (sum(counts), counts.count(0) >= 6) == (2, True)
    monkeypatch.setattr(posts, "MOST_NOTHING", 10 * MB)
    for name, packed in [("d.ndjson.gz", content), ("d.json.gz", _packed(".gz", [b"[", *[b" " * MB] * 40, b"]"]))]:
        with pytest.raises(ArchiveError, match="nothing but white space"):
            list(read(written(tmp_path, name, packed), observed_at=SEEN))


def test_a_file_of_another_kind_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(posts, "_MOST_LINES_WITHOUT_POST", 50)
    path = written(tmp_path, "RC_2013-08.ndjson", lines(*({"id": f"c{n}", "body": "x"} for n in range(500))))
    chunks = read(path, observed_at=SEEN)
    assert next(chunks).broken == 50
    with pytest.raises(ArchiveError, match="a line of comments"):
        next(chunks)


@pytest.mark.parametrize("kind", ["dump", "table", "document"])
def test_a_look_at_the_beginning(tmp_path, kind):
    name, content = _dump_of(kind)
    path = written(tmp_path, name, content)
    whole, _ = read_all(path, subreddits=("a",))
    begun, last = read_all(path, subreddits=("a",), limit=12)
    assert last.more
    assert len(begun) + last.broken + last.other_subreddit == 12
    rest, end = read_all(path, subreddits=("a",), after=last.position)
    assert (begun + rest, end.more) == (whole, False)
    with pytest.raises(ArchiveError, match="at least 1"):
        read(path, limit=0)


def test_long_posts_make_short_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(posts, "_CHUNK_BYTES", MB)
    path = written(tmp_path, "d.ndjson", lines(*(post(n, selftext="x" * MB) for n in range(5))))
    assert max(len(chunk.rows) for chunk in read(path, observed_at=SEEN)) == 1


def test_a_damaged_zstd_frame(tmp_path):
    packed = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(lines(*map(post, range(5000)))))
    packed[len(packed) // 2] ^= 0xFF
    path = written(tmp_path, "d.zst", bytes(packed))
    with pytest.raises(ArchiveError, match="cut or damaged"):
        list(read(path, observed_at=SEEN))


def test_a_window_that_zstandard_refuses_by_default(tmp_path):
    parameters = zstandard.ZstdCompressionParameters(window_log=28, hash_log=6, chain_log=6, strategy=1)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    content = lines(*(post(n, title="K\u00f6nig " * 50) for n in range(3000)))
    packed = compressor.compress(content) + compressor.flush()
    with pytest.raises(zstandard.ZstdError, match="too much memory"):
        zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    rows, last = read_all(written(tmp_path, "RS_2013-08.zst", packed), observed_at=SEEN)
    assert (len(rows), last.broken) == (3000, 0)
    assert rows[-1].submission["title"] == "K\u00f6nig " * 50


def test_several_frames_follow_each_other(tmp_path):
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    frames = [zstandard.compress(lines(post(number))) for number in range(3)]
    rows, _ = read_all(written(tmp_path, "d.zst", skippable + b"".join(frames)), observed_at=SEEN)
    assert [row.submission["id"] for row in rows] == ["a0", "a1", "a2"]


def _dump_of(kind):
    """Content of 40 posts, some lines of which are broken, empty or of others, and the name of its file."""
    posts = [
        post(number, title=f"K\u00f6nig {number} \u2028 end", subreddit="b" if number % 7 == 3 else "a")
        for number in range(40)
    ]
    if kind == "table":
        rows = [
            [
                p["id"],
                p["title"].replace(" end", '\r\n"end", really'),
                p["created_utc"],
                p["score"],
                p["url"],
                p["subreddit"],
            ]
            for p in posts
        ]
        rows.insert(9, ["a9", "short"])
        return "t.csv", table(*rows, columns=("id", "title", "created_utc", "score", "url", "subreddit"))
    if kind == "document":
        return "d.json", json.dumps([*posts[:9], {"broken": 1}, *posts[9:]]).encode()
    return "d.ndjson", b"\xef\xbb\xbf" + lines(*posts[:9]) + b"junk\n\n" + lines(*posts[9:])


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("kind", ["dump", "table", "document"])
def test_reading_goes_on_after_any_chunk(tmp_path, kind, compress):
    name, content = _dump_of(kind)
    suffix = {gzip.compress: ".gz", zstandard.compress: ".zst"}.get(compress, "")
    path = written(tmp_path, name + suffix, compress(content))
    options = {"subreddits": ("a",), "chunk_size": 4}
    chunks = list(read(path, **options))
    rows = [row for chunk in chunks for row in chunk.rows]
    assert len(rows) == 34
    for done, chunk in enumerate(chunks):
        assert is_prefix(path, chunk.position)
        rest = list(read(path, **options, after=chunk.position))
        before = [row for earlier in chunks[: done + 1] for row in earlier.rows]
        assert before + [row for later in rest for row in later.rows] == rows
        for count in ("broken", "other_subreddit"):
            assert getattr(chunk, count) + getattr(rest[-1], count) == getattr(chunks[-1], count)
        assert rest[-1].position == chunks[-1].position
    assert chunks[-1].position.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_another_file_is_no_continuation(tmp_path):
    content = lines(*(post(number, title="x" * 3000) for number in range(200)))
    path = written(tmp_path, "d.ndjson", content)
    position = next(read(path, observed_at=SEEN, chunk_size=10)).position
    assert 0 < position.bytes_read < len(content)
    for changed, same in [
        (content, True),
        (content.replace(b"xxx", b"xyx", 1), False),
        (content + lines(post(200)), False),
        (content[:-5], False),
        # What was not read yet may differ: it will be read.
        (content[:-5] + b'"}  \n', True),
    ]:
        assert is_prefix(written(tmp_path, "d.ndjson", changed), position) is same
    assert not is_prefix(path, Position(10, position.bytes_read, len(content), "0" * 64))
    with pytest.raises(ArchiveError, match="No such file"):
        is_prefix(tmp_path / "gone.ndjson", position)


def test_an_abandoned_reading_closes_its_file(tmp_path):
    path = written(tmp_path, "d.zst", zstandard.compress(lines(*map(post, range(50)))))
    chunks = read(path, observed_at=SEEN, chunk_size=10)
    assert isinstance(next(chunks), posts.Chunk)
    chunks.close()  # an open file left behind would be a ResourceWarning, and so an error


@pytest.mark.skipif(not TABLES.exists(), reason="the tables of 2013 are not on this machine")
@pytest.mark.parametrize("subreddit", ["EarthPorn", "FoodPorn", "aww", "cats", "pics"])
def test_the_tables_of_2013(subreddit):
    rows, last = read_all(TABLES / f"{subreddit}.csv.gz", subreddits=(subreddit,), chunk_size=300)
    assert (len(rows), last.broken, last.other_subreddit) == (1000, 0, 0)
    assert len({row.submission["id"] for row in rows}) == 1000
    assert {row.observed_at_rule for row in rows} == {"newest_post"}
    assert {row.observed_at.date().isoformat() for row in rows} == {"2013-08-15"}
    outcomes = [
        clean(
            row.submission,
            subreddit=subreddit,
            removed_by_category=None,
            author_present=None,
            allow_over_18=False,
            from_archive=True,
        )
        for row in rows
    ]
    posts = [outcome for outcome in outcomes if isinstance(outcome, Post)]
    assert {outcome.reason for outcome in outcomes if not isinstance(outcome, Post)} <= REASONS - {"malformed"}
    # Direct image URLs alone are 581 (pics) to 812 (EarthPorn); pages of single imgur pictures come on top.
    assert len(posts) > 750
    assert not any(re.search("&amp;", found.caption) for found in posts)
    assert all(re.match(r"https://i\.imgur\.com/\w+\.\w+$", u) for p in posts for u in p.image_urls if "i.imgur" in u)


@pytest.mark.skipif(not RECORDED.exists(), reason="recorded Reddit answers are not on this machine")
def test_the_recorded_submissions_keep_their_time_and_place():
    rows = [row for path in sorted(RECORDED.glob("submissions_*")) for row in read_all(path)[0]]
    assert len(rows) == 4391
    assert {row.observed_at_rule for row in rows} == {"observed_at"}
    assert {row.listing for row in rows} == {None, "top", "rising"}
