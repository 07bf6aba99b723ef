"""How likely it is that moderators or filters take a post down that is not made yet."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from redpop_assets.errors import ArtifactError
from redpop_assets.labels import LabelRule
from redpop_assets.predictors.removal import NAME, RemovalModel
from redpop_assets.refresh.new_post import Draft
from redpop_assets.refresh.removal_posts import RemovalPosts, draft_inputs
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.rows import Readable

_TRAINED = """
SELECT p.*, m.pr_auc, m.pr_auc_low, m.pr_auc_high, m.brier_skill, m.brier_skill_low, m.brier_skill_high
FROM models.removal_predictors AS p
LEFT JOIN marts.removal_metrics AS m ON m.subreddit = p.subreddit AND m.digest = p.digest
WHERE p.subreddit = $subreddit
"""


@dataclass(frozen=True)
class RemovalRecord:
    """What the predictor of removals has shown in a community, on posts that came after those it learnt from.

    Attributes:
        test_posts, test_removed: posts that judged it, and how many of them were taken down.
        pr_auc: area under the curve of precision over recall; chance is the share that was taken down.
        pr_auc_low, pr_auc_high: its 95 % interval; None where too few authors could tell.
        brier_skill: by what share its mean squared error is below that of always saying the base rate; 0 is worthless.
        brier_skill_low, brier_skill_high: its 95 % interval; likewise.
    """

    test_posts: int
    test_removed: int
    pr_auc: float
    pr_auc_low: float | None
    pr_auc_high: float | None
    brier_skill: float
    brier_skill_low: float | None
    brier_skill_high: float | None

    @property
    def beyond_chance(self) -> bool:
        """Whether it says more than the base rate does, beyond what chance explains."""
        return self.brier_skill_low is not None and self.brier_skill_low > 0


@dataclass(frozen=True)
class RemovalRisk:
    """How likely a post is to be taken down by moderators or filters, not by its author.

    Attributes:
        subreddit: where it would be posted.
        probability: that it is down at the age `age_days`, from 0 to 1; None where it is not known.
        base_rate: share of the community's posts that were; None where it is not known.
        age_days: age at which posts are looked at; None where nobody looked.
        record: of the predictor; None without one.
        why_unknown: why there is no probability, in a sentence; None where there is one.
    """

    subreddit: str
    probability: float | None
    base_rate: float | None
    age_days: float | None
    record: RemovalRecord | None
    why_unknown: str | None

    @property
    def says(self) -> str:
        """All of it in a sentence, to follow the words "Taken down:"."""
        usual = "" if self.base_rate is None else f"usual here: {percent(self.base_rate)}"
        if self.probability is None:
            return f"not known{f' ({usual})' if usual else ''}: {self.why_unknown}"
        doubt = "" if self.record and self.record.beyond_chance else ", and not shown to know more than that"
        return f"{percent(self.probability)} ({usual}{doubt})"


class RemovalOracle:
    """Answers for one community, from one edition; whoever is asked often keeps it.

    Args:
        edition: where the predictor's row and the past are.
        models: where its files lie.
        subreddit: in lower case.
    """

    def __init__(self, edition: Readable, models: ModelStore, subreddit: str) -> None:
        self._edition, self._models, self._subreddit = edition, models, subreddit
        found = edition.query(_TRAINED, {"subreddit": subreddit}).to_pylist()
        self._row: dict[str, Any] | None = found[0] if found else None

    @cached_property
    def _model(self) -> RemovalModel:
        assert self._row is not None
        return RemovalModel.load(self._models.folder(self._subreddit, NAME, self._row["digest"]))

    @cached_property
    def _past(self) -> RemovalPosts:
        assert self._row is not None
        with self._edition.read() as reader:
            return RemovalPosts.read(
                reader, self._subreddit, LabelRule(timedelta(hours=self._row["age_hours"]), timedelta(0))
            )

    def risks(self, post: Draft) -> tuple[RemovalRisk, ...]:
        """The risk of a draft with each of its titles, in their order."""
        row = self._row
        if row is None:
            why = "the predictor of removals was never trained here; run `redpop materialize`."
            return (RemovalRisk(self._subreddit, None, None, None, None, why),) * len(post.captions)
        base = row["base_rate"] if row["removed"] else None
        age = row["age_hours"] / 24
        if row["digest"] is None:
            return (RemovalRisk(self._subreddit, None, base, age, None, f"{row['reason']}."),) * len(post.captions)
        record = None
        if row["pr_auc"] is not None:
            numbers = ("test_posts", "test_removed", "pr_auc", "pr_auc_low", "pr_auc_high")
            skill = ("brier_skill", "brier_skill_low", "brier_skill_high")
            record = RemovalRecord(**{name: row[name] for name in (*numbers, *skill)})
        # Of somebody unknown no past is looked at.
        past = RemovalPosts.none() if post.author is None else self._past
        try:
            said = self._model.probability(draft_inputs(past, post.captions, post.created_at, post.author))
        except ArtifactError as error:
            return (RemovalRisk(self._subreddit, None, base, age, record, str(error)),) * len(post.captions)
        return tuple(RemovalRisk(self._subreddit, float(one), base, age, record, None) for one in said)


def removal_risk(edition: Readable, models: ModelStore, post: Draft) -> RemovalRisk:
    """How likely a draft with one title is to be taken down; see `RemovalOracle`, which answers about many.

    Raises:
        ValueError: the draft has several titles.
    """
    if len(post.captions) != 1:
        raise ValueError(f"one title is asked about, not {len(post.captions)}: RemovalOracle.risks takes several")
    return RemovalOracle(edition, models, post.subreddit).risks(post)[0]


def percent(share: float) -> str:
    """Whole percents, but for what is below them."""
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1f} %"
