"""Commands as people type them: what they print, and how they end."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from redpop_assets.cli.app import main


@dataclass(frozen=True)
class Answer:
    """Exit code and everything that was printed."""

    code: int
    lines: str

    @property
    def output(self) -> str:
        """Without the line breaks of the terminal's width."""
        return " ".join(self.lines.split())


@pytest.fixture
def redpop(only, tmp_path, monkeypatch, capfd) -> Callable[..., Answer]:
    """Run `redpop …` in an empty folder, with no variables but these, on a terminal of 200 columns."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["redpop", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with only({"COLUMNS": "200", **variables}, tmp_path), pytest.raises(SystemExit) as end:
            main()
        captured = capfd.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Answer(int(end.value.code or 0), captured.out + captured.err)

    return run


@pytest.fixture
def here(redpop) -> Callable[..., Answer]:
    """Run `redpop …` on a deployment."""
    return lambda deployment, *arguments, **more: redpop(*arguments, **{**deployment.variables, **more})
