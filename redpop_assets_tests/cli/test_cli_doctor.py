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


def test_doctor_without_a_key_names_both_ways_on_and_what_each_cannot(redpop):
    answer = redpop("doctor")
    assert "missing Reddit: REDDIT_CLIENT_ID, REDDIT_CLIENT_SECRET, REDDIT_USER_AGENT not set" in answer.output
    assert "https://www.reddit.com/prefs/apps" in answer.output
    said = " ".join(answer.output.split())
    assert "set REDPOP_SOURCE=arctic_shift, the archive Arctic Shift (one person's free service" in said
    assert "one score of each post at about 36 hours" in said
    assert "ok labels: readings from 168 hours of age on count, those of the 48 hours after the first of them" in said


def test_doctor_of_the_archive_needs_no_key_and_leaves_no_file(redpop, sandbox, tmp_path):
    archive = {"REDPOP_SOURCE": "arctic_shift:sandbox", "REDPOP_ARCTIC_SHIFT_URL": f"{sandbox}/arctic_shift"}
    said = " ".join(redpop("doctor", REDPOP_HOME=str(tmp_path / "home"), **archive).output.split())
    assert f"ok Arctic Shift: {sandbox}/arctic_shift answers, its time is 20" in said
    assert "UTC; one person's free service" in said
    assert "ok request budget: 1 requests per second of all processes, kept in" in said
    assert "ok labels: readings from 34 hours of age on count, those of the 14 hours after the first of them" in said
    assert "ok Reddit:" not in said
    assert "missing Reddit:" not in said
    assert not (tmp_path / "home" / "author.key").exists()


def test_doctor_says_that_a_label_age_is_beyond_what_the_archive_gives(redpop, sandbox):
    answer = redpop(
        "doctor",
        REDPOP_SOURCE="arctic_shift:sandbox",
        REDPOP_ARCTIC_SHIFT_URL=f"{sandbox}/arctic_shift",
        REDPOP_LABEL_AGE_DAYS="7",
    )
    assert "missing labels: REDPOP_LABEL_AGE_DAYS is 7, but Arctic Shift reads no score later" in answer.output
    assert answer.code == 1


def test_doctor_tries_the_history_that_machines_share_and_shows_no_password(redpop, postgres):
    secret = postgres.split(":")[2].partition("@")[0]
    said = " ".join(redpop("doctor", REDPOP_DAGSTER_STORAGE=postgres).output.split())
    place = f"postgresql://redpop@127.0.0.1:{postgres.rpartition(':')[2]}"
    assert f"ok run history: {place} (Postgres " in said
    wrong = postgres.replace(secret, f"{secret}-wrong")
    answer = redpop("doctor", REDPOP_DAGSTER_STORAGE=wrong)
    assert f"missing run history: {place} cannot be opened" in " ".join(answer.output.split())
    assert secret not in said + answer.output
    refused = redpop("doctor", REDPOP_DAGSTER_STORAGE=f"mysql://redpop:{secret}@h/d")
    assert "REDPOP_DAGSTER_STORAGE: this is no URL of a Postgres: write a URL like postgresql://" in refused.output
    assert secret not in refused.output
    without = redpop("doctor", REDPOP_WEBHOOK_URL="https://hooks.example.org/a-secret")
    assert "ok run history:" in without.output
    assert "ok who is told: hooks.example.org;" in without.output
    assert "a-secret" not in without.output


@pytest.mark.end_to_end
class TestOnAPipeline:
    def test_doctor_finds_nothing_missing(self, here, pipeline):
        answer = here(pipeline.deployment, "doctor")
        assert answer.code == 0, answer.output
        for topic in ("Reddit", "warehouse", "image encoder", "caption encoder", "device", "disk"):
            assert f"ok {topic}:" in answer.output
        assert pipeline.deployment.variables["REDDIT_CLIENT_SECRET"] not in answer.output
        assert re.search(r"REDDIT_CLIENT_SECRET\W+set ", answer.output)


def test_doctor_tries_the_lake_and_shows_no_password(redpop, postgres, tmp_path):
    where = postgres.partition("@")[2]
    lake = {"REDPOP_HOME": str(tmp_path / "home"), "REDPOP_WAREHOUSE": f"ducklake:postgres:{postgres}"}
    password = postgres.rpartition("@")[0].rpartition(":")[2]
    answer = redpop("doctor", **lake)
    said = "".join(answer.output.split())
    assert f"okwarehouse:noneatducklake:postgresql://redpop@{where}withitsfilesat{tmp_path}/home/lakeyet" in said
    assert "REDPOP_WAREHOUSE" in said
    wrong = redpop("doctor", **{**lake, "REDPOP_WAREHOUSE": lake["REDPOP_WAREHOUSE"].replace(password, "wrong-one")})
    said = "".join(wrong.output.split())
    assert wrong.code == 1
    assert f"missingwarehouse:postgresql://redpop@{where}cannotbeopened" in said
    assert password not in answer.output + wrong.output
    assert "wrong-one" not in wrong.output


def test_a_warehouse_that_is_none_is_a_sentence_without_what_was_written(redpop):
    answer = redpop("doctor", REDPOP_WAREHOUSE="mysql://me:geheim@db/redpop")
    assert answer.code != 0
    assert "REDPOP_WAREHOUSE: this names no warehouse" in " ".join(answer.output.split())
    assert "geheim" not in answer.output
    answer = redpop("doctor", REDPOP_WAREHOUSE="ducklake:postgres:dbname=redpop", REDPOP_STORE="gs://bucket/redpop")
    assert "DuckDB cannot keep its files at gs://bucket/redpop" in " ".join(answer.output.split())
