"""`redpop sql`: questions to the published warehouse.

SQL is passed on from hand to hand, and what a shared file or a pasted line may do is ask. The statements are run here,
on a read-only connection that reaches no other file, loads no extension and has its settings locked; there are no
dot-commands. DuckDB's own program is not started for that, since its safe mode lets `.pager` run programs; `--unsafe`
asks for it.
"""

import io
import os
import subprocess
import sys
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redpop_assets.cli.console import complain, console, quoted, say
from redpop_assets.cli.programs import program
from redpop_assets.errors import SettingsError, is_interruption

if TYPE_CHECKING:
    import duckdb

_MOST_ROWS = 40
_LEAVE = frozenset({".quit", ".exit", ".q", "quit", "exit", "quit;", "exit;"})


def sql(
    statement: Annotated[str, typer.Argument(help="SQL; without it, a prompt.")] = "",
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Run the statements of a file.")] = None,
    unsafe: Annotated[
        bool,
        typer.Option(
            "--unsafe",
            help="DuckDB's own program, whose SQL may read and write any file, load extensions and run programs.",
        ),
    ] = False,
) -> None:
    """Query the published warehouse, read-only. It may stay open while the pipeline runs."""
    from redpop_assets.settings import load_settings
    from redpop_assets.storage.published import open_published, published_file

    if statement and file is not None:
        raise SettingsError("Give a statement or --file, not both.")
    home = load_settings().home
    with open_published(home, locked=True) as connection:
        asks = not statement and file is None and sys.stdin.isatty()
        text = "" if asks else statement or _text(file)
        if not unsafe:
            if asks:
                say(f"{quoted(str(published_file(home)))}, read-only. Tables: SHOW ALL TABLES; leave with .quit")
                _prompt(connection)
            elif not _run(connection, text):
                raise typer.Exit(1)
            return
    command = [program("duckdb"), "-readonly", str(published_file(home))]
    if asks:
        os.execv(command[0], command)
    raise typer.Exit(subprocess.run([*command, "-c", text], check=False).returncode)


def _text(file: Path | None) -> str:
    """The statements of a file, or of standard input.

    Raises:
        SettingsError: it is no file, or no text.
    """
    name = "Standard input" if file is None else str(file)
    if file is not None and not file.is_file():
        raise SettingsError(f"There is no file {file}.")
    try:
        return sys.stdin.read() if file is None else file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{name} is no text in UTF-8: save it as UTF-8.") from error


def _run(connection: "duckdb.DuckDBPyConnection", text: str) -> bool:
    """Run statements one after the other and print what they answer; False after the first that fails."""
    import duckdb

    text.encode()  # what is no text in UTF-8 is told by that name
    try:
        for statement in connection.extract_statements(text):
            answer = connection.sql(statement.query)
            if answer is not None:
                _show(answer)
    except (duckdb.Error, RuntimeError) as error:  # both are how DuckDB says it
        if is_interruption(error):
            raise KeyboardInterrupt from error
        complain(str(error))
        if text.lstrip().startswith("."):
            complain("Dot-commands belong to DuckDB's own program: `redpop sql --unsafe`.")
        return False
    return True


def _show(answer: "duckdb.DuckDBPyRelation") -> None:
    """Print a table as DuckDB draws it; a plan, which is drawn already, as it is."""
    terminal = console()
    if answer.columns == ["explain_key", "explain_value"]:
        drawn = "\n".join(value for _, value in answer.fetchall())
    else:
        drawn = _drawn(answer, terminal.width)
    terminal.print(drawn, markup=False, highlight=False, soft_wrap=True)


def _drawn(answer: "duckdb.DuckDBPyRelation", width: int) -> str:
    with redirect_stdout(io.StringIO()) as drawn:
        answer.show(max_width=width, max_rows=_MOST_ROWS)
    return drawn.getvalue().rstrip("\n")


def _prompt(connection: "duckdb.DuckDBPyConnection") -> None:
    """Ask for statements until `.quit` or the end of the input; Ctrl-C drops the one that is being typed or runs."""
    with suppress(ImportError):
        import readline  # noqa: F401 - gives `input` its keys and a history
    lines: list[str] = []
    while True:
        try:
            lines.append(input("   ...> " if lines else "redpop> "))
            text = "\n".join(lines)
            if text.strip().lower() in _LEAVE:
                return
            if not text.strip():
                lines.clear()
            elif text.rstrip().endswith(";") or text.lstrip().startswith("."):
                lines.clear()
                _run(connection, text)
        except KeyboardInterrupt:
            say("")
            lines.clear()
        except EOFError:
            say("")
            return
