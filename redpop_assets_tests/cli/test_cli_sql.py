"""`redpop sql` as people type it, and what a file that was passed on may not do."""

import os
import pty
import re
import subprocess
import sys

import duckdb
import pytest

from redpop_assets.cli import sql as module


@pytest.fixture
def published(tmp_path):
    """A published file with a table of one title."""
    (tmp_path / "warehouse").mkdir()
    file = tmp_path / "warehouse" / "redpop.duckdb"
    with duckdb.connect(file) as conn:
        conn.execute("CREATE TABLE posts AS SELECT 'a' || chr(27) || '[31m' || chr(8238) || 'title' AS caption")
    return file


@pytest.mark.parametrize(
    "statement",
    [
        "COPY posts TO '{folder}/out.csv'",
        "EXPORT DATABASE '{folder}/out'",
        "ATTACH '{folder}/out.duckdb'",
        "FROM read_text('{folder}/secret.txt')",
        "FROM read_csv('{folder}/secret.txt')",
        "FROM '{folder}/secret.csv'",
        "FROM glob('{folder}/*')",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "RESET enable_external_access",
        "SET lock_configuration = false",
        "PRAGMA enable_external_access = true",
        "SET allowed_directories = ['/']",
        "CREATE SECRET s (TYPE s3)",
        "SELECT getenv('HOME')",
        "DELETE FROM posts",
        "CREATE TABLE made AS SELECT 1",
        ".shell touch {folder}/out",
        ".system touch {folder}/out",
        ".output {folder}/out",
        ".once {folder}/out",
        ".log {folder}/out",
        ".open {folder}/out",
        ".read {folder}/secret.txt",
        '.pager "touch {folder}/out"',
        "SELECT 1;\n.shell touch {folder}/out",
        "SELECT 1; COPY (SELECT 1) TO '{folder}/out.csv'",
    ],
)
@pytest.mark.parametrize("way", ["argument", "file", "input"])
@pytest.mark.usefixtures("published")
def test_shared_sql_can_only_ask(redpop, tmp_path, statement, way):
    (tmp_path / "secret.txt").write_text("the secret", encoding="utf-8")
    (tmp_path / "secret.csv").write_text("a,b\nthe secret,2\n", encoding="utf-8")
    text = statement.format(folder=tmp_path)
    (tmp_path / "shared.sql").write_text(text, encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    answer = {
        "argument": lambda: redpop("sql", "--", text),
        "file": lambda: redpop("sql", "-f", "shared.sql"),
        "input": lambda: redpop("sql", stdin=text),
    }[way]()
    assert answer.code == 1, answer.output
    assert "Error: " in answer.output
    assert not re.search("the secret|The warehouse could not", answer.output)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.usefixtures("published")
def test_what_strangers_wrote_is_shown_and_does_nothing(redpop):
    answer = redpop("sql", "FROM posts")
    assert answer.code == 0
    assert "\x1b" not in answer.lines
    assert "\u202e" not in answer.lines
    assert "title" in answer.lines


@pytest.mark.usefixtures("published")
def test_several_statements_a_plan_and_nothing(redpop):
    answer = redpop("sql", "CREATE TEMP TABLE t AS SELECT 42 AS x; FROM t; EXPLAIN FROM t; SELECT 1 AS y WHERE false;")
    assert answer.code == 0, answer.output
    assert "42" in answer.output
    assert "SEQ_SCAN" in answer.output
    assert "0 rows" in answer.output
    assert redpop("sql", "-f", "nothing.sql").code == 1
    assert redpop("sql", stdin="").code == 0


@pytest.mark.usefixtures("published")
def test_a_file_that_is_no_text_and_two_questions_at_once(redpop, tmp_path):
    (tmp_path / "a.sql").write_bytes(b"SELECT '\xe9';")
    assert "a.sql is no text in UTF-8" in redpop("sql", "-f", "a.sql").output
    assert "not both" in redpop("sql", "SELECT 1", "-f", "a.sql").output
    assert "There is no file" in redpop("sql", "-f", ".").output


@pytest.mark.usefixtures("published")
def test_by_an_option_the_program_of_duckdb_does_what_it_can(redpop, tmp_path):
    answer = redpop("sql", "--unsafe", f"COPY posts TO '{tmp_path}/out.csv'")
    assert answer.code == 0, answer.output
    assert (tmp_path / "out.csv").exists()
    assert "read-only" in redpop("sql", "--unsafe", "DELETE FROM posts").output


def test_the_prompt_takes_lines_until_a_semicolon_and_goes_on_after_mistakes(published, monkeypatch, capfd):
    typed = iter(
        ["SELECT 40", "  + 2 AS x;", "SELECT nothing;", ".shell echo hi", "", "SELECT", KeyboardInterrupt, "quit"]
    )

    def answer(_: str) -> str:
        line = next(typed)
        if line is KeyboardInterrupt:
            raise KeyboardInterrupt
        return line

    monkeypatch.setattr("builtins.input", answer)
    with duckdb.connect(published, read_only=True) as conn:
        module._prompt(conn)
    captured = capfd.readouterr()
    assert "42" in captured.out
    assert 'column "nothing" was not found' in captured.err
    assert "redpop sql --unsafe" in captured.err
    assert not list(typed)


def test_the_prompt_on_a_terminal(published, tmp_path):
    """As people have it: a terminal of its own, statements typed, and the end of the input."""
    inner, outer = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "redpop_assets.cli", "sql"],
        stdin=outer,
        stdout=outer,
        stderr=outer,
        cwd=tmp_path,
        env={**os.environ, "REDPOP_HOME": str(published.parent), "TERM": "dumb"},
    ) as process:
        os.close(outer)
        os.write(inner, b"SELECT 40 + 2 AS x;\n.quit\n")
        said = b""
        try:
            while chunk := os.read(inner, 4096):
                said += chunk
        except OSError:  # how Linux says that nobody has the other end any more
            pass
        assert process.wait(timeout=60) == 0
    os.close(inner)
    assert b"42" in said
    assert b"SHOW ALL TABLES" in said


@pytest.mark.end_to_end
class TestOnAPipeline:
    def test_sql_prints_rows_and_cannot_write(self, redpop, pipeline):
        home = pipeline.deployment.variables
        answer = redpop("sql", "SELECT count(*) AS posts, 'x' || 'y' AS text FROM marts.posts", **home)
        posts = pipeline.deployment.scalar("SELECT count(*) FROM core.posts")
        assert answer.code == 0
        assert "posts" in answer.output
        assert str(posts) in answer.output
        assert "xy" in answer.output
        answer = redpop("sql", stdin="SELECT 40 + 2;", **home)
        assert answer.code == 0
        assert "42" in answer.output
        answer = redpop("sql", "DELETE FROM core.posts", **home)
        assert answer.code != 0
        assert "read-only" in answer.output

    def test_sql_of_a_file(self, redpop, pipeline, tmp_path):
        (tmp_path / "question.sql").write_text("SELECT 'the answer';", encoding="utf-8")
        home = pipeline.deployment.variables
        assert "the answer" in redpop("sql", "-f", "question.sql", **home).output
        answer = redpop("sql", "-f", "missing.sql", **home)
        assert answer.code == 1
        assert "missing.sql" in answer.output

    def test_a_mistake_in_sql_is_an_error(self, redpop, pipeline):
        home = pipeline.deployment.variables
        answer = redpop("sql", "SELECT * FROM marts.nothing", **home)
        assert answer.code != 0
        assert "nothing" in answer.output
