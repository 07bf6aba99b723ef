"""`redpop export`: published posts and pictures for other tools."""

from pathlib import Path
from typing import Annotated

import typer

from redpop_assets.cli.arguments import Subreddits
from redpop_assets.cli.console import console, quoted, say


def export(
    to: Annotated[Path, typer.Option("--to", help="Folder that is made for it.")],
    format: Annotated[str, typer.Option("--format", help="parquet, webdataset or redcaps.")] = "parquet",
    subreddit: Subreddits = None,
    labelled_only: Annotated[bool, typer.Option("--labelled-only", help="Leave out posts without a label.")] = False,
    embeddings: Annotated[
        bool, typer.Option("--embeddings", help="Add the vectors of the encoders of the settings (parquet only).")
    ] = False,
    shard_size: Annotated[int, typer.Option(help="Samples of a shard (webdataset only).", min=1)] = 1000,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an export that is there.")] = False,
) -> None:
    """Copy published posts and pictures for other tools: Parquet, WebDataset shards, or annotations like RedCaps."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from redpop_assets.exports import export as exports
    from redpop_assets.resources import deployed_encoders, open_images
    from redpop_assets.settings import load_settings
    from redpop_assets.storage.published import published_file

    settings = load_settings()
    published_file(settings.home)
    encoders = {"image": settings.image_encoder, "caption": settings.caption_encoder} if embeddings else {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console()) as shown:

        def progress(name: str, total: int, finished: int) -> None:
            if name not in tasks:
                tasks[name] = shown.add_task(f"r/{name}", total=total)
            shown.update(tasks[name], completed=finished)

        done = exports.export(
            settings.home,
            to,
            format,
            subreddit or (),
            labelled_only=labelled_only,
            encoders=encoders,
            networks=deployed_encoders(settings),
            shard_size=shard_size,
            overwrite=overwrite,
            images=open_images(settings),
            progress=progress,
        )
    for name, exported in done.items():
        reasons = ", ".join(f"{posts} {reason}" for reason, posts in exported.left_out.items() if posts)
        left_out = f"; left out: {reasons}" if reasons else ""
        say(f"r/{name}: {exported.written} of {exported.posts} posts{left_out}")
    say(
        f"Exported to {quoted(str(to))}; {quoted(str(to / exports.MANIFEST))} says what is in it. "
        "Pictures and captions belong to their authors, "
        "and what is deleted on Reddit has to be deleted there, too: export again after a refresh, with --overwrite."
    )
