"""What somebody asks who is about to post: answered from one edition of the published file, kept warm.

The champion of each community answers, by the same families of features and the same stored model as everywhere else.
What a question and its answers are stands in `redpop_assets.refresh.answers`; how they are found, in `draft`
(expectations), `titles` (differences), `reasons` (why), `hours` (when), `rules` and `removal_risk` (may I), and here
(where).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from PIL import Image

from redpop_assets.errors import NotTrainable, RedPopError
from redpop_assets.evaluation.measurement import LEVELS
from redpop_assets.evaluation.metrics import percentile_rank
from redpop_assets.evaluation.standing import Worth, told_apart
from redpop_assets.features.family import Content, Encoders, Floats, Networks
from redpop_assets.kept import Kept
from redpop_assets.labels import LabelRule
from redpop_assets.refresh.answers import Answered, Community, Hours, MayI, Place, Question, Reasons, Record, Slot
from redpop_assets.refresh.community_page import hours_of
from redpop_assets.refresh.counted import counted_posts
from redpop_assets.refresh.draft import answer, dataset_of, forecasts_of, looks_at
from redpop_assets.refresh.early_forecasts import EarlyForecast, EarlyOracle
from redpop_assets.refresh.held_out import held_out
from redpop_assets.refresh.hours import at_times, differences_from_best, looks_at_time
from redpop_assets.refresh.likeness import PastPost, nearest, shown, usual_likeness, with_picture
from redpop_assets.refresh.new_post import Draft, Drafts, Picture
from redpop_assets.refresh.reasons import USUAL_POSTS, explain
from redpop_assets.refresh.removal_risk import RemovalOracle
from redpop_assets.refresh.rules import DraftFacts, Objection, objections
from redpop_assets.refresh.speakers import MODELS, SPEAKS_FIRST, Speaker, Speakers
from redpop_assets.refresh.titles import SURE_LEVEL, comparison

if TYPE_CHECKING:
    from redpop_assets.storage.models import ModelStore
    from redpop_assets.storage.rows import Readable

SIMILAR_POSTS: Final = 6
"""Past posts that are shown as like a draft, of each kind of likeness."""

_MODALITIES: Final[Mapping[Content, str]] = {"picture": "image", "caption": "caption"}

HOURS_SHOWN: Final = 7 * 24
BEST_SLOTS: Final = 5

_COMMUNITIES = f"""
WITH stored AS (
    SELECT subreddit, count(*) AS posts, max(created_at) AS newest_post_at FROM core.posts GROUP BY subreddit
),
mature AS (SELECT p.subreddit, count(*) AS matured FROM core.labels JOIN core.posts AS p USING (post_id) GROUP BY ALL),
trained AS (
    SELECT m.subreddit,
        first(m.predictor ORDER BY {SPEAKS_FIRST}) FILTER (m.status = 'trained') AS speaker,
        max(c.promoted_at) AS champion_since,
        first(m.predictor || ': ' || m.reason ORDER BY m.predictor) FILTER (m.status <> 'trained') AS not_trained
    FROM {MODELS}
    GROUP BY m.subreddit
)
SELECT subreddit, posts, coalesce(matured, 0) AS matured, newest_post_at, speaker, champion_since, not_trained
FROM stored LEFT JOIN mature USING (subreddit) LEFT JOIN trained USING (subreddit)
ORDER BY subreddit
"""
_RECORD = """
SELECT l.test_posts, l.spearman, l.mae,
    max(m.value) FILTER (m.metric = 'coverage_50') AS held_50,
    max(m.value) FILTER (m.metric = 'coverage_80') AS held_80,
    max(m.value) FILTER (m.metric = 'coverage_90') AS held_90
FROM marts.leaderboard AS l
LEFT JOIN marts.metrics AS m ON m.subreddit = l.subreddit AND m.predictor = l.predictor AND m.scope = 'subreddit'
    AND m.target = 'log_score'
WHERE l.subreddit = $subreddit AND l.predictor = $predictor AND l.digest = $digest
GROUP BY ALL
"""
_JUDGED = """
SELECT count(*) AS judged, avg(inside_50::INTEGER) AS held_50, avg(inside_80::INTEGER) AS held_80,
    avg(inside_90::INTEGER) AS held_90
FROM marts.forecast_outcomes WHERE subreddit = $subreddit AND predictor = $predictor AND log_score IS NOT NULL
"""


class Desk(Kept):
    """Answers what is asked about drafts, from one edition of the published file. Threads may ask at once.

    Memory grows with the communities that are asked about: their vectors, and what their speakers need.

    Args:
        edition: what is read.
        models: where the trained predictors lie.
        rule: when the score of a post is its label.
        networks: those that are asked; they may serve the desks of many editions.
    """

    def __init__(self, edition: Readable, models: ModelStore, rule: LabelRule, networks: Networks) -> None:
        super().__init__()
        self.edition = edition
        self._rule = rule
        self._drafts = Drafts(edition, networks, rule.final_age)
        self._models = models
        self._speakers = Speakers(edition, models)

    def communities(self) -> tuple[Community, ...]:
        """Every community of the edition, by name."""
        return self.kept_as("communities", self._communities)

    def warm(self) -> None:
        """Load and prepare what questions need, networks and pasts included, by asking one in every community.

        What cannot be had is left out here, and said to who asks for it.
        """
        blank = Picture(Image.new("RGB", (64, 64)))
        question = Question(("A title", "Another title"), blank, datetime.now(UTC))
        for community in self.communities():
            if community.speaker is not None:
                with suppress(RedPopError):
                    self.answer(community.subreddit, question)
                    self.hours(community.subreddit, question, ZoneInfo("UTC"))
                    self._worth(self._speaker(community.subreddit), author_said=False)

    def answer(self, subreddit: str, question: Question) -> Answered:
        """What is expected of the titles of a question in one community.

        Raises:
            NotTrainable: nobody speaks for this community; the message says why.
            WeightsUnavailable, ArtifactError: an encoder or a model cannot be loaded.
        """
        speaker = self._speaker(subreddit)
        post = self._post(subreddit, question)
        compared = comparison(answer(speaker, post), post)
        risks = dict(zip(question.titles, self._oracle(subreddit).risks(post), strict=True))
        return Answered(subreddit, self._rule.age / timedelta(days=1), compared, self._record(speaker), risks)

    def may(self, subreddit: str, question: Question) -> MayI:
        """What stands against the first title of a question, and how likely it is to be taken down.

        Rules are known of communities that nobody speaks for, too.

        Raises:
            NotTrainable: there is no such community in the edition.
        """
        if subreddit not in {community.subreddit for community in self.communities()}:
            raise NotTrainable(f"There is no r/{subreddit} in the warehouse.")
        post = self._post(subreddit, replace(question, titles=question.titles[:1]))
        risk = self._oracle(subreddit).risks(post)[0]
        return MayI(subreddit, question.titles[0], self._objections(post, question), risk)

    def reasons(self, subreddit: str, question: Question) -> Reasons:
        """Why a score is expected of the first title of a question.

        Raises:
            NotTrainable, WeightsUnavailable, ArtifactError: as `answer`.
        """
        speaker = self._speaker(subreddit)
        post = self._post(subreddit, replace(question, titles=question.titles[:1]))
        usual = held_out(speaker).data
        explanation = None
        if len(usual):
            spread = np.unique(np.linspace(0, len(usual) - 1, min(USUAL_POSTS, len(usual))).round().astype(np.intp))
            draft = dataset_of(post, speaker.predictor, speaker.encoders)
            explanation = explain(speaker.predictor, draft, usual.take(spread), self.edition.schema)
        similar = [past for content in ("picture", "caption") for past in self._similar(post, speaker, content)]
        seen = () if post.group is None else with_picture(self.edition, post.group, SIMILAR_POSTS)
        shown_already = {past.post_id for past in seen}
        return Reasons(
            speaker.name,
            explanation,
            tuple(past for past in similar if past.post_id not in shown_already),
            seen,
            counted_posts(self.edition, speaker, post),
        )

    def hours(self, subreddit: str, question: Question, zone: ZoneInfo) -> Hours:
        """The first title of a question in each hour of the seven days from its time on.

        Args:
            subreddit: in lower case.
            question: from the begin of whose hour on the week runs.
            zone: whose clock counts.

        Raises:
            NotTrainable, WeightsUnavailable, ArtifactError: as `answer`.
        """
        speaker = self._speaker(subreddit)
        post = self._post(subreddit, replace(question, titles=question.titles[:1]))
        # Whole hours of that clock: some are half an hour off those of others. In UTC every hour has its length.
        begin = question.posted_at.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
        moments = [begin + timedelta(hours=hour) for hour in range(HOURS_SHOWN)]
        data = at_times(dataset_of(post, speaker.predictor, speaker.encoders), moments)
        used_image = post.image is not None and looks_at("picture", speaker.predictor.columns)
        forecasts = forecasts_of(speaker, data, used_image=used_image)
        expected = np.array([one.expected_log_score for one in forecasts])
        differences, why = differences_from_best(speaker, data.created_at, expected)
        past = self.kept_as(("hours", subreddit, zone.key), lambda: hours_of(self.edition, subreddit, zone))
        slots = tuple(
            Slot(moment.astimezone(zone), one, difference, past.at(moment))
            for moment, one, difference in zip(moments, forecasts, differences, strict=True)
        )
        best = np.argsort(-expected, kind="stable")[:BEST_SLOTS]
        return Hours(speaker.name, looks_at_time(speaker), slots, tuple(best.tolist()), why)

    def places(self, question: Question, subreddits: Sequence[str] = ()) -> tuple[Place, ...]:
        """A question in several communities, ranked by the standing that such expectations turned out to be worth.

        Those where nobody answers come last. A community whose networks or model cannot be loaded is one of them.

        Args:
            question: with any number of titles; the best one of each community counts.
            subreddits: where; empty for all of the edition.
        """
        wanted = [one for one in self.communities() if not subreddits or one.subreddit in subreddits]
        found = [self._place(community, question) for community in wanted]
        found.sort(key=lambda place: (place[0].standing is None, -(place[0].standing or 0.0), place[0].subreddit))
        if not found or found[0][1] is None:
            return tuple(place for place, _ in found)
        first, worth = found[0]
        assert first.forecast is not None

        def apart(place: Place, other: Worth | None) -> bool:
            if place is first or other is None or place.forecast is None or first.forecast is None or worth is None:
                return False
            if place.unlike or first.unlike:
                return False
            one, two = first.forecast.expected_log_score, place.forecast.expected_log_score
            return told_apart((worth, one), (other, two), SURE_LEVEL)

        return tuple(replace(place, told_apart=apart(place, other)) for place, other in found)

    def _place(self, community: Community, question: Question) -> tuple[Place, Worth | None]:
        """One community, and what its speaker's expectations are worth."""
        nobody = Place(community.subreddit, None, None, None, None, None, (), False, (), community.why_silent)
        if community.speaker is None:
            return nobody, None
        try:
            best = self.answer(community.subreddit, question).comparison.titles[0]
        except RedPopError as error:
            return replace(nobody, why_silent=str(error)), None
        worth = self._worth(self._speaker(community.subreddit), author_said=question.author is not None)
        post = self._post(community.subreddit, replace(question, titles=(best.title,)))
        against = tuple(one for one in self._objections(post, question) if one.certainty in ("certain", "likely"))
        unlike = self._unlike(post, self._speaker(community.subreddit))
        place = replace(nobody, forecast=best.forecast, title=best.title, unlike=unlike, objections=against)
        if worth is None:
            return place, None
        expected = best.forecast.expected_log_score
        low, high = worth.interval(expected, SURE_LEVEL)
        return replace(place, standing=worth.at(expected)[0], standing_low=low, standing_high=high), worth

    def ahead(self, post_id: str) -> EarlyForecast | None:
        """What is expected of a stored post now, by its readings so far; None for one that is unknown."""
        oracle: EarlyOracle = self.kept_as("early", lambda: EarlyOracle(self.edition, self._models))
        return oracle.of(post_id)

    def _speaker(self, subreddit: str) -> Speaker:
        for community in self.communities():
            if community.subreddit == subreddit and community.why_silent:
                raise NotTrainable(community.why_silent)
        return self._speakers.first(subreddit)

    def _oracle(self, subreddit: str) -> RemovalOracle:
        return self.kept_as(("removals", subreddit), lambda: RemovalOracle(self.edition, self._models, subreddit))

    def _objections(self, post: Draft, question: Question) -> tuple[Objection, ...]:
        """What rules have against the first title of a draft."""
        facts = DraftFacts(
            post.captions[0],
            question.posted_at,
            pictures=0 if post.picture is None else 1,
            duplicate_group=post.group,
        )
        return objections(self.edition, post.subreddit, facts)

    def _post(self, subreddit: str, question: Question) -> Draft:
        return self._drafts.draft(
            subreddit, question.titles, question.picture, posted_at=question.posted_at, author=question.author
        )

    def _communities(self) -> tuple[Community, ...]:
        return tuple(
            Community(
                subreddit=row["subreddit"],
                posts=row["posts"],
                matured=row["matured"],
                newest_post_at=row["newest_post_at"].replace(tzinfo=UTC),
                speaker=row["speaker"],
                champion_since=row["champion_since"] and row["champion_since"].replace(tzinfo=UTC),
                why_silent=None if row["speaker"] else _why_silent(row),
            )
            for row in self.edition.query(_COMMUNITIES).to_pylist()
        )

    def _record(self, speaker: Speaker) -> Record:
        return speaker.kept_as("record", lambda: self._read_record(speaker))

    def _read_record(self, speaker: Speaker) -> Record:
        model = {"subreddit": speaker.subreddit, "predictor": speaker.name, "digest": speaker.model["digest"]}
        measured: dict[str, Any] = next(iter(self.edition.query(_RECORD, model).to_pylist()), {})
        judged = self.edition.query(_JUDGED, {name: model[name] for name in ("subreddit", "predictor")}).to_pylist()[0]
        mae = measured.get("mae")
        return Record(
            test_posts=measured.get("test_posts", 0),
            spearman=measured.get("spearman"),
            factor_off=None if mae is None else float(np.exp(mae)),
            held={level: measured.get(f"held_{level}") for level in LEVELS},
            judged=judged["judged"],
            judged_held={level: judged[f"held_{level}"] for level in LEVELS},
        )

    def _unlike(self, post: Draft, speaker: Speaker) -> tuple[Content, ...]:
        """The sides of a draft that are less like anything in its community than 19 of 20 of its posts are.

        What a predictor says of them is a guess beyond what it has learnt.
        """
        found: list[Content] = []
        for content, modality in _MODALITIES.items():
            encoder = self._encoder(modality, speaker.encoders)
            own = self._own_vector(post, modality, encoder)
            if own is None:
                continue
            past = self._drafts.past(post.subreddit)
            vectors = past.vectors(content, encoder)
            key = ("usual likeness", post.subreddit, content, encoder)
            usual = self.kept_as(key, partial(usual_likeness, vectors))
            closest = nearest(vectors, own, 1)
            if usual is not None and (not closest or closest[0][1] < usual):
                found.append(content)
        return tuple(found)

    def _own_vector(self, post: Draft, modality: str, encoder: str) -> Floats | None:
        """(d,) the vector of the draft's picture or first title; None without one."""
        if not encoder:
            return None
        block = post.block(modality, Encoders(**{"image": "", "caption": "", modality: encoder}))
        return block.values[0] if block is not None and block.present[0] else None

    def _worth(self, speaker: Speaker, *, author_said: bool) -> Worth | None:
        """What such expectations of a speaker turned out to be worth.

        By posts that it has not learnt from, each asked about as the draft is: a newcomer's, unless it is said
        who would post it.
        """

        def learnt() -> Worth | None:
            found = held_out(speaker)
            if not len(found.data):
                return None
            drafts = self._drafts.as_asked(found.data, speaker.encoders, author_said=author_said)
            actual = percentile_rank(speaker.log_scores, found.log_scores)
            return Worth.fit(speaker.predictor.predict(drafts), actual, found.clusters)

        return speaker.kept_as(("worth of standings", author_said), learnt)

    def _similar(self, post: Draft, speaker: Speaker, content: Content) -> tuple[PastPost, ...]:
        """Past posts with a label whose picture or title is most like that of a draft."""
        encoder = self._encoder(_MODALITIES[content], speaker.encoders)
        own = self._own_vector(post, _MODALITIES[content], encoder)
        if own is None:
            return ()
        past = self._drafts.past(post.subreddit)
        labelled = ~np.isnan(past.posts.log_score)
        likeness = nearest(past.vectors(content, encoder), own, SIMILAR_POSTS, labelled)
        return shown(self.edition, [(past.posts.post_ids[row], how) for row, how in likeness], content)

    def _encoder(self, modality: str, used: Encoders) -> str:
        """The encoder by whose vectors posts are alike: that of the speaker, else any that has seen them."""
        own: str = getattr(used, modality)
        return own or str(
            self.edition.scalar(
                "SELECT encoder FROM features.encoders WHERE modality = $modality "
                "ORDER BY encoder LIKE 'open_clip:%', encoder LIMIT 1",
                {"modality": modality},
            )
            or ""
        )


def _why_silent(row: Mapping[str, Any]) -> str:
    """Why nobody speaks for a community, and what to do."""
    if row["not_trained"]:
        return (
            f"No predictor could be trained for r/{row['subreddit']} yet, from {row['matured']} posts whose score has "
            f"matured of {row['posts']} stored ({row['not_trained']}). Posts mature by themselves: come back after the "
            "next nights."
        )
    return f"No predictor was trained for r/{row['subreddit']} yet: run `redpop materialize`."
