"""`redpop studio`: the web application for people who are about to post."""

from typing import Annotated, Any

import typer

from redpop_assets.cli.arguments import SANDBOX_PORT
from redpop_assets.cli.console import quoted, say


def studio(
    demo: Annotated[bool, typer.Option("--demo", help="On the demo's home.")] = False,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on. Default: REDPOP_STUDIO_PORT.", min=1, max=65535)
    ] = None,
) -> None:
    """Open the studio: what to expect of a draft, why, when and where to post it. Ctrl-C stops."""
    from redpop_assets.demo.settings import demo_settings
    from redpop_assets.settings import load_settings
    from redpop_assets.studio.serving import open_site, serve

    chosen: dict[str, Any] = {} if port is None else {"studio_port": port}
    settings = demo_settings(SANDBOX_PORT, **chosen) if demo else load_settings(**chosen)

    def ready(url: str) -> None:
        say(f"The studio: {url}\nIt reads what is published in {quoted(str(settings.home))}. Ctrl-C stops.")

    serve(open_site(settings), ready)
