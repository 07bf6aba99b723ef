"""`redpop import`: posts from files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redpop_assets.cli.arguments import Subreddits, chosen, moment
from redpop_assets.cli.console import complain, console, quoted, say
from redpop_assets.errors import RedPopError

if TYPE_CHECKING:
    from redpop_assets.sources.archives.imports import Imported, ImportReport

_MOST_NAMED = 10
"""Communities that are named one by one; a table of posts may have a thousand."""


def import_posts(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Dumps (NDJSON), tables (CSV), JSON arrays or RedCaps files; also .gz, .zst."
        ),
    ],
    subreddit: Subreddits = None,
    observed_at: Annotated[
        str, typer.Option(help="When the scores were read, such as 2013-08-20, for rows that do not say so.")
    ] = "",
    limit: Annotated[
        int | None,
        typer.Option(help="Look at no more than so many posts of each file; the next import goes on.", min=1),
    ] = None,
) -> None:
    """Load posts of files into the raw tables, in one pass over each for all communities.

    Interrupted, it goes on where it stopped; importing a file again adds nothing. A file that cannot be read does not
    hold back the others.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from redpop_assets.privacy.author_key import AuthorKey
    from redpop_assets.resources import open_warehouse
    from redpop_assets.runs import report_import
    from redpop_assets.settings import load_settings
    from redpop_assets.sources.archives.imports import Imported, import_archive

    settings = load_settings()
    communities = chosen(settings, subreddit)
    read_at = moment(observed_at) if observed_at else None
    warehouse = open_warehouse(settings)
    key = AuthorKey.load_or_create(settings.home / "author.key")
    found: dict[str, Imported] = {}
    reports: dict[Path, ImportReport] = {}
    failed: list[Path] = []
    for file in dict.fromkeys(files):
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        try:
            with Progress(*columns, console=console()) as progress:
                task = progress.add_task(quoted(file.name))
                report = import_archive(
                    file,
                    communities,
                    warehouse,
                    key,
                    observed_at=read_at,
                    progress=lambda chunk, task=task, progress=progress: progress.update(  # type: ignore[misc]
                        task, completed=chunk.bytes_read, total=chunk.bytes_total
                    ),
                    limit=limit,
                )
        except RedPopError as error:
            complain(str(error))
            failed.append(file)
            continue
        reports[file] = report
        for name, imported in report.by_subreddit.items():
            if imported.posts:
                found[name] = found.get(name, Imported()) + imported
        _say_report(file, report)
    for name in found:
        report_import(settings, name, ", ".join(file.name for file in reports))
    _say_together(reports, found)
    if failed:
        names = ", ".join(quoted(str(file)) for file in failed)
        if len(files) > 1:
            say(f"{len(failed)} of {len(files)} files were not imported to their end: {names}. See above what to do.")
        raise typer.Exit(1)
    if not found:
        raise typer.Exit(1)


def _say_report(file: Path, report: "ImportReport") -> None:
    """What was in one file, and what of it was left out."""
    if report.resumed_after:
        say(f"The import was interrupted before; it went on after line {report.resumed_after:,}.")
    found = {name: imported for name, imported in report.by_subreddit.items() if imported.posts}
    if len(found) > _MOST_NAMED:
        _say_imported(f"{report.posts:,} posts of {len(found):,} communities", file, report.total)
    else:
        for name, imported in found.items():
            _say_imported(f"{imported.posts} posts of r/{name}", file, imported)
    if not found:
        say(f"No post of {_listed(list(report.by_subreddit))} is in {quoted(file.name)}.")
    if report.forgotten:
        say(f"{report.forgotten} posts were left out because they were forgotten.")
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


def _say_imported(what: str, file: Path, imported: "Imported") -> None:
    say(
        f"{what} in {quoted(file.name)}: {imported.new_submissions} new posts, "
        f"{imported.new_observations} new readings of scores"
        + (f", {imported.revised} known posts shown better." if imported.revised else ".")
    )


def _say_together(reports: "dict[Path, ImportReport]", found: "dict[str, Imported]") -> None:
    """What holds for all files of the command, and what to do next."""
    files = len(reports)
    if files > 1 and found:
        total = sum(found.values(), start=type(next(iter(found.values())))())
        say(f"Together: {total.posts:,} posts, {total.new_submissions:,} of them new, in {files} files.")
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
    if found:
        some = () if len(found) > _MOST_NAMED else found
        options = "".join(f" --subreddit {name}" for name in some)
        say(f"Next: `redpop materialize --no-harvest{options}` computes everything from these posts.")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED:,} more communities" if len(names) > _MOST_NAMED else ""
    return ", ".join(f"r/{name}" for name in names[:_MOST_NAMED]) + more
