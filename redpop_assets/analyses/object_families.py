"""`marts.object_families`: which things in a picture raise or lower what `learn_deeply` expects."""

from redpop_assets.analyses.drawings import MOST_ENTRIES, interval_chart
from redpop_assets.analyses.study import Analysis, Finding, Study
from redpop_assets.predictors.systems.learn_deeply import LearnDeeply


def measure(study: Study) -> Finding:
    """One row per WordNet family, the largest weight first."""
    model = next((model for model in study.trained if model.name == LearnDeeply.name), None)
    if model is None:
        return Finding((), notes=(f"{LearnDeeply.name} is not trained on the present training set",))
    predictor = study.load(model)
    assert isinstance(predictor, LearnDeeply)
    ranked = sorted(predictor.weights.items(), key=lambda item: (-item[1][0], item[0]))
    rows = [
        {"family": family, "rank": rank, "weight": weight, "weight_low": low, "weight_high": high}
        for rank, (family, (weight, low, high)) in enumerate(ranked, start=1)
    ]
    if not rows:
        return Finding((), notes=(f"{LearnDeeply.name} looked at no objects",))
    half = MOST_ENTRIES // 2
    drawn = rows if len(rows) <= 2 * half else [*rows[:half], *rows[-half:]]
    png = interval_chart(
        {str(row["family"]): row for row in drawn},
        "weight",
        title=f"r/{study.subreddit}: families of objects with the largest and smallest weights",
        axis="log score that all train posts together lose without it (95 %)",
    )
    return Finding(rows, {OBJECT_FAMILIES.figure_name(study): png})


OBJECT_FAMILIES = Analysis(
    name="object_families",
    question=(
        "Which things in a picture raise or lower what learn_deeply expects? The log score that all train posts "
        "together lose when a WordNet family is taken out of the picture, with an interval by resampling posts "
        "(Paul et al., Table 2). It explains the predictor; an object need not cause a score."
    ),
    measure=measure,
    version="1",
    draws=True,
    order="subreddit, rank",
    shown={"subreddit": "subreddit", "rank": "rank", "family": "family", "weight": "weight (95 %)"},
)
