"""Faults of requests over HTTP: what a plain client sees, and that the platform's own client comes through."""

import json
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests

from redpop_assets.errors import RedditError
from redpop_assets.sandbox import faults
from redpop_assets.sandbox.chaos import SITUATIONS
from redpop_assets.sources.listings import Listing

pytestmark = pytest.mark.integration

NEW = "/r/pics/new?limit=100"
API = [name for name, situation in SITUATIONS.items() if situation.place == "api"]


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """Nobody waits for slow answers."""
    monkeypatch.setattr(faults, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(faults, "_DRIP_SECONDS", 0.01)
    monkeypatch.setattr(faults, "_THINKING_SECONDS", 0.01)


@pytest.fixture
def struck(place):
    """A sandbox that throws these situations at every request, and nothing before its first token is given out."""

    def start(*names):
        sandbox = place()
        sandbox.get(NEW)
        sandbox.chaos.switch(on=names, rates=dict.fromkeys(names, 1))
        return sandbox

    return start


def test_a_storm_of_429_with_retry_after_as_number_as_date_and_without(struck):
    sandbox = struck("rate-limits")
    answers = []
    for _ in range(3):
        answers.append(sandbox.get(NEW))
        sandbox.waits(2.0)
    for answer in answers:
        assert answer.status_code == 429
        assert answer.headers["content-type"].startswith("text/html")
        assert not any(name.startswith("x-ratelimit") for name in answer.headers)
    number, date, nothing = (answer.headers.get("retry-after") for answer in answers)
    assert number == "1"
    assert parsedate_to_datetime(date) - parsedate_to_datetime(answers[1].headers["date"]) == timedelta(seconds=1)
    assert nothing is None


def test_the_429_of_the_login_is_json(place):
    sandbox = place("token-rate-limits")
    sandbox.chaos.switch(rates={"token-rate-limits": 1})
    login = {"data": {"grant_type": "client_credentials"}, "auth": ("a", "sandbox")}
    answers = [sandbox.post("/api/v1/access_token", **login)]
    for _ in range(2):
        sandbox.waits(2.0)
        answers.append(sandbox.post("/api/v1/access_token", **login))
    assert {answer.status_code for answer in answers} == {429}
    assert {answer.json()["error"] for answer in answers} == {429}
    assert [answer.headers.get("retry-after") is None for answer in answers] == [False, False, True]


def test_every_server_error_is_thrown(struck):
    sandbox = struck("server-errors")
    answers = [sandbox.get(NEW) for _ in faults.API_FAILURES]
    assert [answer.status_code for answer in answers] == list(faults.API_FAILURES)
    assert all(answer.text.startswith("<html>") for answer in answers)


def test_cut_json_has_the_length_it_announces(struck):
    answer = struck("cut-json").get(NEW)
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_bot_walls(struck):
    sandbox = struck("bot-walls")
    answers = [sandbox.get(NEW) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 403]
    assert all("whoa there, pardner" in answer.text for answer in answers)


@pytest.mark.parametrize("name", ["resets", "timeouts"])
def test_connections_break(struck, name):
    sandbox = struck(name)
    for _ in range(2):
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            sandbox.get(NEW)
    sandbox.chaos.switch(off=["all"])
    assert sandbox.get(NEW).status_code == 200


def test_slow_answers_are_whole(struck):
    sandbox = struck("slow-answers")
    assert len(sandbox.get(NEW).json()["data"]["children"]) == 100


def test_an_expired_token_is_a_401_that_a_new_login_cures(struck):
    answer = struck("expired-tokens").get(NEW)
    assert answer.status_code == 401
    assert "invalid_token" in answer.headers["www-authenticate"]


def test_odd_and_missing_rate_limit_headers(struck):
    sandbox = struck("odd-headers")
    headers = sandbox.get(NEW).headers
    for name in ("x-ratelimit-remaining", "x-ratelimit-used", "x-ratelimit-reset"):
        assert headers[name].endswith(".5"), name
    sandbox.chaos.switch(off=["odd-headers"], on=["missing-headers"], rates={"missing-headers": 1})
    assert not any(name.startswith("x-ratelimit") for name in sandbox.get(NEW).headers)


def test_the_panel_and_the_front_page_are_spared(struck):
    sandbox = struck(*SITUATIONS)
    for path in ("/", "/sandbox/clock", "/sandbox/chaos", "/sandbox/truth"):
        assert sandbox.get(path).status_code == 200


@pytest.mark.parametrize("name", [name for name in API if name != "bot-walls"])
def test_the_client_of_the_platform_survives_each(place, name):
    sandbox = place(name)
    sandbox.chaos.switch(rates={name: 0.1 if name == "expired-tokens" else 0.2})
    with sandbox.client() as client:
        ids = [
            submission["id"]
            for _ in range(8)
            for page in client.pages("pics", Listing("new"))
            for submission in page.submissions
        ]
    undisturbed = sandbox.get("/sandbox/listed?subreddit=pics").json()
    assert ids == undisturbed * 8
    assert sandbox.chaos.report()[name]["thrown"] >= 2


def test_with_everything_on_a_listing_is_complete_or_fails_cleanly_and_the_next_pass_gets_it(place):
    sandbox = place("all")
    # A client takes an empty page for the end of the listing; logging in again makes prawcore pause.
    sandbox.chaos.switch(off=["expired-tokens"], rates=dict.fromkeys(API, 0.05))
    complete = set(sandbox.get("/sandbox/listed?subreddit=pics").json())
    failures, passes = [], 20
    with sandbox.client() as client:
        seen = []
        for _ in range(passes):
            ids = set()
            try:
                for page in client.pages("pics", Listing("new")):
                    ids |= {submission["id"] for submission in page.submissions}
            except RedditError as error:
                failures.append(str(error))
            seen.append(ids)
    assert sum(ids >= complete for ids in seen) == passes - len(failures)
    assert 0 < len(failures) < 20
    assert all("web page" in failure for failure in failures)
    thrown = sandbox.chaos.report()
    assert all(thrown[name]["thrown"] for name in API if thrown[name]["on"])


def test_faults_of_the_image_host(struck):
    sandbox = struck("image-errors")
    post = next(post for post in sandbox.world.posts("pics", sandbox.now) if post.kind == "image")
    assert [sandbox.get(sandbox.picture(post)).status_code for _ in range(4)] == list(faults.IMAGE_FAILURES)
    sandbox.chaos.switch(off=["all"], on=["image-rate-limits"], rates={"image-rate-limits": 1})
    answer = sandbox.get(sandbox.picture(post))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    for name in ("image-resets", "stalled-images"):
        sandbox.chaos.switch(off=["all"], on=[name], rates={name: 1})
        for _ in range(2):
            with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
                sandbox.get(sandbox.picture(post))
    sandbox.chaos.switch(off=["all"])
    whole = sandbox.get(sandbox.picture(post)).content
    sandbox.chaos.switch(on=["slow-images"], rates={"slow-images": 1})
    assert sandbox.get(sandbox.picture(post)).content == whole


def test_the_panel_switches_and_counts(place):
    sandbox = place()
    rows = sandbox.get("/sandbox/chaos").json()
    assert set(rows) == set(SITUATIONS)
    assert not any(row["on"] for row in rows.values())
    rows = sandbox.post("/sandbox/chaos", json={"on": ["server-errors"], "rates": {"server-errors": 1}}).json()
    assert [name for name, row in rows.items() if row["on"]] == ["server-errors"]
    assert sandbox.get(NEW).status_code == 503
    rows = sandbox.post("/sandbox/chaos", json={"off": ["all"]}).json()
    assert rows["server-errors"] == {
        "what": SITUATIONS["server-errors"].what,
        "place": "api",
        "on": False,
        "rate": 1,
        "thrown": 1,
    }
    assert sandbox.get(NEW).status_code == 200


@pytest.mark.parametrize(
    "body",
    ["", "[]", '{"on": "all"}', '{"on": ["thunder"]}', '{"rates": {"resets": 7}}', '{"of": []}', '{"rates": [1]}'],
)
def test_a_wrong_switch_is_refused(place, body):
    sandbox = place()
    answer = sandbox.post("/sandbox/chaos", data=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert not any(row["on"] for row in sandbox.get("/sandbox/chaos").json().values())
