"""`redpop import`: posts from files."""

from pathlib import Path
from typing import Annotated

import typer

from redpop_assets.cli.arguments import Subreddits, chosen, moment
from redpop_assets.cli.console import console, quoted, say


def import_posts(
    file: Annotated[
        Path, typer.Argument(help="Dump (NDJSON), table (CSV), JSON array or RedCaps file; also .gz, .zst.")
    ],
    subreddit: Subreddits = None,
    observed_at: Annotated[
        str, typer.Option(help="When the scores were read, such as 2013-08-20, for rows that do not say so.")
    ] = "",
    limit: Annotated[
        int | None, typer.Option(help="Look at no more than so many posts of the file; the next import goes on.", min=1)
    ] = None,
) -> None:
    """Load posts of a file into the raw tables, in one pass for all communities.

    Interrupted, it goes on where it stopped; importing a file again adds nothing.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from redpop_assets.privacy.author_key import AuthorKey
    from redpop_assets.resources import open_warehouse
    from redpop_assets.runs import report_import
    from redpop_assets.settings import load_settings
    from redpop_assets.sources.archives.imports import import_archive

    settings = load_settings()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console()) as progress:
        task = progress.add_task(quoted(file.name))
        report = import_archive(
            file,
            chosen(settings, subreddit),
            open_warehouse(settings),
            AuthorKey.load_or_create(settings.home / "author.key"),
            observed_at=moment(observed_at) if observed_at else None,
            progress=lambda chunk: progress.update(task, completed=chunk.bytes_read, total=chunk.bytes_total),
            limit=limit,
        )
    if report.resumed_after:
        say(f"The import was interrupted before; it went on after line {report.resumed_after:,}.")
    found = {name: imported for name, imported in report.by_subreddit.items() if imported.posts}
    for name, imported in found.items():
        report_import(settings, name, file.name)
        say(
            f"{imported.posts} posts of r/{name} in {quoted(file.name)}: {imported.new_submissions} new posts, "
            f"{imported.new_observations} new readings of scores"
            + (f", {imported.revised} known posts shown better." if imported.revised else ".")
        )
    if not found:
        say(f"No post of {', '.join(f'r/{name}' for name in report.by_subreddit)} is in {quoted(file.name)}.")
    if report.forgotten:
        say(f"{report.forgotten} posts were left out because they were forgotten.")
    if "newest_post" in report.observed_at_rules:
        say(
            "The file does not say when its scores were read. They count as read when its newest post was made, the "
            "earliest time possible: posts of its last days stay without a label. --observed-at knows better."
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
    if found:
        options = "".join(f" --subreddit {name}" for name in found)
        say(f"Next: `redpop materialize --no-harvest{options}` computes everything from these posts.")
    else:
        raise typer.Exit(1)
