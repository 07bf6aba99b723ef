"""How commands end that do not succeed: every exception becomes one sentence, here and nowhere else.

RedPop's own errors say what to do. Foreign ones reach this place where nobody nearer knew better: of files, of the
disk, of databases, of text. What is left is an error in RedPop, whose stack `redpop --verbose …` shows.
"""

import errno
import os
import sqlite3
import sys
import traceback
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from redpop_assets.cli.console import complain, quoted, say
from redpop_assets.errors import RedPopError, is_interruption

if TYPE_CHECKING:
    from redpop_assets.rounds import RunOutcome

INTERRUPTED = 130
"""Exit code of what Ctrl-C ended, as shells have it: 128 and the number of the signal."""

_OF_FILES = {
    errno.ENOENT: "{file} is not there.",
    errno.EACCES: "{file} may not be read or written by this user: change its permissions, or name another place.",
    errno.EPERM: "{file} may not be changed by this user: change its owner or permissions, or name another place.",
    errno.EROFS: "{file} is on a file system that cannot be written: name another place, such as REDPOP_HOME=~/redpop.",
    errno.EEXIST: "{file} is there already, and something else is wanted in its place: move it away.",
    errno.EISDIR: "{file} is a folder, where a file is wanted.",
    errno.ENOTDIR: "{file} is a file or lies below one, where a folder is wanted: name another place.",
    errno.ENOTEMPTY: "{file} is a folder that is not empty: move it away.",
    errno.ENAMETOOLONG: "{file} is too long for the name of a file: choose a shorter one.",
    errno.ELOOP: "{file} is a symbolic link that leads to itself: correct it.",
    errno.ENOSPC: "The disk of {file} is full: make room, or set REDPOP_HOME to a larger one.",
    errno.EDQUOT: "No more may be written to the disk of {file}: make room, or set REDPOP_HOME to another one.",
    errno.EMFILE: "Too many files are open: allow more of them, `ulimit -n 4096`, and try again.",
    errno.ENFILE: "Too many files are open on this machine: end other programs, and try again.",
    errno.ENOMEM: "There is not enough memory: end other programs, or lower REDPOP_CHUNK_SIZE.",
    errno.EADDRINUSE: "The address is taken by another program: choose another --port.",
}

_OF_DISKS = (errno.ENOSPC, errno.EDQUOT)  # whatever file it was that there was no room for


class Commands(TyperGroup):
    """A group of commands that end by a sentence and an exit code, never by a stack that nobody asked for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse what is no text, of which neither databases nor models nor terminals can be told."""
        for word in args:
            try:
                word.encode()
            except UnicodeEncodeError:
                raise typer.BadParameter(
                    f"{word!r} is no text in UTF-8: write it in UTF-8, or give the file another name."
                ) from None
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; 1 is the code of an error, 130 that of Ctrl-C."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise self._interrupted() from None
        except typer.Abort as asked:
            if isinstance(asked.__context__, KeyboardInterrupt):
                complain("Interrupted. Nothing was changed.")
                raise typer.Exit(INTERRUPTED) from None
            raise
        except BrokenPipeError:
            # Whoever read the output wants no more; what is still buffered has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except Exception as error:
            if type(error).__module__.startswith("typer."):
                raise  # how typer ends, and what it says of arguments
            if is_interruption(error):
                raise self._interrupted() from None
            if ctx.params.get("verbose"):
                traceback.print_exc()
            complain(sentence(error))
            raise typer.Exit(1) from None

    @staticmethod
    def _interrupted() -> typer.Exit:
        complain("Interrupted. What was finished is kept; the same command goes on from there.")
        return typer.Exit(INTERRUPTED)


def sentence(error: BaseException) -> str:
    """What went wrong and what to do, for people; RedPop's own errors have said so themselves."""
    if isinstance(error, RedPopError):
        return str(error)
    cause = " ".join(str(error).split())
    library = type(error).__module__.partition(".")[0].removeprefix("_")
    if isinstance(error, OSError):
        return _of_file(error)
    if isinstance(error, UnicodeEncodeError) and any("\ud800" <= letter <= "\udfff" for letter in str(error.object)):
        return f"{error.object!r} is no text in UTF-8: write names and arguments in it."
    if isinstance(error, UnicodeDecodeError):
        return f"Something that should be text in UTF-8 is not ({cause}): save it as UTF-8."
    if isinstance(error, sqlite3.Error) or library == "sqlalchemy":
        return (
            f"The run history in `.dagster` of the home cannot be used ({cause}). See that the folder can be "
            "written; if it is damaged, move it away: it holds no posts."
        )
    if library == "duckdb":
        return f"The warehouse could not do it ({type(error).__name__}: {cause})."
    if isinstance(error, MemoryError):
        return "There is not enough memory: end other programs, or lower REDPOP_CHUNK_SIZE or REDPOP_TRAINING_POSTS."
    return (
        f"Something that RedPop does not expect: {type(error).__name__}: {cause}. The stack, for a report of it: "
        "the same command with --verbose before its name, `redpop --verbose …`."
    )


def say_failed(what: str, outcome: "RunOutcome", *, verbose: bool) -> None:
    """Say what failed in a run, and where its log is; then, on demand, the stacks of foreign errors."""
    for failure in outcome.failures:
        say(f"[red]{quoted(f'{what}: {failure}')}[/]")
    if any(failure.stack for failure in outcome.failures):
        more = "" if verbose else ", and the same command with --verbose shows the stack"
        say(f"The log of this run: `redpop dev`, then http://localhost:3000/runs/{outcome.run_id}{more}.")
    for failure in outcome.failures:
        if verbose and failure.stack:
            say(f"\n{escape(failure.stack)}")


def _of_file(error: OSError) -> str:
    files = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    if not files and error.errno in _OF_DISKS:
        files = ["the home"]
    known = _OF_FILES.get(error.errno or 0)
    if known and (files or "{file}" not in known):
        return known.format(file=" → ".join(files))
    return f"{' → '.join(files) or 'The system'}: {error.strerror or error} (error {error.errno})."
