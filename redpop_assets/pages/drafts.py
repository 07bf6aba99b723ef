"""What is said of a draft, in words for people and as JSON for programs: by `redpop predict` and the studio alike."""

import math
from collections.abc import Mapping, Sequence

from typing_extensions import TypedDict

from redpop_assets.refresh.answers import Answered, Community, Hours, MayI, Place, Reasons, Record, Slot
from redpop_assets.refresh.counted import CountedPost
from redpop_assets.refresh.draft import Forecast
from redpop_assets.refresh.likeness import PastPost
from redpop_assets.refresh.reasons import Explanation
from redpop_assets.refresh.removal_risk import RemovalRisk
from redpop_assets.refresh.rules import Objection
from redpop_assets.refresh.titles import SURE_LEVEL, Comparison, Difference, TitleForecast

SHOWN_LEVEL = 80
"""Coverage (percent) of the range of a score that people are shown."""

WORSE, NOT_APART = "worse", "cannot be told apart"

Bounds = Mapping[int, tuple[float, float] | None]


class ForecastDocument(TypedDict):
    """What one predictor expects of a post with one title; scores in points, intervals by level in percent."""

    predictor: str
    champion: bool
    expected_score: float
    expected_log_score: float
    percentile: float
    intervals: dict[str, list[float] | None]
    used_image: bool
    used_caption: bool
    test_spearman: float | None
    test_mae: float | None


class DifferenceDocument(TypedDict):
    """How far a title is from the best one, in log score."""

    expected_log_score: float
    intervals: dict[str, list[float] | None]
    told_apart: bool


class RemovalRecordDocument(TypedDict):
    """What the predictor of removals has shown, on posts that came after those it learnt from."""

    test_posts: int
    test_removed: int
    pr_auc: float
    pr_auc_low: float | None
    pr_auc_high: float | None
    brier_skill: float
    brier_skill_low: float | None
    brier_skill_high: float | None


class RemovalDocument(TypedDict):
    """How likely a post is to be taken down, from 0 to 1; or why that is not known."""

    probability: float | None
    base_rate: float | None
    age_days: float | None
    record: RemovalRecordDocument | None
    why_unknown: str | None


class TitleDocument(ForecastDocument):
    """A title with its forecast, its risk of removal and its difference from the best."""

    title: str
    removal: RemovalDocument
    difference: DifferenceDocument


class ComparisonDocument(TypedDict):
    """What one predictor says of the titles, the best first."""

    predictor: str
    champion: bool
    looks_at_titles: bool
    held_out_posts: int
    why_unknown: str | None
    verdict: str
    titles: list[TitleDocument]


class PastPostDocument(TypedDict):
    """A stored post beside the draft."""

    post_id: str
    subreddit: str
    title: str
    score: int | None
    percentile: float | None
    created_at: str
    similarity: float | None
    alike: str


class CountedDocument(TypedDict):
    """A past post that the expectation was drawn towards: its share of attention, and what it added (log score)."""

    post: PastPostDocument
    weight: float
    added: float


class ForecastsDocument(TypedDict):
    """Forecasts of a draft with one title, the champion's first, and the past posts that counted for that."""

    subreddit: str
    label_age_days: float
    removal: RemovalDocument
    forecasts: list[ForecastDocument]
    counted: list[CountedDocument]


class ComparisonsDocument(TypedDict):
    """Comparisons of the titles of a draft, the champion's first."""

    subreddit: str
    label_age_days: float
    comparisons: list[ComparisonDocument]


class RecordDocument(TypedDict):
    """What the one who answers has shown so far; shares by level in percent."""

    test_posts: int
    spearman: float | None
    factor_off: float | None
    held: dict[str, float | None]
    judged: int
    judged_held: dict[str, float | None]


class AnswerDocument(ComparisonsDocument):
    """What is expected of a draft in one community, and what its champion has shown so far."""

    record: RecordDocument


class CommunityDocument(TypedDict):
    """A community, and who speaks for it."""

    subreddit: str
    posts: int
    matured: int
    newest_post_at: str | None
    speaker: str | None
    champion_since: str | None
    why_silent: str | None


class InputDocument(TypedDict):
    """One input that counted."""

    block: str
    column: str
    meaning: str
    value: float | None
    usual: float | None
    added: float


class PartDocument(TypedDict):
    """What one side of a post adds, in log score."""

    side: str
    added: float
    inputs: list[InputDocument]


class ExplanationDocument(TypedDict):
    """The expectation of a draft taken apart, in log scores: the parts sum to the difference to a usual post."""

    expected_log_score: float
    usual_log_score: float
    usual_posts: int
    parts: list[PartDocument]


class ReasonsDocument(TypedDict):
    """Why a score is expected of a draft; no explanation where no usual post is at hand."""

    subreddit: str
    predictor: str
    explanation: ExplanationDocument | None
    similar: list[PastPostDocument]
    seen: list[PastPostDocument]
    counted: list[CountedDocument]


class SlotDocument(TypedDict):
    """One hour of the coming week."""

    at: str
    forecast: ForecastDocument
    difference: DifferenceDocument
    past_posts: int
    past_percentile: float | None
    past_low: float | None
    past_high: float | None
    thin: bool


class HoursDocument(TypedDict):
    """When to post: 168 hours in the order of time, and the positions of the best five."""

    subreddit: str
    predictor: str
    looks_at_time: bool
    slots: list[SlotDocument]
    best: list[int]
    why_unknown: str | None


class ObjectionDocument(TypedDict):
    """One thing that stands against a post, or that is not known; the rule is quoted as strangers wrote it."""

    about: str
    says: str
    certainty: str
    rule: str | None
    read_at: str | None


class MayIDocument(TypedDict):
    """Whether a draft may be posted: the rules against it, and how likely it is to be taken down."""

    subreddit: str
    title: str
    objections: list[ObjectionDocument]
    removal: RemovalDocument


class PlaceDocument(TypedDict):
    """What is expected of a draft in one of several communities."""

    subreddit: str
    forecast: ForecastDocument | None
    title: str | None
    standing: float | None
    standing_low: float | None
    standing_high: float | None
    unlike: list[str]
    told_apart: bool
    objections: list[ObjectionDocument]
    why_silent: str | None


def forecast_document(one: Forecast) -> ForecastDocument:
    """A forecast as programs get it."""
    return {
        "predictor": one.predictor,
        "champion": one.champion_since is not None,
        "expected_score": one.expected_score,
        "expected_log_score": one.expected_log_score,
        "percentile": one.percentile,
        "intervals": _intervals(one.intervals),
        "used_image": one.used_image,
        "used_caption": one.used_caption,
        "test_spearman": one.test_spearman,
        "test_mae": one.test_mae,
    }


def removal_document(risk: RemovalRisk) -> RemovalDocument:
    """A risk of removal as programs get it; its record is None where nothing judged it."""
    record = risk.record
    return {
        "probability": risk.probability,
        "base_rate": risk.base_rate,
        "age_days": risk.age_days,
        "record": None
        if record is None
        else {
            "test_posts": record.test_posts,
            "test_removed": record.test_removed,
            "pr_auc": record.pr_auc,
            "pr_auc_low": record.pr_auc_low,
            "pr_auc_high": record.pr_auc_high,
            "brier_skill": record.brier_skill,
            "brier_skill_low": record.brier_skill_low,
            "brier_skill_high": record.brier_skill_high,
        },
        "why_unknown": risk.why_unknown,
    }


def forecasts_document(
    forecasts: Sequence[Forecast],
    subreddit: str,
    label_age_days: float,
    risk: RemovalRisk,
    counted: Sequence[CountedPost],
) -> ForecastsDocument:
    """Forecasts of a draft with one title, as programs get them."""
    return {
        "subreddit": subreddit,
        "label_age_days": label_age_days,
        "removal": removal_document(risk),
        "forecasts": list(map(forecast_document, forecasts)),
        "counted": list(map(_counted, counted)),
    }


def comparisons_document(
    comparisons: Sequence[Comparison], subreddit: str, label_age_days: float, risks: Mapping[str, RemovalRisk]
) -> ComparisonsDocument:
    """Comparisons of titles as programs get them: scores in points, differences in log scores, by level in percent."""
    return {
        "subreddit": subreddit,
        "label_age_days": label_age_days,
        "comparisons": [_comparison(one, risks) for one in comparisons],
    }


def answer_document(answered: Answered) -> AnswerDocument:
    """An answer of the desk as programs get it: the comparison of `redpop predict --json`, and the record."""
    document = comparisons_document([answered.comparison], answered.subreddit, answered.label_age_days, answered.risks)
    return {**document, "record": _record(answered.record)}


def community_document(one: Community) -> CommunityDocument:
    """A community as programs get it; times in UTC."""
    return {
        "subreddit": one.subreddit,
        "posts": one.posts,
        "matured": one.matured,
        "newest_post_at": None if one.newest_post_at is None else one.newest_post_at.isoformat(),
        "speaker": one.speaker,
        "champion_since": None if one.champion_since is None else one.champion_since.isoformat(),
        "why_silent": one.why_silent,
    }


def reasons_document(reasons: Reasons, subreddit: str) -> ReasonsDocument:
    """Reasons as programs get them: expectations and parts in log scores."""
    return {
        "subreddit": subreddit,
        "predictor": reasons.predictor,
        "explanation": None if reasons.explanation is None else _explanation(reasons.explanation),
        "similar": list(map(_past_post, reasons.similar)),
        "seen": list(map(_past_post, reasons.seen)),
        "counted": list(map(_counted, reasons.counted)),
    }


def hours_document(hours: Hours, subreddit: str) -> HoursDocument:
    """The coming week as programs get it; times in the zone that was asked for."""
    return {
        "subreddit": subreddit,
        "predictor": hours.predictor,
        "looks_at_time": hours.looks_at_time,
        "slots": list(map(_slot, hours.slots)),
        "best": list(hours.best),
        "why_unknown": hours.why_unknown,
    }


def may_document(may: MayI) -> MayIDocument:
    """What stands against a draft as programs get it; times in UTC."""
    return {
        "subreddit": may.subreddit,
        "title": may.title,
        "objections": list(map(_objection, may.objections)),
        "removal": removal_document(may.risk),
    }


def place_document(place: Place) -> PlaceDocument:
    """One of several communities as programs get it."""
    return {
        "subreddit": place.subreddit,
        "forecast": None if place.forecast is None else forecast_document(place.forecast),
        "title": place.title,
        "standing": place.standing,
        "standing_low": place.standing_low,
        "standing_high": place.standing_high,
        "unlike": list(place.unlike),
        "told_apart": place.told_apart,
        "objections": list(map(_objection, place.objections)),
        "why_silent": place.why_silent,
    }


def speaker(one: Forecast, subreddit: str) -> str:
    """Who says it, for how long it has spoken for the community, and how far off it was before."""
    who = (
        f"{one.predictor}, the champion of r/{subreddit} since {one.champion_since:%Y-%m-%d}"
        if one.champion_since
        else f"{one.predictor}, which ranked unseen posts best; a champion is named by `redpop materialize`"
    )
    return f"{who}{_skill(one)}"


def standing(percentile: float) -> str:
    """A percentile from 0 to 1 in words."""
    words = {0.9: "in the top tenth", 0.75: "in the top quarter", 0.55: "above the middle", 0.45: "in the middle"}
    words |= {0.25: "below the middle", 0.0: "in the bottom quarter"}
    return next(text for least, text in words.items() if percentile >= least)


def age(days: float) -> str:
    """An age in days, or in hours where it is of less than two days."""
    return f"{days:g} days" if days >= 2 else f"{24 * days:g} hours"


def score_range(one: Forecast) -> str:
    """The range that holds the score of most posts like this one, or why it is unknown."""
    bounds = one.intervals[SHOWN_LEVEL]
    if bounds is None:
        return "unknown: too few posts were held out to tell (9 are needed)"
    return f"{' to '.join(map(points, bounds))} points, for {SHOWN_LEVEL} of 100 posts like this one"


def seen(one: Forecast) -> str:
    """Which sides of the draft were looked at."""
    sides = [name for name, used in (("picture", one.used_image), ("title", one.used_caption)) if used]
    return " and ".join(sides) or "neither picture nor title"


def points(score: float) -> str:
    """Whole points; Reddit shows no post below 0."""
    return f"{max(score, 0.0):,.0f}"


def verdict(comparison: Comparison) -> str:
    """What may be said of the titles, in a sentence."""
    if not comparison.looks_at_titles:
        return f"{comparison.predictor} does not look at titles: ask another one with --predictor"
    others = [one for one in comparison.titles if one.title != comparison.titles[0].title]
    if not others:
        return "the titles are the same"
    if comparison.why_unknown:
        return f"the titles cannot be told apart: {comparison.why_unknown}"
    worse = sum(one.difference.told_apart for one in others)
    if not worse:
        return "these cannot be told apart"
    if worse == len(others):
        return "the first is better than " + ("the other" if worse == 1 else f"each of the {worse} others")
    some = f"{worse} of the {len(others)} others {'is' if worse == 1 else 'are'} worse than the first"
    return f"{some}; the rest cannot be told from it"


def against(one: TitleForecast, best: TitleForecast, comparison: Comparison) -> tuple[str, str, str]:
    """A title against the best one: the ratio, its interval, and what may be said of it."""
    if one.title == best.title:
        return ratio(0.0), "–", "the same title"
    if not comparison.looks_at_titles:
        return ratio(one.difference.expected), "–", "not looked at"
    return ratio(one.difference.expected), _ratios(one.difference), WORSE if one.difference.told_apart else NOT_APART


def least_ratio(comparison: Comparison) -> float:
    """The least difference (log score) that a picture of the titles has to have room for."""
    found = [one.difference.expected for one in comparison.titles]
    return min([*found, *(bounds[0] for one in comparison.titles if (bounds := one.difference.intervals[SURE_LEVEL]))])


def ratio(log_difference: float) -> str:
    """The factor that a difference of log scores is."""
    found = math.exp(min(max(log_difference, -20.0), 20.0))
    return f"{found:.2f}" if found < 10 else f"{found:,.0f}"


def _ratios(difference: Difference) -> str:
    bounds = difference.intervals[SURE_LEVEL]
    return "–" if bounds is None else " to ".join(map(ratio, bounds))


def _skill(one: Forecast) -> str:
    """The mean absolute error of the log score, as people say it."""
    if one.test_mae is None:
        return ""
    return f"; on posts it had not seen it was off by a factor of {math.exp(one.test_mae):.1f}"


def _intervals(intervals: Bounds) -> dict[str, list[float] | None]:
    return {str(level): None if bounds is None else list(bounds) for level, bounds in intervals.items()}


def _comparison(one: Comparison, risks: Mapping[str, RemovalRisk]) -> ComparisonDocument:
    return {
        "predictor": one.predictor,
        "champion": one.titles[0].forecast.champion_since is not None,
        "looks_at_titles": one.looks_at_titles,
        "held_out_posts": one.held_out_posts,
        "why_unknown": one.why_unknown,
        "verdict": verdict(one),
        "titles": [
            {
                "title": title.title,
                **forecast_document(title.forecast),
                "removal": removal_document(risks[title.title]),
                "difference": _difference(title.difference),
            }
            for title in one.titles
        ],
    }


def _objection(one: Objection) -> ObjectionDocument:
    return {
        "about": one.about,
        "says": one.says,
        "certainty": one.certainty,
        "rule": one.rule,
        "read_at": None if one.read_at is None else one.read_at.isoformat(),
    }


def _difference(one: Difference) -> DifferenceDocument:
    return {
        "expected_log_score": one.expected,
        "intervals": _intervals(one.intervals),
        "told_apart": one.told_apart,
    }


def _record(one: Record) -> RecordDocument:
    return {
        "test_posts": one.test_posts,
        "spearman": one.spearman,
        "factor_off": one.factor_off,
        "held": {str(level): share for level, share in one.held.items()},
        "judged": one.judged,
        "judged_held": {str(level): share for level, share in one.judged_held.items()},
    }


def _explanation(one: Explanation) -> ExplanationDocument:
    return {
        "expected_log_score": one.expected_log_score,
        "usual_log_score": one.usual_log_score,
        "usual_posts": one.usual_posts,
        "parts": [
            {
                "side": part.side,
                "added": part.added,
                "inputs": [
                    {
                        "block": one.block,
                        "column": one.column,
                        "meaning": one.meaning,
                        "value": one.value,
                        "usual": one.usual,
                        "added": one.added,
                    }
                    for one in part.inputs
                ],
            }
            for part in one.parts
        ],
    }


def _past_post(one: PastPost) -> PastPostDocument:
    return {
        "post_id": one.post_id,
        "subreddit": one.subreddit,
        "title": one.title,
        "score": one.score,
        "percentile": one.percentile,
        "created_at": one.created_at.isoformat(),
        "similarity": one.similarity,
        "alike": one.alike,
    }


def _counted(one: CountedPost) -> CountedDocument:
    return {"post": _past_post(one.post), "weight": one.weight, "added": one.added}


def _slot(one: Slot) -> SlotDocument:
    return {
        "at": one.at.isoformat(),
        "forecast": forecast_document(one.forecast),
        "difference": _difference(one.difference),
        "past_posts": one.past.posts,
        "past_percentile": one.past.percentile,
        "past_low": one.past.low,
        "past_high": one.past.high,
        "thin": one.past.thin,
    }
