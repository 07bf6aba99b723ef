"""How likely it is that moderators or filters take a post down that is not made yet."""

from dataclasses import dataclass


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


@dataclass(frozen=True)
class RemovalRisk:
    """How likely a post is to be taken down by moderators or filters, not by its author.

    Attributes:
        subreddit: where it would be posted.
        probability: that it is down at the age `age_days`, from 0 to 1; None where it is not known.
        base_rate: share of the community's posts that were; None where it is not known.
        age_days: age at which posts are looked at.
        record: of the predictor; None without one.
        why_unknown: why there is no probability, in a sentence; None where there is one.
    """

    subreddit: str
    probability: float | None
    base_rate: float | None
    age_days: float
    record: RemovalRecord | None
    why_unknown: str | None

    @property
    def says(self) -> str:
        """All of it in a sentence."""
        if self.probability is None:
            return f"Whether it will be taken down is not known: {self.why_unknown}"
        usual = "" if self.base_rate is None else f" (usual here: {_percent(self.base_rate)})"
        return f"{_percent(self.probability)}{usual}"


def _percent(share: float) -> str:
    """Whole percents, but for what is below them."""
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1f} %"
