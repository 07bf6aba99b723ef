"""What people are told by webhook: found in a real history, sent to a real server, once each."""

import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

import dagster as dg
import pytest

from redpop_assets.announcements import Told, Watch, news
from redpop_assets.automation import DISCOVER, NIGHT, build_sensors
from redpop_assets.checks import LOOKS_AS_BEFORE
from redpop_assets.errors import SettingsError
from redpop_assets.settings import load_settings
from redpop_assets.webhooks import Announcement, Receiver, parse_receivers
from redpop_assets_tests.local_server import LocalServer

pytestmark = pytest.mark.integration

NOW = datetime(2026, 6, 1, tzinfo=UTC)
COMMUNITIES = dg.StaticPartitionsDefinition(["pics", "earthporn"])
CHECK = dg.AssetCheckKey(dg.AssetKey(["features", "image_features"]), LOOKS_AS_BEFORE)


def announcement(key: str, text: str = "Something happened.", event: str = "night_failed") -> Announcement:
    return Announcement(key, event, "pics", text, NOW)


class Board:
    """A receiver of webhooks on the loopback.

    Attributes:
        said: what it was told, in order.
        answers: status of the next answers; 204 when there are none left.
    """

    def __init__(self) -> None:
        self.said: list[dict[str, object]] = []
        self.answers: list[int] = []
        board = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = board.answers.pop(0) if board.answers else 204
                if status == 204:
                    board.said.append(body)
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = LocalServer(Handler)
        self.receiver = Receiver(f"{self.server.url}/hooks/a-secret")


@pytest.fixture
def board():
    made = Board()
    yield made
    made.server.stop()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr("redpop_assets.webhooks._PAUSES", (0.0, 0.0))


def test_slack_and_discord_find_the_text_where_they_look_for_it(board):
    long = announcement("a", "<!channel> failed:\n  " + "x" * 3000)
    assert board.receiver.tell(long)
    (said,) = board.said
    assert said["text"] == said["content"]
    assert said["text"].startswith("‹!channel› failed: xxx")
    assert len(said["text"]) == 1900
    assert said["allowed_mentions"] == {"parse": []}
    assert (said["event"], said["subreddit"], said["at"]) == ("night_failed", "pics", "2026-06-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("answers", "arrives"), [([500, 429], True), ([503] * 3, False), ([404], False), ([302], False)]
)
def test_a_receiver_that_stumbles_is_asked_again_and_one_that_refuses_is_not(board, answers, arrives, caplog):
    board.answers = list(answers)
    assert board.receiver.tell(announcement("a")) is arrives
    assert len(board.said) == arrives
    assert not board.answers
    assert ("did not take" in caplog.text) is not arrives
    assert "a-secret" not in caplog.text


def test_everything_is_told_once_also_after_a_restart(board):
    told = Told(None)
    assert told.tell([board.receiver], [announcement("old"), announcement("stale pics", event="stale")], NOW) == 1
    later = Told(told.cursor(NOW))
    for _ in range(2):
        later.tell([board.receiver], [announcement("old"), announcement("new")], NOW)
        later = Told(later.cursor(NOW))
    assert [said["event"] for said in board.said] == ["stale", "night_failed"]
    assert "a-secret" not in later.cursor(NOW)
    # It would be found for three days, and is known for longer.
    assert "new" in Told(later.cursor(NOW + timedelta(days=4))).cursor(NOW)
    assert "new" not in Told(later.cursor(NOW + timedelta(days=8))).cursor(NOW)


def test_a_dead_receiver_holds_up_nobody_and_is_told_later(board):
    gone = Board()
    receivers = [gone.receiver, board.receiver]
    told = Told(None)
    told.tell(receivers, [], NOW)
    gone.answers = [500] * 3
    assert told.tell(receivers, [announcement("a"), announcement("b")], NOW) == 2
    assert (len(gone.said), len(board.said)) == (0, 2)
    assert Told(told.cursor(NOW)).tell(receivers, [announcement("a"), announcement("b")], NOW) == 2
    assert (len(gone.said), len(board.said)) == (2, 2)
    gone.server.stop()
    assert not gone.receiver.tell(announcement("c"))
    # After half a minute the rest waits for the next look.
    moments = iter([0.0, 10.0, 40.0])
    new = [announcement("d"), announcement("e")]
    assert Told(told.cursor(NOW)).tell([board.receiver], new, NOW, clock=lambda: next(moments)) == 1


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", ()),
        ("https://hooks.example.org/a/b", ("hooks.example.org",)),
        (
            " https://u:p@a.example:8443/x , http://127.0.0.1:9/y,https://a.example/z ",
            ("a.example:8443", "127.0.0.1:9", "a.example"),
        ),
        ("http://localhost:5000/x,http://[::1]:1/,http://localhost:5000/x", ("localhost:5000", "[::1]:1")),
    ],
)
def test_receivers_are_named_by_their_addresses_and_shown_by_their_hosts(text, hosts):
    assert tuple(receiver.host for receiver in parse_receivers(text)) == hosts
    assert "/x" not in repr(parse_receivers(text))


@pytest.mark.parametrize(
    "text",
    [
        "hooks.example.org/secret",
        "ftp://a/secret",
        "http://a.example/secret",
        "https://",
        "https://a b/secret",
        "https://[secret",
    ],
)
def test_what_is_no_receiver_is_refused_without_repeating_it(text, only, tmp_path):
    refusal = pytest.raises(SettingsError, match=r"REDPOP_WEBHOOK_URL: .*https://")
    with only({"REDPOP_WEBHOOK_URL": f"https://a.example/x,{text}"}, tmp_path), refusal as refused:
        load_settings()
    assert "secret" not in str(refused.value)


@pytest.fixture
def history():
    """An instance in which a night failed, features drifted, and a champion changed."""

    @dg.op
    def harvest_all() -> None:
        raise dg.Failure("Not up to date: r/pics. The log says why.", allow_retries=False)

    @dg.job(name=NIGHT)
    def night() -> None:
        harvest_all()

    @dg.job(name="another")
    def another() -> None:
        harvest_all()

    @dg.asset(key=["raw", "submissions"], partitions_def=COMMUNITIES)
    def submissions() -> None: ...

    @dg.asset(key=["models", "champions"], partitions_def=COMMUNITIES, config_schema={"champion": str})
    def champions(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        name = context.op_execution_context.op_config["champion"]
        return dg.MaterializeResult(metadata={"champion": name, "reason": "It is better beyond chance."})

    @dg.asset(key=CHECK.asset_key)
    def features() -> None: ...

    @dg.asset_check(asset=features, name=LOOKS_AS_BEFORE)
    def looks() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description="brightness drifted.")

    with dg.DagsterInstance.ephemeral() as instance:
        for job in (night, another):
            job.execute_in_process(instance=instance, raise_on_error=False)
        dg.materialize([submissions], instance=instance, partition_key="pics")
        for name in ("gbm", "gbm", "nobody", "fusion"):
            config = {"ops": {"models__champions": {"config": {"champion": name}}}}
            dg.materialize([champions], instance=instance, partition_key="pics", run_config=config)
        dg.Definitions(
            assets=[features], asset_checks=[looks]
        ).resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
        yield instance


def test_what_happened_is_found_in_the_history(history):
    watch = Watch(
        {NIGHT: "night_failed", DISCOVER: "harvest_failed"}, ["pics", "earthporn"], timedelta(hours=48), [CHECK]
    )
    now = datetime.now(UTC)
    found = news(history, watch, now)
    texts = {(each.event, each.subreddit): each.text for each in found}
    assert len(found) == 4
    assert "night failed. Not up to date: r/pics. The log says why. Run " in texts["night_failed", ""]
    assert "(features.image_features). brightness drifted." in texts["drift", ""]
    champions = [each.text for each in found if each.event == "new_champion"]
    assert "gbm speaks for r/pics from now on, in place of nobody. It is better beyond chance." in champions[0]
    assert "fusion speaks for r/pics" in champions[1]
    assert [each.key for each in news(history, watch, now)] == [each.key for each in found]

    # Two days later nothing was harvested; after a week only that is left to tell.
    assert [each.event for each in news(history, watch, now + timedelta(days=2, hours=1))][-1] == "stale"
    (stale,) = news(history, watch, now + timedelta(days=7))
    assert (stale.event, stale.subreddit) == ("stale", "pics")
    assert "nothing of r/pics was harvested for 168 hours" in stale.text


def test_the_sensor_is_there_where_the_setting_is_set_and_tells_once(history, board, only, tmp_path):
    with only({"REDPOP_SUBREDDITS": "pics", "REDPOP_HOME": str(tmp_path / "home")}, tmp_path):
        assert [sensor.name for sensor in build_sensors(load_settings())] == ["automation"]
        settings = load_settings(webhook_url=board.receiver.url, stale_hours=1e-9)
    assert "a-secret" not in repr(settings)
    _, sensor = build_sensors(settings)
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    cursor = None
    for _ in range(2):
        with dg.build_sensor_context(history, cursor=cursor) as context:
            assert not sensor.evaluate_tick(context).run_requests
            cursor = context.cursor
    assert [said["event"] for said in board.said] == ["stale"]
