"""`redpop`: the command line. Each command says what it did and what to do next; the work is done elsewhere."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from redpop_assets.durations import parse_duration
from redpop_assets.errors import RedPopError, SettingsError, WarehouseError
from redpop_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    import pyarrow as pa

app = typer.Typer(
    name="redpop",
    help="How popular will this image post be on Reddit, and why?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
sandbox_app = typer.Typer(
    invoke_without_command=True, help="A local Reddit: OAuth, listings, images, time that passes."
)
app.add_typer(sandbox_app, name="sandbox")
images_app = typer.Typer(no_args_is_help=True, help="The stored image files.")
app.add_typer(images_app, name="images")

# Into a file or a pipe tables are as wide as they need to be read.
_console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140)
_MOST_ROWS = 20  # of one table and community that `redpop analyse` prints


def _say(text: str) -> None:
    """Print a sentence as one line, so that commands in it can be copied."""
    _console.print(text, soft_wrap=True, highlight=False)


Subreddits = Annotated[
    list[str] | None,
    typer.Option("--subreddit", "-r", help="Only this community; may be repeated. Default: all of them."),
]
Port = Annotated[int, typer.Option(help="Port of the sandbox.", min=1, max=65535)]
SANDBOX_PORT = 8765


def main() -> None:
    """Run a command; RedPop's own errors end it with their message and exit code 1."""
    try:
        app()
    except RedPopError as error:
        Console(stderr=True).print(f"[bold red]Error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)


@app.command()
def demo(
    port: Port = SANDBOX_PORT,
    posts: Annotated[
        int | None, typer.Option(help="Posts per community at first. Default: 1000, with chaos 300.", min=50, max=1000)
    ] = None,
    advance: Annotated[str, typer.Option(help="Let this much time pass first, such as 8d or 12h.")] = "",
    chaos: Annotated[
        bool,
        typer.Option(
            "--chaos", help="Let everything go wrong that goes wrong at Reddit, for eleven days, and say what was lost."
        ),
    ] = False,
) -> None:
    """Run the whole graph on the sandbox: harvest, clean, download, embed, train, compare, publish."""
    from redpop_assets.demo import demo_settings, run_demo

    if chaos:
        from redpop_assets.chaos_demo import chaos_settings, run_chaos_demo

        if advance:
            raise SettingsError("The demo with chaos lets time pass by itself: leave --advance out.")
        port += port == SANDBOX_PORT  # a calm sandbox may run there
        if not run_chaos_demo(chaos_settings(port), port=port, posts=posts or 300, console=_console):
            raise typer.Exit(1)
        return
    settings = demo_settings(port)
    run_demo(
        settings, port=port, posts=posts or 1000, advance=parse_duration(advance) if advance else None, console=_console
    )


@app.command()
def materialize(
    subreddit: Subreddits = None,
    select: Annotated[
        str | None, typer.Option(help="Assets in Dagster's selection syntax, such as group:features. Default: all.")
    ] = None,
    harvest: Annotated[bool, typer.Option(help="Ask Reddit for posts; --no-harvest uses those that are there.")] = True,
) -> None:
    """Bring communities up to date, as the nightly schedule does, and publish the result."""
    from redpop_assets.runs import materialize as run

    settings = load_settings()
    outcomes = run(settings, _chosen(settings, subreddit), select=select, harvest=harvest)
    failed = [outcome for outcome in outcomes if outcome.failures]
    for outcome in outcomes:
        if not outcome.failures:
            _say(f"r/{outcome.subreddit}: up to date (run {outcome.run_id[:8]})")
        for failure in outcome.failures:
            _say(f"[red]r/{outcome.subreddit}: {escape(failure)}[/]")
    if failed:
        _say("What was finished is kept; the same command goes on from there. The log of a run: `redpop dev`.")
        raise typer.Exit(1)
    _say('Next: `redpop leaderboard`, `redpop sql "FROM marts.leaderboard"`, or `redpop dev` for the UI.')


@app.command()
def analyse(
    subreddit: Annotated[str, typer.Argument(help="The community. Default: all with a training set.")] = "",
    predictor: Annotated[
        str, typer.Option(help="The predictor to take apart. Default: REDPOP_ANALYSED_PREDICTOR.")
    ] = "",
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of an analysis, such as emap, or split_comparison, which trains all predictors four times; may "
            "be repeated. Default: all analyses."
        ),
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="On the demo's home.")] = False,
) -> None:
    """Audit and explain the predictors on the training sets that are there: tables in marts, figures in the home."""
    from redpop_assets.analyses.registry import ANALYSES
    from redpop_assets.analyses.study import cell
    from redpop_assets.assets.tables import asset_key
    from redpop_assets.demo import demo_settings
    from redpop_assets.runs import SPLITS
    from redpop_assets.runs import analyse as run
    from redpop_assets.storage.figures import FigureStore

    settings = demo_settings(SANDBOX_PORT) if demo else load_settings()
    (name,) = _chosen(settings, [subreddit]) if subreddit else ("",)
    outcome = run(settings, subreddit=name, predictor=predictor, only=only or ())
    figures = FigureStore(settings.home / "figures")
    for analysis in (ANALYSES[chosen] for chosen in only or ANALYSES if chosen != SPLITS):
        if any(failure.startswith(asset_key(analysis.table).to_python_identifier()) for failure in outcome.failures):
            continue
        where = f"WHERE subreddit = '{name}'" if name else ""
        rows = _published(settings, f"FROM {analysis.read_from} {where} ORDER BY {analysis.order}").to_pylist()
        shown = {column: title for column, title in analysis.shown.items() if column != "subreddit"}
        for community in dict.fromkeys(row["subreddit"] for row in rows):
            members = [row for row in rows if row["subreddit"] == community]
            title = f"{analysis.read_from} of r/{community}"
            grid = Grid(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
            known = [column for column in shown if any(row[column] is not None for row in members[:_MOST_ROWS])]
            for column in known:
                words = shown[column].removesuffix(" (95 %)").replace(" ", "\n")
                grid.add_column(words, no_wrap=column != "reason", vertical="bottom")
            for row in members[:_MOST_ROWS]:
                grid.add_row(*(escape(cell(row, column)) for column in known))
            _console.print(grid)
            if len(members) > _MOST_ROWS:
                _say(f'… and {len(members) - _MOST_ROWS} more: `redpop sql "FROM {analysis.read_from}"`')
        if not rows:
            _say(f"{analysis.read_from}: nothing; the log says why.")
    if SPLITS in (only or ()) and not outcome.failures:
        _say(f"What each split makes of the predictors: `redpop sql -f warehouse/queries/{SPLITS}.sql`")
    for message in dict.fromkeys(failure.partition(": ")[2] for failure in outcome.failures):
        _say(f"[red]{escape(message)}[/]")
    if outcome.failures:
        raise typer.Exit(1)
    _say("In brackets: 95 % intervals, mostly by resampling authors; the columns of a table say which.")
    _say(f"The figures: {figures.root}. What each table answers: {settings.home / 'redpop.duckdb'}, schema marts.")


@app.command(name="import")
def import_posts(
    file: Annotated[Path, typer.Argument(help="Dump (NDJSON), CSV table, JSON array or RedCaps file; also .gz, .zst.")],
    subreddit: Subreddits = None,
    observed_at: Annotated[
        str, typer.Option(help="When the scores were read, such as 2013-08-20, for rows that do not say so.")
    ] = "",
) -> None:
    """Load posts of a file into the raw tables, in one pass for all communities.

    Interrupted, it goes on where it stopped; importing a file again adds nothing.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from redpop_assets.reddit.imports import import_archive
    from redpop_assets.reddit.records import AuthorKey
    from redpop_assets.resources import open_warehouse
    from redpop_assets.runs import report_import

    settings = load_settings()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_console) as progress:
        task = progress.add_task(file.name)
        report = import_archive(
            file,
            _chosen(settings, subreddit),
            open_warehouse(settings),
            AuthorKey.load_or_create(settings.home / "author.key"),
            observed_at=_moment(observed_at) if observed_at else None,
            progress=lambda chunk: progress.update(task, completed=chunk.bytes_read, total=chunk.bytes_total),
        )
    if report.resumed_after:
        _say(f"The import was interrupted before; it went on after line {report.resumed_after:,}.")
    found = {name: imported for name, imported in report.by_subreddit.items() if imported.posts}
    for name, imported in found.items():
        report_import(settings, name, file.name)
        _say(
            f"{imported.posts} posts of r/{name} in {file.name}: {imported.new_submissions} new posts, "
            f"{imported.new_observations} new readings of scores."
        )
    if not found:
        _say(f"No post of {', '.join(f'r/{name}' for name in report.by_subreddit)} is in {file.name}.")
    if report.forgotten:
        _say(f"{report.forgotten} posts were left out because they were forgotten.")
    if "newest_post" in report.observed_at_rules:
        _say(
            "The file does not say when its scores were read. They count as read when its newest post was made, the "
            "earliest time possible: posts of its last days stay without a label. --observed-at knows better."
        )
    if report.other_subreddit:
        _say(f"{report.other_subreddit} posts of other communities were left out.")
    if report.broken:
        _say(f"{report.broken} broken lines were left out" + (", the first of them:" if report.broken_samples else "."))
        for sample in report.broken_samples[:5]:
            _say(f"  line {sample.line}: {escape(sample.error)}")
    if found:
        chosen = "".join(f" --subreddit {name}" for name in found)
        _say(f"Next: `redpop materialize --no-harvest{chosen}` computes everything from these posts.")


@app.command()
def forget(
    post: Annotated[list[str] | None, typer.Argument(help="Ids or addresses of posts.")] = None,
    author: Annotated[str, typer.Option(help="Name of an account: all its posts that are stored.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Erase posts from every table and file, for ever; only tombstones stay, so that nothing stores them again."""
    from redpop_assets.reddit.records import AuthorKey
    from redpop_assets.resources import open_warehouse
    from redpop_assets.storage import forgetting
    from redpop_assets.storage.images import ImageStore

    settings = load_settings()
    warehouse = open_warehouse(settings)
    if not post and not author:
        raise SettingsError("Name what to forget: ids or addresses of posts, or --author NAME.")
    warehouse.scalar("SELECT count(*) FROM raw.tombstones")  # nothing is made where there is no warehouse
    reasons = {forgetting.parse_post(text): "by_request" for text in post or ()}
    if author:
        digest = AuthorKey.load_or_create(settings.home / "author.key").digest(author.removeprefix("u/"))
        found = forgetting.posts_of(warehouse, digest)
        _say(f"u/{author.removeprefix('u/')}: {len(found)} posts, crossposts of theirs included.")
        reasons |= dict.fromkeys(found, "author_by_request")
    if reasons and not yes:
        typer.confirm(f"Erase {len(reasons)} posts for ever?", abort=True)
    done = forgetting.forget(warehouse, ImageStore(settings.home / "images"), reasons)
    if author:
        forgetting.erase_accounts(warehouse, [digest])
    warehouse.publish()
    for table, rows in done.rows.items():
        _say(f"  {table}: {rows} rows")
    _say(
        f"{done.posts} posts forgotten, {done.files} image files removed, the published warehouse replaced.\n"
        "What was learnt from them goes with the next training: `redpop materialize --no-harvest`. Copies that were "
        "exported or backed up before are yours to delete."
    )


@app.command()
def new_author_key(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Replace the key that hides author names; with the old one nobody can be recognised in the warehouse any more."""
    from redpop_assets.reddit.records import AuthorKey
    from redpop_assets.resources import open_warehouse
    from redpop_assets.storage.forgetting import unlink_authors

    settings = load_settings()
    path = settings.home / "author.key"
    if not yes:
        typer.confirm("Posts stored so far and posts to come will count as of different authors. Go on?", abort=True)
    authors = 0
    if (settings.home / "live" / "redpop.duckdb").exists():
        warehouse = open_warehouse(settings)
        authors = unlink_authors(warehouse)
        warehouse.publish()
    path.unlink(missing_ok=True)
    AuthorKey.load_or_create(path)
    _say(f"{path} is new, and {authors} stored hashes cannot be computed from names any more, by no key.")


@app.command()
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
    from redpop_assets.resources import deployed_encoders

    settings = load_settings()
    _require_published(settings)
    encoders = {"image": settings.image_encoder, "caption": settings.caption_encoder} if embeddings else {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=_console) as shown:

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
            progress=progress,
        )
    for name, exported in done.items():
        reasons = ", ".join(f"{posts} {reason}" for reason, posts in exported.left_out.items() if posts)
        left_out = f"; left out: {reasons}" if reasons else ""
        _say(f"r/{name}: {exported.written} of {exported.posts} posts{left_out}")
    _say(
        f"Exported to {to}; {to / exports.MANIFEST} says what is in it. Pictures and captions belong to their authors, "
        "and what is deleted on Reddit has to be deleted there, too: export again after a refresh, with --overwrite."
    )


@app.command()
def predict(
    subreddit: Annotated[str, typer.Option("--subreddit", "-r", help="Where it would be posted.")],
    title: Annotated[str, typer.Option("--title", "-t", help="Its title.")],
    image: Annotated[Path | None, typer.Option("--image", "-i", help="The picture: JPEG, PNG, WebP or GIF.")] = None,
    at: Annotated[
        str, typer.Option(help="When it would be posted (UTC), such as 2026-12-24T18:00. Default: now.")
    ] = "",
    author: Annotated[str, typer.Option(help="Who would post it; a known author's past counts.")] = "",
    to_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object.")] = False,
) -> None:
    """Expected score of a picture and a title that are not posted yet, its range, and where that stands."""
    from redpop_assets.forecast_page import as_json, print_forecasts
    from redpop_assets.images.decode import ImageRejected, open_rgb
    from redpop_assets.reddit.records import AuthorKey
    from redpop_assets.refresh.draft import forecast
    from redpop_assets.refresh.new_post import NewPost
    from redpop_assets.resources import judges_of, open_warehouse
    from redpop_assets.storage.models import ModelStore

    settings = load_settings()
    subreddit = subreddit.removeprefix("r/")
    if image is not None and not image.is_file():
        raise SettingsError(f"There is no picture {image}.")
    if not title.strip():
        raise SettingsError("The title is empty; Reddit takes no post without one.")
    posted_at = _moment(at) if at else datetime.now(UTC)
    try:
        picture = open_rgb(image) if image else None
    except ImageRejected as error:
        raise SettingsError(f"{image} is no picture that can be used: {error}") from error
    # Asking changes nothing, so any warehouse may be asked, whoever filled it.
    source = _published(settings, "SELECT source FROM raw.source").to_pylist()[0]["source"]
    warehouse = open_warehouse(settings.model_copy(update={"source": source}))
    post = NewPost(
        warehouse,
        subreddit.lower(),
        title.strip(),
        picture,
        posted_at=posted_at,
        author=AuthorKey.load_or_create(settings.home / "author.key").digest(author) if author else None,
        matured_after=settings.label_rule.final_age,
        device=settings.device,
        judges=judges_of(settings, warehouse),
    )
    forecasts = forecast(warehouse, ModelStore(settings.home / "models"), post)
    if to_json:
        typer.echo(as_json(forecasts, subreddit.lower(), settings.label_age_days))
    else:
        print_forecasts(forecasts, subreddit, title, settings.label_age_days, _console)


@app.command()
def accept_drift(
    subreddit: Annotated[str, typer.Argument(help="The community.")],
    table: Annotated[str, typer.Argument(help="Table of features, such as image_features. Default: all of them.")] = "",
) -> None:
    """Agree that features look different from now on: the check `looks_as_before` compares with their present state."""
    from redpop_assets.refresh.drift import COMPARED_TABLES, accept_drift, compared_table
    from redpop_assets.resources import deployed_encoders, open_warehouse

    settings = load_settings()
    (name,) = _chosen(settings, [subreddit])
    tables = [compared_table(table)] if table else sorted(COMPARED_TABLES)
    accepted = accept_drift(open_warehouse(settings), name, deployed_encoders(settings), tables)
    for accepted_table, drifts in accepted.items():
        for drift in drifts:
            _say(f"  {accepted_table}, {escape(drift.column)}: {escape('; '.join(drift.reasons))}")
    if accepted:
        _say(
            f"Accepted for r/{name}: {', '.join(accepted)}. The next run, `redpop materialize`, has nothing to warn of."
        )
    else:
        _say(f"Nothing to accept: {', '.join(tables) if table else 'all features'} of r/{name} look as before.")


@app.command()
def leaderboard() -> None:
    """The predictors on the test part of each community, from the published warehouse."""
    from redpop_assets.demo import print_leaderboard

    rows = _published(load_settings(), "SELECT * FROM marts.leaderboard").to_pylist()
    if not rows:
        raise WarehouseError("No predictor has been compared yet: run `redpop materialize`.")
    print_leaderboard(rows, _console)


@app.command()
def sql(
    statement: Annotated[str, typer.Argument(help="SQL; without it, the interactive DuckDB prompt.")] = "",
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Run the statements of a file.")] = None,
) -> None:
    """Query the published warehouse, read-only. It may stay open while the pipeline runs."""
    settings = load_settings()
    published = _require_published(settings)
    if not statement and file is None and sys.stdin.isatty():
        _say(f"{published}, read-only. Tables: SHOW ALL TABLES; leave with .quit")
        os.execv(_duckdb_cli(), ["duckdb", "-readonly", str(published)])
    if file is not None and not file.is_file():
        raise SettingsError(f"There is no file {file}.")
    text = statement or (file.read_text(encoding="utf-8") if file else sys.stdin.read())
    done = subprocess.run([_duckdb_cli(), "-readonly", str(published), "-c", text], check=False)
    raise typer.Exit(done.returncode)


@images_app.command()
def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="Fetch lost and damaged images again in the next run; remove the rest.")
    ] = False,
    older_than: Annotated[
        str, typer.Option(help="Younger files without a row may still get one: leave them alone.")
    ] = "1h",
) -> None:
    """Read every stored image and compare it with the warehouse: missing, corrupt, orphaned and unused ones."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from redpop_assets.images.verify import KINDS, verify_images
    from redpop_assets.resources import open_warehouse
    from redpop_assets.storage.images import ImageStore

    settings = load_settings()
    age = parse_duration(older_than)
    with Progress(TextColumn("images"), BarColumn(), TimeRemainingColumn(), console=_console, transient=True) as bar:
        task = bar.add_task("images")
        result = verify_images(
            open_warehouse(settings),
            ImageStore(settings.home / "images"),
            repair=repair,
            older_than=age,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    _say(f"{result.pictures} images in {result.files} files, {result.bytes / 1e6:.1f} MB.")
    grid = Grid(box=SIMPLE_HEAD)
    for column in ("found", "number", "what it is", "example"):
        grid.add_column(column, justify="right" if column == "number" else "left")
    for kind, meaning in KINDS.items():
        finding = result.findings[kind]
        grid.add_row(kind, str(finding.count), meaning, escape(finding.example))
    _console.print(grid)
    if result.repaired:
        _say("Repaired. The next `redpop materialize` fetches what was lost.")
    elif not result.is_sound:
        _say("`redpop images verify --repair` puts this right: lost images are fetched again, the rest is removed.")
        raise typer.Exit(1)


@app.command()
def doctor() -> None:
    """Show every setting, and what is missing: credentials, weights, GPU, disk."""
    from redpop_assets.doctor import examine

    problems = examine(load_settings(), _console)
    raise typer.Exit(1 if problems else 0)


@app.command()
def dev(
    demo: Annotated[bool, typer.Option("--demo", help="On the demo's home, with its sandbox running beside.")] = False,
    port: Annotated[int, typer.Option(help="Port of the UI.", min=1, max=65535)] = 3000,
    sandbox_port: Port = SANDBOX_PORT,
) -> None:
    """Open the Dagster UI with schedules and sensors running; stop it with Ctrl-C."""
    from redpop_assets.demo import demo_settings, sandbox_process
    from redpop_assets.runs import prepare_instance

    settings = demo_settings(sandbox_port) if demo else load_settings()
    workspace = prepare_instance(settings) / "workspace.yaml"
    command = [_script("dagster"), "dev", "-w", str(workspace), "-p", str(port), "--log-level", "warning"]
    _say(f"Home {settings.home}. The UI: http://localhost:{port}")
    if demo:
        with sandbox_process(settings, sandbox_port):
            raise typer.Exit(_foreground(command))
    raise typer.Exit(_foreground(command))


@sandbox_app.callback()
def sandbox(
    context: typer.Context,
    port: Port = SANDBOX_PORT,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seed: Annotated[int, typer.Option(help="The world follows from it.", min=0)] = 7,
    subreddit: Subreddits = None,
    posts: Annotated[int, typer.Option(help="Posts per community at the beginning.", min=10, max=100_000)] = 1000,
    days: Annotated[int, typer.Option(help="Days over which these posts were made.", min=10, max=3650)] = 120,
    speed: Annotated[
        float | None, typer.Option(help="World seconds per second; 0: time stands still until advanced.", min=0)
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Folder that keeps the clock and deletions, so that a restart goes on. Default: in the home."
        ),
    ] = None,
    budget: Annotated[int, typer.Option(help="API calls in ten minutes.", min=1)] = 996,
    chaos: Annotated[bool, typer.Option("--chaos", help="Switch on everything that goes wrong at Reddit.")] = False,
    situations: Annotated[
        list[str] | None,
        typer.Option("--with", help="Switch on one situation, such as rate-limits; may be repeated."),
    ] = None,
) -> None:
    """Serve until Ctrl-C. Reach it with REDPOP_REDDIT_URL, REDPOP_OAUTH_URL and REDPOP_SOURCE."""
    if context.invoked_subcommand is not None:
        return
    from redpop_assets.sandbox.chaos import Chaos
    from redpop_assets.sandbox.clock import Clock
    from redpop_assets.sandbox.server import serve
    from redpop_assets.sandbox.world import World

    wild = Chaos(seed, ["all"] if chaos else situations or ())
    world = World(
        seed=seed,
        subreddits=tuple(subreddit or ("pics", "EarthPorn")),
        posts_per_subreddit=posts,
        history=timedelta(days=days),
    )
    state = state or load_settings().home / "sandbox"
    clock = Clock(world.epoch, speed=speed, directory=state)

    def ready(url: str) -> None:
        _say(
            f"Sandbox Reddit at {url}, world time {clock.now():%Y-%m-%d %H:%M} UTC.\n"
            f"Use it: REDPOP_SOURCE=sandbox REDPOP_REDDIT_URL={url} REDPOP_OAUTH_URL={url} "
            f"REDPOP_IMAGE_HOSTS_ALLOWED={url.removeprefix('http://')} REDDIT_CLIENT_ID=sandbox "
            f"REDDIT_CLIENT_SECRET=sandbox REDDIT_USER_AGENT='linux:redpop:0.1 (by /u/sandbox)'\n"
            f"Let time pass: `redpop sandbox advance 8d --port {port}`. "
            f"What goes wrong: `redpop sandbox chaos --port {port}`. Ctrl-C stops."
        )

    serve(world, clock, host, port, budget=budget, chaos=wild, directory=state, on_ready=ready)


@sandbox_app.command()
def advance(
    duration: Annotated[str, typer.Argument(help="How much time passes, such as 8d, 12h or 30m.")],
    port: Port = SANDBOX_PORT,
) -> None:
    """Let time pass in a running sandbox."""
    from redpop_assets.demo import advance_clock

    now = advance_clock(f"http://127.0.0.1:{port}", parse_duration(duration))
    _say(f"World time is now {now}. Next: harvest again.")


@sandbox_app.command()
def chaos(
    on: Annotated[list[str] | None, typer.Option(help="Situation to switch on, or all; may be repeated.")] = None,
    off: Annotated[list[str] | None, typer.Option(help="Situation to switch off, or all; may be repeated.")] = None,
    port: Port = SANDBOX_PORT,
) -> None:
    """Show what goes wrong in a running sandbox and how often it did, or switch it."""
    from redpop_assets.chaos_demo import print_situations, switch_chaos

    print_situations(switch_chaos(f"http://127.0.0.1:{port}", on=on or (), off=off or ()), _console)


@sandbox_app.command()
def delete(
    post: Annotated[str, typer.Argument(help="Id of a post.")] = "",
    author: Annotated[str, typer.Option(help="Close this account instead.")] = "",
    reason: Annotated[str, typer.Option(help="removed_by_category of the post, or missing.")] = "deleted",
    port: Port = SANDBOX_PORT,
) -> None:
    """Delete a post in a running sandbox, or close an account, from now on."""
    from redpop_assets.chaos_demo import delete_in_sandbox

    if bool(post) == bool(author):
        raise SettingsError("Name one: the id of a post, or --author NAME.")
    what = {"author": author} if author else {"post_id": post, "reason": reason}
    posts = delete_in_sandbox(f"http://127.0.0.1:{port}", what)
    _say(f"Done for {len(posts)} posts: {' '.join(posts)}. Next: harvest again.")


def _chosen(settings: Settings, names: Sequence[str] | None) -> tuple[str, ...]:
    if not names:
        return settings.partitions
    wanted = tuple(name.removeprefix("r/").lower() for name in names)
    if unknown := [name for name in wanted if name not in settings.partitions]:
        configured = ",".join([*settings.subreddits, *unknown])
        raise SettingsError(f"r/{unknown[0]} is not configured. Add it: REDPOP_SUBREDDITS={configured}")
    return wanted


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{text!r} is no time; write it like 2026-12-24 or 2026-12-24T18:00 (UTC).") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _require_published(settings: Settings) -> Path:
    published = settings.home / "redpop.duckdb"
    if not published.exists():
        raise WarehouseError(
            f"Nothing is published at {published} yet: run `redpop materialize`, or set REDPOP_HOME to the home "
            "directory that has it (that of the demo is warehouse/demo)."
        )
    return published


def _published(settings: Settings, statement: str) -> "pa.Table":
    import duckdb

    with duckdb.connect(_require_published(settings), read_only=True) as connection:
        return connection.execute(statement).to_arrow_table()


def _duckdb_cli() -> str:
    return _script("duckdb")


def _script(name: str) -> str:
    """A program of this environment, which need not be on the PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise SettingsError(f"The program {name} is missing from this environment: install RedPop again.")
    return found


def _foreground(command: Sequence[str]) -> int:
    """Run a program that ends by Ctrl-C, and wait for it to clean up."""
    # A shell starts what runs in the background with interrupts ignored, and the program would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command)
    # Dagster leaves its servers behind when it is terminated; an interrupt makes it end them.
    signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the terminal has told the program as well


if __name__ == "__main__":
    main()
