"""The programs of `benchmarks/` that are built on each other: what they measure, and what they say of it."""

import importlib
import json
import mmap
import sys
from datetime import UTC, datetime

import dagster as dg
import pytest

from redpop_assets_tests.test_docs import ROOT


@pytest.fixture(scope="module")
def program():
    """A program of the folder by name, as another one there imports it."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
        for name in ("measured", "growth", "nights", "cheap_features", "studio"):
            sys.modules.pop(name, None)


def test_every_step_of_a_run_is_measured_once_it_has_ended_and_runs_add_up(program):
    measured = program("measured")

    @dg.asset(key=["core", "quick"])
    def quick() -> None: ...

    @dg.asset(key=["core", "busy"], deps=[quick])
    def busy() -> None:
        held = bytearray(30_000_000)
        began = measured.cpu_seconds()
        while measured.cpu_seconds() < began + 0.1:
            held[0] = 1
        raise ValueError("it fails, and counts")

    meter = measured.Meter()
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            with meter.steps():
                dg.materialize([quick, busy], instance=instance, raise_on_error=False)
        dg.materialize([quick], instance=instance)  # outside
    assert set(meter.parts) == {"core/quick", "core/busy"}
    assert meter.parts["core/busy"].cpu >= 0.2 > meter.parts["core/quick"].cpu
    assert meter.parts["core/busy"].megabytes >= 30


def test_a_peak_that_was_forgotten_does_not_count_for_what_comes_later(program):
    measured = program("measured")
    with mmap.mmap(-1, 60_000_000) as held:  # given back at its end, whatever the allocator keeps
        held.write(bytes(60_000_000))
        with_it = measured.peak_megabytes()
    measured.forget_peak()
    assert measured.peak_megabytes() < with_it - 40


def test_posts_of_later_phases_are_new_and_the_same_ones_are_read_twice(program, tmp_path):
    growth = program("growth")
    paths = {name: growth.file_of(name, tmp_path, 200, 10) for name in (growth.FIRST, growth.NEW, growth.LABELS)}
    rows = {name: [json.loads(line) for line in path.read_text().splitlines()] for name, path in paths.items()}
    first, new, labels = rows.values()
    assert len({row["id"] for row in first + new}) == 210
    assert 0.5 < sum(row["subreddit"] == growth.LARGEST for row in first) / 200 < 0.7
    assert max(row["created_utc"] for row in first) < min(row["created_utc"] for row in new)
    assert not {row["title"] for row in first} & {row["title"] for row in new}
    assert [(row["id"], row["title"], row["created_utc"]) for row in new] == [
        (row["id"], row["title"], row["created_utc"]) for row in labels
    ]
    assert all(row["retrieved_on"] - row["created_utc"] < growth.DAY for row in new)
    assert all(row["retrieved_on"] - row["created_utc"] > 7 * growth.DAY for row in labels)
    assert sum(row["score"] for row in new) < sum(row["score"] for row in labels)


def test_what_needs_no_network_is_a_selection_of_the_graph(program):
    chosen = program("growth").without_networks()
    assert 'key:"features/timestamp_features"' in chosen
    assert 'key:"features/author_features"' in chosen
    assert not [name for name in ("embeddings", "entities", "neighbours", "title_past", "image_") if name in chosen]


def test_growth_is_told_as_ratios_to_the_smallest_size(program):
    growth = program("growth")

    def took(step, rest):
        parts = {"clean": {"cpu": step, "megabytes": 900.0}, "core/labels": {"cpu": 0.4, "megabytes": 80.0}}
        return {"parts": parts, "cpu": step + 0.4 + rest, "seconds": 9.0, "megabytes": 900.0}

    found = {10_000: took(2.0, 1.6), 50_000: took(5.0, 1.6), 200_000: took(10.0, 1.6)}
    table = growth.table_of(growth.NEW, found)
    assert "| clean | 2.0 | 5.0 | 2.5 | 10.0 | 5.0 | 900 |" in table
    assert "| 1 others | 0.4 | 0.4 | 1.0 | 0.4 | 1.0 | 80 |" in table
    assert "| **all** | 4.0 | 7.0 | 1.8 | 12.0 | 3.0 | 900 |" in table
    said = list(growth.targets({growth.FIRST: found, growth.NEW: found}, 100))
    assert said[0] == "* +100 at 200,000 / at 10,000 = 3.00 (target < 2)"
    assert said[1] == "* first load per post at 200,000 / at 10,000 = 0.15"
    assert said[2] == "* first load at 200,000: peak 0.90 GB (clean), 9 s"


def test_a_tick_requests_the_same_runs_however_often_it_is_asked(program, tmp_path):
    nights = program("nights")
    deployed = nights.deployment(tmp_path / "home", "http://127.0.0.1:9", 2, ())
    at = datetime(2026, 6, 2, 3, tzinfo=UTC)
    with deployed.environment() as settings:
        for what in (nights.NIGHT, nights.HOUR):
            first, again = (nights.requested(settings, what, at) for _ in range(2))
            assert first
            assert {request["run_key"] for request in first} == {request["run_key"] for request in again}
            assert all(settings.source == request["tags"]["redpop/source"] for request in first)


def test_nights_are_told_beside_their_aims(program, capsys):
    nights = program("nights")
    few, many = {"cpu": 20.0, "seconds": 40.0}, {"cpu": 180.0, "seconds": 300.0}
    what = f"{nights.NIGHT}, command"
    nights.report({1: {what: few}, 30: {what: many}})
    said = capsys.readouterr().out
    assert f"| {what} | 20.0 (40.0) | 180.0 (300.0) | 9.0 |" in said
    assert f"* {what}: 30 / 1 = 9.0 (target < 12), 180 CPU s (target < 600)" in said


@pytest.mark.integration
def test_a_small_studio_answers_every_kind_of_question(program, capsys):
    options = ["--posts", "320", "--predictors", "metadata_boosting", "--communities", "2", "--questions", "2"]
    program("studio").main([*options, "--memory", "3"])
    said = capsys.readouterr().out
    for question in ("another title", "another time", "another community", "another picture", "168 hours"):
        assert f"| metadata_boosting | {question} |" in said
    assert "10 titles in 2 communities" in said
    assert "10 people at once" in said
    assert "3 questions: memory from" in said
