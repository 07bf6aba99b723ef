"""`redpop sandbox`: the local Reddit, and what people do to one that runs."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from redpop_assets.cli.arguments import SANDBOX_PORT, Port, Subreddits
from redpop_assets.cli.console import console, say
from redpop_assets.durations import parse_duration
from redpop_assets.errors import SettingsError
from redpop_assets.spellings import parse_account, parse_post

app = typer.Typer(invoke_without_command=True, help="A local Reddit: OAuth, listings, images, time that passes.")


@app.callback()
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
    chaos: Annotated[
        bool, typer.Option("--chaos", help="Switch on everything that goes wrong at Reddit and its archive.")
    ] = False,
    moderated: Annotated[
        bool, typer.Option("--moderated", help="Moderators take posts down for reasons that can be learnt.")
    ] = False,
    situations: Annotated[
        list[str] | None,
        typer.Option("--with", help="Switch on one situation, such as rate-limits; may be repeated."),
    ] = None,
) -> None:
    """Serve until Ctrl-C: Reddit, its pictures, and an archive of it that needs no key. It says how to reach each."""
    from redpop_assets.settings import load_settings

    if context.invoked_subcommand is not None:
        return
    from redpop_assets.sandbox.arctic_shift import PATH as ARCHIVE_PATH
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
        moderated=moderated,
    )
    state = state or load_settings().home / "sandbox"
    clock = Clock(world.epoch, speed=speed, directory=state)

    def ready(url: str) -> None:
        say(
            f"Sandbox Reddit at {url}, world time {clock.now():%Y-%m-%d %H:%M} UTC.\n"
            f"Use it: REDPOP_SOURCE=sandbox REDPOP_REDDIT_URL={url} REDPOP_OAUTH_URL={url} "
            f"REDPOP_IMAGE_HOSTS_ALLOWED={url.removeprefix('http://')} REDDIT_CLIENT_ID=sandbox "
            f"REDDIT_CLIENT_SECRET=sandbox REDDIT_USER_AGENT='linux:redpop:0.1 (by /u/sandbox)'\n"
            f"The same posts as Arctic Shift archives them: REDPOP_SOURCE=arctic_shift:sandbox "
            f"REDPOP_ARCTIC_SHIFT_URL={url}{ARCHIVE_PATH} and the image hosts as above. How that archive behaves: "
            f"{url}/sandbox/arctic_shift\n"
            f"Let time pass: `redpop sandbox advance 8d --port {port}`. "
            f"What goes wrong: `redpop sandbox chaos --port {port}`. Ctrl-C stops."
        )

    serve(world, clock, host, port, budget=budget, chaos=wild, directory=state, on_ready=ready)


@app.command()
def advance(
    duration: Annotated[str, typer.Argument(help="How much time passes, such as 8d, 12h or 30m.")],
    port: Port = SANDBOX_PORT,
) -> None:
    """Let time pass in a running sandbox."""
    from redpop_assets.demo.sandbox import advance_clock, sandbox_url

    now = advance_clock(sandbox_url(port), parse_duration(duration))
    say(f"World time is now {now}. Next: harvest again.")


@app.command()
def chaos(
    on: Annotated[list[str] | None, typer.Option(help="Situation to switch on, or all; may be repeated.")] = None,
    off: Annotated[list[str] | None, typer.Option(help="Situation to switch off, or all; may be repeated.")] = None,
    port: Port = SANDBOX_PORT,
) -> None:
    """Show what goes wrong in a running sandbox and how often it did, or switch it."""
    from redpop_assets.cli.pages.chaos import print_situations
    from redpop_assets.demo.sandbox import sandbox_url, switch_chaos

    print_situations(switch_chaos(sandbox_url(port), on=on or (), off=off or ()), console())


@app.command()
def delete(
    post: Annotated[str, typer.Argument(help="Id or address of a post.")] = "",
    author: Annotated[str, typer.Option(help="Close this account instead.")] = "",
    reason: Annotated[str, typer.Option(help="removed_by_category of the post, or missing.")] = "deleted",
    port: Port = SANDBOX_PORT,
) -> None:
    """Delete a post in a running sandbox, or close an account, from now on."""
    from redpop_assets.demo.sandbox import delete_in_sandbox, sandbox_url

    if bool(post) == bool(author):
        raise SettingsError("Name one: the id of a post, or --author NAME.")
    what = {"author": parse_account(author)} if author else {"post_id": parse_post(post), "reason": reason}
    posts = delete_in_sandbox(sandbox_url(port), what)
    say(f"Done for {len(posts)} posts: {' '.join(posts)}. Next: harvest again.")
