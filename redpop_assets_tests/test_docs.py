"""The pages that people read: what they point at is there, what they name exists, what they tell to do works."""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from redpop_assets.cli.app import app
from redpop_assets.predictors.base import Predictor
from redpop_assets.predictors.registry import predictor_class, predictor_names, variant_names
from redpop_assets.settings import Settings, variable_of
from redpop_assets.storage.schema import LAYERS, load_schema
from redpop_assets.testing.planted import make_planted

ROOT = Path(__file__).resolve().parents[1]
WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [*WRITTEN, ROOT / "warehouse" / "README.md"]
MADE_BY_RUNS = (
    "warehouse/redpop.duckdb",
    "warehouse/demo",
    "warehouse/author.key",
    "warehouse/images",
    "warehouse/models",
)

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.M | re.S)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_TABLE = re.compile(rf"(?<![\w./])({'|'.join(LAYERS)})\.([a-z_]+)\b(?!\.py)")


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _prose(page: Path) -> str:
    """The page without its blocks of code."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _code(page: Path) -> list[str]:
    """Every line of code in the page: those of blocks, without `$ ` and comments, and what stands in backticks."""
    text = page.read_text(encoding="utf-8")
    blocks = [line.strip() for _, _, block in _FENCE.findall(text) for line in block.splitlines()]
    lines = [line for line in blocks if not line.startswith("#")]
    return [line.strip().removeprefix("$ ") for line in [*lines, *_CODE.findall(_FENCE.sub("", text))]]


def _anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub makes them."""
    found: dict[str, int] = {}
    anchors = set()
    for heading in re.findall(r"^#+ (.+)$", _prose(page), re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        times = found.get(slug, 0)
        found[slug] = times + 1
        anchors.add(f"{slug}-{times}" if times else slug)
    return anchors


def _broken_links(page: Path) -> list[str]:
    broken = []
    for target in _LINK.findall(_prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        pointed = page.parent / path if path else page
        if not pointed.exists() or (anchor and anchor not in _anchors(pointed)):
            broken.append(target)
    return broken


def _commands(line: str, program: str) -> list[list[str]]:
    """The words after each call of a program in a line of code."""
    found = []
    for call in re.findall(rf"(?:^|[\s/]){program} ([^|]+)", line):
        lexer = shlex.shlex(call, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        found.append(list(lexer))
    return found


def _command_line() -> TyperGroup:
    """What `redpop` is, by the entry point of the package."""
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]["redpop"]
    command = get_command(importlib.import_module(entry.partition(":")[0]).app)
    assert isinstance(command, TyperGroup)
    return command


def _wrong_in_call(words: list[str], group: TyperGroup) -> str | None:
    """What of a call of `redpop` there is not; None if it is right."""
    command: TyperCommand | TyperGroup = group
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return None if command is not group and command.params else f"no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word) and word not in options | {"--help"}]
    return f"{command.name} has no option {unknown[0]}" if unknown else None


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) <= 10_000


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_point_at_something(page):
    assert not _broken_links(page)


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_pages_are_found_from_the_readme(page):
    """Nothing is written that nobody is sent to."""
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        here = todo.pop()
        if here in reached:
            continue
        reached.add(here)
        links = (target.partition("#")[0] for target in _LINK.findall(_prose(here)))
        todo += [(here.parent / link).resolve() for link in links if link.endswith(".md") and ":" not in link]
    assert page in reached


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_targets_and_variables_of_make_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile, re.M))
    words = {word for line in _code(page) for call in _commands(line, "make") for word in call}
    variables = {word.partition("=")[0] for word in words if "=" in word}
    assert not {word for word in words if "=" not in word} - targets
    assert not {name for name in variables if f"$({name})" not in makefile}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_and_options_of_redpop_exist(page):
    group = _command_line()
    calls = [words for line in _code(page) for words in _commands(line, "redpop")]
    assert not [wrong for words in calls if (wrong := _wrong_in_call(words, group))]


def _shell_lines(page: Path) -> list[str]:
    """The commands of the page's blocks of shell, as they are typed."""
    blocks = [block for _, language, block in _FENCE.findall(page.read_text(encoding="utf-8")) if language == "sh"]
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _shell(folder: Path) -> Path:
    """A folder of programs for lines of shell, which end at once, for the front of the PATH.

    Redirections, variables and quotes are the shell's business, so the shell reads a line; only what does something is
    replaced: by make's dry run, by nothing, and `redpop` by what keeps its words, in a file of `folder / "calls"` for
    each call.
    """
    programs, calls = folder / "bin", folder / "calls"
    programs.mkdir()
    calls.mkdir()
    kept = f"""for word; do printf '%s\\0' "$word"; done > "$(mktemp -p {shlex.quote(str(calls))})"\n"""
    dry = f'exec make -n -C {shlex.quote(str(ROOT))} "$@"\n'
    nothing = dict.fromkeys(("rsync", "cp", "mkdir", "curl"), "exit 0\n")
    for name, does in {"redpop": kept, "make": dry, **nothing}.items():
        program = programs / name
        program.write_text(f"#!/bin/sh\nPATH={shlex.quote(os.environ['PATH'])}\n{does}", encoding="utf-8")
        program.chmod(0o755)
    return programs


@pytest.mark.end_to_end
@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_commands_of_the_pages_start_in_a_shell(page, tmp_path):
    """As written: quoting, variables before a command, comments behind it and options are those of a real shell."""
    here = tmp_path / "checkout"
    here.mkdir()
    for entry in ROOT.iterdir():  # what a line redirects to a file is not left in the real one
        (here / entry.name).symlink_to(entry)
    environment = {**os.environ, "PATH": f"{_shell(tmp_path)}:{os.environ['PATH']}"}
    for line in dict.fromkeys(_shell_lines(page)):
        folder = here
        if line.startswith(".venv/bin/pytest"):
            folder = ROOT  # pytest is where its settings are
            line = line.replace(".venv/bin/pytest", f"{sys.executable} -m pytest --collect-only -q", 1)
        elif re.match(r"RED(?:DIT|POP)_\w+=\S*$|REDDIT_USER_AGENT=", line):
            continue  # a line of `.env`
        done = subprocess.run(
            ["sh", "-c", line.replace(".venv/bin/redpop", "redpop")],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        assert not [name for name in re.findall(r"> *([\w.-]+)", line) if (ROOT / name).exists()], line
        calls = list((tmp_path / "calls").iterdir())
        assert len(calls) == len(re.findall(r"(?:^|\s|bin/)redpop ", line.partition(" #")[0] + " ")), line
        for call in calls:
            words = call.read_text(encoding="utf-8").split("\0")[:-1]
            helped = CliRunner().invoke(app, [*words, "--help"])
            assert helped.exit_code == 0, f"{line}\n{helped.output}"
            assert "Usage: " in helped.output
            call.unlink()


def _benchmarks() -> list[str]:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    return sorted(set(re.findall(r"python (benchmarks/\w+\.py[^`]*)", page)))


HELP_OF_EACH = """
import contextlib, io, json, runpy, sys
from pathlib import Path
helped = {}
for program in sys.argv[1:]:
    before = list(sys.path)
    sys.argv, sys.path[0] = [program, "--help"], str(Path(program).resolve().parent)
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        runpy.run_path(program, run_name="__main__")
    helped[program] = said.getvalue()
    sys.path[:] = before
print(json.dumps(helped))
"""


@pytest.fixture(scope="module")
def help_of_benchmarks(tmp_path_factory):
    """What each program says to `--help`, started in a plain shell: nothing of this environment is on the PATH."""
    home = tmp_path_factory.mktemp("plain")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(ROOT)}
    # One process for all: most of their time goes into the libraries, which they share.
    done = subprocess.run(
        [sys.executable, "-c", HELP_OF_EACH, *sorted({call.split()[0] for call in _benchmarks()})],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.end_to_end
@pytest.mark.parametrize("program", sorted({call.split()[0] for call in _benchmarks()}))
def test_benchmarks_start_and_know_the_options_of_the_page(program, help_of_benchmarks):
    said = help_of_benchmarks[program]
    assert said.startswith(f"usage: {Path(program).name}")
    options = {word for call in _benchmarks() if call.startswith(program) for word in re.findall(r"--[a-z-]+", call)}
    assert not {option for option in options if option not in said}


def test_benchmarks_find_their_installer_without_a_path():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        peers = importlib.import_module("peers")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    with mock.patch.object(peers.subprocess, "run") as run:
        peers.installed(["x"], Path("folder"))
    assert {call.args[0][0] for call in run.call_args_list} == {Path(sys.executable).with_name("uv")}


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_files_settings_and_tables_that_are_named_exist(page):
    """But for the files that a recipe makes, and those that runs make."""
    text = "\n".join(_code(page))
    schema = load_schema()
    made = {"redpop_assets/features/questions.py", "redpop_assets/predictors/systems/hour_mean.py"}
    made |= {"warehouse/schema/features/questions.sql"}
    paths = re.findall(
        r"(?<![\w./<-])((?:redpop_assets(?:_tests)?|warehouse|benchmarks|docs)/[\w./-]*)(?![\w<*])", text
    )
    missing = {path for path in paths if not path.startswith(MADE_BY_RUNS) and not (ROOT / path).exists()}
    assert not missing - made
    variables = set(map(variable_of, Settings.model_fields)) | {"REDPOP_WRITE_SNAPSHOT"}
    assert not set(re.findall(r"\bRED(?:POP|DIT)_[A-Z_]+\b", text)) - variables
    tables = {".".join(found) for found in _TABLE.findall(text)}
    assert not tables - set(schema) - {"marts.published_warehouse", "features.questions"}


def test_symptoms_are_what_the_program_says():
    page = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
    table = page.partition("## What to do when")[2].partition("\n## ")[0]
    symptoms = [row.split(" | ")[0] for row in table.splitlines() if row.startswith("| ")][2:]
    said = {part.strip(" ,") for symptom in symptoms for code in _CODE.findall(symptom) for part in code.split("…")}
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "redpop_assets").rglob("*.py"))
    source += load_schema()["raw.listing_reads"].ddl
    assert len(symptoms) > 15
    assert not {part for part in said if part not in source and not part.startswith("redpop ")}


def test_every_predictor_is_described_with_what_it_needs():
    page = (ROOT / "docs" / "predictors.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| ([^|]*) \|$", page, re.M))
    expected = {}
    for name in (*predictor_names(), *variant_names()):
        kind = predictor_class(name)
        needs = [*sorted(kind.requires), *(["words"] if kind.reads_captions else [])]
        expected[name] = ", ".join(needs) or "–"
    assert rows == expected


def test_the_rooms_of_the_architecture_are_those_of_the_contract():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (drawing,) = [block for _, _, block in _FENCE.findall(page) if " faces " in block]
    drawn = [line[12:56].split() for line in drawing.partition(" apart ")[0].splitlines()]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (floors,) = [contract["layers"] for contract in contracts if contract.get("containers") == ["redpop_assets"]]
    level = {room: number for number, floor in enumerate(floors) for room in re.findall(r"\w+", floor)}
    order = [room for row in drawn for room in row]
    assert set(order) == set(level) - {"sandbox", "testing"}
    assert [level[room] for room in order] == sorted(level[room] for room in order)


@pytest.fixture
def recipe(tmp_path):
    """Makes a module of the block of code on the architecture page that says something."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    loaded = []

    def block(holding: str) -> str:
        (found,) = [
            "\n".join(line.removeprefix(indent) for line in code.splitlines())
            for indent, _, code in _FENCE.findall(text)
            if holding in code
        ]
        return found

    def module(holding: str) -> ModuleType:
        name = f"recipe_{len(loaded)}_{tmp_path.name.replace('-', '_')}"
        (tmp_path / f"{name}.py").write_text(block(holding), encoding="utf-8")
        sys.path.insert(0, str(tmp_path))
        loaded.append(name)
        try:
            return importlib.import_module(name)
        finally:
            sys.path.remove(str(tmp_path))

    yield block, module
    for name in loaded:
        del sys.modules[name]


def test_the_recipe_of_a_feature_fits_its_table(recipe, tmp_path):
    block, module = recipe
    (tmp_path / "schema" / "features").mkdir(parents=True)
    (tmp_path / "schema" / "features" / "questions.sql").write_text(block("CREATE TABLE"), encoding="utf-8")
    table = load_schema(tmp_path / "schema")["features.questions"]
    questions = module("question_features(")
    features = questions.question_features(["Why?", "A lake", "Who? Me"])
    assert (questions.FAMILY.table, set(questions.FAMILY.keys)) == (table.name, set(table.key) - {"code_version"})
    assert {column.name for column in table.columns if column.is_feature} == set(features)
    assert {column.known_at for column in table.columns if column.is_feature} == {"before_post"}
    np.testing.assert_array_equal(features["question_marks"], [1, 0, 1])
    np.testing.assert_array_equal(features["ends_with_question"], [1, 0, 0])


def test_the_recipe_of_a_predictor_learns(recipe, tmp_path):
    kind = recipe[1]("class HourMean").HourMean
    assert issubclass(kind, Predictor)
    planted = make_planted(seed=3)
    fitted = kind(seed=7)
    report = fitted.fit(planted.train, planted.validation)
    assert report.blocks == ("time",)
    fitted.save(tmp_path / "model")
    expected = fitted.predict(planted.test)
    assert np.ptp(expected) > 0
    np.testing.assert_array_equal(kind.load(tmp_path / "model").predict(planted.test), expected)


def test_the_recipe_of_a_source_is_read_as_a_post(recipe, tmp_path):
    from redpop_assets.sources.archives.posts import read

    file = tmp_path / "posts.ndjson"
    file.write_text(recipe[0]('"observed_at"') + "\n", encoding="utf-8")
    (chunk,) = read(file, subreddits=["pics"])
    (post,) = chunk.rows
    assert post.observed_at_rule == "observed_at"
    assert post.submission["title"] == json.loads(file.read_text(encoding="utf-8"))["data"]["title"]


def test_a_page_with_mistakes_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One\n\n[a](#one) [b](#two) [c](gone.md) `redpop nothing` `make dinner`\n", encoding="utf-8")
    assert _broken_links(page) == ["#two", "gone.md"]
    group = _command_line()
    assert _commands("make dinner", "make") == [["dinner"]]
    assert _wrong_in_call(["nothing"], group) == "no command nothing"
    assert _wrong_in_call(["sandbox", "advance", "8d", "--sideways"], group) == "advance has no option --sideways"
    assert _wrong_in_call(["export", "--to", "out", "-r", "pics"], group) is None
