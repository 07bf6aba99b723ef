"""A whole deployment in the studio: the numbers of `redpop predict --json`, and every page with what the home has."""

import html
import json
import re
import sys

import pytest
from starlette.testclient import TestClient

from redpop_assets.cli.app import main
from redpop_assets.settings import load_settings
from redpop_assets.studio.app import create_app
from redpop_assets.studio.serving import open_site
from redpop_assets.testing.deployments import environment
from redpop_assets_tests.studio.samples import picture

pytestmark = pytest.mark.end_to_end

AT = "2026-06-05T18:00"
TITLES = ["Sunrise over the lake [OC]", "My cat", "What is this?"]


@pytest.fixture
def predict(pipeline, only, tmp_path, monkeypatch, capfd):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["redpop", "predict", *arguments, "--at", AT, "--json"])
        with only(dict(pipeline.deployment.variables), tmp_path), pytest.raises(SystemExit):
            main()
        return json.loads(capfd.readouterr().out)

    return run


@pytest.fixture(scope="module")
def studio(pipeline, tmp_path_factory):
    """The studio of the deployment, and a client of it."""
    with environment(dict(pipeline.deployment.variables), tmp_path_factory.mktemp("studio")):
        site = open_site(load_settings())
        with TestClient(create_app(site), "http://127.0.0.1:8800") as client:
            yield site, client


@pytest.fixture
def client(studio):
    return studio[1]


@pytest.fixture
def published(studio):
    """Rows of what is published."""
    with studio[0].editions.current() as opened:
        yield lambda sql: opened.edition.query(sql).to_pylist()


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    path.write_bytes(picture((640, 400), quality=90))
    return path


def said(answer):
    assert answer.status_code == 200, answer.text
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", answer.text)).split())


def test_one_question_has_one_answer(client, predict, photo):
    asked = [word for title in TITLES for word in ("-t", title)]
    several = predict("-r", "pics", *asked, "-i", str(photo))
    single = predict("-r", "EarthPorn", "-t", TITLES[0])
    brought = client.post("/api/v1/pictures", content=photo.read_bytes()).json()["picture"]
    draft = {"subreddit": "pics", "titles": TITLES, "picture": brought, "posted_at": AT}
    answer = client.post("/api/v1/answers", json=draft).json()
    assert answer.pop("record")["test_posts"] > 0
    assert answer == several
    alone = {"subreddit": "earthporn", "titles": TITLES[:1], "posted_at": AT}
    first = client.post("/api/v1/answers", json=alone).json()["comparisons"][0]["titles"][0]
    assert first | single["forecasts"][0] == first
    assert client.post("/api/v1/hours", json=draft).status_code == 200
    similar = client.post("/api/v1/reasons", json=draft).json()["similar"]
    assert all(post["score"] is not None for post in similar)
    shown = client.get(f"/posts/{similar[0]['post_id']}/picture")
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.content.startswith(b"\xff\xd8\xff")


def test_the_draft_s_page_answers_under_every_tab(client, published, photo):
    speaks = {
        row["subreddit"]: row["predictor"] for row in published("SELECT subreddit, predictor FROM marts.champions")
    }
    page = said(client.get("/"))
    assert "r/earthporn" in page
    assert "r/pics" in page
    brought = client.post("/api/v1/pictures", content=photo.read_bytes()).json()["picture"]
    form = {"titles": "\n".join(TITLES), "community": "pics", "zone": "Europe/Vienna", "at": AT, "picture": brought}
    answer = said(client.post("/draft/answer", data=form))
    assert all(title in answer for title in TITLES)
    assert "points expected after" in answer
    if "pics" in speaks:
        assert f"Speaks {speaks['pics']}, champion since" in answer
    for section, words in {
        "why": "What each side adds",
        "when": "The five best hours of the coming week",
        "where": "r/earthporn",
        "may": "May I post this in r/pics?",
    }.items():
        assert words in said(client.post("/draft/closer", data={**form, "section": section, "about": "pics"})), section


def test_pages_of_communities_say_what_is_stored(client, published):
    shelf = said(client.get("/communities"))
    for row in published("""
        SELECT subreddit, count(*) AS posts, count(l.post_id) AS labelled
        FROM core.posts AS p LEFT JOIN core.labels AS l USING (post_id, subreddit) GROUP BY ALL
    """):
        assert f"{row['posts']} of which {row['labelled']} have a settled score" in shelf
        page = said(client.get(f"/r/{row['subreddit']}"))
        assert f"Posts {row['posts']} " in page
        assert "How scores grow" in page
        trained = published(
            f"SELECT predictor FROM models.predictors WHERE subreddit = '{row['subreddit']}' AND status = 'trained'"
        )
        assert all(one["predictor"] in page for one in trained)


def test_the_page_of_a_post_says_what_is_stored(client, published):
    (post,) = published("""
        SELECT p.post_id, p.subreddit, p.caption, l.score FROM core.posts AS p JOIN core.labels AS l USING (post_id)
        JOIN core.primary_images AS i USING (post_id) JOIN core.images USING (image_sha256)
        WHERE p.removed_by_category IS NULL ORDER BY p.created_at DESC, p.post_id LIMIT 1
    """)
    page = said(client.get(f"/post/{post['post_id']}"))
    assert post["caption"] in page
    assert f"{post['score']:,} points" in page
    assert "What predictors say of it now" in page
    assert client.get(f"/posts/{post['post_id']}/picture").content.startswith(b"\xff\xd8\xff")
