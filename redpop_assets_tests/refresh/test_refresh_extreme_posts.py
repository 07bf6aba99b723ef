"""One odd post stops no step: extremes among ordinary posts, from the file to every family of features."""

import json
import time
from datetime import timedelta

import numpy as np
import pytest

from redpop_assets.captions import LONGEST_CAPTION
from redpop_assets.features.family import Encoders, Networks
from redpop_assets.features.registry import FAMILIES, STEPS
from redpop_assets.labels import MOST_SCORE, LabelRule
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.refresh.blocks import read_dataset
from redpop_assets.refresh.features import Scope, refresh_step
from redpop_assets.refresh.labels import refresh_labels
from redpop_assets.refresh.posts import refresh_posts
from redpop_assets.sources.archives.imports import import_archive
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets.testing.warehouses import blank_warehouse
from redpop_assets_tests.tiny_networks import save_network

pytestmark = pytest.mark.integration

BORN, READ = 1_600_000_000, 1_700_000_000
GOOD = 40
RULE = LabelRule(timedelta(days=7), timedelta(days=2))

# What the door, or the cleaning behind it, refuses with a reason.
REFUSED = {
    **{f"score{n}": {"score": score} for n, score in enumerate((2**31 - 1, -(2**31), 2**31, 10**12, 10**400, 1e300))},
    "year9999": {"created_utc": 253402300000},
    "year1970": {"created_utc": 1},
    "brackets": {"title": "(" * 20_000},
    "squares": {"title": "[a](b)" * 170_000},
    "words": {"title": "word " * 20_000},
    "blanks": {"title": "a" + " " * 500_000 + "b"},
    "nothing": {"title": " \u200b\u2800" * 1000},
    "deep": {"media": json.loads("[" * 400 + "]" * 400)},
}
# What is kept, with a sane value in the place of the other.
KEPT = {
    "highest": {"score": MOST_SCORE},
    "comments": {"num_comments": 2**31},
    "members": {"subreddit_subscribers": "1e400"},
    "ratio": {"upvote_ratio": "NaN"},
    "read9999": {"retrieved_on": 253402300000, "score": 7},
    "nul": {"title": "nul \u0000 in"},
    "marks": {"title": "a" + "\u0300" * (LONGEST_CAPTION - 1)},
    "smileys": {"title": "):(" * (LONGEST_CAPTION // 3)},
    "families": {"title": "\U0001f468\u200d\U0001f469\u200d" * (LONGEST_CAPTION // 4)},
    "escapes": {"title": "\u001b[2J\u001b]52;c;cHduZWQ=\u0007"},
    "surrogate": {"title": "half \ud83d of it"},
    "markup": {"title": "[x](javascript:alert(1)) <img src=x onerror=alert(1)>"},
    "formula": {"title": '=HYPERLINK("http://x")'},
    "flair": {"link_flair_text": "x" * 200_000},
    "quotes": {"title": "'\"" * (LONGEST_CAPTION // 2)},
    "digits": {"title": "1,234.5x9 " * (LONGEST_CAPTION // 10)},
}


def post(number, **fields):
    return {
        "id": f"a{number}",
        "subreddit": "pics",
        "title": f"A quiet lake in the {number}th evening light",
        "author": f"person{number % 7}",
        "created_utc": BORN + number * 7000,
        "retrieved_on": READ,
        "score": number,
        "url": f"https://i.redd.it/a{number}.jpg",
    } | fields


@pytest.fixture(scope="module")
def community(tmp_path_factory):
    """A warehouse with ordinary posts and all the extremes, cleaned and labelled; and the report of the import."""
    folder = tmp_path_factory.mktemp("extremes")
    odd = [post(GOOD + n, id=f"x{name}", **fields) for n, (name, fields) in enumerate((KEPT | REFUSED).items())]
    lines = [json.dumps(record) for record in [*map(post, range(GOOD)), *odd]]
    lines.insert(GOOD, lines[0][:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}")
    path = folder / "extreme.ndjson"
    path.write_text("\n".join(lines), encoding="utf-8")
    warehouse = blank_warehouse(folder / "home")
    with warehouse.kept():
        report = import_archive(path, "pics", warehouse, AuthorKey(bytes(32)))
        refresh_posts(warehouse, "pics", allow_over_18=False, progress=lambda _: None)
        refresh_labels(warehouse, "pics", RULE)
        yield warehouse, report


@pytest.fixture(scope="module")
def scope(community, tmp_path_factory):
    encoders = Encoders(
        "", "", entities="bundled", emotions=save_network(tmp_path_factory.mktemp("networks") / "emotions")
    )
    warehouse = community[0]
    return Scope(
        subreddit="pics",
        warehouse=warehouse,
        images=ImageStore(tmp_path_factory.mktemp("pictures")),
        encoders=encoders,
        networks=Networks("cpu", None),
        matured_after=RULE.final_age,
        chunk_size=64,
        progress=lambda _: None,
        warn=lambda _: None,
    )


def ids(warehouse: Warehouse, table: str) -> set[str]:
    return set(warehouse.query(f"SELECT post_id FROM {table}").column(0).to_pylist())


def test_every_post_is_kept_or_refused_with_a_reason(community):
    warehouse, report = community
    good = {f"a{number}" for number in range(GOOD)}
    assert ids(warehouse, "core.posts") == good | {f"x{name}" for name in KEPT}
    rejected = ids(warehouse, "core.rejected_posts")
    assert rejected <= {f"x{name}" for name in REFUSED}
    assert report.broken + len(rejected) == len(REFUSED) + 1
    assert all(sample.error and len(sample.error) < 200 for sample in report.broken_samples)
    assert report.emptied == 3
    longest = warehouse.scalar("SELECT max(greatest(length(caption), coalesce(length(flair), 0))) FROM core.posts")
    assert longest <= LONGEST_CAPTION


def test_all_that_is_kept_and_was_read_on_time_is_labelled(community):
    warehouse, _ = community
    assert ids(warehouse, "core.posts") - ids(warehouse, "core.labels") <= {"xread9999"}


def test_readings_that_an_older_version_stored_stop_no_label(community):
    warehouse, _ = community
    before = warehouse.query("FROM core.labels ORDER BY post_id").to_pylist()
    with warehouse.write() as writer:
        writer.execute(
            "INSERT INTO raw.observations BY NAME "
            "SELECT post_id, subreddit, observed_at + INTERVAL 1 HOUR AS observed_at, 'info' AS endpoint, "
            "unnest([2147483647, -2147483648]) AS score FROM raw.observations LIMIT 6"
        )
    refresh_labels(warehouse, "pics", RULE)
    assert warehouse.query("FROM core.labels ORDER BY post_id").to_pylist() == before


READERS = [step for step, families in STEPS.items() if families[0].grain in ("caption", "post")]


@pytest.mark.parametrize("step", READERS)
def test_every_step_that_reads_posts_gets_through(step, scope):
    began = time.process_time()
    refresh_step(STEPS[step], scope)
    # Far above what it takes, and far below what one caption could take without a bound.
    assert time.process_time() - began < 60
    for family in STEPS[step]:
        if all(family.named(scope.encoders).values()):
            rows = scope.warehouse.scalar(f"SELECT count(*) FROM {family.filled_table}")
            subjects = "DISTINCT caption_sha256" if family.grain == "caption" else "*"
            assert rows == scope.warehouse.scalar(f"SELECT count({subjects}) FROM core.posts")


def test_what_the_steps_wrote_are_numbers(scope):
    names = [
        family.name
        for family in FAMILIES
        if family.block and family.grain in ("caption", "post") and all(family.named(scope.encoders).values())
    ]
    for step in READERS:
        refresh_step(STEPS[step], scope)
    data = read_dataset(scope.warehouse, "pics", scope.encoders, names)
    assert len(data) == GOOD + len(KEPT)
    for block in data.blocks.values():
        assert not np.isinf(block.values).any()
