"""The units for systemd that the repository has: systemd understands them, and the commands in them exist."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from redpop_assets.cli.app import app

FOLDER = Path(__file__).resolve().parents[1] / "deploy"
PROGRAM = "/srv/redpop/.venv/bin/redpop"
SERVICES = sorted(path.name for path in FOLDER.glob("*.service"))


def test_there_are_units_for_all_that_runs():
    assert SERVICES == ["redpop-backup.service", "redpop-daemon.service", "redpop-webserver.service"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_understands_the_units(tmp_path):
    user = Path("/etc/passwd").read_text(encoding="utf-8").partition(":")[0]
    for path in FOLDER.iterdir():
        # Programs and user are those of this machine.
        text = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", path.read_text(encoding="utf-8"))
        (tmp_path / path.name).write_text(text.replace("User=redpop", f"User={user}"), encoding="utf-8")
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False, timeout=60
    )
    about_ours = [line for line in done.stderr.splitlines() if "redpop" in line]
    assert not about_ours
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_the_commands_of_the_units_exist(name):
    commands = [
        shlex.split(line.removeprefix("ExecStart="))
        for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()
        if line.startswith(f"ExecStart={PROGRAM}")
    ]
    assert commands
    for _, command, *arguments in commands:
        shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
        assert all(argument in shown for argument in arguments if argument.startswith("--"))
