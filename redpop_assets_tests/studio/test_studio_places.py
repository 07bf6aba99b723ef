"""Pages of communities and of stored posts: what they say, what they keep to themselves, and the same as JSON."""

import html
import re

import pytest

from redpop_assets.storage.warehouse import Warehouse
from redpop_assets_tests.studio.samples import MARKUP, SampleDesk

pytestmark = pytest.mark.integration


@pytest.fixture
def client(home, fill, visit):
    """A studio on a community of 240 posts, one of which has a title that would like to be more than text."""
    warehouse = Warehouse(home, source="test")
    fill(warehouse, "pics")
    with warehouse.write() as writer:
        writer.execute(
            "UPDATE core.posts SET caption = $title, flair = $title WHERE post_id = 'pi00000'", {"title": MARKUP}
        )
        writer.execute("UPDATE core.posts SET over_18 = TRUE WHERE post_id = 'pi00001'")
        writer.execute("INSERT INTO raw.communities VALUES ('pics', 'about', '2026-05-01', $json)", {"json": ABOUT})
    warehouse.publish()
    return visit(desk=SampleDesk)


ABOUT = '{"title": "<b>Pictures</b>", "public_description": "<script>document.title=3</script>", "subscribers": 5000}'


def words(page):
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", page)).split())


def test_communities_are_listed_with_what_is_known(client):
    page = client.get("/communities")
    assert page.status_code == 200
    assert 'href="/r/pics"' in page.text
    assert "240 of which 223 have a settled score" in words(page.text)
    assert "<b>" not in page.text


def test_a_community_says_what_it_knows_and_what_it_does_not(client):
    page = client.get("/r/PICS")  # however it is written
    said = words(page.text)
    assert page.status_code == 200
    assert "Saturday" in said
    assert "By the clock of UTC" in said
    assert "<code>redpop materialize --no-harvest --subreddit pics</code>" in page.text
    assert "<script>document" not in page.text
    assert page.text.count("data-chart") == 1  # nothing was read while it grew, and one day of members is no line


@pytest.mark.parametrize(("zone", "shown"), [("Asia/Kathmandu", "Asia/Kathmandu"), ("../../etc/passwd", "UTC")])
def test_hours_are_those_of_a_clock(client, zone, shown):
    part = client.get("/r/pics/hours", params={"zone": zone}).text
    assert f"By the clock of {shown}" in words(part)
    assert "<html" not in part


def test_a_post_is_shown_and_its_texts_are_text(client):
    page = client.get("/post/pi00000")
    assert page.status_code == 200
    assert MARKUP in html.unescape(page.text)
    assert "<img src=x" not in page.text
    assert page.text.count("<script>") == 0
    assert "7 other posts of the same author" in words(page.text)


def test_a_picture_for_adults_is_shown_only_on_request(client):
    page = client.get("/post/pi00001").text
    assert "The picture is marked as for adults: show it" in words(page)
    assert page.index("<details") < page.index('src="/posts/pi00001/picture"')


def test_no_author_leaves(client):
    for path in ("/r/pics", "/post/pi00000", "/api/v1/posts/pi00000", "/api/v1/communities/pics", "/communities"):
        assert not re.search(r"author\d", client.get(path).text), path


@pytest.mark.parametrize("path", ["/r/nowhere", "/post/zzz", "/api/v1/communities/nowhere", "/api/v1/posts/zzz"])
def test_what_is_not_stored_is_not_there(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "stored here" in answer.text


def test_the_api_says_the_same(client):
    post = client.get("/api/v1/posts/pi00000").json()
    assert (post["title"], post["others_by_author"]) == (MARKUP, 7)
    assert f"{post['label']['score']:,} points" in words(client.get("/post/pi00000").text)
    community = client.get("/api/v1/communities/pics", params={"zone": "Asia/Kathmandu"}).json()
    assert (community["hours"]["zone"], len(community["hours"]["slots"])) == ("Asia/Kathmandu", 168)
    assert community["community"]["stock"]["labelled"] == 223


def test_the_page_of_the_api_describes_them(client):
    page = client.get("/api")
    assert page.status_code == 200
    assert "/api/v1/communities/{name}" in page.text
    assert 'id="PostPage"' in page.text


def test_a_predictor_that_borrowed_says_from_how_many(home, fill, visit):
    warehouse = Warehouse(home, source="test")
    fill(warehouse, "pics", posts=40)
    with warehouse.write() as writer:
        writer.execute(
            "INSERT INTO marts.leaderboard BY NAME "
            "SELECT 'pics' AS subreddit, unnest(['pooled', 'alone']) AS predictor, 'trained' AS status, "
            "40 AS test_posts, 9 AS pairs, 90 AS train_posts, [] AS blocks, "
            "FALSE AS untrained_weights, 's' AS \"snapshot\", '1' AS metrics_version, unnest([12, NULL]) AS lenders"
        )
    warehouse.publish()
    page = words(visit(desk=SampleDesk).get("/r/pics").text)
    assert "pooled borrowed from 12 others" in page
    assert page.count("borrowed from") == 1
