import pytest

from redpop_assets.errors import SettingsError
from redpop_assets.settings import load_settings
from redpop_assets.studio.guard import Door, Pace, session_cookie
from redpop_assets.studio.serving import check_exposure, is_loopback
from redpop_assets_tests.studio.samples import draft, form

pytestmark = pytest.mark.integration

TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize("name", ["127.0.0.1:8800", "localhost", "LOCALHOST:1", "[::1]:8800", "studio.example.org"])
def test_names_that_are_known_are_served(visit, name):
    client = visit(studio_names="studio.example.org")
    assert client.get("/api", headers={"host": name}).status_code == 200


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8800", "", "[::2]"])
def test_names_of_strangers_get_nothing(visit, name):
    answer = visit().get("/api/v1/communities", headers={"host": name})
    assert answer.status_code == 421
    assert "earthporn" not in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),  # a program
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),  # another port of this machine
        ({"origin": "http://127.0.0.1:8800"}, 200),
        ({"origin": "http://127.0.0.1:3000"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_only_pages_of_the_studio_send_questions(visit, headers, status):
    client = visit()
    assert client.post("/draft/answer", data=form(), headers=headers).status_code == status
    assert client.post("/api/v1/answers", json=draft(), headers=headers).status_code == status


def test_every_answer_is_strict_about_what_a_page_may_do(visit):
    client = visit()
    for path in ("/", "/api", "/static/studio.css", "/nowhere", "/api/v1/communities", "/api/v1/nowhere"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert client.get("/").headers["cache-control"] == "no-store"


def test_the_session_is_for_this_site_and_no_script(visit):
    cookie = visit().get("/").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" in session_cookie("x", secure=True)


def test_without_the_token_nobody_is_answered(visit):
    client = visit(studio_token=TOKEN)
    assert client.get("/api/v1/communities").status_code == 401
    assert client.get("/", follow_redirects=False).headers["location"] == "/enter"
    assert client.post("/draft/answer", data=form(), headers={"hx-request": "true"}).status_code == 401
    assert client.get("/api/v1/openapi.json").status_code == 401
    assert client.get("/posts/abc/picture", headers={"hx-request": "true"}).status_code == 401
    assert client.get("/static/studio.css").status_code == 200
    for wrong in ("", "x", f"{TOKEN}x", TOKEN[:-1], "ä"):
        assert client.post("/enter", data={"token": wrong}).status_code == 401
        bearer = f"Bearer {wrong}".encode()
        assert client.get("/api/v1/communities", headers={b"authorization": bearer}).status_code == 401


def test_with_the_token_people_enter_under_a_new_session_and_programs_by_a_header(visit):
    client = visit(studio_token=TOKEN)
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/v1/communities", headers=headers).status_code == 200
    client.cookies.clear()
    client.get("/enter")
    before = client.cookies["redpop_studio"]
    answer = client.post("/enter", data={"token": TOKEN}, follow_redirects=False)
    assert answer.status_code == 303
    assert client.cookies["redpop_studio"] != before
    assert client.get("/").status_code == 200
    client.cookies.clear()
    client.cookies.set("redpop_studio", before)
    assert client.get("/api/v1/communities").status_code == 401


def test_whoever_asks_too_fast_is_told_when_to_come_back(visit):
    client = visit(studio_requests_per_minute=10)
    statuses = [client.get("/api/v1/communities").status_code for _ in range(12)]
    assert statuses[:10] == [200] * 10
    assert statuses[-1] == 429
    assert int(client.get("/api/v1/communities").headers["retry-after"]) >= 1
    assert client.get("/static/studio.css").status_code == 200


def test_pace_comes_back_with_time_and_forgets_who_has_not_come_for_long():
    now = [0.0]
    pace = Pace(60, lambda: now[0])
    assert [pace.wait("a") for _ in range(60)] == [0.0] * 60
    assert pace.wait("a") == pytest.approx(1.0)
    assert pace.wait("b") == 0.0
    now[0] = 1.5
    assert pace.wait("a") == 0.0
    assert pace.wait("a") > 0
    for number in range(10_100):
        pace.wait(str(number))
    assert len(pace._left) == 10_000


def test_questions_are_short(visit):
    client = visit()
    assert client.post("/draft/answer", data=form(titles="x" * 70_000)).status_code == 413
    assert client.post("/api/v1/answers", json=draft(author="x" * 70_000)).status_code == 413

    def endless():
        for _ in range(100):
            yield b"x" * 10_000

    assert client.post("/api/v1/answers", content=endless()).status_code == 413


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "localhost", "::1", "[::1]"])
def test_this_machine_alone_needs_no_token(host):
    assert is_loopback(host)
    check_exposure(load_settings(studio_host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "studio.example.org"])
def test_the_network_is_not_listened_to_without_a_token(host):
    with pytest.raises(SettingsError, match="REDPOP_STUDIO_TOKEN"):
        check_exposure(load_settings(studio_host=host))
    check_exposure(load_settings(studio_host=host, studio_token=TOKEN))


@pytest.mark.parametrize("token", ["short", "with a blank in it", "ä" * 20])
def test_a_token_that_is_none_is_refused(token):
    with pytest.raises(SettingsError, match="REDPOP_STUDIO_TOKEN"):
        load_settings(studio_token=token)


def test_names_are_hosts():
    assert load_settings(studio_names="A.example, b.example").studio_names == ("a.example", "b.example")
    with pytest.raises(SettingsError, match="REDPOP_STUDIO_NAMES"):
        load_settings(studio_names="https://a.example/")


def test_an_open_door_asks_nobody():
    assert Door("").knows(None, "")
