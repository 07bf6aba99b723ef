"""The client of the archive against a real local server: every post once and in order, and every way to be let down."""

import gzip
import json
import logging
import math
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from redpop_assets.errors import RedditBusy, RedditError, RedPopError, SettingsError, SubredditUnavailable
from redpop_assets.sources.arctic_shift import connection
from redpop_assets.sources.arctic_shift.client import FIRST_SECOND, IDS_PER_REQUEST, ArcticShiftClient
from redpop_assets_tests.sources.conftest import Answer, RedditServer, Request

pytestmark = pytest.mark.integration

START = 1_718_000_000
NOW = START + 86_400
DATE = {"date": format_datetime(datetime.fromtimestamp(NOW, UTC), usegmt=True)}


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class Waits(list[float]):
    """Stands in for sleeping: notes how long it would have taken, and is a clock that only sleeping moves."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)

    def clock(self) -> float:
        return float(NOW) + sum(self)


def connected(url: str, waits: Waits | None = None, **options) -> ArcticShiftClient:
    waits = Waits() if waits is None else waits
    options = {
        "url": url,
        "user_agent": "linux:redpop-tests:0 (by /u/nobody)",
        "requests_per_second": 1000.0,
        **options,
    }
    return ArcticShiftClient(clock=waits.clock, sleep=waits, **options)


def post(post_id: str, created, **more):
    return {"id": post_id, "subreddit": "pics", "title": "x", "created_utc": created, **more}


@dataclass
class Archive:
    """Posts behind the API as it is documented, with what is not documented to choose from."""

    posts: list[dict]
    least_auto: int = 100
    most_auto: int = 1000
    after_inclusive: bool = False
    before_inclusive: bool = False
    longest_window: float = math.inf
    largest_page: float = math.inf
    searches: list[dict] = field(default_factory=list)

    def __call__(self, request: Request) -> Answer:
        query = request.params
        if request.path != "/api/posts/search":
            return Answer({"data": [{"display_name": "pics"}]}, headers=DATE)
        self.searches.append(query)
        after, before = float(query["after"]), float(query.get("before", NOW + 1))
        auto = self.least_auto + len(self.searches) * 7919 % (self.most_auto - self.least_auto + 1)
        limit = auto if query["limit"] == "auto" else int(query["limit"])
        if self.posts and min(before, NOW) - max(after, self.posts[0]["at"]) > self.longest_window:
            return Answer({"data": None, "error": "Query timed out"}, 400, DATE)
        if limit > self.largest_page:
            return Answer({"data": None, "error": "Timeout. Maybe slow down a bit"}, 422, DATE)
        found = [
            each
            for each in sorted(self.posts, key=lambda each: (each["at"], each["id"]))
            if (after < each["at"] or (self.after_inclusive and each["at"] == after))
            and (each["at"] < before or (self.before_inclusive and each["at"] == before))
            and all(str(each[flag]).lower() == query[flag] for flag in ("over_18", "spoiler") if flag in query)
        ]
        found = found if query["sort"] == "asc" else found[::-1]
        return Answer({"data": found[:limit]}, headers=DATE)


def archive_of(times: list[int], write: Callable = int, **options) -> Archive:
    return Archive(
        [
            post(f"{index:x}", write(at), at=at, over_18=index % 3 == 0, spoiler=index % 5 < 2)
            for index, at in enumerate(sorted(times), start=10)
        ],
        **options,
    )


@pytest.fixture(scope="module")
def archive_server() -> Iterator[RedditServer]:
    server = RedditServer()
    yield server
    server.stop()


WRITTEN = {
    "seconds": int,
    "float": float,
    "text": str,
    "text of a float": lambda at: f"{at}.0",
    "ISO": lambda at: moment(at).isoformat(),
    "milliseconds": lambda at: at * 1000,
}


@settings(max_examples=40, deadline=None)
@given(
    times=st.lists(st.integers(0, 40).flatmap(lambda at: st.integers(1, 4).map(lambda n: [at * at] * n)), max_size=20),
    page_size=st.one_of(st.none(), st.integers(1, 7)),
    inclusive=st.tuples(st.booleans(), st.booleans()),
    window=st.sampled_from([math.inf, 40_000, 5_000]),
    bounds=st.tuples(st.integers(-5, 1600), st.integers(-5, 1700)),
    written=st.sampled_from(sorted(WRITTEN)),
    open_ends=st.tuples(st.booleans(), st.booleans()),
)
@example([[5] * 250], None, (False, False), math.inf, (0, 100), "seconds", (True, True))
@example([[5] * 250, [6] * 3], None, (True, True), math.inf, (0, 100), "float", (False, False))
def test_whatever_pages_ties_and_windows_every_post_of_the_range_comes_once_and_in_order(
    archive_server, times, page_size, inclusive, window, bounds, written, open_ends
):
    made = [START + at for ties in times for at in ties]
    after_inclusive, before_inclusive = inclusive
    archive = archive_of(
        made,
        WRITTEN[written],
        after_inclusive=after_inclusive,
        before_inclusive=before_inclusive,
        most_auto=100,
        longest_window=window,
    )
    archive_server.answer = archive
    first, stop = START + min(bounds), START + max(bounds)
    after = None if open_ends[0] else moment(first)
    before = None if open_ends[1] else moment(stop)
    with connected(archive_server.url, page_size=page_size) as client:
        pages = list(client.posts("pics", after=after, before=before))
        assert client.records_dropped == 0
    given_ids = [each["id"] for page in pages for each in page.submissions]
    wanted = [
        each["id"]
        for each in archive.posts
        if (open_ends[0] or each["at"] >= first) and (open_ends[1] or each["at"] < stop)
    ]
    assert sorted(given_ids) == sorted(wanted)
    at = {each["id"]: each["at"] for each in archive.posts}
    assert [at[post_id] for post_id in given_ids] == sorted(at[post_id] for post_id in given_ids)
    # What is said to be complete is, page for page: nothing that comes later lies before it.
    for place, page in enumerate(pages):
        later = [at[each["id"]] for rest in pages[place + 1 :] for each in rest.submissions]
        assert all(seconds >= page.complete_to.timestamp() for seconds in later)
    assert [page.complete_to for page in pages] == sorted(page.complete_to for page in pages)


def test_an_incremental_reading_costs_two_requests_and_its_end_is_where_to_go_on(archive_server):
    archive_server.answer = archive = archive_of([START, START + 5, START + 9, START + 9])
    with connected(archive_server.url) as client:
        *_, last = client.posts("pics", after=moment(START + 5))
        assert client.requests_made == 2
        assert last.complete_to == moment(START + 9)
        archive.posts += [post("zz", START + 9, at=START + 9), post("zy", START + 60, at=START + 60)]
        again = [each["id"] for page in client.posts("pics", after=last.complete_to) for each in page.submissions]
    assert again[-2:] == ["zz", "zy"]


def test_a_time_long_past_is_complete_to_its_end_and_the_present_to_its_last_post(archive_server):
    old = START - 86_400
    archive_server.answer = archive_of([old])
    with connected(archive_server.url) as client:
        *_, past = client.posts("pics", after=moment(old), before=moment(START))
        *_, present = client.posts("pics", after=moment(old), before=moment(NOW - 60))
        (empty,) = client.posts("pics", after=moment(START + 1), before=None)
    assert past.complete_to == moment(START)
    assert present.complete_to == moment(old)
    assert (empty.submissions, empty.complete_to, empty.observed_at) == ((), moment(START + 1), moment(NOW))


def test_a_post_from_the_future_does_not_hide_those_of_the_meantime(archive_server):
    archive_server.answer = archive_of([START, NOW + 10 * 86_400])
    with connected(archive_server.url) as client:
        *_, last = client.posts("pics", after=None, before=moment(NOW + 20 * 86_400))
    assert last.complete_to <= moment(NOW)


def test_a_query_that_is_given_up_is_made_smaller_and_larger_again(archive_server):
    times = list(range(NOW - 300 * 86_400, NOW, 20_000))
    archive_server.answer = archive = archive_of(times, longest_window=30 * 86_400, largest_page=60)
    waits = Waits()
    with connected(archive_server.url, waits) as client:
        given_ids = [each["id"] for page in client.posts("pics", after=None) for each in page.submissions]
    assert given_ids == [each["id"] for each in archive.posts]
    assert {query["limit"] for query in archive.searches} >= {"auto", "100", "50"}
    assert client.seconds_waited == pytest.approx(sum(waits))
    assert len(archive.searches) < 150


def test_a_service_that_gives_everything_up_is_busy_and_what_was_read_is_kept(archive_server):
    archive_server.answer = archive_of([START] * 30, largest_page=1)
    with connected(archive_server.url) as client, pytest.raises(RedditBusy, match=r"however little.*some minutes"):
        list(client.posts("pics", after=moment(START)))
    assert client.requests_made < 25


def test_more_posts_of_a_second_than_can_be_reached_are_said(archive_server, caplog):
    archive_server.answer = archive_of([START] * 3000 + [START + 1], most_auto=100)
    with connected(archive_server.url) as client:
        given_ids = {each["id"] for page in client.posts("pics", after=None) for each in page.submissions}
    assert len(given_ids) > 700
    assert f"{3000 + 9:x}" in given_ids
    assert "more posts of one second" in caplog.text


def test_an_unknown_community_is_told_from_an_empty_one(server):
    known = {"display_name": "Pics", "subscribers": 3}
    server.answer = lambda request: Answer({"data": [known] if "subreddits" in request.path else []}, headers=DATE)
    with connected(server.url) as client:
        (page,) = client.posts("pics", after=None)
        assert page.submissions == ()
        server.says(Answer({"data": []}, headers=DATE))
        with pytest.raises(SubredditUnavailable, match=r"knows no community r/pics.*REDPOP_SUBREDDITS"):
            list(client.posts("pics", after=None))
        assert list(client.posts("pics", after=moment(START)))  # there the community was known once
        server.says(Answer({"data": None, "error": "Subreddit 'pics' not found"}, 400))
        with pytest.raises(SubredditUnavailable, match="not found"):
            list(client.posts("pics", after=moment(START)))
        assert client.community("pics") is None
        assert client.subscribers("pics", after=None) == []


def test_what_is_no_post_of_the_community_is_dropped_and_counted(server, caplog):
    deep = []
    for _ in range(150):
        deep = [deep]
    rows = [
        {"title": "no id", "created_utc": START},
        post("", START),
        post("a1", START + 1, subreddit="PICS"),
        post("a2", START + 1, subreddit="aww"),
        post("a3", START + 2, media=deep),
        post("a4", None),
        post("a5", "soon"),
        "text",
        None,
        post("t3_a6", START + 3, score=math.nan),
        {"id": "a7", "created_utc": START + 4},
    ]
    body = {"data": rows}
    server.answer = lambda request: Answer(body if int(request.params["after"]) < START else {"data": []}, headers=DATE)
    with connected(server.url) as client:
        (page, _end) = client.posts("pics", after=moment(START))
    assert [each["id"] for each in page.submissions] == ["a1", "a6", "a7"]
    assert page.submissions[1]["score"] is None
    assert client.records_dropped == 8
    assert "posts that are not of r/pics" in caplog.text


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([post("b", START + 9), post("a", START)], "another order"),
        ([post("a", START - 500)], "another time"),
        ([post("a", None)], "without their time"),
        ([{"id": "a"}, "x"], "without their time"),
    ],
)
def test_pages_from_which_nobody_can_go_on_are_refused(server, rows, problem):
    server.says(Answer({"data": rows}))
    with connected(server.url) as client, pytest.raises(RedditError, match=rf"{problem}.*REDPOP_ARCTIC_SHIFT_URL"):
        list(client.posts("pics", after=moment(START)))


# --- other questions ---


def test_ids_are_asked_for_five_hundred_at_a_time(server):
    ids = [f"{number:x}" for number in range(1000, 2200)]
    held = set(ids[::2])

    def answer(request: Request) -> Answer:
        asked = request.params["ids"].split(",")
        return Answer({"data": [post(each, START) for each in reversed(asked) if each in held]}, headers=DATE)

    server.answer = answer
    with connected(server.url) as client:
        pages = list(client.by_ids([*ids[:700], *(f"t3_{each}" for each in ids[700:])]))
    assert [len(page.requested) for page in pages] == [500, 500, 200]
    assert [post_id for page in pages for post_id in page.requested] == ids
    assert [each["id"] for page in pages for each in page.submissions] == ids[::2]
    assert {page.observed_at for page in pages} == {moment(NOW)}


def test_odd_ids_are_never_sent_and_strangers_are_dropped(server):
    server.answer = lambda _: Answer({"data": [post("zz", START), post("a1", START)]})
    with connected(server.url) as client:
        (page,) = client.by_ids(["a1", "../a", "ÄÖ", "a1", ""])
    assert server.requests[0].params["ids"] == "a1,a1"
    assert page.requested == ("a1", "../a", "ÄÖ", "a1", "")
    assert [each["id"] for each in page.submissions] == ["a1"]
    assert client.records_dropped == 1


def test_a_batch_of_ids_that_times_out_is_halved(server):
    def answer(request: Request) -> Answer:
        asked = request.params["ids"].split(",")
        if len(asked) > 130:
            return Answer({"error": "Query timed out"}, 500)
        return Answer({"data": [post(each, START) for each in asked]})

    server.answer = answer
    with connected(server.url) as client:
        pages = list(client.by_ids([f"{number:x}" for number in range(IDS_PER_REQUEST)]))
    assert sum(len(page.submissions) for page in pages) == IDS_PER_REQUEST
    server.says(Answer({"error": "Query timed out"}, 500))
    with connected(server.url) as client, pytest.raises(RedditBusy, match="however little"):
        list(client.by_ids(["a1"]))


def test_rules_come_in_their_order_by_the_name_asked_for(server):
    rules = [{"priority": 1, "short_name": "two"}, {"priority": 0, "short_name": "one"}, "no rule", {"short_name": "z"}]
    server.says(
        Answer(
            {
                "data": [
                    {"subreddit": "pics", "retrieved_on": 5, "rules": rules},
                    {"subreddit": "other", "rules": []},
                    {"subreddit": "aww", "rules": None},
                    7,
                ]
            }
        )
    )
    with connected(server.url) as client:
        found = client.rules(["Pics", "aww", "Pics"])
    assert {name: [rule["short_name"] for rule in of] for name, of in found.items()} == {"Pics": ["one", "two", "z"]}
    assert {rule["retrieved_on"] for rule in found["Pics"]} == {5}
    assert server.requests[0].params == {"subreddits": "Pics,aww"}
    assert client.records_dropped == 4


def test_members_are_counted_by_day_whatever_a_day_looks_like(server):
    day = datetime(2024, 6, 10, tzinfo=UTC)
    rows = [
        {"date": int(day.timestamp()), "value": 10},
        {"date": "2024-06-11", "value": "20"},
        {"date": (int(day.timestamp()) + 2 * 86_400) * 1000, "value": 30.0},
        {"date": "2024-06-13T00:00:00.000Z", "value": 41},
        {"date": "2024-06-01", "value": 1},
        *({"date": "2024-06-14", "value": value} for value in (None, True, -1, "many", math.inf)),
        {"value": 5},
        None,
    ]
    server.says(Answer({"data": rows}))
    with connected(server.url) as client:
        found = client.subscribers("pics", after=day + timedelta(hours=7))
    assert found == [(day + timedelta(days=place), value) for place, value in enumerate([10, 20, 30, 41])]
    assert client.records_dropped == 7
    assert server.requests[0].params["key"] == "r/pics/subscribers"


def test_a_community_is_found_by_its_own_name(server):
    server.says(Answer({"data": [{"display_name": "picsofcats"}, {"display_name": "PICS", "over18": False}, 3]}))
    with connected(server.url) as client:
        assert client.community("pics") == {"display_name": "PICS", "over18": False}
        assert client.community("pic") is None


def test_the_clock_is_the_services(server, caplog):
    server.says(Answer({"data": []}, headers=DATE))
    with connected(server.url) as client:
        assert abs(client.now() - moment(NOW)) < timedelta(seconds=5)
        assert abs(client.now() - moment(NOW)) < timedelta(seconds=5)
        assert client.requests_made == 1
    assert "clock" not in caplog.text  # of a local double nobody expects the time


def test_a_clock_that_is_off_is_said_once(server, caplog, monkeypatch):
    monkeypatch.setattr(connection, "_is_loopback", lambda _host: False)
    server.says(Answer({"data": []}, headers=DATE))
    with connected(server.url) as client:
        list(client.by_ids(["a"]))
        list(client.by_ids(["a"]))
    assert caplog.text.count("Set this machine's clock") == 1


# --- manners ---


def test_requests_keep_the_pace_and_say_who_asks(server):
    server.says(Answer({"data": []}, headers=DATE))
    waits = Waits()
    with connected(server.url, waits, requests_per_second=0.5) as client:
        for _ in range(3):
            list(client.by_ids(["a"]))
    assert sum(waits) == pytest.approx(4.0, abs=0.1)
    assert server.requests[0].headers["user-agent"] == "linux:redpop-tests:0 (by /u/nobody)"
    assert "gzip" in server.requests[0].headers["accept-encoding"]


@pytest.mark.parametrize("reset", ["37", "37.4", str(NOW + 37), str((NOW + 37) * 1000)])
def test_a_spent_rate_limit_is_waited_for_before_the_next_request(server, reset):
    spent = {**DATE, "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
    server.says(Answer({"data": []}, headers=spent), Answer({"data": []}, headers=DATE))
    waits = Waits()
    with connected(server.url, waits) as client:
        list(client.by_ids(["a"]))
        assert sum(waits) < 1
        list(client.by_ids(["a"]))
    assert 36 < sum(waits) < 39
    assert client.seconds_waited == pytest.approx(sum(waits))


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry-after": "21"}, 21, 23),
        ({"retry-after": format_datetime(moment(NOW + 21), usegmt=True), **DATE}, 21, 23),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "13", **DATE}, 13, 15),
        ({"retry-after": "soon"}, 0.4, 1.1),
        ({"retry-after": "-5"}, 0.4, 1.1),
        ({}, 0.4, 1.1),
    ],
)
def test_a_refusal_is_waited_for_as_long_as_it_says(server, headers, least, most):
    server.says(Answer({"data": None, "error": "Too many requests"}, 429, headers), Answer({"data": []}))
    waits = Waits()
    with connected(server.url, waits) as client:
        assert list(client.by_ids(["a"]))
    assert least <= sum(waits) <= most


def test_whoever_is_asked_to_wait_for_hours_gives_up_at_once(server):
    server.says(Answer({"error": "slow down"}, 429, {"retry-after": "7200"}))
    with connected(server.url) as client, pytest.raises(RedditBusy, match=r"rate limit.*wait 7200 s.*Run again later"):
        list(client.by_ids(["a"]))
    assert client.requests_made == 1


# --- being let down ---


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 522])
def test_a_failing_service_is_asked_again_with_growing_pauses_and_then_left_alone(server, status):
    server.says(Answer(b"<html>busy</html>", status, {"content-type": "text/html"}))
    waits = Waits()
    with connected(server.url, waits) as client, pytest.raises(RedditBusy, match=rf"HTTP {status}.*Run again later"):
        list(client.by_ids(["a"]))
    assert client.requests_made == len(server.requests) == connection.ATTEMPTS
    pauses = [pause for pause in waits if pause > 0.1]
    assert len(pauses) == connection.ATTEMPTS - 1
    assert pauses == sorted(pauses)
    server.says(Answer(b"", status), Answer({"data": []}))
    with connected(server.url) as client:
        assert list(client.by_ids(["a"]))


CUT = b'{"data": [{"id": "a1", "created_utc": 1718'


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Answer(b"<!doctype html><p>Maintenance"), RedditBusy, "a web page.*proxy"),
        (Answer(CUT), RedditBusy, "no JSON, perhaps cut off"),
        (Answer(b""), RedditBusy, "no JSON"),
        (Answer(b"\xff\xfe\x00"), RedditBusy, "no JSON"),
        (Answer(CUT, headers={"content-length": "9999", "connection": "close"}), RedditBusy, "hung up within"),
        (Answer([1, 2]), RedditError, "without an object"),
        (Answer(b"7"), RedditError, "without an object"),
        (Answer({}), RedditError, "without data"),
        (Answer({"data": None}), RedditError, "without data"),
        (Answer({"data": {"a": 1}}), RedditError, "no list"),
        (Answer({"data": None, "error": "'limit' must be between 1 and 100"}), RedditError, "'limit' must be"),
        (Answer({"error": "'limit' must\x1b be\n1"}, 400), RedditError, r"HTTP 400: 'limit' must be 1\)"),
        (Answer({"error": {"message": "no\x00pe"}}, 400), RedditError, "no pe"),
        (Answer({"error": ["x"] * 1000}, 400), RedditError, "HTTP 400"),
        (Answer({"error": "blocked"}, 403), RedditError, "refuses this client.*user agent"),
        (Answer(b"<html>", 404), RedditError, "HTTP 404"),
        (Answer(b"", 301, {"location": "https://elsewhere.example/"}), RedditError, "redirects.*elsewhere.example"),
        (Answer(b"", 302), RedditError, "redirects.*nowhere"),
        (Answer(b"[" * 200_000), RedditError, "nested too deeply"),
        (Answer({"data": None, "error": "Query timed out"}), RedditBusy, "however little"),
        (Answer({"data": None, "error": "Timeout. Maybe slow down a bit"}, 422), RedditBusy, "however little"),
        (Answer({"data": None, "error": "Query timed out"}, 503), RedditBusy, "however little"),
    ],
)
def test_every_odd_answer_is_one_sentence_that_says_what_to_do(server, answer, error, says):
    server.says(answer)
    with connected(server.url) as client, pytest.raises(error, match=says) as caught:
        list(client.by_ids(["a"]))
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 600
    assert any(words in message for words in ("REDPOP_ARCTIC_SHIFT_URL", "un again", "user agent"))
    if error is RedditError:
        assert len(server.requests) == 1  # asking again does not help
        assert not isinstance(caught.value, RedditBusy)


def test_an_answer_of_gigabytes_is_left_after_its_bound(server, monkeypatch):
    monkeypatch.setattr(connection, "LARGEST_ANSWER", 1_000_000)
    server.says(Answer(gzip.compress(b" " * 50_000_000), headers={"content-encoding": "gzip"}))
    with connected(server.url) as client, pytest.raises(RedditError, match="more than 1,000,000 bytes"):
        list(client.by_ids(["a"]))


def test_packed_answers_are_read(server):
    body = gzip.compress(json.dumps({"data": [post("a", START)]}).encode())
    server.says(Answer(body, headers={"content-encoding": "gzip"}))
    with connected(server.url) as client:
        (page,) = client.by_ids(["a"])
    assert page.submissions[0]["created_utc"] == START


def test_silence_and_dripping_end(server):
    server.says(Answer({"data": []}, delay=0.5))
    with (
        connected(server.url, timeout=0.05) as client,
        pytest.raises(RedditBusy, match=r"did not answer within 0\.05 s"),
    ):
        list(client.by_ids(["a"]))
    server.says(Answer({"data": [post("a", START)]}, drip=0.04))
    with connected(server.url, timeout=0.05) as client, pytest.raises(RedditBusy, match="did not answer within"):
        list(client.by_ids(["a"]))


def test_nobody_there_no_such_host_and_no_tls(server):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    cases = (
        (f"http://127.0.0.1:{port}", RedditBusy, "connection to 127.0.0.1.*failed.*status page"),
        ("http://no-such-host.invalid", RedditBusy, "no-such-host.invalid does not resolve.*network"),
        (server.url.replace("http:", "https:"), RedditError, "No secure connection.*certificates"),
    )
    for url, error, says in cases:
        with connected(url) as client, pytest.raises(error, match=says):
            list(client.by_ids(["a"]))


@pytest.mark.parametrize(
    "url", ["", "arctic.example", "ftp://x", "http://", "http://x?y", "http://u:p@x", "http://[", "http://x:y"]
)
def test_what_is_no_url_is_refused(url):
    with pytest.raises(SettingsError, match="REDPOP_ARCTIC_SHIFT_URL"):
        connected(url)


@pytest.mark.parametrize(
    "options",
    [
        {"user_agent": " "},
        {"user_agent": "a\r\nCookie: b"},
        {"user_agent": "ümlaut"},
        {"timeout": 0},
        {"timeout": math.nan},
        {"requests_per_second": 0},
        {"requests_per_second": math.inf},
        {"page_size": 0},
        {"page_size": 101},
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_asked(options):
    with pytest.raises(SettingsError):
        connected("http://127.0.0.1:1", **options)


def test_a_path_before_the_api_and_a_slash_at_the_end_are_kept_apart(server):
    server.says(Answer({"data": []}))
    with connected(f"{server.url}/arctic_shift/") as client:
        list(client.by_ids(["a"]))
    assert server.requests[0].path == "/arctic_shift/api/posts/ids"


def test_a_closed_client_opens_new_connections_and_closing_twice_is_nothing(server):
    server.says(Answer({"data": []}))
    client = connected(server.url)
    assert list(client.by_ids(["a"]))
    client.close()
    client.close()
    assert list(client.by_ids(["a"]))
    client.close()


def test_names_of_any_kind_are_asked_for_as_they_are(server):
    server.says(Answer({"data": []}))
    with connected(server.url) as client:
        for name in ("reddit.com", "u_some-body", "a&limit=1", "ä"):
            list(client.posts(name, after=moment(START)))
            assert server.requests[-1].params["subreddit"] == name


def test_a_moment_without_a_zone_is_a_mistake(server):
    with connected(server.url) as client, pytest.raises(ValueError, match="no time zone"):
        list(client.posts("pics", after=datetime(2024, 1, 1)))


def test_reading_begins_with_reddit(server):
    server.says(Answer({"data": []}))
    with connected(server.url) as client:
        list(client.posts("pics", after=datetime(1970, 1, 1, tzinfo=UTC)))
    assert int(server.requests[0].params["after"]) == FIRST_SECOND - 1


def test_errors_are_our_own():
    assert issubclass(RedditBusy, RedPopError)


def test_what_is_waited_for_is_logged(server, caplog):
    caplog.set_level(logging.WARNING)
    server.says(Answer(b"", 503), Answer({"data": []}))
    with connected(server.url) as client:
        list(client.by_ids(["a"]))
    assert "Trying again in" in caplog.text
