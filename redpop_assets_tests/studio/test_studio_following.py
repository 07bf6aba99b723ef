"""The studio's page of a post that is followed: the numbers of `redpop follow --json`, renewed where there is news."""

import html
import json
import re
from datetime import datetime, timedelta

import pytest

from redpop_assets.refresh import early_forecasts
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets_tests.studio.samples import SampleDesk

pytestmark = pytest.mark.integration

YOUNG, OLD = "pi00239", "pi00000"


def words(page):
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", page)).split())


@pytest.fixture(autouse=True)
def warehouse(home, fill):
    warehouse = Warehouse(home, source="test")
    fill(warehouse, "pics")
    read(warehouse, 1.0)
    return warehouse


def read(warehouse, hours):
    """Every post is read once more, and that is published."""
    with warehouse.write() as writer:
        writer.execute(
            "INSERT INTO raw.observations BY NAME SELECT post_id, subreddit, 'info' AS endpoint, "
            "created_at + to_minutes($minutes) AS observed_at, (hash(post_id) % 500)::INTEGER AS score FROM core.posts",
            {"minutes": int(60 * hours)},
        )
    warehouse.publish()


def test_page_api_and_command_say_the_same(visit, redpop_follow, monkeypatch):
    client = visit(desk=SampleDesk)
    monkeypatch.setattr(early_forecasts.EarlyOracle, "of", lambda self, post: SampleDesk(self._edition).ahead(post))
    for post_id in (YOUNG, OLD):
        document = client.get(f"/api/v1/posts/{post_id}/following").json()
        assert json.loads(redpop_follow(post_id)) == document
        page = words(client.get(f"/post/{post_id}").text)
        assert (
            f"{100 * document['standing']['percentile']:.0f} % of {document['standing']['posts']} other posts" in page
        )
        for one in (document["ahead"] or {"curve": ()})["curve"]:
            low, high = one["ranges"]["80"]
            assert f"{one['expected']:,.0f} 80 to 150 {low:,.0f} to {high:,.0f} unknown" in page
    assert document["ahead"] is None  # its score has settled


def test_what_is_not_known_is_said_in_whole_sentences(warehouse, visit, monkeypatch):
    with warehouse.write() as writer:
        writer.execute("DELETE FROM raw.observations")
    warehouse.publish()
    monkeypatch.setattr(SampleDesk, "ahead", lambda _, __: None)
    page = words(visit(desk=SampleDesk).get(f"/post/{YOUNG}").text)
    assert "Where it stands is not known. " in page
    assert "Where it will end is not known." in page
    assert ".." not in page
    assert "`" not in page


@pytest.fixture
def redpop_follow(home, capsys, monkeypatch):
    """`redpop follow --json`, on the home that the studio reads."""
    from redpop_assets.cli import follow

    monkeypatch.setenv("REDPOP_HOME", str(home))

    def run(post_id):
        follow.follow(f"https://www.reddit.com/r/pics/comments/{post_id}/some_title/", to_json=True)
        return capsys.readouterr().out

    return run


def test_the_page_is_renewed_where_there_is_news(warehouse, visit):
    client = visit(desk=SampleDesk)
    page = client.get(f"/post/{YOUNG}").text
    assert re.search(rf'hx-get="/post/{YOUNG}/following" hx-trigger="every 30s"', page)
    seen = re.search(r'name="seen" value="([^"]+)"', page)[1]
    nothing = client.get(f"/post/{YOUNG}/following", params={"seen": seen})
    assert (nothing.status_code, nothing.text) == (204, "")
    before = words(page)
    read(warehouse, 2.0)
    for _ in range(200):
        news = client.get(f"/post/{YOUNG}/following", params={"seen": seen})
        if news.status_code == 200:
            break
    assert "<html" not in news.text
    assert "at an age of 1 hour" in before
    assert "at an age of 2 hours" in words(news.text)
    assert re.search(r'name="seen" value="([^"]+)"', news.text)[1] != seen


def test_a_settled_post_is_not_asked_about_again(visit):
    page = visit(desk=SampleDesk).get(f"/post/{OLD}").text
    assert "hx-trigger" not in page
    assert "Ended at" in words(page)


def test_forecasts_of_ages_are_shown_as_they_were_written_down(warehouse, visit):
    at = datetime(2026, 1, 2)
    with warehouse.write() as writer:
        writer.execute(
            "INSERT INTO marts.early_forecasts BY NAME SELECT $post AS post_id, 'pics' AS subreddit, "
            "unnest([1, 6]) AS age_hours, 'log_linear' AS predictor, 'd' AS digest, $at::TIMESTAMP AS made_at, "
            "made_at AS as_of, made_at AS read_at, ln(12) AS expected_log_score, 11.0 AS expected_score, "
            "0.5 AS percentile, 1.0 AS median_log_score, ln(3) AS low_80, ln(43) AS high_80",
            {"post": YOUNG, "at": at + timedelta(hours=1)},
        )
    warehouse.publish()
    page = words(visit(desk=SampleDesk).get(f"/post/{YOUNG}").text)
    assert "1 hour 11 2 to 42 log_linear not known yet 6 hours 11 2 to 42 log_linear not known yet" in page


def test_what_is_not_stored_is_not_followed(visit):
    client = visit(desk=SampleDesk)
    for path in ("/post/zzz/following", "/api/v1/posts/zzz/following"):
        assert client.get(path).status_code == 404
