import html
import re

import pytest

from redpop_assets.errors import ArtifactError, OtherVersion, WarehouseLocked, WeightsUnavailable
from redpop_assets_tests.studio.samples import MARKUP, SampleDesk, draft, form

pytestmark = pytest.mark.integration

PARTS = {"hx-request": "true"}


def closer(client, section, **more):
    answer = client.post("/draft/closer", data=form(section=section, **more), headers=PARTS)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def test_the_page_offers_the_communities_and_ticks_one_that_answers(visit):
    page = visit().get("/").text
    assert re.findall(r'value="(\w+)" checked', page)[:1] == ["earthporn"]
    assert 'value="pics"' in page
    assert "silent" in page


def test_an_answer_says_number_range_standing_record_and_inputs(visit):
    answer = visit().post("/draft/answer", data=form(), headers=PARTS)
    assert answer.headers["hx-trigger"] == "answered"
    said = " ".join(html.unescape(re.sub("<[^>]+>", " ", answer.text)).split())
    assert "500 points expected after 7 days" in said
    assert "in the top quarter" in said
    assert "80 of 100 posts like this one get 167 to 1,500" in said
    assert "The first is better than the other" in said or "cannot be told apart" in said
    assert "champion since 1 May 2026" in said
    assert "a factor of 1.8" in said
    assert "12 forecasts were written down" in said
    assert "Looked at title" in said


def test_without_scripts_the_form_is_answered_by_a_whole_page(visit):
    page = visit().post("/", data=form()).text
    assert "<!doctype html>" in page
    assert "points expected" in page
    assert "three" in page


def test_several_communities_are_answered_one_by_one_even_if_one_is_silent(visit):
    text = visit().post("/draft/answer", data=form(community=["pics", "quiet", "earthporn"]), headers=PARTS).text
    assert text.count("points expected after") == 2
    assert "Nobody speaks for this community yet" in text


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"titles": "  \n "}, "A title is missing"),
        ({"community": []}, "Choose a community"),
        ({"community": "all"}, "a listing over many"),
        ({"titles": "x" * 301}, "301 characters"),
        ({"titles": "\n".join(map(str, range(11)))}, "At most 10 titles"),
        ({"at": "tomorrow"}, "none at which one can post"),
        ({"at": "1999-01-01T00:00"}, "none at which one can post"),
        ({"author": "no such name!"}, "no name of an account"),
        ({"picture": "unknown"}, "choose it again"),
        ({"community": "quiet"}, "Nobody speaks for this community yet"),
    ],
)
def test_what_has_to_be_changed_is_said_in_a_sentence(visit, more, words):
    assert words in html.unescape(visit().post("/draft/answer", data=form(**more), headers=PARTS).text)


def test_titles_of_strangers_are_text_everywhere(visit):
    client = visit()
    pages = [
        client.post("/draft/answer", data=form(titles=f"{MARKUP}\nplain"), headers=PARTS).text,
        client.post("/", data=form(titles=MARKUP)).text,
        *(
            client.post("/draft/closer", data=form(section=name, titles=MARKUP), headers=PARTS).text
            for name in ("why", "when", "where", "may")
        ),
    ]
    for page in pages:
        assert "<img src=x" not in page
        assert "<script>document" not in page
    assert "&lt;script&gt;" in pages[0]
    assert "&lt;script&gt;" in pages[2]


def test_nothing_acts_in_what_is_shown(visit):
    text = visit().post("/draft/answer", data=form(titles="a\u202eb\x07c\nplain"), headers=PARTS).text
    assert "\u202e" not in text
    assert "\x07" not in text


def test_why_when_and_where(visit):
    client = visit()
    why = closer(client, "why")
    assert "×1.49" in why
    assert "×0.74" in why
    assert "Words of the title." in why
    assert "no settled score yet" in why
    when = closer(client, "when", at="2026-06-05T18:20")
    assert "Europe/Vienna" in when
    assert 'data-at="2026-06-05T18:00"' in when
    assert '"wide"' in when
    assert when.count('scope="row"') == 168
    where = closer(client, "where")
    assert where.index("r/pics") < where.index("r/earthporn") < where.index("r/quiet")
    assert "lower than the first" in where
    assert "Nobody speaks for r/quiet yet." in where
    assert "rules" in closer(client, "may")


def test_a_closer_look_is_at_a_community_of_the_draft(visit):
    client = visit()
    assert "r/earthporn" in closer(client, "may", community=["pics", "earthporn"], about="earthporn")
    assert "r/pics" in closer(client, "may", about="earthporn")
    assert client.post("/draft/closer", data=form(section="nothing"), headers=PARTS).status_code == 404


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (RuntimeError("SELECT secret FROM /home/somebody by u/somebody"), 500, "does not expect"),
        (KeyError("/home/somebody"), 500, "does not expect"),
        (WeightsUnavailable("/home/somebody/weights"), 503, "weights"),
        (ArtifactError("/home/somebody/models"), 503, "predictor"),
        (OtherVersion("/home/somebody/redpop.duckdb"), 503, "Another version"),
        (WarehouseLocked("/home/somebody/redpop.duckdb by u/somebody"), 503, "open for writing"),
    ],
)
def test_no_path_no_sql_no_stack_and_no_name_leaves(visit, fault, status, words, caplog):
    client = visit(desk=lambda edition: SampleDesk(edition, fault=fault))
    for answer in (
        client.post("/draft/answer", data=form(author="somebody"), headers=PARTS),
        client.post("/", data=form()),
        client.post("/api/v1/answers", json=draft(author="somebody")),
    ):
        assert answer.status_code == status
        assert words in answer.text
        for secret in ("/home", "SELECT", "Traceback", "somebody", "Error"):
            assert secret not in answer.text.replace('value="somebody"', "")
        assert answer.headers["content-security-policy"]
    assert str(fault) in caplog.text or str(fault.args[0]) in caplog.text


def test_an_empty_home_teaches(visit, home):
    (home / "redpop.duckdb").unlink()
    client = visit()
    answer = client.get("/")
    assert answer.status_code == 503
    assert "redpop materialize" in answer.text
    assert str(home) not in answer.text
    assert "Nothing is published yet" in client.post("/draft/answer", data=form(), headers=PARTS).text


def test_pages_that_are_not_there(visit):
    client = visit()
    assert client.get("/nowhere").status_code == 404
    assert "There is no such page" in client.get("/nowhere").text
    assert client.get("/api/v1/nowhere").json() == {"error": "There is no such page in the studio."}
    assert client.get("/draft/answer").status_code == 405
    assert client.get("/static/../site.py").status_code == 404


def test_the_author_is_kept_nowhere_but_as_a_hash(visit, caplog):
    desks = []

    def desk(edition):
        desks.append(SampleDesk(edition))
        return desks[-1]

    answer = visit(desk=desk).post("/draft/answer", data=form(author="u/Some_Body"), headers=PARTS)
    assert desks[0].asked[0].author == "digest of Some_Body"
    assert "Some_Body" not in answer.text
    assert "Some_Body" not in caplog.text


def test_the_api_describes_itself_and_refuses_in_one_form(visit):
    client = visit()
    document = client.get("/api/v1/openapi.json").json()
    assert {"/api/v1/answers", "/api/v1/pictures", "/api/v1/communities"} <= set(document["paths"])
    page = client.get("/api").text
    assert "//cdn" not in page
    assert "AnswerDocument" in page
    for name in document["components"]["schemas"]:
        assert name in page or name.startswith(("HTTPValidation", "ValidationError"))
    for body in ({}, draft(more=1), draft(titles=[]), draft(titles="x"), draft(posted_at="then")):
        answer = client.post("/api/v1/answers", json=body)
        assert answer.status_code == 422
        assert set(answer.json()) == {"error"}
    assert client.post("/api/v1/answers", json=draft(subreddit="quiet")).status_code == 409


def test_the_api_answers_every_question(visit):
    client = visit()
    assert [one["subreddit"] for one in client.get("/api/v1/communities").json()] == ["earthporn", "pics", "quiet"]
    answer = client.post("/api/v1/answers", json=draft(posted_at="2026-06-05T18:00:00")).json()
    assert answer["comparisons"][0]["titles"][0]["title"] == "three"
    assert answer["record"]["judged"] == 12
    assert client.post("/api/v1/reasons", json=draft()).json()["explanation"]["parts"][0]["side"] == "picture"
    hours = client.post("/api/v1/hours", json=draft(zone="Asia/Kolkata", posted_at="2026-06-05T18:00:00")).json()
    assert hours["slots"][0]["at"] == "2026-06-05T23:00:00+05:30"
    assert len(hours["slots"]) == 168
    places = client.post("/api/v1/places", json={"titles": ["one"]}).json()
    assert [one["told_apart"] for one in places] == [False, True, False]


def test_pictures_of_posts_are_served_while_the_post_stands(visit):
    client = visit()
    assert client.get("/posts/abc/picture").status_code == 404
    assert client.get("/posts/..%2f..%2fredpop.duckdb/picture").status_code == 404
