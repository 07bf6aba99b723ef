import json
import os
import subprocess
import sys

import pytest

from redpop_assets.arithmetic import SAME_EVERYWHERE, is_same_everywhere

COMMAND = """
import json, os, sys
from redpop_assets.cli.programs import compute_as_told
from redpop_assets.settings import load_settings
def told(program, arguments, environment):
    print(json.dumps({"arguments": arguments[1:], "environment": environment}))
    sys.exit()
os.execve = told
sys.argv[0] = os.environ["PROGRAM"]
compute_as_told(load_settings())
print(json.dumps({"as_it_is": True}))
"""


def said(tmp_path, program="/somewhere/bin/redpop", **variables):
    environment = {name: value for name, value in os.environ.items() if name not in SAME_EVERYWHERE}
    environment |= {"REDPOP_HOME": str(tmp_path), "PROGRAM": program, **variables}
    result = subprocess.run(
        [sys.executable, "-c", COMMAND, "materialize", "-r", "pics"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)


def test_a_command_whose_figures_are_to_be_the_same_begins_again_as_a_process_that_computes_so(tmp_path):
    again = said(tmp_path, REDPOP_REPRODUCIBLE="true")
    assert again["arguments"] == ["-m", "redpop_assets.cli", "materialize", "-r", "pics"]
    assert is_same_everywhere(again["environment"])
    assert again["environment"]["REDPOP_HOME"] == str(tmp_path)
    # And that process does not begin once more.
    assert said(tmp_path, REDPOP_REPRODUCIBLE="true", **SAME_EVERYWHERE) == {"as_it_is": True}


def test_a_program_that_calls_a_command_goes_on(tmp_path):
    assert said(tmp_path, "/somewhere/bin/pytest", REDPOP_REPRODUCIBLE="true") == {"as_it_is": True}
    assert "environment" in said(tmp_path, "/somewhere/redpop_assets/cli/__main__.py", REDPOP_REPRODUCIBLE="true")
    assert said(tmp_path, "/somewhere/pytest/__main__.py", REDPOP_REPRODUCIBLE="true") == {"as_it_is": True}


def test_other_commands_compute_with_all_that_the_machine_has(tmp_path):
    assert said(tmp_path) == {"as_it_is": True}


@pytest.mark.parametrize("name", SAME_EVERYWHERE)
def test_one_variable_that_is_otherwise_is_enough(name):
    assert is_same_everywhere(SAME_EVERYWHERE)
    assert not is_same_everywhere({**SAME_EVERYWHERE, name: "otherwise"})
    assert not is_same_everywhere({key: value for key, value in SAME_EVERYWHERE.items() if key != name})
