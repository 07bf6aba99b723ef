"""The client against a real local server: recorded answers replayed, and those that no recording holds."""

import contextlib
import gzip
import itertools
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from redpop_assets.errors import (
    CredentialsMissing,
    CredentialsRefused,
    RedditBusy,
    RedditError,
    RedPopError,
    SettingsError,
    SubredditUnavailable,
)
from redpop_assets.sources.listings import ALL_LISTINGS, Listing
from redpop_assets.sources.reddit.budget import SLICE

pytestmark = pytest.mark.integration

NEW = Listing("new")
DATE = {"date": "Sun, 17 Jul 2016 15:01:59 GMT"}
OBSERVED = datetime(2016, 7, 17, 15, 1, 59, tzinfo=UTC)
BUDGET = {"x-ratelimit-remaining": "997.0", "x-ratelimit-used": "3", "x-ratelimit-reset": "15"}


def page_of(children, after=None):
    return {"kind": "Listing", "data": {"after": after, "children": children}}


def posts(first, n):
    return [{"kind": "t3", "data": {"id": f"p{i}", "title": "x"}} for i in range(first, first + n)]


# --- listings ---


def test_all_listings_are_fifteen_and_survive_parsing():
    assert len(ALL_LISTINGS) == len(set(ALL_LISTINGS)) == 15
    assert [Listing.parse(str(listing)) for listing in ALL_LISTINGS] == list(ALL_LISTINGS)
    assert Listing.parse(" Top/WEEK ") == Listing("top", "week")
    assert Listing("top", "week").path("pics") == "r/pics/top"
    assert Listing("top", "week").params == {"t": "week"}
    assert NEW.params == {}


@pytest.mark.parametrize("text", ["", "top", "top/", "top/decade", "new/week", "best", "hot/", "/week"])
def test_what_is_no_listing_is_refused(text):
    with pytest.raises(SettingsError, match=r"[Ll]isting"):
        Listing.parse(text)


@pytest.mark.parametrize("name", ["a", "r/pics", "pics+aww", "../user", "pics?x", "ümlaut", ""])
def test_what_is_no_subreddit_is_refused(name):
    with pytest.raises(SettingsError, match="no name of a subreddit"):
        NEW.path(name)


# --- construction ---


@pytest.mark.parametrize("name", ["client_id", "client_secret", "user_agent"])
def test_missing_credentials_name_the_variable_and_the_way_to_get_them(connect, name):
    with pytest.raises(CredentialsMissing, match=f"REDDIT_{name.upper()} not set.*reddit.com/prefs/apps.*by /u/"):
        connect(**{name: " "})


@pytest.mark.parametrize(
    "user_agent", ["python-requests/2.32", "redpop", "linux:redpop:0.1", "linux:redpop:0.1 (by /u/<username>)"]
)
def test_user_agents_of_another_form_are_refused(connect, user_agent):
    with pytest.raises(SettingsError, match="REDDIT_USER_AGENT"):
        connect(user_agent=user_agent)


@pytest.mark.parametrize("url", ["reddit.com", "ftp://reddit.com", "http://127.0.0.1:80/base", ""])
def test_urls_with_a_path_or_without_a_scheme_are_refused(connect, url):
    with pytest.raises(SettingsError, match="REDPOP_OAUTH_URL"):
        connect(oauth_url=url)


def test_the_secret_is_not_in_any_text_of_the_client(client, caplog):
    with caplog.at_level(logging.DEBUG):
        list(client.pages("pics", NEW))
    assert "secret" not in repr(client) + str(vars(client)) + caplog.text


def test_configuration_of_praw_itself_does_not_interfere(server, tmp_path):
    server.says(server.reply(page_of(posts(0, 1)), headers=DATE))
    (tmp_path / "praw.ini").write_text(
        "[DEFAULT]\noauth_url=http://127.0.0.1:9\nreddit_url=http://127.0.0.1:9\nusername=u\npassword=p\n"
        "client_id=other\ntimeout=soon\nwindow_size=many\n[other]\nclient_secret=y\n"
    )
    code = (
        "from redpop_assets.sources.reddit.client import RedditClient\n"
        "from redpop_assets.sources.listings import Listing\n"
        f"c = RedditClient('id', 'secret', 'linux:redpop:0.1 (by /u/abc)', reddit_url='{server.url}',"
        f" oauth_url='{server.url}')\n"
        "print([p.submissions[0]['id'] for p in c.pages('pics', Listing('new'))])"
    )
    environment = {
        **os.environ,
        "praw_site": "other",
        "praw_client_id": "other",
        "praw_username": "u",
        "praw_password": "p",
        "praw_refresh_token": "t",
        "praw_check_for_updates": "True",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "['p0']", done.stderr
    login = server.requests[0]
    assert login.path == "/api/v1/access_token"
    assert login.headers["authorization"] == "Basic aWQ6c2VjcmV0"  # id:secret


# --- listings ---


def replay(server, recorded):
    """Serve the recorded answers: GET by path and query (as a set; the order varies)."""

    def question(uri):
        parts = urlsplit(uri)
        return parts.path, frozenset((k, v[0]) for k, v in parse_qs(parts.query).items() if k != "raw_json")

    answers = {question(one["uri"]): one for one in recorded("listing_responses.ndjson.gz")}

    def answer(request):
        one = answers[request.path, frozenset((k, v) for k, v in request.params.items() if k != "raw_json")]
        kept = {k: v for k, v in one["headers"].items() if k.startswith("x-ratelimit") or k == "date"}
        return server.reply(one["body_json"], headers=kept)

    server.answer = answer
    return answers


class Elsewhere(Listing):
    """A recorded listing of another place than a subreddit, read by the same code."""

    def path(self, subreddit):
        return subreddit


@pytest.mark.parametrize(
    ("place", "listing"),
    [
        ("r/popular/hot", Listing("hot")),
        ("best", Listing("hot")),
        ("hot", Listing("hot")),
        ("user/kjoneslol/m/sfwpornnetwork/hot", Listing("hot")),
        ("user/kjoneslol/m/sfwpornnetwork/new", Listing("new")),
        ("user/kjoneslol/m/sfwpornnetwork/rising", Listing("rising")),
        ("user/kjoneslol/m/sfwpornnetwork/top", Listing("top", "all")),
        ("user/kjoneslol/m/sfwpornnetwork/controversial", Listing("controversial", "all")),
        ("domain/youtube.com/rising", Listing("rising")),
    ],
    ids=lambda value: str(value),
)
def test_every_recorded_post_of_a_listing_comes_through_unchanged(server, client, recorded, place, listing):
    answers = replay(server, recorded)
    elsewhere = Elsewhere(listing.name, listing.time_filter)
    found = list(client.pages(place, elsewhere, limit=100))
    expected = [one for (path, _), one in answers.items() if path == f"/{place}"]
    children = [child["data"] for one in expected for child in one["body_json"]["data"]["children"]]
    assert [post for page in found for post in page.submissions] == children[:100]
    assert [list(post) for page in found for post in page.submissions] == [list(post) for post in children[:100]]
    assert [rank for page in found for rank in page.ranks] == list(range(len(children[:100])))


def test_recorded_ids_are_read_in_hundreds_and_missing_ones_stay_missing(server, client, recorded):
    everything = {
        child["data"]["id"]: child["data"]
        for one in recorded("listing_responses.ndjson.gz")
        for child in one["body_json"]["data"]["children"]
        if child["kind"] == "t3"
    }
    assert len(everything) > 800

    def answer(request):
        assert request.path == "/api/info/"
        asked = [name.removeprefix("t3_") for name in request.params["id"].split(",")]
        assert len(asked) <= 100
        return server.reply(page_of([{"kind": "t3", "data": everything[i]} for i in asked if i in everything]))

    server.answer = answer
    ids = [*everything, "unknown1", "unknown2"]
    pages = list(client.info(f"t3_{post_id}" if i % 2 else post_id for i, post_id in enumerate(ids)))
    assert [post_id for page in pages for post_id in page.requested] == ids
    assert [post for page in pages for post in page.submissions] == list(everything.values())
    assert len(server.api_requests) == len(pages) == -(-len(ids) // 100)


def test_the_recorded_budget_and_clock_are_known(server, client, recorded):
    replay(server, recorded)
    (page,) = client.pages("popular", Listing("hot"), limit=100)
    assert page.observed_at == datetime(2026, 4, 13, 20, 49, 46, tzinfo=UTC)
    assert client.requests_remaining == 997
    assert client.requests_made == 2  # login and listing


def test_a_listing_ends_at_its_last_page_or_at_the_limit(server, client):
    def answer(request):
        first = int(request.params.get("after", "t3_p-1").removeprefix("t3_p")) + 1
        n = min(int(request.params["limit"]), 1001 - first)
        return server.reply(page_of(posts(first, n), f"t3_p{first + n - 1}" if first + n < 1001 else None))

    server.answer = answer
    pages = list(client.pages("pics", Listing("top", "year"), limit=5000))
    assert [page.first_rank for page in pages] == list(range(0, 1001, 100))
    assert [len(page.submissions) for page in pages] == [100] * 10 + [1]
    assert [rank for page in pages for rank in page.ranks] == list(range(1001))
    assert {request.params["t"] for request in server.api_requests} == {"year"}
    assert {request.params["raw_json"] for request in server.api_requests} == {"1"}
    server.requests.clear()
    assert sum(len(page.submissions) for page in client.pages("pics", NEW)) == 1000
    assert len(server.api_requests) == 10
    assert [len(page.submissions) for page in client.pages("pics", NEW, limit=150)] == [100, 50]


def test_a_stickied_post_on_top_makes_a_page_of_101_and_counts_in_the_ranks(server, client):
    server.says(server.reply(page_of(posts(0, 101), "t3_p100")), server.reply(page_of(posts(101, 100))))
    first, second = client.pages("pics", Listing("hot"))
    assert (len(first.submissions), second.first_rank, second.ranks[0]) == (101, 101, 101)


def test_an_empty_page_in_between_ends_nothing_and_one_at_the_end_is_none(server, client):
    server.says(
        server.reply(page_of(posts(0, 100), "t3_a")),
        server.reply(page_of([], "t3_b")),
        server.reply(page_of(posts(100, 7), "t3_c")),
        server.reply(page_of([])),
    )
    first, second = client.pages("pics", NEW)
    assert (len(first.submissions), len(second.submissions), second.first_rank) == (100, 7, 100)


def test_reading_stops_on_a_page_already_read(server, client):
    server.says(*(server.reply(page_of(posts(0, 100), after)) for after in ("t3_a", "t3_b", "t3_a")))
    assert len(list(client.pages("pics", NEW))) == 3


def test_children_that_are_no_submissions_keep_their_ranks(server, client):
    children = [*posts(0, 1), {"kind": "t1", "data": {"id": "c"}}, {"kind": "t3", "data": {}}, *posts(1, 1)]
    server.says(server.reply(page_of(children)))
    (page,) = client.pages("pics", NEW)
    assert [post["id"] for post in page.submissions] == ["p0", "p1"]
    assert page.ranks == (0, 3)


@pytest.mark.parametrize("headers", [{}, {"transfer-encoding": "chunked"}])
def test_a_compressed_answer_is_read(server, client, headers):
    body = gzip.compress(json.dumps(page_of(posts(0, 100))).encode())
    server.says(server.reply(body, headers={"content-encoding": "gzip", **headers}))
    (page,) = client.pages("pics", NEW)
    assert [child["data"] for child in posts(0, 100)] == list(page.submissions)


# --- the clock ---


def test_times_are_those_of_the_date_header(server, client):
    server.says(server.reply(page_of(posts(0, 1)), headers=DATE))
    (page,) = client.pages("pics", NEW)
    assert page.observed_at == OBSERVED
    assert timedelta(0) <= client.now() - OBSERVED < timedelta(seconds=5)
    (info,) = client.info(["p0"])
    assert info.observed_at == OBSERVED


def test_now_asks_once_when_nothing_was_asked_before(server, client):
    server.says(server.reply(page_of([]), headers=DATE))
    assert client.now() - OBSERVED < timedelta(seconds=5)
    assert client.now() - OBSERVED < timedelta(seconds=5)
    assert len(server.api_requests) == 1


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}, {"date": ""}])
def test_without_a_date_the_local_clock_serves(server, client, headers):
    server.says(server.reply(page_of(posts(0, 1)), headers=headers))
    (page,) = client.pages("pics", NEW)
    assert abs(page.observed_at - datetime.now(UTC)) < timedelta(seconds=5)
    assert abs(client.now() - datetime.now(UTC)) < timedelta(seconds=5)


# --- refusals ---

UNAVAILABLE = [
    (302, {"location": "https://www.reddit.com/subreddits/search?q=pics"}, b"", "r/pics does not exist"),
    (302, {"location": "/r/photos/new.json"}, b"", "moved to r/photos"),
    (403, {}, {"reason": "private", "message": "Forbidden", "error": 403}, "r/pics is private"),
    (403, {}, {"reason": "quarantined", "error": 403}, "r/pics is quarantined"),
    (403, {}, {"message": "Forbidden", "error": 403}, "r/pics is private or quarantined"),
    (404, {}, {"reason": "banned", "message": "Not Found", "error": 404}, "r/pics is banned"),
    (404, {}, {"message": "Not Found", "error": 404}, "does not exist or is banned"),
    (451, {}, b"", "blocked for legal reasons"),
    (403, {"www-authenticate": 'Basic realm="odd"'}, {"reason": "private"}, "r/pics is private"),
    (403, {}, {"reason": "gold_only", "message": "Forbidden", "error": 403}, "r/pics is open to premium members only"),
]


@pytest.mark.parametrize(("status", "headers", "body", "message"), UNAVAILABLE)
def test_subreddits_that_cannot_be_read_say_why(server, client, waits, status, headers, body, message):
    server.says(server.reply(body, status, headers))
    with pytest.raises(SubredditUnavailable, match=message) as caught:
        list(client.pages("pics", NEW))
    assert "REDPOP_SUBREDDITS" in str(caught.value)
    assert len(server.api_requests) == 1
    assert waits == []


WALL = b"<!doctype html><title>whoa there, pardner!</title>"
OTHER = [
    (200, {}, WALL, "a web page instead of data"),
    (403, {}, WALL, "a web page instead of data"),
    (200, {}, b"", "no listing"),
    (204, {}, b"", "no listing"),
    (200, {}, [1], "no listing"),
    (200, {}, {"kind": "Listing", "data": {"children": None}}, "no listing"),
    (302, {"location": "https://www.reddit.com/login/"}, b"", "redirects .*login"),
    (302, {"location": "/r/PICS/new/"}, b"", "redirects"),
    (302, {}, b"", "redirects .*nowhere"),
    (400, {}, {"reason": "BAD", "error": 400}, "HTTP 400"),
    (414, {"retry-after": "0"}, b"Error: URI Too Long", "HTTP 414"),
    (415, {}, b"no json", "HTTP 415"),
    (418, {}, b"", "HTTP 418"),
    (403, {"www-authenticate": 'Bearer realm="reddit", error="insufficient_scope"'}, {"error": 403}, "scope"),
    (403, {"www-authenticate": "Negotiate"}, {"error": 403, "reason": 7}, "private or quarantined"),
    (200, {}, {"error": 503, "message": "Our CDN was unable to reach our servers"}, "no listing"),
    (200, {}, {"kind": "t2", "data": {"name": "somebody"}}, "no listing"),
    (200, {}, [page_of([]), page_of([])], "no listing"),
    (200, {}, b"null", "no listing"),
]
PASSING = [
    (200, {}, b'{"kind": "Listing", "data": {"chil', "no JSON"),
    (200, {}, b"\x80\x81", "no JSON"),
    (429, {"retry-after": "4"}, b"<!doctype html>", "rate limit"),
    (429, {}, {"message": "Too Many Requests", "error": 429}, "rate limit"),
    (408, {}, b"", "HTTP 408"),
    (503, {}, WALL, "HTTP 503"),
    # The window ends in five minutes, but the server fails now: a reset is no Retry-After.
    (503, {**BUDGET, "x-ratelimit-reset": "300"}, b"", "HTTP 503"),
    (520, {"retry-after": "Mon, 13 Apr 2026 12:00:05 GMT", "date": "Mon, 13 Apr 2026 12:00:00 GMT"}, b"", "HTTP 520"),
]


@pytest.mark.parametrize(("status", "headers", "body", "message"), OTHER)
def test_other_answers_are_errors_that_say_what_to_do(server, client, waits, status, headers, body, message):
    server.says(server.reply(body, status, headers))
    with pytest.raises(RedditError, match=message) as caught:
        list(client.pages("pics", NEW))
    assert not isinstance(caught.value, RedditBusy)
    assert len(str(caught.value)) > 60, "it says what to do"
    assert waits == []


@pytest.mark.parametrize(("status", "headers", "body", "message"), PASSING)
def test_what_may_pass_is_tried_again(server, client, waits, status, headers, body, message):
    """Twice in vain, then with success; and in vain for ever."""
    failing = server.reply(body, status, headers)
    server.says(failing, failing, server.reply(page_of(posts(0, 1))))
    assert len(list(client.pages("pics", NEW))) == 1
    assert len(server.api_requests) == 3
    assert client.seconds_waited == sum(waits) >= 4
    server.says(failing)
    with pytest.raises(RedditBusy, match=message):
        list(client.pages("pics", NEW))
    assert 6 <= len(server.api_requests) <= 8
    assert client.requests_made == 1 + len(server.api_requests)  # with the login


@pytest.mark.parametrize(("status", "headers", "body", "message"), [*UNAVAILABLE, *OTHER, *PASSING])
def test_whatever_stops_a_listing_what_was_read_is_kept(server, client, status, headers, body, message):
    pages = client.pages("pics", NEW)
    server.says(server.reply(page_of(posts(0, 100), "t3_a")), server.reply(body, status, headers))
    assert len(next(pages).submissions) == 100
    with pytest.raises(RedPopError, match=message):
        next(pages)
    ids = [f"p{i}" for i in range(101)]
    answers = client.info(ids)
    server.says(server.reply(page_of(posts(0, 100))), server.reply(body, status, headers))
    assert len(next(answers).submissions) == 100
    with pytest.raises(RedPopError):
        next(answers)
    # The client goes on as if nothing had been.
    server.says(server.reply(page_of(posts(0, 100))))
    assert len(list(client.info(ids))) == 2


def test_every_recorded_refusal_becomes_an_error_of_ours(server, connect, recorded):
    kinds = set()
    for one in recorded("error_responses.ndjson"):
        if one["method"] == "POST" or one["status"] == 401:
            continue  # a login, and a token that prawcore renews: tested on their own
        body = one["body_json"] if one.get("body_json") is not None else (one.get("body_text") or "").encode()
        kept = {k: v for k, v in one["headers"].items() if k != "content-length"}
        server.says(server.reply(body, one["status"], kept))
        with pytest.raises(RedditError) as caught:
            list(connect().pages("pics", NEW))
        kinds.add((one["status"], type(caught.value)))
    assert kinds == {
        (301, SubredditUnavailable),  # to a post of another community
        (302, SubredditUnavailable),  # to another community
        (400, RedditError),
        (403, RedditError),  # insufficient scope
        (403, SubredditUnavailable),
        (404, SubredditUnavailable),
        (414, RedditError),
        (429, RedditBusy),
        (451, SubredditUnavailable),
        (503, RedditBusy),
        (520, RedditBusy),
    }


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (
            200,
            {"error": "unauthorized_client", "error_description": "Only script apps may"},
            CredentialsRefused,
            "Only",
        ),
        (200, {"error": "invalid_grant"}, CredentialsRefused, "REDDIT_CLIENT_SECRET"),
        (401, {"message": "Unauthorized", "error": 401}, CredentialsRefused, "REDDIT_CLIENT_ID"),
        (403, {"message": "Forbidden", "error": 403}, CredentialsRefused, "REDDIT_CLIENT_ID"),
        (429, {"message": "Too Many Requests", "error": 429}, RedditBusy, "rate limit"),
        (403, WALL, RedditError, "web page"),
        (302, b"", RedditError, "REDPOP_REDDIT_URL"),
        (200, WALL, RedditError, "web page"),
        (200, b'{"access_tok', RedditBusy, "no JSON"),
        (200, {"token": "x"}, RedditError, "could not be used"),
        (503, b"", RedditBusy, "servers fail"),
    ],
)
def test_a_failed_login_says_what_to_check(server, client, waits, status, body, error, message):
    server.login = lambda _: server.reply(body, status)
    with pytest.raises(error, match=message):
        list(client.pages("pics", NEW))
    assert server.api_requests == []
    assert sum(waits) == (0 if error is not RedditBusy else 65 if status == 429 else 4)


def test_an_expired_token_is_renewed_whatever_the_header(server, client):
    server.says(server.reply({"error": 401}, 401), server.reply(page_of(posts(0, 1))))
    assert len(list(client.pages("pics", NEW))) == 1
    assert [request.path for request in server.requests].count("/api/v1/access_token") == 2


def test_a_fresh_token_that_is_refused_is_an_error(server, client):
    server.says(server.reply({"error": 401}, 401))
    with pytest.raises(CredentialsRefused, match="fresh token"):
        list(client.pages("pics", NEW))


def test_an_app_that_may_not_use_the_api_is_no_community_that_is_private(server, client):
    server.says(server.reply({"message": "Forbidden", "error": 403}, 403))
    with pytest.raises(CredentialsRefused, match="HTTP 403 for /api/info"):
        client.now()
    with pytest.raises(SubredditUnavailable):
        list(client.pages("pics", NEW))


# --- busy ---

NOON = "Mon, 13 Apr 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "wait", "attempts"),
    [
        ({"retry-after": "4"}, 4, 5),
        ({"retry-after": "0"}, 1, 5),
        ({"retry-after": "2.5"}, 2.5, 5),
        ({"retry-after": "Mon, 13 Apr 2026 12:00:30 GMT", "date": NOON}, 30, 5),
        ({"retry-after": "Mon, 13 Apr 2026 11:00:00 GMT", "date": NOON}, 1, 5),
        ({**BUDGET, "x-ratelimit-remaining": "0", "x-ratelimit-reset": "12.5"}, 13.5, 5),  # and a second of grace
        ({"retry-after": "280"}, 280, 3),
        ({"retry-after": "600"}, 600, 2),
        ({"retry-after": "601"}, 0, 1),
        ({"retry-after": "Mon, 13 Apr 2026 13:00:00 GMT", "date": NOON}, 0, 1),
    ],
)
def test_a_rate_limit_is_waited_for_within_one_window(server, client, waits, headers, wait, attempts):
    busy = server.reply(b"<!doctype html>", 429, headers)
    if attempts > 1:
        server.says(busy, server.reply(page_of(posts(0, 1)), headers=BUDGET))
        assert len(list(client.pages("pics", NEW))) == 1
        assert sum(waits) == pytest.approx(wait)
        assert client.seconds_waited == pytest.approx(wait)
    server.requests.clear()
    before = sum(waits)
    server.says(busy)
    with pytest.raises(RedditBusy, match=r"rate limit is spent.*Run again later.*client id"):
        list(client.pages("pics", NEW))
    assert len(server.api_requests) == attempts
    assert sum(waits) - before == pytest.approx(wait * (attempts - 1))


@pytest.mark.parametrize("headers", [{}, {"retry-after": "soon"}, {"retry-after": "inf"}, {"retry-after": ""}])
def test_a_rate_limit_that_names_no_time_is_tried_at_growing_intervals(server, client, waits, headers):
    server.says(server.reply(b"", 429, headers))
    with pytest.raises(RedditBusy, match="Run again later"):
        list(client.pages("pics", NEW))
    assert sum(waits) == 5 + 15 + 45
    assert max(waits) <= SLICE
    assert len(server.api_requests) == 4


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 520, 522])
def test_a_storm_of_failures_ends_after_three_attempts(server, client, waits, status):
    server.says(server.reply(b"", status))
    with pytest.raises(RedditBusy, match=f"HTTP {status}"):
        list(client.pages("pics", NEW))
    assert waits == [1.0, 3.0]
    assert len(server.api_requests) == 3
    server.says(server.reply(b"", status), server.reply(page_of(posts(0, 1))))
    assert len(list(client.pages("pics", NEW))) == 1


def test_a_failing_server_that_asks_for_patience_gets_it(server, client, waits):
    server.says(server.reply(b"", 503, {"retry-after": "7"}), server.reply(page_of(posts(0, 1))))
    assert len(list(client.pages("pics", NEW))) == 1
    assert waits == [7.0]
    server.says(server.reply(b"", 503, {"retry-after": "3600"}))
    with pytest.raises(RedditBusy):
        list(client.pages("pics", NEW))
    assert waits == [7.0]


def dripping_server(text, pause):
    """A host that sends `text` byte by byte, over and over, to whoever listens; its URL, and how to end it."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def drip(connection):
        with connection, contextlib.suppress(OSError):
            for byte in itertools.cycle(text):
                if done.wait(pause):
                    return
                connection.send(bytes([byte]))

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threads.append(threading.Thread(target=drip, args=listener.accept()[:1]))
                threads[-1].start()

    def stop():
        done.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in threads:
            thread.join()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", stop


@pytest.mark.parametrize("text", [b"HTTP/1.1 200 OK\r\nx-a: b\r\nx-c: ", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_the_timeout_holds_for_a_trickle_of_headers(connect, waits, text):
    """Every byte comes in time, so the timeouts of the socket never strike."""
    url, stop = dripping_server(text, 0.01)
    try:
        client = connect(timeout=0.2, reddit_url=url, oauth_url=url)
        with pytest.raises(RedditBusy, match=r"within 0\.2 s.*REDPOP_REDDIT_TIMEOUT_SECONDS"):
            list(client.pages("pics", NEW))
    finally:
        stop()
    assert waits == [1.0, 3.0]
    assert client.requests_made == 3


def test_an_endless_answer_is_cut_off(server, client, waits, monkeypatch):
    monkeypatch.setattr("redpop_assets.sources.reddit.client.LARGEST_ANSWER", 100_000)
    body = gzip.compress(b" " * 10_000_000)
    server.says(server.reply(body, headers={"content-encoding": "gzip", "connection": "close"}))
    with pytest.raises(RedditError, match="larger than 100,000 bytes"):
        list(client.pages("pics", NEW))
    assert waits == []


@pytest.mark.parametrize("how", [{"delay": 0.6}, {"drip": 0.06}])
def test_the_timeout_holds_for_silence_and_for_a_trickle(server, connect, waits, how):
    server.says(server.reply(page_of(posts(0, 1)), **how))
    started = datetime.now(UTC)
    with pytest.raises(RedditBusy, match=r"within 0\.2 s.*REDPOP_REDDIT_TIMEOUT_SECONDS"):
        list(connect(timeout=0.2).pages("pics", NEW))
    assert datetime.now(UTC) - started < timedelta(seconds=3)
    assert waits == [1.0, 3.0]


def test_a_slow_login_times_out_too(server, connect):
    server.login = lambda _: server.reply(b"", delay=0.6)
    with pytest.raises(RedditBusy, match=r"within 0\.2 s"):
        list(connect(timeout=0.2).pages("pics", NEW))


def test_a_connection_that_breaks_is_tried_again(server, client, waits):
    whole = page_of(posts(0, 1))
    server.says(server.reply(whole, headers={"content-length": "9999", "connection": "close"}), server.reply(whole))
    assert len(list(client.pages("pics", NEW))) == 1
    assert waits == [1.0]


def test_an_unreachable_reddit_is_busy(connect, waits):
    client = connect(oauth_url="http://127.0.0.1:9", reddit_url="http://127.0.0.1:9")
    with pytest.raises(RedditBusy, match=r"connection to Reddit failed.*REDPOP_OAUTH_URL"):
        list(client.pages("pics", NEW))
    assert waits == [1.0, 3.0]


@pytest.mark.parametrize(
    ("headers", "remaining"),
    [
        (BUDGET, 997),
        ({**BUDGET, "x-ratelimit-reset": "0.5"}, 997),
        ({**BUDGET, "x-ratelimit-used": "3.0"}, 997),
        ({**BUDGET, "x-ratelimit-reset": "soon"}, None),
        ({**BUDGET, "x-ratelimit-used": "nan"}, None),
        ({"x-ratelimit-remaining": "5"}, None),
        ({**BUDGET, "x-ratelimit-used": "-997", "x-ratelimit-remaining": "997"}, 997),
    ],
)
def test_odd_rate_limit_headers_do_not_stop_the_reading(server, client, headers, remaining):
    server.says(server.reply(page_of(posts(0, 1)), headers=headers))
    assert len(list(client.pages("pics", NEW))) == 1
    assert client.requests_remaining == remaining


def test_a_spent_budget_is_waited_for_once(server, client, waits, caplog):
    """By the budget; the limiter of prawcore, which would sleep in real time, is not told."""
    spent = {"x-ratelimit-remaining": "0.0", "x-ratelimit-used": "1000", "x-ratelimit-reset": "299.5"}
    server.says(server.reply(page_of(posts(0, 1), "t3_p0"), headers=spent), server.reply(page_of([])))
    assert len(list(client.pages("pics", NEW))) == 1
    assert sum(waits) == client.seconds_waited == 300.5
    assert "The request budget is spent (1000 requests in 10 min): the next request waits 300 s, until" in caplog.text
    assert client.requests_remaining == 999  # of the next window


def test_the_login_and_answers_without_headers_are_counted(server, client):
    server.says(server.reply(page_of(posts(0, 1), "t3_p0"), headers=BUDGET), server.reply(page_of([])))
    assert client.requests_remaining is None
    assert len(list(client.pages("pics", NEW))) == 1
    assert client.requests_made == 3
    assert client.requests_remaining == 996
