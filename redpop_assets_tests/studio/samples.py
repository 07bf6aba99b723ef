"""What tests of the studio ask, and a desk that makes up its answers from what is asked and the edition it reads."""

import io
import math
import time
from datetime import UTC, datetime, timedelta

from PIL import Image

from redpop_assets.errors import NotTrainable
from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.refresh.answers import Answered, Community, Hours, MayI, Place, Reasons, Record, Slot
from redpop_assets.refresh.community_page import PastSlot
from redpop_assets.refresh.draft import Forecast
from redpop_assets.refresh.early_forecasts import Ahead, AtAnAge, EarlyForecast
from redpop_assets.refresh.likeness import PastPost
from redpop_assets.refresh.reasons import Explanation, Input, Part
from redpop_assets.refresh.removal_risk import RemovalRisk
from redpop_assets.refresh.rules import Objection
from redpop_assets.refresh.titles import Comparison, Difference, TitleForecast
from redpop_assets.storage.warehouse import Warehouse

SINCE = datetime(2026, 5, 1, 12)
MARKUP = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


def forecast(points: float, *, image: bool = False, known: bool = True) -> Forecast:
    bounds = dict.fromkeys(LEVELS, (points / 3, points * 3) if known else None)
    return Forecast(
        predictor="fusion_lightgbm",
        expected_log_score=math.log1p(points),
        expected_score=points,
        percentile=0.8,
        used_image=image,
        used_caption=True,
        test_spearman=0.7,
        test_mae=0.6,
        champion_since=SINCE,
        intervals=bounds,
    )


def difference(expected: float, half: float = 0.3) -> Difference:
    return Difference(expected, dict.fromkeys(LEVELS, (expected - half, expected + half)))


def past_post(number: int, **more) -> PastPost:
    what = {"score": 40, "percentile": 0.5, "image_sha256": None, "similarity": 0.8, "alike": "caption"} | more
    return PastPost(f"p{number}", "pics", f"{MARKUP} {number}", created_at=datetime(2026, 4, 3, 9), **what)


def risk(subreddit: str) -> RemovalRisk:
    return RemovalRisk(subreddit, 0.2, 0.1, 7.0, None, None)


class SampleDesk:
    """Points are 100 per letter of a title, and one more per reading in the edition."""

    def __init__(self, edition, *, pause: float = 0.0, fault: Exception | None = None) -> None:
        self.edition, self.pause, self.fault = edition, pause, fault
        self.asked = []

    def communities(self):
        return (
            Community("earthporn", 500, 400, datetime(2026, 6, 1, tzinfo=UTC), "fusion_lightgbm", SINCE, None),
            Community("pics", 500, 400, datetime(2026, 6, 1, tzinfo=UTC), "fusion_lightgbm", SINCE, None),
            Community("quiet", 20, 3, datetime(2026, 6, 1, tzinfo=UTC), None, None, "Nobody speaks for r/quiet yet."),
        )

    def answer(self, subreddit, question):
        self.asked.append(question)
        if self.fault:
            raise self.fault
        if subreddit == "quiet":
            raise NotTrainable("Nobody speaks for r/quiet yet.")
        rows = self.edition.scalar("SELECT count(*) FROM raw.observations")
        time.sleep(self.pause)
        assert self.edition.scalar("SELECT count(*) FROM raw.observations") == rows
        worth = {title: 100.0 * len(title) + rows for title in question.titles}
        order = sorted(worth, key=lambda title: -worth[title])
        best = math.log1p(worth[order[0]])
        titles = tuple(
            TitleForecast(
                title,
                forecast(worth[title], image=question.picture is not None),
                difference(math.log1p(worth[title]) - best),
            )
            for title in order
        )
        record = Record(100, 0.7, 1.8, dict.fromkeys(LEVELS, 0.79), 12, dict.fromkeys(LEVELS, 0.75))
        return Answered(
            subreddit,
            7.0,
            Comparison("fusion_lightgbm", titles, True, 120, None),
            record,
            dict.fromkeys(worth, risk(subreddit)),
        )

    def ahead(self, post_id):
        """Rises by what is stored of readings, so that another edition says something else."""
        rows = self.edition.scalar("SELECT count(*) FROM raw.observations")
        at = [
            Ahead(hours, 100.0 + hours + rows, {50: (80.0, 150.0), 80: (60.0 + hours, 300.0 + hours)})
            for hours in (24, 168)
        ]
        return EarlyForecast(post_id, "pics", 1.0, 20, tuple(at), AtAnAge(1, "log_linear", at[-1]), 0.8, None)

    def may(self, subreddit, question):
        rule = Objection("rules", "The rules have to be read.", "read it", MARKUP, datetime(2026, 6, 1))
        return MayI(subreddit, question.titles[0], (rule,), risk(subreddit))

    def reasons(self, _subreddit, question):
        inputs = (Input("caption", "words", "Words of the title.", 3.0, 8.0, -0.2),)
        parts = (Part("picture", 0.4, ()), Part("title", -0.3, inputs), Part("time", 0.0, ()))
        return Reasons(
            "fusion_lightgbm",
            Explanation(5.0, 4.9, 32, parts),
            (past_post(1), past_post(2, score=None, percentile=None)),
            (past_post(3, similarity=None, alike="picture"),) if question.picture else (),
        )

    def hours(self, _subreddit, question, zone):
        begin = question.posted_at.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
        slots = tuple(
            Slot(
                (begin + timedelta(hours=hour)).astimezone(zone),
                forecast(100.0 - hour % 24),
                difference(-(hour % 24) / 24),
                PastSlot(0, hour % 24, hour % 9, 0.5, 0.3, 0.7, hour % 9 < 3),
            )
            for hour in range(168)
        )
        return Hours("fusion_lightgbm", True, slots, (0, 24, 48, 72, 96), None)

    def places(self, question):
        one = forecast(200.0)
        return (
            Place("pics", one, question.titles[0], 0.7, 0.6, 0.8, (), False, (), None),
            Place(
                "earthporn",
                one,
                question.titles[0],
                0.4,
                0.3,
                0.5,
                ("picture",),
                True,
                (Objection("form", "Pictures are not taken.", "certain"),),
                None,
            ),
            Place("quiet", None, None, None, None, None, (), False, (), "Nobody speaks for r/quiet yet."),
        )


def picture(size=(300, 200), form="JPEG", **more):
    file = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").resize(size).save(file, form, **more)
    return file.getvalue()


def draft(**more):
    return {"subreddit": "pics", "titles": ["one", "three"]} | more


def form(**more):
    return {"titles": "one\nthree", "community": "pics", "zone": "Europe/Vienna"} | more


def publish_reading(home, post):
    """Publish one reading more."""
    warehouse = Warehouse(home, source="test")
    row = {"post_id": post, "subreddit": "pics", "observed_at": datetime(2026, 6, 1), "endpoint": "info"}
    with warehouse.write() as writer:
        writer.execute(
            "INSERT INTO raw.observations BY NAME SELECT $post_id AS post_id, $subreddit AS subreddit, "
            "$observed_at AS observed_at, $endpoint AS endpoint",
            row,
        )
    warehouse.publish()
