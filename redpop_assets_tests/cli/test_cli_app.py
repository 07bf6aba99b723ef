"""The command line as a whole: its help, what it refuses, and how it is started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from redpop_assets.cli.app import app

COMMANDS = (
    "demo",
    "materialize",
    "analyse",
    "import",
    "export",
    "images",
    "forget",
    "new-author-key",
    "predict",
    "leaderboard",
    "accept-drift",
    "sql",
    "doctor",
    "move",
    "dev",
    "sandbox",
)


def test_help_lists_every_command():
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f" {command} " in result.output


@pytest.mark.parametrize("command", [*((name,) for name in COMMANDS), ("sandbox", "advance")], ids=" ".join)
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "Usage:" in result.output
    assert len(result.output) > 200


def test_without_a_command_the_help_is_shown():
    result = CliRunner().invoke(app, [])
    assert "Usage:" in result.output


def test_an_unknown_command_is_an_error():
    result = CliRunner().invoke(app, ["scrape"])
    assert result.exit_code == 2


def test_a_wrong_setting_is_named(redpop):
    for command in (("materialize",), ("doctor",), ("leaderboard",), ("sql", "SELECT 1")):
        answer = redpop(*command, REDPOP_CHUNK_SIZE="many", REDPOP_SUBREDDITS="a b")
        assert answer.code == 1
        assert "REDPOP_CHUNK_SIZE" in answer.output
        assert "REDPOP_SUBREDDITS" in answer.output


def test_the_program_is_installed():
    program = Path(sys.executable).with_name("redpop")
    if not program.exists():
        pytest.skip("redpop is not installed into this environment")
    done = subprocess.run([program, "--help"], capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0
    assert "materialize" in done.stdout


def test_the_help_pays_for_nothing_that_only_commands_need():
    heavy = ("dagster", "duckdb", "numpy", "pyarrow", "pydantic_settings", "torch")
    script = f"import sys, redpop_assets.cli.app; print(set({heavy!r}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
