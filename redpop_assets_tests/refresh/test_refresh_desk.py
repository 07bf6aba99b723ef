"""What somebody asks who is about to post: answered from the published file."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from PIL import Image

from redpop_assets.errors import NotTrainable
from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.features.family import Encoders
from redpop_assets.features.vectors import Vectors
from redpop_assets.predictors.dataset import joined
from redpop_assets.refresh.answers import Question
from redpop_assets.refresh.draft import dataset_of
from redpop_assets.refresh.held_out import held_out
from redpop_assets.refresh.likeness import nearest, usual_likeness
from redpop_assets.refresh.new_post import Picture
from redpop_assets.refresh.predictions import refresh_predictions
from redpop_assets.refresh.predictors import refresh_predictor
from redpop_assets.refresh.reasons import explain
from redpop_assets.refresh.sides import SIDES, mixed, side_of
from redpop_assets.testing.filled import ENCODERS

pytestmark = pytest.mark.integration

NAMES = ("metadata_boosting", "subreddit_hour_median", "subreddit_median")
LONG, SHORT, MIDDLE = "word " * 60, "A", "Three words here"
NOON = datetime(2026, 6, 1, 12, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def desk(prepared, encoders, fill, learn_from, open_desk):
    """A desk over two communities, of which nobody speaks for the smaller one."""
    _, warehouse, models = prepared
    fill(warehouse, "aww", posts=30)
    with warehouse.kept():
        learn_from(warehouse)
        for name in NAMES:
            assert refresh_predictor(name, "pics", warehouse, models, encoders, seed=7).row["status"] == "trained"
        refresh_predictions(warehouse, models, progress=lambda _: None)
    return open_desk(warehouse, models)


@pytest.fixture
def question():
    return Question((MIDDLE, LONG, SHORT), None, NOON)


def test_communities_say_who_speaks_or_why_nobody_does(desk):
    aww, pics = desk.communities()
    assert (aww.subreddit, aww.speaker) == ("aww", None)
    assert "run `redpop materialize`" in aww.why_silent
    assert (pics.subreddit, pics.speaker, pics.why_silent) == ("pics", "metadata_boosting", None)
    assert pics.posts >= pics.matured > 100
    with pytest.raises(NotTrainable, match="No predictor was trained for r/aww"):
        desk.answer("aww", Question((SHORT,), None, NOON))
    with pytest.raises(NotTrainable, match="r/elsewhere"):
        desk.answer("elsewhere", Question((SHORT,), None, NOON))


def test_a_warm_desk_loads_nothing_when_it_is_asked(desk, question, monkeypatch):
    desk.warm()
    monkeypatch.setattr("redpop_assets.encoders.load.load_text_encoder", None)
    monkeypatch.setattr("redpop_assets.refresh.speakers.load_predictor", None)
    monkeypatch.setattr("redpop_assets.predictors.parts.differences.Differences.fit", None)
    assert len(desk.answer("pics", question).comparison.titles) == 3
    assert len(desk.hours("pics", question, ZoneInfo("UTC")).slots) == 168


def test_titles_are_answered_with_their_differences_and_the_record(desk, question):
    answered = desk.answer("pics", question)
    assert answered.label_age_days == 6
    assert {one.title for one in answered.comparison.titles} == {MIDDLE, LONG, SHORT}
    assert answered.comparison.titles[0].difference.expected == 0.0
    assert set(answered.record.held) == set(LEVELS)
    assert answered.record.judged == 0
    (alone,) = desk.answer("pics", replace(question, titles=(SHORT,))).comparison.titles
    (among,) = (one for one in answered.comparison.titles if one.title == SHORT)
    assert alone.forecast.expected_log_score == pytest.approx(among.forecast.expected_log_score, abs=1e-6)
    assert alone.difference.expected == 0.0


def test_reasons_sum_to_what_is_expected_beyond_the_usual(desk, question):
    found = desk.reasons("pics", replace(question, titles=(LONG,)))
    explanation = found.explanation
    added = sum(part.added for part in explanation.parts)
    assert added == pytest.approx(explanation.expected_log_score - explanation.usual_log_score, abs=1e-5)
    assert explanation.parts[0].side == "title"  # in this community the number of words decides
    assert any(one.column == "words" for one in explanation.parts[0].inputs)
    assert all(part.side in SIDES for part in explanation.parts)
    assert found.seen == ()
    assert len(found.similar) == 6
    likeness = [past.similarity for past in found.similar]
    assert likeness == sorted(likeness, reverse=True)
    assert {past.subreddit for past in found.similar} == {"pics"}


def test_past_posts_are_shown_with_how_they_did(desk, question):
    """Under a title that is most like that of a post without a settled score, others are shown."""
    past = desk._drafts.past("pics")
    unsettled = np.isnan(past.posts.log_score)
    vectors = past.vectors("caption", ENCODERS.caption)

    def alike(title):
        return nearest(vectors, desk._drafts.vectors([title], ENCODERS.caption)[0], 6)

    titles = [f"Title {number}" for number in range(40)]
    title = next(one for one in titles if unsettled[[row for row, _ in alike(one)]].any())
    similar = desk.reasons("pics", replace(question, titles=(title,))).similar
    assert len(similar) == 6
    assert all(post.score is not None for post in similar)


def test_who_speaks_is_the_first_of_those_who_may(desk):
    """By the order of the speakers themselves, whatever the champion: the best of the others, too."""
    assert desk.communities()[1].speaker == desk._speaker("pics").name == desk._speakers.of("pics")[0].name


def test_a_post_that_is_usual_in_all_but_one_side_differs_by_that_side(desk):
    """The draft is a stored post with the title of another: against that post alone, only the title adds anything."""
    speaker = desk._speaker("pics")
    data = held_out(speaker).data
    usual = data.take(np.array([0]))
    draft = mixed(data, np.array([0]), {"title": np.array([5])})
    explanation = explain(speaker.predictor, draft, usual, desk.edition.schema)
    parts = {part.side: part.added for part in explanation.parts}
    expected, before = speaker.predictor.predict(draft)[0], speaker.predictor.predict(usual)[0]
    assert parts.pop("title") == pytest.approx(expected - before, abs=1e-6)
    assert all(added == pytest.approx(0.0, abs=1e-6) for added in parts.values())
    with pytest.raises(ValueError, match="one draft and some usual posts"):
        explain(speaker.predictor, data, usual, desk.edition.schema)


def test_the_week_is_asked_at_once_and_by_the_clock_of_the_visitor(desk, question):
    speaker = desk._speaker("pics")
    zone = ZoneInfo("Asia/Kolkata")
    week = desk.hours("pics", question, zone)
    assert len(week.slots) == 168
    assert week.slots[0].at.isoformat() == "2026-06-01T17:00:00+05:30"
    assert {slot.at.minute for slot in week.slots} == {0}
    assert [later.at - slot.at for slot, later in zip(week.slots, week.slots[1:], strict=False)] == [
        timedelta(hours=1)
    ] * 167
    assert all((slot.past.weekday, slot.past.hour) == (slot.at.weekday(), slot.at.hour) for slot in week.slots)
    expected = [slot.forecast.expected_log_score for slot in week.slots]
    assert [expected[place] for place in week.best] == sorted(expected, reverse=True)[:5]
    assert week.slots[week.best[0]].difference.expected == 0.0
    assert week.looks_at_time
    # Only the clock differs: one of the slots, asked for by hand.
    post = desk._post("pics", replace(question, titles=(MIDDLE,)))
    draft = dataset_of(post, speaker.predictor, speaker.encoders)
    other = desk._post("pics", replace(question, titles=(MIDDLE,), posted_at=week.slots[40].at))
    moved = mixed(
        joined(
            [
                draft.pick(speaker.predictor.columns),
                replace(dataset_of(other, speaker.predictor, speaker.encoders), post_ids=("x",)).pick(
                    speaker.predictor.columns
                ),
            ],
            "pics",
        ),
        np.array([0]),
        {"time": np.array([1])},
    )
    assert speaker.predictor.predict(moved)[0] == pytest.approx(expected[40], abs=1e-6)


def test_places_are_ranked_by_what_expectations_turned_out_to_be_worth(desk, question):
    pics, aww = desk.places(question)
    assert (pics.subreddit, aww.subreddit) == ("pics", "aww")
    assert pics.title == LONG
    assert pics.standing_low <= pics.standing <= pics.standing_high
    assert aww.forecast is None
    assert "materialize" in aww.why_silent
    assert not pics.told_apart
    assert [place.subreddit for place in desk.places(question, ["aww"])] == ["aww"]


def test_a_past_post_with_the_same_picture_is_told(desk, question, monkeypatch):
    group, others = (
        desk.edition.query(
            "SELECT duplicate_group, count(*) AS n FROM core.duplicates GROUP BY 1 ORDER BY n DESC, 1 LIMIT 1"
        )
        .to_pylist()[0]
        .values()
    )
    monkeypatch.setattr("redpop_assets.refresh.new_post.Draft.group", property(lambda _: group))
    seen = desk.reasons("pics", replace(question, picture=Picture(Image.new("RGB", (8, 8))))).seen
    assert len(seen) == min(others, 6)
    assert [past.created_at for past in seen] == sorted((past.created_at for past in seen), reverse=True)


def test_the_nearest_rows_are_exact_and_rows_without_a_vector_are_like_nothing():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(50, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    own = vectors[7].copy()
    vectors[::3] = np.nan
    found = nearest(Vectors.of(vectors, "v"), own, 5)
    with np.errstate(invalid="ignore"):
        likeness = vectors @ own
    order = [row for row in np.argsort(-np.nan_to_num(likeness, nan=-9)) if not np.isnan(likeness[row])]
    assert [row for row, _ in found] == order[:5]
    assert nearest(Vectors.of(vectors, "v"), np.full(4, np.nan, np.float32), 5) == []
    assert nearest(Vectors.none(50), own, 5) == []
    assert len(nearest(Vectors.of(vectors[:2], "v"), own, 5)) == 1


def test_hours_that_nobody_has_read_yet_are_no_silence(desk):
    """Others post between the last reading and the draft: only the clock goes on, the rest is as it was seen."""
    until = desk._drafts.known_until("pics").item().replace(tzinfo=UTC)

    def block(name, moment):
        draft = desk._drafts.draft("pics", ["A title"], None, posted_at=moment, author=None)
        return draft.block(name, Encoders("", "")).values

    for name in ("community", "author", "novelty"):
        np.testing.assert_array_equal(block(name, until + timedelta(days=5)), block(name, until))
        assert not np.array_equal(block(name, until - timedelta(days=40)), block(name, until))
    assert not np.array_equal(block("time", until + timedelta(hours=5)), block("time", until))


def test_usual_likeness_is_that_to_the_nearest_other_and_copies_are_none():
    def usual(rows):
        return usual_likeness(Vectors.of(rows, "v"))

    angles = np.linspace(0, 1, 40)
    vectors = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    assert usual(np.vstack([vectors, vectors])) == pytest.approx(usual(vectors), abs=0.01)
    far = np.eye(40, dtype=np.float32)
    assert usual(far) == pytest.approx(0.0)
    assert usual(vectors[:19]) is None
    assert usual(np.empty((40, 0), np.float32)) is None


def test_every_input_belongs_to_one_side():
    assert side_of("image", "embedding_0001") == "picture"
    assert side_of("caption", "embedding_001") == "title"
    assert side_of("agreement", "similarity") == "agreement"
    assert side_of("time", "hour") == "time"
    assert side_of("author", "past_posts") == "author"
    assert side_of("flags", "is_gallery") == "form"
    assert side_of("community", "posts_last_hour") == "community"
    assert side_of("neighbours", "image_neighbours") == "picture"
    assert side_of("neighbours", "caption_neighbours") == "title"
    assert side_of("seen", "times_here") == "picture"
