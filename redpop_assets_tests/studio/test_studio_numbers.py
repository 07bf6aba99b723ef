"""The API and `redpop predict --json` give the same numbers, on a whole deployment."""

import json
import sys

import pytest
from starlette.testclient import TestClient

from redpop_assets.cli.app import main
from redpop_assets.settings import load_settings
from redpop_assets.studio.app import create_app
from redpop_assets.studio.serving import open_site
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


def test_one_question_has_one_answer(pipeline, predict, only, tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(picture((640, 400), quality=90))
    asked = [word for title in TITLES for word in ("-t", title)]
    several = predict("-r", "pics", *asked, "-i", str(photo))
    single = predict("-r", "EarthPorn", "-t", TITLES[0])
    with only(dict(pipeline.deployment.variables), tmp_path):
        site = open_site(load_settings())
        with TestClient(create_app(site), "http://127.0.0.1:8800") as client:
            brought = client.post("/api/v1/pictures", content=photo.read_bytes()).json()["picture"]
            draft = {"subreddit": "pics", "titles": TITLES, "picture": brought, "posted_at": AT}
            answer = client.post("/api/v1/answers", json=draft).json()
            assert answer.pop("record")["test_posts"] > 0
            assert answer == several
            alone = {"subreddit": "earthporn", "titles": TITLES[:1], "posted_at": AT}
            first = client.post("/api/v1/answers", json=alone).json()["comparisons"][0]["titles"][0]
            assert first | single["forecasts"][0] == first
            for name in ("reasons", "hours"):
                assert client.post(f"/api/v1/{name}", json=draft).status_code == 200
            similar = client.post("/api/v1/reasons", json=draft).json()["similar"]
            shown = client.get(f"/posts/{similar[0]['post_id']}/picture")
            assert shown.headers["content-type"] == "image/jpeg"
            assert shown.content.startswith(b"\xff\xd8\xff")
