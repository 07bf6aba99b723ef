"""`redpop dev`: the UI of Dagster, with everything that refreshes itself."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from redpop_assets.cli.arguments import SANDBOX_PORT, Port
from redpop_assets.cli.console import quoted, say
from redpop_assets.cli.programs import foreground, program


def dev(
    demo: Annotated[bool, typer.Option("--demo", help="On the demo's home, with its sandbox running beside.")] = False,
    port: Annotated[int, typer.Option(help="Port of the UI.", min=1, max=65535)] = 3000,
    sandbox_port: Port = SANDBOX_PORT,
    only: Annotated[
        Literal["webserver", "daemon"] | None,
        typer.Option("--only", help="One half alone: the UI, or schedules, sensors and runs; for services."),
    ] = None,
) -> None:
    """Open the Dagster UI with schedules and sensors running; stop it with Ctrl-C."""
    from redpop_assets.demo.sandbox import sandbox_process
    from redpop_assets.demo.settings import demo_settings
    from redpop_assets.instance import dagster_environment
    from redpop_assets.settings import load_settings

    settings = demo_settings(sandbox_port) if demo else load_settings()
    environment = dagster_environment(settings)
    workspace = Path(environment["DAGSTER_HOME"]) / "workspace.yaml"
    command = _command(only, str(workspace), str(port))
    if only == "daemon":
        raise typer.Exit(foreground(command, environment))
    say(f"Home {quoted(str(settings.home))}. The UI: http://localhost:{port}")
    if demo:
        with sandbox_process(sandbox_port, state=settings.home / "sandbox", subreddits=settings.subreddits):
            raise typer.Exit(foreground(command, environment))
    raise typer.Exit(foreground(command, environment))


def _command(only: str | None, workspace: str, port: str) -> list[str]:
    """The program of Dagster that does it."""
    quiet = ["--log-level", "warning"]
    if only == "webserver":
        return [program("dagster-webserver"), "-w", workspace, "-p", port, *quiet]
    if only == "daemon":
        return [program("dagster-daemon"), "run", "-w", workspace, *quiet]
    return [program("dagster"), "dev", "-w", workspace, "-p", port, *quiet]
