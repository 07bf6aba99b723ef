"""Real answers of Reddit through the real graph: nothing that Reddit sent gets lost, whatever it looks like."""

import json
from collections import Counter
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest

from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.sources.archives.imports import import_archive
from redpop_assets.sources.cleaning import REASONS
from redpop_assets.sources.listings import ALL_LISTINGS
from redpop_assets_tests.local_server import LocalServer

pytestmark = pytest.mark.end_to_end

TOKEN = {"access_token": "x", "token_type": "bearer", "expires_in": 3600, "scope": "*"}
CLEAN = 'key:"core/posts" or key:"core/rejected_posts"'
# Posts by kind, and rejected ones by reason.
OUTCOMES = {
    "earthporn": {"image": 111, "preview": 8},
    "pics": {
        **{"image": 42, "album": 3, "crosspost": 1, "self": 1, "external_page": 1},
        **{"removed_by_moderator": 5, "stickied": 1, "over_18": 1},
    },
    "askreddit": {"self": 232, "over_18": 12, "moderator": 7, "removed_by_deleted": 1},
}
COMMUNITIES = ("AskReddit", "EarthPorn", "pics", "funny", "redditdev")


class Replay(LocalServer):
    """Serves recorded listings as the pages of one subreddit's listings, each with its recorded Date."""

    def __init__(self, recorded):
        # Page after page, dealt out to the fifteen listings in turn.
        self.pages = {}
        for number, answer in enumerate(recorded):
            listing = ALL_LISTINGS[number % len(ALL_LISTINGS)]
            self.pages.setdefault((listing.name, listing.time_filter), []).append(answer)
        replay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.answer(TOKEN, None)

            def do_GET(self):
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                pages = replay.pages.get((parts.path.rstrip("/").rpartition("/")[2], query.get("t", "")), [])
                number = int(query.get("after", "page_0").partition("_")[2])
                if number >= len(pages):  # api/info, too: whoever is asked for is gone
                    return self.answer({"kind": "Listing", "data": {"children": [], "after": None}}, None)
                body = pages[number]["body_json"]
                after = f"page_{number + 1}" if number + 1 < len(pages) else None
                return self.answer({**body, "data": {**body["data"], "after": after}}, pages[number]["headers"]["date"])

            def answer(self, body, date):
                data = json.dumps(body).encode()
                self.send_response_only(200)
                self.send_header("content-type", "application/json; charset=UTF-8")
                self.send_header("content-length", str(len(data)))
                if date:
                    self.send_header("date", date)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        super().__init__(Handler)


@pytest.fixture(scope="module")
def recorded(shared_data, json_lines):
    answers = json_lines(shared_data("reddit_recorded/listing_responses.ndjson.gz"))
    return [answer for answer in answers if any(c["kind"] == "t3" for c in answer["body_json"]["data"]["children"])]


@pytest.fixture(scope="module")
def harvested(recorded, deploy):
    """The deployment after a harvest of everything recorded, as if it were r/EarthPorn, and the cleaning of it."""
    replay = Replay(recorded)
    deployment = deploy(replay.url, REDPOP_FETCH_IMAGES="false")
    try:
        run = deployment.run("earthporn", f"group:raw or {CLEAN}")
    finally:
        replay.stop()
    assert run.success
    assert run.failed_checks == set()
    return deployment


def submissions(recorded):
    return [
        child["data"]
        for answer in recorded
        for child in answer["body_json"]["data"]["children"]
        if child["kind"] == "t3"
    ]


def test_every_recorded_post_is_stored_once(harvested, recorded):
    sent = submissions(recorded)
    assert len(recorded) >= 12
    assert len(sent) > 800
    rows = harvested.rows("SELECT post_id, json FROM raw.submissions")
    assert sorted(row["post_id"] for row in rows) == sorted({post["id"] for post in sent})
    captions = {post["id"]: {p["title"] for p in sent if p["id"] == post["id"]} for post in sent}
    assert all(json.loads(row["json"])["title"] in captions[row["post_id"]] for row in rows)


def test_every_reading_and_place_is_kept(harvested, recorded):
    # A reading has the time of its answer, to the second.
    dates = {
        (child["data"]["id"], answer["headers"]["date"])
        for answer in recorded
        for child in answer["body_json"]["data"]["children"]
        if child["kind"] == "t3"
    }
    assert harvested.scalar("SELECT count(*) FROM raw.observations") == len(dates)
    assert harvested.scalar("SELECT count(*) FROM raw.sightings") == len(submissions(recorded))


def test_every_stored_post_is_clean_or_rejected_with_a_reason(harvested, recorded):
    posts = {row["post_id"] for row in harvested.rows("SELECT post_id FROM core.posts")}
    rejected = {
        row["post_id"]: row["reason"] for row in harvested.rows("SELECT post_id, reason FROM core.rejected_posts")
    }
    sent = {post["id"]: post for post in submissions(recorded)}
    assert posts | set(rejected) == set(sent)
    assert not posts & set(rejected)
    assert set(rejected.values()) <= REASONS
    elsewhere = {post_id for post_id, post in sent.items() if post.get("subreddit", "").lower() != "earthporn"}
    assert not posts & elsewhere
    # Harvested as one community, all but its own posts are rejected for not being its own.
    assert (len(posts), Counter(rejected.values())) == (116, {"other_subreddit": 804})


def test_no_recorded_author_is_stored_by_name(harvested, recorded):
    authors = {
        post["author"].lower()
        for post in submissions(recorded)
        if post.get("author") not in (None, "[deleted]") and "<" not in post["author"]
    }
    stored = {
        json.loads(row["json"]).get("author", "").lower() for row in harvested.rows("SELECT json FROM raw.submissions")
    }
    assert len(authors) > 300
    assert not authors & stored


# The same posts as dumps


@pytest.fixture(scope="module")
def imported(shared_data, deploy):
    """(deployment, reports) of dumps imported for the communities that have most of their posts."""
    deployment = deploy("http://127.0.0.1:1", REDPOP_SUBREDDITS=",".join(COMMUNITIES), REDPOP_FETCH_IMAGES="false")
    files = [shared_data(f"reddit_recorded/submissions_{name}.ndjson.gz") for name in ("asyncpraw", "praw", "prawcore")]
    key = AuthorKey.load_or_create(deployment.home.parent / "author.key")
    reports = {
        (file, name): import_archive(file, name, deployment.warehouse, key) for file in files for name in COMMUNITIES
    }
    return deployment, reports


def test_each_line_of_a_dump_is_a_post_of_the_community_or_counted(imported, json_lines):
    _, reports = imported
    for (file, name), report in reports.items():
        lines = json_lines(file)
        mine = [line for line in lines if str(line["data"].get("subreddit", name)).lower() == name.lower()]
        assert report.posts + report.broken + report.other_subreddit == len(lines)
        assert report.posts == len(mine)
        assert report.broken == 0


def test_importing_again_adds_nothing(imported):
    deployment, reports = imported
    before = deployment.scalar("SELECT count(*) FROM raw.observations")
    key = AuthorKey.load_or_create(deployment.home.parent / "author.key")
    file = next(file for file, _ in reports)
    again = import_archive(file, "EarthPorn", deployment.warehouse, key)
    assert again.posts > 0
    assert (again.new_submissions, again.new_observations) == (0, 0)
    assert deployment.scalar("SELECT count(*) FROM raw.observations") == before


def test_every_imported_post_is_clean_or_rejected_with_a_reason(imported, json_lines):
    deployment, reports = imported
    for name in OUTCOMES:
        run = deployment.run(name, CLEAN)
        assert run.success
        assert run.failed_checks == set()
        wanted = {
            line["data"]["id"]
            for file in {file for file, _ in reports}
            for line in json_lines(file)
            if str(line["data"].get("subreddit", name)).lower() == name
        }
        params = {"name": name}
        posts = deployment.rows("FROM core.posts WHERE subreddit = $name", params)
        rejected = deployment.rows("FROM core.rejected_posts WHERE subreddit = $name", params)
        assert {row["post_id"] for row in posts} | {row["post_id"] for row in rejected} == wanted
        assert Counter([row["kind"] for row in posts] + [row["reason"] for row in rejected]) == OUTCOMES[name]
