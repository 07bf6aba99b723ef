"""Posts that Reddit shows better later: half-processed galleries and undone removals, through the real graph."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest

from redpop_assets_tests.local_server import LocalServer

pytestmark = pytest.mark.end_to_end

TOKEN = {"access_token": "x", "token_type": "bearer", "expires_in": 3600, "scope": "*"}
CLEAN = 'key:"core/posts" or key:"core/rejected_posts"'
START = datetime(2026, 5, 1, 12, tzinfo=UTC)


def submission(post_id, **fields):
    return {
        "id": post_id,
        "name": f"t3_{post_id}",
        "subreddit": "EarthPorn",
        "title": f"Post {post_id}",
        "author": f"Author_{post_id}",
        "created_utc": START.timestamp() - 60,
        "score": 5,
        "url": f"https://www.reddit.com/gallery/{post_id}",
        "removed_by_category": None,
    } | fields


def gallery(post_id, *statuses, **fields):
    media = {
        f"{post_id}{number}": {"status": status} | ({"m": "image/png"} if status == "valid" else {})
        for number, status in enumerate(statuses)
    }
    items = [{"media_id": media_id, "caption": f"no. {number}"} for number, media_id in enumerate(media)]
    gallery_data = {"is_gallery": True, "gallery_data": {"items": items}, "media_metadata": media}
    return submission(post_id, **gallery_data, **fields)


NOTHING = {"is_gallery": True, "gallery_data": None, "media_metadata": None, "removed_by_category": "moderator"}
FIRST = [
    gallery("fresh", "unprocessed", "unprocessed"),
    gallery("half", "valid", "unprocessed"),
    submission("banned", **NOTHING),
    submission("bad", **NOTHING),
    gallery("taken", "valid"),
    gallery("same", "valid"),
]
LATER = [
    gallery("fresh", "valid", "valid"),
    gallery("half", "valid", "valid"),
    gallery("banned", "valid"),
    submission("bad", **NOTHING),
    submission("taken", **NOTHING),
    gallery("same", "valid", score=900, title="Edited"),
]


class Reddit(LocalServer):
    """Lists what it has in `new` and answers api/info; knows no other listing."""

    def __init__(self):
        self.now, self.listed, self.posts = START, [], {}
        reddit = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.answer(TOKEN)

            def do_GET(self):
                parts = urlsplit(self.path)
                ids = parse_qs(parts.query).get("id", [""])[0].replace("t3_", "").split(",")
                if parts.path.rstrip("/").endswith("/new"):
                    ids = reddit.listed
                shown = [{"kind": "t3", "data": reddit.posts[name]} for name in ids if name in reddit.posts]
                self.answer({"kind": "Listing", "data": {"children": shown, "after": None}})

            def answer(self, body):
                data = json.dumps(body).encode()
                self.send_response_only(200)
                self.send_header("date", format_datetime(reddit.now, usegmt=True))
                self.send_header("content-type", "application/json; charset=UTF-8")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        super().__init__(Handler)


@pytest.fixture(params=["listed again", "asked for by id"])
def deployment(request, deploy):
    """After two harvests, six hours apart, with a cleaning after each; in the second, posts are found either way."""
    reddit = Reddit()
    try:
        deployment = deploy(reddit.url, REDPOP_FETCH_IMAGES="false")
        for hours, posts in ((0, FIRST), (6, LATER)):
            reddit.now = START + timedelta(hours=hours)
            reddit.posts = {post["id"]: post for post in posts}
            again = not hours or request.param == "listed again"
            reddit.listed = list(reddit.posts) if again else []
            run = deployment.run("earthporn", f"group:raw or {CLEAN}")
            assert run.success
            assert run.failed_checks == set()
            if not hours:
                assert outcomes(deployment) == {
                    "fresh": "gallery_unprocessed",
                    "half": ["https://i.redd.it/half0.png"],
                    "banned": "removed_by_moderator",
                    "bad": "removed_by_moderator",
                    "taken": ["https://i.redd.it/taken0.png"],
                    "same": ["https://i.redd.it/same0.png"],
                }
    finally:
        reddit.stop()
    return deployment


def outcomes(deployment):
    posts = {row["post_id"]: row["image_urls"] for row in deployment.rows("SELECT post_id, image_urls FROM core.posts")}
    rejected = {row["post_id"]: row["reason"] for row in deployment.rows("FROM core.rejected_posts")}
    assert not posts.keys() & rejected.keys()
    return posts | rejected


def test_posts_are_cleaned_again_when_reddit_shows_more(deployment):
    def urls(post_id, pictures):
        return [f"https://i.redd.it/{post_id}{number}.png" for number in range(pictures)]

    assert outcomes(deployment) == {
        "fresh": urls("fresh", 2),
        "half": urls("half", 2),
        "banned": urls("banned", 1),
        "bad": "removed_by_moderator",
        "taken": "removed_by_moderator",
        "same": urls("same", 1),
    }
    revised = {row["post_id"]: row["revised_at"] for row in deployment.rows("FROM raw.submissions")}
    later = (START + timedelta(hours=6)).replace(tzinfo=None)
    assert revised == dict.fromkeys(("bad", "taken", "same")) | dict.fromkeys(("fresh", "half", "banned"), later)
    stored = {row["post_id"]: json.loads(row["json"]) for row in deployment.rows("FROM raw.submissions")}
    # Scores and edits are no reason, and what was taken down replaces nothing.
    assert stored["same"]["score"] == 5
    assert stored["taken"]["gallery_data"]
    assert not any("Author_" in json.dumps(post) for post in stored.values())
