"""`redpop forget` as people type it, on posts of an imported table."""

import shutil

import pytest

pytestmark = pytest.mark.end_to_end

AUTHORS = ("John_Doe_7", "u/John_Doe_7", " John_Doe_7", "None", "somebody", "John_Doe_77")
HEADER = "id,title,created_utc,score,url,subreddit,author\n"


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Where the home of `table` is kept, once it is made, for the tests to copy."""
    return tmp_path_factory.mktemp("imported") / "warehouse"


@pytest.fixture
def table(redpop, tmp_path, imported):
    """A home with the posts f1, f2, … of these authors."""
    lines = [
        f"f{n},title {n},{1_600_000_000 + n},{n},https://i.redd.it/f{n}.jpg,pics,{author}\n"
        for n, author in enumerate(AUTHORS, start=1)
    ]
    (tmp_path / "authors.csv").write_text(HEADER + "".join(lines), encoding="utf-8")
    home = tmp_path / "warehouse"
    if imported.exists():
        shutil.copytree(imported, home)
    else:
        answer = redpop("import", "authors.csv", REDPOP_SUBREDDITS="pics")
        assert answer.code == 0, answer.output
        shutil.copytree(home, imported)
    return redpop


def left(table):
    return table("sql", "SELECT string_agg(post_id, ' ' ORDER BY post_id) AS found FROM raw.submissions").output


@pytest.mark.parametrize("spelling", ["/u/john_doe_7", " https://old.reddit.com/user/John_Doe_7/?sort=new "])
def test_an_account_is_forgotten_however_it_is_spelt(table, spelling):
    answer = table("forget", "--author", spelling, "--yes")
    assert answer.code == 0, answer.output
    assert "u/John_Doe_7: 3 posts" in answer.output.replace("john_doe", "John_Doe")
    assert "3 posts forgotten" in answer.output
    assert "f4 f5 f6" in left(table)


def test_what_matches_nothing_says_so(table):
    answer = table("forget", "--author", "nobody_here", "--yes")
    assert answer.code == 1
    assert "u/nobody_here: 0 posts" in answer.output
    assert "Nothing was stored of u/nobody_here, so nothing of that was erased" in answer.output
    assert "names no account" in table("forget", "--author", "two words", "--yes").output
    answer = table("forget", "zz9", "--yes")
    assert answer.code == 1
    assert "Nothing was stored of zz9, so" in answer.output
    assert "redpop forget --undo zz9" in answer.output
    assert "f1 f2 f3 f4 f5 f6" in left(table)
    answer = table("forget", "zz9", "--yes")
    assert (answer.code, "was forgotten before" in answer.output) == (0, True)


def test_what_was_forgotten_wrongly_may_come_back(table):
    assert table("forget", "https://redd.it/f1", "F2", "--yes").code == 0
    assert "2 posts were left out because they were forgotten" in table("import", "authors.csv").output
    answer = table("forget", "--undo", "f1", "f5")
    assert (answer.code, "f5 was not forgotten" in answer.output) == (1, True)
    assert "2 posts were left out" in table("import", "authors.csv").output, "nothing was lifted"
    answer = table("forget", "--undo", "/r/pics/comments/f1/title/")
    assert answer.code == 0, answer.output
    assert "1 tombstones lifted" in answer.output
    assert "importing a file again" in answer.output
    answer = table("import", "authors.csv")
    assert "1 new posts" in answer.output
    assert "1 posts were left out" in answer.output
    answer = table("forget", "--undo", "--author", "John_Doe_7")
    assert (answer.code, "name the posts for --undo" in answer.output) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Name what to forget"),
        (("--undo",), "Name what to forget"),
        (("https://www.reddit.com/r/pics/s/AbC123",), "is a share link, and only Reddit knows"),
        (("--undo", "r/pics"), "names no post"),
    ],
)
def test_what_names_nothing_is_explained(redpop, arguments, message):
    answer = redpop("forget", *arguments, "--yes")
    assert (answer.code, message in answer.output) == (1, True), answer.output
