"""How commands end on bad days: files, folders, settings and programs that are not as they should be, and odd input."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import time
from unittest import mock

import duckdb
import pytest
import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from redpop_assets.cli.app import app
from redpop_assets.cli.failures import Commands, sentence
from redpop_assets.errors import SettingsError, WarehouseError
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.settings import Settings, variable_of
from redpop_assets.sources.archives.imports import import_archive
from redpop_assets.storage.warehouse import Warehouse

POST = (
    '{"data": {"id": "zz0001", "subreddit": "pics", "title": "A lake", "author": "somebody", "created_utc": 1767225600,'
    ' "score": 41, "url": "https://i.redd.it/a1b2c3.jpg"}, "observed_at": "2026-01-09T00:00:00Z"}\n'
)
UNPRIVILEGED = pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read and write everything")


@pytest.fixture
def published(tmp_path):
    """A published file without tables."""
    (tmp_path / "warehouse").mkdir()
    file = tmp_path / "warehouse" / "redpop.duckdb"
    duckdb.connect(file).close()
    return file


@pytest.mark.parametrize("name", ["per%20cent", "job%2Fbranch", "que?ry=1", "line\nend", "bell\a", "\u202eabc"])
def test_a_home_in_which_no_database_can_be_opened_is_refused(redpop, tmp_path, name):
    (tmp_path / "posts.ndjson").write_text(POST, encoding="utf-8")
    for command in (("import", "posts.ndjson"), ("leaderboard",), ("materialize",)):
        answer = redpop(*command, REDPOP_HOME=str(tmp_path / name))
        assert answer.code == 1
        assert "REDPOP_HOME: the databases of a home cannot be opened below" in answer.output
    assert not (tmp_path / name).exists()


@pytest.mark.integration
@pytest.mark.parametrize("name", ["-100% of a #b: 'c' \"d\" [e] {f} *g & h; $HOME `i` ünï ☃ 🐈", "x" * 200])
def test_odd_homes_that_work(redpop, tmp_path, name):
    (tmp_path / "posts.ndjson").write_text(POST, encoding="utf-8")
    answer = redpop("import", "posts.ndjson", REDPOP_HOME=str(tmp_path / name))
    assert answer.code == 0, answer.output
    assert (tmp_path / name / ".dagster" / "history").is_dir()
    assert "1 posts of r/pics in posts.ndjson" in answer.output


def test_homes_that_cannot_be_made(redpop, tmp_path):
    (tmp_path / "posts.ndjson").write_text(POST, encoding="utf-8")
    (tmp_path / "file").write_text("", encoding="utf-8")
    for home, said in {
        "file": "file",
        "file/below": "file",
        "x" * 300: "x" * 300,
        "~nobody-of-this-name/x": "leads nowhere",
        "/proc/nothing/x": "/proc/nothing",
    }.items():
        answer = redpop("import", "posts.ndjson", REDPOP_HOME=home)
        assert answer.code == 1
        assert said in answer.output


@pytest.mark.parametrize("kind", ["file", "a file below", "a folder for the file"])
def test_something_else_where_the_published_file_should_be(redpop, tmp_path, kind):
    home = tmp_path / "warehouse"
    if kind == "file":
        home.write_text("", encoding="utf-8")
    elif kind == "a file below":
        home.mkdir()
        (home / "redpop.duckdb").write_text("this is no database" * 1000, encoding="utf-8")
    else:
        (home / "redpop.duckdb").mkdir(parents=True)
    for command in (
        ("leaderboard",),
        ("sql", "SELECT 1"),
        ("export", "--to", "out"),
        ("predict", "-r", "pics", "-t", "x"),
    ):
        answer = redpop(*command)
        assert answer.code == 1
        assert "warehouse/redpop.duckdb" in answer.output


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    "command", [("leaderboard",), ("sql", "SELECT 1"), ("export", "--to", "out"), ("predict", "-r", "pics", "-t", "x")]
)
def test_a_published_file_that_another_program_has_open_for_writing(redpop, tmp_path, command):
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, "warehouse/redpop.duckdb"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        answer = redpop(*command)
        holder.stdin.close()
    assert answer.code == 1
    assert f"is open for writing in {os.path.realpath(sys.executable)} (PID {holder.pid})" in answer.output
    assert "read-only there" in answer.output


@pytest.mark.usefixtures("published")
def test_readers_share_the_published_file(redpop, published):
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script, published], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        assert redpop("sql", "SELECT 42").code == 0
        holder.stdin.close()


def test_an_env_file_that_is_no_text(redpop, tmp_path):
    (tmp_path / ".env").write_bytes("REDPOP_SUBREDDITS=p\u00efcs\n".encode("latin-1"))
    answer = redpop("leaderboard")
    assert answer.code == 1
    assert f"{tmp_path}/.env is no text in UTF-8 (its byte 20 is none)" in answer.output


@UNPRIVILEGED
def test_an_env_file_that_may_not_be_read(redpop, tmp_path):
    (tmp_path / ".env").write_text("REDPOP_SUBREDDITS=pics\n", encoding="utf-8")
    (tmp_path / ".env").chmod(0)
    answer = redpop("leaderboard")
    assert answer.code == 1
    assert f"{tmp_path}/.env cannot be read (Permission denied)" in answer.output


ODD = (
    "",
    "x",
    "-1",
    "1e308",
    "inf",
    "nan",
    "9" * 40,
    "9" * 5000,
    "{",
    "[]",
    '{"pics": 3}',
    ",,",
    "%",
    "\udce9",
    "☃",
    "http://[",
)
ODD += ("9999999d", "0h", "~nobody-of-this-name", "::", "* * * *", "a:b/c", "\x1b[31m", "[red]", "\n")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_broken_setting_is_a_sentence_that_names_it(redpop, name, published, monkeypatch):
    """Whatever stands in a variable is either taken, or refused by its name."""
    del published
    monkeypatch.setattr("redpop_assets.storage.published.open_published", _nothing)
    for value in ODD:
        answer = redpop("leaderboard", **{variable_of(name): value})
        assert answer.code == 1
        assert "does not expect" not in answer.output
        if "looked at" not in answer.output and "published" not in answer.output:
            assert variable_of(name) in answer.output


def _nothing(*_: object, **__: object) -> None:
    raise SettingsError("looked at")


def test_a_schedule_that_is_none_is_named(redpop):
    for name in ("REDPOP_NIGHTLY_CRON", "REDPOP_DISCOVERY_CRON"):
        answer = redpop("materialize", **{name: "99 0 * * *"})
        assert answer.code == 1
        assert f"{name} is '99 0 * * *', which is no time" in answer.output


def test_files_of_others_that_are_none(redpop, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin").write_bytes(b"\xff\xfe\x00")
    for arguments in (
        ("import", "folder"),
        ("import", "nowhere"),
        ("import", ""),
        ("import", "x" * 5000),
        ("import", "folder/../nowhere/x"),
        ("import", "latin"),
        ("predict", "-r", "pics", "-t", "x", "-i", "folder"),
        ("predict", "-r", "pics", "-t", "x", "-i", "x" * 5000),
        ("predict", "-r", "pics", "-t", "x", "-i", "latin"),
        ("sql", "-f", "folder"),
        ("export", "--to", "latin"),
    ):
        answer = redpop(*arguments)
        assert answer.code == 1, arguments
        assert "does not expect" not in answer.output


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a/b"), "a/b may not be read or written by this user"),
        (OSError(errno.EROFS, "Read-only file system", "a"), "a is on a file system that cannot be written"),
        (OSError(errno.ENOSPC, "No space left on device", b"a"), "The disk of a is full"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "The disk of the home is full: make room, or set REDPOP_HOME",
        ),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (OSError(errno.EMFILE, "Too many open files", "a"), "ulimit -n"),
        (OSError(errno.EIO, "Input/output error", "a", None, "b"), "a → b: Input/output error (error 5)."),
        (OSError("words alone"), "words alone"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), "No such file or directory"),
        (sqlite3.OperationalError("unable to open database file"), "The run history in `.dagster`"),
        (duckdb.InternalException("something"), "The warehouse could not do it (InternalException: something)"),
        (MemoryError(), "not enough memory"),
        (KeyError("a"), "KeyError: 'a'. The stack, for a report of it"),
        (RecursionError("maximum\nrecursion"), "RecursionError: maximum recursion."),
    ],
    ids=str,
)
def test_what_is_said_of_foreign_errors(error, said):
    assert said in sentence(error)
    assert "\n" not in sentence(error)


@pytest.fixture
def failing():
    """A command line whose one command raises what it is told."""

    def make(error: BaseException) -> typer.Typer:
        made = typer.Typer(cls=Commands, pretty_exceptions_enable=False)

        @made.callback()
        def options(verbose: bool = False) -> None:
            del verbose

        @made.command()
        def fail() -> None:
            raise error

        return made

    return make


def test_the_stack_is_for_those_who_ask(failing):
    quiet = CliRunner().invoke(failing(ValueError("[red]why")), ["fail"])
    assert quiet.exit_code == 1
    assert "ValueError: [red]why" in quiet.output
    assert "Traceback" not in quiet.output
    assert "Traceback" in CliRunner().invoke(failing(ValueError("why")), ["--verbose", "fail"]).output


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        RuntimeError("Query interrupted"),  # DuckDB, outside of the live file too
        caused(WarehouseError("could not be read"), RuntimeError("Query interrupted")),
        caused(ValueError("while it ended"), KeyboardInterrupt()),
    ],
    ids=repr,
)
def test_an_interrupt_is_one_line_and_130(failing, error):
    result = CliRunner().invoke(failing(error), ["fail"])
    assert result.exit_code == 130
    assert result.output.count("\n") == 1
    assert "Interrupted" in result.output


@pytest.mark.end_to_end
def test_ctrl_c_ends_a_command(tmp_path):
    (tmp_path / "posts.ndjson").write_text(POST * 200_000, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "redpop_assets.cli", "import", "posts.ndjson"],
        cwd=tmp_path,
        env={**os.environ, "REDPOP_HOME": str(tmp_path / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "home" / "live").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "Interrupted. What was finished is kept" in said


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    done = subprocess.run(
        f"{sys.executable} -m redpop_assets.cli --help | head -n 1",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr


# Commands that start servers or take minutes are given what is wrong with them alone.
HARMLESS = {
    "demo": ("--port", "x"),
    "dev": ("--port", "x"),
    "studio": ("--port", "x"),
    "materialize": ("--select", "group:none"),
    "analyse": ("--only", "\udcff"),
}
WORDS = st.one_of(
    st.sampled_from(
        (
            *(
                "",
                ".",
                "/",
                "nowhere",
                "pics",
                "r/pics",
                "all",
                "-",
                "--",
                "--help",
                "-1",
                "9" * 30,
                "1e400",
                "nan",
                "8d",
            ),
            *(
                "\udcff",
                "\x00",
                "\x1b[2J",
                "[red]",
                "☃",
                "x" * 300,
                "a\nb",
                "SELECT 1",
                ".shell true",
                "%s",
                "{0}",
                "$HOME",
            ),
            *(
                "~nobody/x",
                "zz0001",
                "posts.ndjson",
                "2026-01-01T00:00",
                "9999-12-31T23:59:59",
                "0001-01-01T00:00+14:00",
            ),
        )
    ),
    st.text(max_size=12),
)


def _calls() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Every command by its words: those, and its options."""
    found = {}

    def walk(command: TyperGroup, before: tuple[str, ...]) -> None:
        for name, inner in command.commands.items():
            options = tuple(option for parameter in inner.params for option in parameter.opts if option.startswith("-"))
            found[" ".join((*before, name))] = ((*before, name), options)
            if isinstance(inner, TyperGroup):
                walk(inner, (*before, name))

    walk(get_command(app), ())
    return found


CALLS = _calls()


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder with a file of posts and a home, in which one post is stored and published."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "posts.ndjson").write_text(POST, encoding="utf-8")
    warehouse = Warehouse(folder / "home", source="reddit")
    key = AuthorKey.load_or_create(folder / "home" / "author.key")
    import_archive(folder / "posts.ndjson", ["pics"], warehouse, key)
    warehouse.publish()
    return folder


@pytest.mark.parametrize("command", [name for name in CALLS if name not in HARMLESS and name != "sandbox"])
def test_no_input_to_a_command_ends_in_a_stack(command, only, filled):
    words, options = CALLS[command]
    arguments = st.lists(st.one_of(WORDS, st.sampled_from(options or ("--help",))), max_size=6)

    @settings(max_examples=25)
    @given(arguments)
    @example(["\udcff"])
    @example(["x", "\x00"])
    def run(given_words: list[str]) -> None:
        variables = {"REDPOP_HOME": "home", "REDPOP_BUDGET_DIR": "budget", "REDPOP_SOURCE": "reddit"}
        with only(variables, filled), mock.patch("redpop_assets.runs.report_import"):
            result = CliRunner().invoke(app, [*words, *given_words], input="")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        assert result.exit_code in (0, 1, 2)
        assert "Traceback" not in result.output
        assert "does not expect" not in result.output, result.output

    run()


@pytest.mark.parametrize("command", HARMLESS)
def test_what_starts_much_refuses_first(redpop, command):
    assert redpop(command, *HARMLESS[command]).code in (1, 2)
