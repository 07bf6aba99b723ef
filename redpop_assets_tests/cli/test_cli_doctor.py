"""`redpop doctor` as people type it."""

import re

import pytest

pytestmark = pytest.mark.integration


def test_doctor_names_what_is_missing(redpop):
    answer = redpop(
        "doctor",
        REDPOP_DEVICE="cuda:99",
        REDDIT_CLIENT_ID="an-id",
        REDPOP_IMAGE_ENCODER="timm:tf_efficientnet_lite0/bundled",
    )
    assert answer.code == 1
    assert "missing Reddit: REDDIT_CLIENT_SECRET, REDDIT_USER_AGENT not set" in answer.output
    assert "missing device: There is no device cuda:99" in answer.output
    assert "ok warehouse: none at" in answer.output
    assert "ok disk:" in answer.output
    assert "REDPOP_LABEL_AGE_DAYS" in answer.output


def test_doctor_when_reddit_does_not_answer(redpop):
    answer = redpop(
        "doctor",
        REDPOP_SOURCE="sandbox",
        REDPOP_REDDIT_URL="http://127.0.0.1:1",
        REDPOP_OAUTH_URL="http://127.0.0.1:1",
        REDPOP_REDDIT_TIMEOUT_SECONDS="1",
        REDDIT_CLIENT_ID="x",
        REDDIT_CLIENT_SECRET="x",
        REDDIT_USER_AGENT="linux:redpop-tests:0.1 (by /u/sandbox)",
    )
    assert answer.code == 1
    assert "missing Reddit:" in answer.output


@pytest.mark.end_to_end
class TestOnAPipeline:
    def test_doctor_finds_nothing_missing(self, here, pipeline):
        answer = here(pipeline.deployment, "doctor")
        assert answer.code == 0, answer.output
        for topic in ("Reddit", "warehouse", "image encoder", "caption encoder", "device", "disk"):
            assert f"ok {topic}:" in answer.output
        assert pipeline.deployment.variables["REDDIT_CLIENT_SECRET"] not in answer.output
        assert re.search(r"REDDIT_CLIENT_SECRET\W+set ", answer.output)
