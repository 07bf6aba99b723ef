"""The command line as people type it: what it prints, what it refuses and how it ends."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from redpop_assets import cli
from redpop_assets.testing.deployments import PREDICTORS

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
    "dev",
    "sandbox",
)


class Answer:
    """Exit code and everything that was printed, without line breaks of the terminal's width."""

    def __init__(self, code: int, output: str) -> None:
        self.code = code
        self.lines = output
        self.output = " ".join(output.split())


@pytest.fixture
def redpop(only, tmp_path, monkeypatch, capfd):
    """Run `redpop …` in an empty folder, with no variables but these."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["redpop", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        monkeypatch.setattr(cli, "_console", Console(width=200))
        with only(variables, tmp_path), pytest.raises(SystemExit) as end:
            cli.main()
        captured = capfd.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Answer(int(end.value.code or 0), captured.out + captured.err)

    return run


@pytest.fixture
def here(redpop):
    """Run `redpop …` on a deployment."""
    return lambda deployment, *arguments, **more: redpop(*arguments, **{**deployment.variables, **more})


def test_help_lists_every_command():
    result = CliRunner().invoke(cli.app, ["--help"])
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f" {command} " in result.output


@pytest.mark.parametrize("command", [*((name,) for name in COMMANDS), ("sandbox", "advance")], ids=" ".join)
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(cli.app, [*command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "Usage:" in result.output
    assert len(result.output) > 200


def test_without_a_command_the_help_is_shown():
    result = CliRunner().invoke(cli.app, [])
    assert "Usage:" in result.output


def test_an_unknown_command_is_an_error():
    result = CliRunner().invoke(cli.app, ["scrape"])
    assert result.exit_code == 2


# What stops a command before it starts


def test_without_credentials_it_says_at_once_how_to_get_and_set_them(redpop, tmp_path):
    began = time.monotonic()
    answer = redpop("materialize", "-r", "pics")
    assert time.monotonic() - began < 30  # what is missing now is missing in a minute, too
    assert answer.code == 1
    assert "REDDIT_CLIENT_ID, REDDIT_CLIENT_SECRET, REDDIT_USER_AGENT not set" in answer.output
    assert "https://www.reddit.com/prefs/apps" in answer.output
    assert ".env" in answer.output
    assert (tmp_path / "warehouse").is_dir()


def test_a_community_that_is_not_configured(redpop):
    answer = redpop("materialize", "-r", "aww")
    assert answer.code == 1
    assert "r/aww is not configured. Add it: REDPOP_SUBREDDITS=pics,EarthPorn,aww" in answer.output


@pytest.mark.parametrize("select", ["key:nothing/such", "group:(", "wrong:thing", "group:none"])
def test_a_selection_of_nothing(redpop, select):
    answer = redpop("materialize", "--select", select)
    assert answer.code == 1
    assert select in answer.output
    assert "core/posts" in answer.output or "Examples" in answer.output


def test_no_harvest_leaves_nothing_of_the_raw_layer(redpop):
    answer = redpop("materialize", "--select", "group:raw", "--no-harvest")
    assert answer.code == 1
    assert "chooses no asset" in answer.output


def test_a_wrong_setting_is_named(redpop):
    for command in (("materialize",), ("doctor",), ("leaderboard",), ("sql", "SELECT 1")):
        answer = redpop(*command, REDPOP_CHUNK_SIZE="many", REDPOP_SUBREDDITS="a b")
        assert answer.code == 1
        assert "REDPOP_CHUNK_SIZE" in answer.output
        assert "REDPOP_SUBREDDITS" in answer.output


@pytest.mark.parametrize("command", [("leaderboard",), ("sql", "SELECT 1"), ("sql",)], ids=" ".join)
def test_nothing_is_published_yet(redpop, tmp_path, command):
    answer = redpop(*command)
    assert answer.code == 1
    assert f"Nothing is published at {tmp_path}/warehouse/redpop.duckdb" in answer.output
    assert "redpop materialize" in answer.output
    assert not (tmp_path / "warehouse").exists()  # asking makes nothing


def test_predict_before_anything_was_trained(redpop):
    answer = redpop("predict", "-r", "pics", "-t", "A title")
    assert answer.code == 1
    assert "materialize" in answer.output


def test_predict_refuses_what_is_no_picture_and_no_title(redpop):
    assert "no picture nowhere.jpg" in redpop("predict", "-r", "pics", "-t", "x", "-i", "nowhere.jpg").output
    assert "title is empty" in redpop("predict", "-r", "pics", "-t", "  ").output
    answer = redpop("predict", "-r", "pics", "-t", "x", "--at", "tomorrow")
    assert answer.code == 1
    assert "'tomorrow' is no time" in answer.output


@pytest.mark.parametrize("text", ["2026-12-24T18:00", "2026-12-24T18:00Z", "2026-12-24T20:00+02:00"])
def test_moments_are_utc_unless_they_say_otherwise(text):
    assert cli._moment(text).isoformat() == "2026-12-24T18:00:00+00:00"


def test_advancing_a_sandbox_that_is_not_there(redpop):
    answer = redpop("sandbox", "advance", "8d", "--port", "1")
    assert answer.code == 1
    assert "redpop sandbox" in answer.output


def test_advancing_a_sandbox(redpop):
    from redpop_assets.sandbox.clock import Clock
    from redpop_assets.sandbox.server import running
    from redpop_assets.sandbox.world import World

    world = World(posts_per_subreddit=10)
    clock = Clock(world.epoch)
    with running(world, clock) as url:
        answer = redpop("sandbox", "advance", "8d", "--port", url.rpartition(":")[2])
    assert answer.code == 0
    assert "2026-06-09" in answer.output
    assert (clock.now() - world.epoch).days == 8


# Import


def test_importing_a_file_that_is_not_there(redpop):
    answer = redpop("import", "nothing.csv", "-r", "pics")
    assert answer.code == 1
    assert "nothing.csv" in answer.output


def test_importing_what_is_no_archive(redpop, tmp_path):
    (tmp_path / "letter.csv").write_text("Dear friends,\nall is well.\n", encoding="utf-8")
    answer = redpop("import", "letter.csv", "-r", "pics")
    assert answer.code == 1
    assert "created_utc" in answer.output


def test_importing_a_table_twice(redpop, tmp_path):
    with (tmp_path / "posts.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "title", "created_utc", "score", "url"])
        for number in range(5):
            table.writerow(
                [f"a{number}", f"Post {number}", 1_375_000_000 + number, number, f"http://i.imgur.com/{number}.jpg"]
            )
        table.writerow(["", "no id", "x", 1, "http://i.imgur.com/9.jpg"])
    arguments = ("import", "posts.csv", "-r", "Pics", "--observed-at", "2013-09-01")
    answer = redpop(*arguments)
    assert answer.code == 0, answer.output
    assert "5 posts of r/pics in posts.csv: 5 new posts, 5 new readings of scores." in answer.output
    assert "1 broken lines were left out" in answer.output
    assert "redpop materialize --no-harvest --subreddit pics" in answer.output
    again = redpop(*arguments)
    assert again.code == 0
    assert "0 new posts, 0 new readings" in again.output


# On a warehouse that is full


@pytest.mark.xdist_group("pipeline")
class TestOnAPipeline:
    def test_sql_prints_rows_and_cannot_write(self, redpop, pipeline):
        home = pipeline.deployment.variables
        answer = redpop("sql", "SELECT count(*) AS posts, 'x' || 'y' AS text FROM marts.posts", **home)
        posts = pipeline.deployment.scalar("SELECT count(*) FROM core.posts")
        assert answer.code == 0
        assert "posts" in answer.output
        assert str(posts) in answer.output
        assert "xy" in answer.output
        answer = redpop("sql", stdin="SELECT 40 + 2;", **home)
        assert answer.code == 0
        assert "42" in answer.output
        answer = redpop("sql", "DELETE FROM core.posts", **home)
        assert answer.code != 0
        assert "read-only" in answer.output

    def test_sql_of_a_file(self, redpop, pipeline, tmp_path):
        (tmp_path / "question.sql").write_text("SELECT 'the answer';", encoding="utf-8")
        home = pipeline.deployment.variables
        assert "the answer" in redpop("sql", "-f", "question.sql", **home).output
        answer = redpop("sql", "-f", "missing.sql", **home)
        assert answer.code == 1
        assert "missing.sql" in answer.output

    def test_a_mistake_in_sql_is_an_error(self, redpop, pipeline):
        home = pipeline.deployment.variables
        answer = redpop("sql", "SELECT * FROM marts.nothing", **home)
        assert answer.code != 0
        assert "nothing" in answer.output

    def test_the_leaderboard(self, here, pipeline):
        answer = here(pipeline.deployment, "leaderboard")
        assert answer.code == 0
        for word in ("pics", "earthporn", "fusion_lightgbm", "subreddit_median", "Spearman"):
            assert word in answer.output

    def test_predict_with_a_picture(self, here, pipeline, tmp_path):
        path = tmp_path / "photo.jpg"
        Image.radial_gradient("L").convert("RGB").resize((640, 400)).save(path)
        answer = here(
            pipeline.deployment,
            *("predict", "-r", "EarthPorn", "-t", "Sunrise over the lake [OC]", "-i", str(path)),
            *("--at", "2026-06-05T18:00", "--author", "somebody"),
        )
        assert answer.code == 0, answer.output
        for name in ("fusion_lightgbm", "metadata_boosting", "redpop_thesis", "subreddit_median"):
            assert name in answer.output
        assert "r/EarthPorn: Sunrise over the lake [OC]" in answer.output
        assert answer.output.count("%") >= 4
        assert "picture and title" in answer.output
        assert "neither picture nor title" in answer.output
        rows = [line.split() for line in answer.lines.splitlines() if re.search(r" -?0\.\d\d$", line.rstrip())]
        champion = pipeline.deployment.scalar("SELECT predictor FROM marts.champions WHERE subreddit = 'earthporn'")
        assert f"{champion}, the champion of r/EarthPorn since 20" in answer.output
        assert rows[0][0] == champion
        skills = [float(row[-1]) for row in rows[1:]]
        assert len(skills) >= 2  # the median orders nothing
        assert skills == sorted(skills, reverse=True)
        said = re.search(r"Range +([\d,]+) to ([\d,]+) points, for 80 of 100 posts", answer.output)
        low, high = (int(number.replace(",", "")) for number in said.groups())
        expected = int(re.search(r"Expected +([\d,]+) points after 7 days", answer.output)[1].replace(",", ""))
        assert low <= expected <= high
        assert low < high
        assert re.search(r"Standing +[a-z ]+: \d+ % of the posts there score less", answer.output)
        assert re.search(r"off by a factor of \d+\.\d", answer.output)

    def test_predict_without_a_picture(self, here, pipeline):
        answer = here(pipeline.deployment, "predict", "-r", "r/pics", "-t", "My cat")
        assert answer.code == 0, answer.output
        assert "r/pics: My cat" in answer.output
        assert "r/r/" not in answer.output
        assert "picture and title" not in answer.output
        assert re.search(r"metadata_boosting .* % +title ", answer.output)

    def test_predict_for_programs(self, here, pipeline):
        asked = ("predict", "-r", "r/Pics", "-t", "My [bold]cat", "--at", "2026-06-05T18:00")
        found = json.loads(here(pipeline.deployment, *asked, "--json").lines)
        assert (found["subreddit"], found["label_age_days"]) == ("pics", 7)
        assert len(found["forecasts"]) == len(PREDICTORS)
        assert [one["champion"] for one in found["forecasts"]].count(True) == 1
        first = found["forecasts"][0]
        assert first["champion"]
        low, high = first["intervals"]["80"]
        assert low < high
        assert 0 <= first["percentile"] <= 1
        shown = here(pipeline.deployment, *asked).output
        assert f"{first['expected_score']:,.0f} points" in shown
        assert "My [bold]cat" in shown

    def test_predict_for_a_community_without_predictors(self, here, pipeline):
        answer = here(pipeline.deployment, "predict", "-r", "aww", "-t", "My cat")
        assert answer.code == 1
        assert "r/aww" in answer.output
        assert "earthporn, pics" in answer.output

    def test_predict_asks_the_published_warehouse_whoever_filled_it(self, redpop, pipeline):
        answer = redpop("predict", "-r", "pics", "-t", "x", REDPOP_HOME=str(pipeline.deployment.home))
        assert answer.code == 0, answer.output

    def test_predict_with_a_file_that_is_no_picture(self, here, pipeline, tmp_path):
        (tmp_path / "text.jpg").write_text("not a picture", encoding="utf-8")
        answer = here(pipeline.deployment, "predict", "-r", "pics", "-t", "My cat", "-i", str(tmp_path / "text.jpg"))
        assert answer.code == 1
        assert "text.jpg" in answer.output

    def test_another_source_is_refused(self, here, pipeline):
        answer = here(pipeline.deployment, "materialize", "--select", "group:marts", REDPOP_SOURCE="elsewhere")
        assert answer.code == 1
        assert "was filled by sandbox, not by elsewhere" in answer.output

    def test_doctor_finds_nothing_missing(self, here, pipeline):
        answer = here(pipeline.deployment, "doctor")
        assert answer.code == 0, answer.output
        for topic in ("Reddit", "warehouse", "image encoder", "caption encoder", "device", "disk"):
            assert f"ok {topic}:" in answer.output
        assert pipeline.deployment.variables["REDDIT_CLIENT_SECRET"] not in answer.output
        assert re.search(r"REDDIT_CLIENT_SECRET\W+set ", answer.output)

    def test_materialize_a_selection(self, here, pipeline, tmp_path):
        copied = pipeline.deployment.copy(tmp_path / "home")
        answer = here(copied, "materialize", "--select", "group:marts", "-r", "r/Pics")
        assert answer.code == 0, answer.output
        assert "r/pics: up to date" in answer.output
        assert "redpop leaderboard" in answer.output


def test_doctor_names_what_is_missing(redpop):
    answer = redpop(
        "doctor",
        REDPOP_DEVICE="cuda:99",
        REDDIT_CLIENT_ID="an-id",
        REDPOP_IMAGE_ENCODER="timm:tf_efficientnet_lite0/bundled",
    )
    assert answer.code == 1
    assert "missing Reddit: REDDIT_CLIENT_SECRET, REDDIT_USER_AGENT not set" in answer.output
    assert "missing device: There is no device cuda:99" in answer.output
    assert "ok warehouse: none at" in answer.output
    assert "ok disk:" in answer.output
    assert "REDPOP_LABEL_AGE_DAYS" in answer.output


def test_doctor_when_reddit_does_not_answer(redpop):
    answer = redpop(
        "doctor",
        REDPOP_SOURCE="sandbox",
        REDPOP_REDDIT_URL="http://127.0.0.1:1",
        REDPOP_OAUTH_URL="http://127.0.0.1:1",
        REDPOP_REDDIT_TIMEOUT_SECONDS="1",
        REDDIT_CLIENT_ID="x",
        REDDIT_CLIENT_SECRET="x",
        REDDIT_USER_AGENT="linux:redpop-tests:0.1 (by /u/sandbox)",
    )
    assert answer.code == 1
    assert "missing Reddit:" in answer.output


def test_the_program_is_installed():
    program = Path(sys.executable).with_name("redpop")
    if not program.exists():
        pytest.skip("redpop is not installed into this environment")
    done = subprocess.run([program, "--help"], capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0
    assert "materialize" in done.stdout


def test_what_runs_in_the_foreground_ends_with_it_even_if_it_was_started_in_the_background(tmp_path):
    program, outer = tmp_path / "program.py", tmp_path / "outer.py"
    program.write_text(
        "import time\n"
        "try:\n    print('up', flush=True)\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    raise SystemExit(7)\n"
    )
    outer.write_text(
        "import sys\nfrom redpop_assets.cli import _foreground\n"
        f"sys.exit(_foreground([sys.executable, {str(program)!r}]))\n"
    )
    with subprocess.Popen(
        [sys.executable, outer],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    ) as process:
        assert process.stdout.readline() == "up\n"
        process.terminate()
        assert process.wait(timeout=30) == 7
