"""`redpop import`: posts, and readings of their scores, from files."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redpop_assets.cli.arguments import Subreddits, chosen, moment
from redpop_assets.cli.console import complain, console, quoted, say
from redpop_assets.errors import RedPopError

if TYPE_CHECKING:
    from redpop_assets.sources.archives.columns import Columns
    from redpop_assets.sources.archives.imports import Imported, ImportReport
    from redpop_assets.sources.archives.posts import Chunk

_MOST_COLUMNS = 40
_MOST_NAMED = 10
"""Communities that are named one by one; a table of posts may have a thousand."""


def import_posts(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Tables (CSV) and dumps (NDJSON, JSON, RedCaps) of posts, or of readings of their scores; also .gz, "
            ".zst.",
        ),
    ],
    subreddit: Subreddits = None,
    observed_at: Annotated[
        str, typer.Option(help="When the scores were read, such as 2013-08-20, for rows that do not say so.")
    ] = "",
    columns: Annotated[
        list[str] | None,
        typer.Option(
            help="What columns of a table mean, where they do not tell: time=created_date,id=full_permalink. Behind "
            "the time may stand :day-first, :month-first, and :exact to leave out days without a time; may be repeated."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(help="Look at no more than so many posts of each file; the next import goes on.", min=1),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Say what would be imported, and store nothing.")] = False,
) -> None:
    """Load posts, and readings of their scores, from files into the raw tables, in one pass for all communities.

    A post may have any number of readings: a row each, columns such as score_1h beside each other, or a list in a JSON
    record. A file of readings alone is about posts that are known already: import those first.

    The columns of a table are told apart by their names and what stands in them, and it is said what was understood.
    Interrupted, it goes on where it stopped; importing a file again adds nothing. A file that cannot be read does not
    hold back the others.
    """
    from redpop_assets.resources import author_key, open_warehouse
    from redpop_assets.runs import report_import
    from redpop_assets.settings import load_settings
    from redpop_assets.sources.archives.columns import told
    from redpop_assets.sources.archives.imports import Imported, check_archive, import_archive
    from redpop_assets.sources.archives.posts import columns_of

    settings = load_settings()
    communities = chosen(settings, subreddit)
    read_at = moment(observed_at) if observed_at else None
    asked = told(",".join(columns or ()))
    paths = list(dict.fromkeys(files))
    found: dict[str, Imported] = {}
    reports: dict[Path, ImportReport] = {}
    failed: list[Path] = []
    shown: Columns | None = None
    for file in paths:
        try:
            understood = columns_of(file, asked)
            if understood is not None and understood != shown:
                _say_understood(file, understood)
                shown = understood
            with _progress(file) as progress:
                if check:
                    report = check_archive(
                        file, communities, observed_at=read_at, progress=progress, limit=limit, columns=asked
                    )
                else:
                    report = import_archive(
                        file,
                        communities,
                        open_warehouse(settings),
                        author_key(settings),
                        observed_at=read_at,
                        progress=progress,
                        limit=limit,
                        columns=asked,
                    )
        except RedPopError as error:
            complain(str(error))
            failed.append(file)
            continue
        reports[file] = report
        for name, imported in report.by_subreddit.items():
            if imported.posts or imported.readings:
                found[name] = found.get(name, Imported()) + imported
        _say_report(file, report, stored=not check)
        if report.days_alone and understood is not None:
            say(f"Of {report.days_alone:,} posts only the day is known: {quoted(understood.days_hint)}")
    if found and not check:
        report_import(settings, sorted(found), ", ".join(file.name for file in reports))
    _say_together(reports, found, stored=not check)
    if failed and len(paths) > 1:
        names = ", ".join(quoted(str(file)) for file in failed)
        say(f"{len(failed)} of {len(paths)} files could not be read to their end, see above what to do: {names}")
    if failed or not (found or any(report.checked for report in reports.values())):
        raise typer.Exit(1)


@contextmanager
def _progress(file: Path) -> "Iterator[Callable[[Chunk], None]]":
    """A bar that shows how much of a file was read, and what moves it."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console()) as progress:
        task = progress.add_task(quoted(file.name))
        yield lambda chunk: progress.update(task, completed=chunk.bytes_read, total=chunk.bytes_total)


def _say_understood(file: Path, columns: "Columns") -> None:
    """What is taken from which column of a table, and which are left out."""
    from rich.table import Table

    table = Table(title=f"Columns of {quoted(file.name)}", title_justify="left")
    for title in ("what", "taken from", "how"):
        table.add_column(title)
    for meaning in columns.meanings:
        table.add_row(meaning.word, quoted(meaning.source), quoted(meaning.how))
    if columns.left_out:
        table.add_row("left out", quoted(", ".join(f"`{header}`" for header in columns.left_out[:_MOST_COLUMNS])))
    console().print(table)


def _say_report(file: Path, report: "ImportReport", *, stored: bool) -> None:
    """What was in one file, and what of it was left out."""
    if report.resumed_after:
        say(f"The import was interrupted before; it went on after line {report.resumed_after:,}.")
    found = {name: one for name, one in report.by_subreddit.items() if one.posts or one.readings}
    if len(found) > _MOST_NAMED:
        _say_imported(_counted(report.total, f"{len(found):,} communities"), file, report.total, stored=stored)
    else:
        for name, imported in found.items():
            _say_imported(_counted(imported, f"r/{name}"), file, imported, stored=stored)
    if report.checked:
        say(
            f"{report.checked:,} readings in {quoted(file.name)} beside those of its posts; nothing was stored. They "
            "are taken if their posts are in the file or were imported before."
        )
    if report.unknown:
        say(
            f"{report.unknown:,} readings are of posts that are not known, and were left out: import or harvest these "
            "posts first, then this file again."
        )
    if not found and not report.checked and not report.unknown:
        say(f"No post of {_listed(list(report.by_subreddit))} is in {quoted(file.name)}.")
    if report.forgotten:
        say(f"{report.forgotten} posts were left out because they were forgotten.")
    if report.contradicting:
        say(
            f"{report.contradicting:,} scores differ from what is stored of the same posts and the very same moment, "
            "and were left out: if they were read at another time, say when, --observed-at."
        )
    if report.other_subreddit:
        say(f"{report.other_subreddit} posts of other communities were left out.")
    if report.broken:
        say(f"{report.broken} broken lines were left out" + (", the first of them:" if report.broken_samples else "."))
        for sample in report.broken_samples[:5]:
            say(f"  line {sample.line}: {quoted(sample.error)}")
    if report.emptied:
        say(f"{report.emptied} values that could not be meant were left out of their posts, the first of them:")
        for sample in report.emptied_samples[:5]:
            say(f"  line {sample.line}: {quoted(sample.error)}")
    if report.stopped_after is not None:
        say(f"The limit was reached after line {report.stopped_after:,}; the next import goes on from there.")


def _counted(imported: "Imported", whose: str) -> str:
    """How many posts of a community there are, and further readings."""
    if not imported.posts:
        return f"{imported.readings:,} readings of posts of {whose}"
    also = f", and {imported.readings:,} further readings," if imported.readings else ""
    return f"{imported.posts} posts of {whose}{also}"


def _say_imported(what: str, file: Path, imported: "Imported", *, stored: bool) -> None:
    if not stored:
        say(f"{what} in {quoted(file.name)}; nothing was stored.")
        return
    say(
        f"{what} in {quoted(file.name)}: {imported.new_submissions} new posts, "
        f"{imported.new_observations} new readings of scores"
        + (f", {imported.revised} known posts shown better." if imported.revised else ".")
    )


def _say_together(reports: "dict[Path, ImportReport]", found: "dict[str, Imported]", *, stored: bool) -> None:
    """What holds for all files of the command, and what to do next."""
    files = len(reports)
    if files > 1 and found:
        total = sum(found.values(), start=type(next(iter(found.values())))())
        new = f", {total.new_submissions:,} of them new," if stored else ""
        say(f"Together: {total.posts:,} posts{new} in {files} files.")
    guessed = [file.name for file, report in reports.items() if "newest_post" in report.observed_at_rules]
    if guessed:
        if files == 1:
            which, whose, its = "The file does not say when its", "its", "its"
        else:
            which, whose, its = f"{len(guessed)} of {files} files do not say when their", "the", "their"
        say(
            f"{which} scores were read. They count as read when {whose} newest post {'of each ' if files > 1 else ''}"
            f"was made, the earliest time possible: posts of {its} last days stay without a label. --observed-at knows "
            "better."
        )
    if found and stored:
        some = () if len(found) > _MOST_NAMED else found
        options = "".join(f" --subreddit {name}" for name in some)
        say(f"Next: `redpop materialize --no-harvest{options}` computes everything from these posts.")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED:,} more communities" if len(names) > _MOST_NAMED else ""
    return ", ".join(f"r/{name}" for name in names[:_MOST_NAMED]) + more
