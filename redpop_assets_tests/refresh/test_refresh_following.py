"""A post that is followed: where it stands among posts of its age, what was written down, and how that is said."""

import json
from datetime import timedelta

import numpy as np
import pytest

from redpop_assets.pages.following import as_json, chart, end_said, said_lines, standing_said
from redpop_assets.refresh.early_forecasts import Ahead, AtAnAge, EarlyForecast
from redpop_assets.refresh.following import following, why_unknown
from redpop_assets.refresh.growth import LEAST_POSTS, REACH
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

YOUNG, OLD, HIDDEN, UNREAD = "pi00239", "pi00000", "pi00238", "pi00237"


@pytest.fixture(scope="module")
def grown(tmp_path_factory, fill):
    """A community whose posts were read at 1 and at 3 hours, but for some of them."""
    warehouse = blank_warehouse(tmp_path_factory.mktemp("grown") / "home")
    fill(warehouse, "pics")
    posts = warehouse.query("SELECT post_id, created_at FROM core.posts ORDER BY post_id").to_pylist()
    rng = np.random.default_rng(3)
    rows = []
    for post in posts:
        number = int(post["post_id"][2:])
        if post["post_id"] in (YOUNG, UNREAD):
            continue
        for hours in (1.0, 3.0):
            age = hours * rng.uniform(0.95, 1.05)
            hidden = post["post_id"] == HIDDEN or number % 10 == 5
            rows.append((post["post_id"], post["created_at"] + timedelta(hours=age), number + int(hours), hidden))
    young = posts[-1]["created_at"]
    rows += [(YOUNG, young + timedelta(minutes=20), 4, False), (YOUNG, young + timedelta(hours=1), 101, False)]
    columns = dict(zip(("post_id", "observed_at", "score", "hide_score"), zip(*rows, strict=True), strict=True))
    said = {
        "post_id": [OLD], "subreddit": ["pics"], "age_hours": [3], "predictor": ["log_linear"], "digest": ["d"],
        "made_at": [young], "as_of": [young], "read_at": [young], "expected_log_score": [np.log(11.0)],
        "expected_score": [10.0], "percentile": [0.4], "median_log_score": [1.0],
        "low_80": [np.log(1.5)], "high_80": [np.log(1e6)],
    }  # fmt: skip
    with warehouse.write() as writer:
        names = [column.name for column in warehouse.schema["raw.observations"].columns]
        full = {name: columns.get(name, (None,) * len(rows)) for name in names}
        full |= {"subreddit": ("pics",) * len(rows), "endpoint": ("info",) * len(rows)}
        writer.append("raw.observations", arrow_table({name: list(values) for name, values in full.items()}))
        columns = [column.name for column in warehouse.schema["marts.early_forecasts"].columns]
        writer.append("marts.early_forecasts", arrow_table({name: said.get(name, [None]) for name in columns}))
        writer.execute("INSERT INTO raw.submissions VALUES ('raw1', 'pics', '2026-01-01', 'listing', NULL, '{}')")
        writer.execute("INSERT INTO raw.submissions VALUES ('no1', 'pics', '2026-01-01', 'listing', NULL, '{}')")
        writer.execute(
            "INSERT INTO core.rejected_posts BY NAME SELECT 'no1' AS post_id, 'pics' AS subreddit, "
            "'over_18' AS reason, '' AS detail, '1' AS code_version"
        )
    with warehouse.kept():
        yield warehouse


def expected(post_id):
    curve = (Ahead(3.0, 150.0, {80: (110.0, 300.0)}), Ahead(168.0, 1000.0, {50: (700.0, 1500.0), 80: (400.0, 3000.0)}))
    return EarlyForecast(post_id, "pics", 1.0, 101, curve, AtAnAge(1, "log_linear", curve[-1]), 0.8, None)


def silent(post_id):
    return EarlyForecast(post_id, "pics", 1.0, 101, (), None, None, "Too few posts were followed.")


def test_a_post_is_compared_with_others_at_its_age(grown):
    found = following(grown, expected, YOUNG)
    # At an hour the others have their number and one more; ten in a hundred are hidden, and two were never read.
    others = [number + 1 for number in range(238) if number % 10 != 5 and number != 237]
    assert found.standing.posts == len(others)
    assert found.standing.percentile == pytest.approx(np.mean([(n < 101) + (n == 101) / 2 for n in others]))
    assert (found.standing.score, found.standing.age_hours) == (101, pytest.approx(1.0))
    assert found.standing.oldest_hours == pytest.approx(REACH)
    assert [band.hours for band in found.bands] == [pytest.approx(hours, rel=0.05) for hours in (1, 1, 3)]
    third = found.bands[-1]
    assert (third.low, third.median, third.high) == tuple(np.quantile([n + 2 for n in others], [0.25, 0.5, 0.75]))
    assert found.ahead == expected(YOUNG)
    assert found.label is None


def test_where_nobody_can_be_compared_it_is_said_why(grown):
    for post_id in (HIDDEN, UNREAD):
        found = following(grown, expected, post_id)
        assert (found.standing, "never read while it was shown" in found.why_unranked) == (None, True)
    older(grown, YOUNG, 9)
    try:
        found = following(grown, expected, YOUNG)
        assert (found.standing, found.why_unranked.startswith("0 other posts of r/pics")) == (None, True)
        assert str(LEAST_POSTS) in found.why_unranked
    finally:
        older(grown, YOUNG, -9)


def test_where_nobody_was_read_at_its_age_it_is_compared_at_an_earlier_one(grown):
    at_an_hour = following(grown, expected, YOUNG).standing
    later(grown, YOUNG, 9)
    try:
        assert following(grown, expected, YOUNG).standing == at_an_hour
    finally:
        with grown.write() as writer:
            writer.execute("DELETE FROM raw.observations WHERE post_id = $id AND score = 500", {"id": YOUNG})


def later(warehouse, post_id, hours):
    """Read it once more, when it is so old."""
    with warehouse.write() as writer:
        writer.execute(
            "INSERT INTO raw.observations BY NAME SELECT o.* REPLACE (p.created_at + to_hours($hours) AS observed_at, "
            "500 AS score) FROM raw.observations AS o JOIN core.posts AS p USING (post_id) "
            "WHERE post_id = $id ORDER BY o.observed_at LIMIT 1",
            {"id": post_id, "hours": hours},
        )


def older(warehouse, post_id, hours):
    with warehouse.write() as writer:
        writer.execute(
            "UPDATE raw.observations SET observed_at = observed_at + to_hours($hours) WHERE post_id = $id",
            {"id": post_id, "hours": hours},
        )


def test_what_was_written_down_is_shown_as_it_was_written(grown):
    found = following(grown, pytest.fail, OLD)  # of a settled score nothing is expected
    (said,) = found.said
    assert (said.age_hours, said.predictor, said.expected) == (3, "log_linear", 10.0)
    assert (said.ranges[80].low, said.ranges[50]) == (pytest.approx(0.5), None)
    assert said.inside == {50: None, 80: found.label.score >= 1, 90: None}
    held = "held" if said.inside[80] else "not held"
    assert said_lines(found) == [f"after 3 hours: 10 points (0 to 999,999), log_linear, {held}"]
    assert f"{found.label.score:,} points" in end_said(found)


def test_what_is_said_of_a_young_post(grown):
    found = following(grown, expected, YOUNG)
    assert end_said(found) == "1,000 points after 7 days, 400 to 3,000 in 80 of 100 cases, in the top quarter"
    assert "101 points, and 4" in standing_said(found)
    lines = chart(found).splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["20", "1", "3", "7"]
    assert ["●" in line for line in lines[:4]] == [True, True, False, False]
    assert lines[3].index("─") < lines[3].index("○") < lines[3].rindex("─")
    assert lines[1].index("●") > lines[0].index("●")
    assert lines[-1].endswith("3,000 points")
    assert "Too few posts were followed." in end_said(following(grown, silent, YOUNG))
    document = json.loads(as_json(found))
    assert document["ahead"]["curve"][1]["ranges"]["80"] == [400.0, 3000.0]
    assert document["standing"]["posts"] == found.standing.posts


def test_many_readings_make_a_short_chart(grown):
    found = following(grown, silent, YOUNG)
    first = found.readings[0]
    many = tuple(
        type(first)(first.observed_at, hours / 4, hours, None, None, masked=False, source="archive")
        for hours in range(900)
    )
    lines = chart(type(found)(**{**vars(found), "readings": many})).splitlines()
    assert len(lines) <= 18
    assert " 899 " in lines[-2]


def test_of_a_post_that_is_not_there_it_is_said_what_to_do(grown):
    assert following(grown, pytest.fail, "zzz") is None
    assert "redpop materialize --subreddit NAME" in why_unknown(grown, "zzz")
    assert "redpop materialize --no-harvest --subreddit pics" in why_unknown(grown, "raw1")
    assert "left out (over_18)" in why_unknown(grown, "no1")
