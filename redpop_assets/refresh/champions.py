"""Which predictor speaks for a subreddit: the champion, and the rules by which another one takes its place.

Of many predictors the best on some posts is partly the luckiest on them. So the two parts have two duties: what each
predictor expected of the validation part says who may try, one candidate at a time; the test part, the newest posts
that have matured, judges the candidate, and picks nobody. All by the mean absolute error of the log score:

1. Who loses to the median of the train part on the test part is not champion, nor stays it.
2. A vacant seat, or one that only `subreddit_median` holds, goes to the best of the validation part that passes 1.
3. Any other champion stays, trained again or not, until the best of the validation part is better than it beyond
   chance: the 95 % interval of the difference on the test part (paired bootstrap over authors) lies below 0. Equals
   would otherwise take turns every night, and nobody could say how a champion's forecasts turned out.
4. Predictors that look through untrained weights, were trained on another snapshot, or are not in use any more have no
   part in it. Below `FEWEST_POSTS` test posts nothing can be told: who has the seat keeps it, else it is the median's.

Every training brings a new judgement, on a test part that overlaps with the last one: chance gets more than one try,
and an interval that just leaves 0 out is weaker evidence than it looks. What a champion is worth, its forecasts tell.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from redpop_assets import versions
from redpop_assets.evaluation.bootstrap import Difference, author_clusters, mean_of, paired_difference
from redpop_assets.predictors.registry import MEDIAN, load_predictor
from redpop_assets.refresh.blocks import read_dataset
from redpop_assets.refresh.predictors import VALIDATION, encoders_of
from redpop_assets.refresh.snapshot import ALL, Snapshot
from redpop_assets.storage.arrow import arrow_table, utc_now
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse

FEWEST_POSTS: Final = 10

TABLE: Final = "models.champions"

Doubles = npt.NDArray[np.float64]

_MODELS = f"""
SELECT
    m.*,
    (
        SELECT avg(abs(v.expected_log_score - t.log_score) ORDER BY post_id)
        FROM {VALIDATION} AS v JOIN models.training_set AS t USING (post_id)
        WHERE v.subreddit = m.subreddit AND v.predictor = m.predictor AND v.digest = m.digest
    ) AS validation_mae
FROM models.predictors AS m
WHERE m.subreddit = $subreddit AND m.status = 'trained'
ORDER BY validation_mae, m.predictor <> '{MEDIAN}', m.predictor
"""
_LABELLED = """
SELECT post_id, cluster, log_score, split, snapshot FROM models.training_set SEMI JOIN core.posts USING (post_id)
WHERE subreddit = $subreddit AND split IN ('train', 'test') ORDER BY post_id
"""


@dataclass(frozen=True)
class Verdict:
    """A judgement: who is champion, why, and the evidence; fields as the columns of models.champions."""

    predictor: str | None
    promoted: bool
    replaced: str | None
    reason: str
    rival: str | None = None
    mae: float | None = None
    rival_mae: float | None = None
    mae_difference: float | None = None
    mae_difference_low: float | None = None
    mae_difference_high: float | None = None
    p_value: float | None = None


@dataclass(frozen=True)
class Bench:
    """What a judgement is made of.

    Args:
        candidates: names of the predictors that may be champion, best on the validation part first.
        median_errors: (n,) absolute errors of the median on the test posts.
        errors: (n,) absolute errors of a candidate on them; called for those that it takes.
        clusters: (n,) numbers of the posts' authors.
        seed: of the bootstrap.
    """

    candidates: Sequence[str]
    median_errors: Doubles
    errors: Callable[[str], Doubles]
    clusters: npt.NDArray[np.int64]
    seed: int

    def mae(self, name: str) -> float:
        """Mean absolute error of a candidate on the test posts."""
        return float(self.errors(name).mean())

    def passes(self, name: str) -> bool:
        """Whether a candidate does not lose to the median; the median itself does not."""
        return name == MEDIAN or self.mae(name) <= float(self.median_errors.mean())

    def difference(self, name: str, other: str) -> Difference | None:
        """Of mean absolute errors, `name` minus `other`, with its interval; None where the posts are of one author."""
        return paired_difference(mean_of(self.errors(name)), mean_of(self.errors(other)), self.clusters, seed=self.seed)


def judge(present: str | None, bench: Bench) -> Verdict:
    """Say who is champion from now on, by the rules of this module.

    Args:
        present: the champion so far; None if there is none.
        bench: who else there is, and the test posts.
    """
    if len(bench.clusters) < FEWEST_POSTS:
        few = f"too few matured posts to judge by: {len(bench.clusters)} of {FEWEST_POSTS}"
        holder = next((name for name in (present, MEDIAN) if name in bench.candidates), None)
        return Verdict(holder, holder not in (None, present), None if holder == present else present, few)
    best = next((name for name in bench.candidates if bench.passes(name)), None)
    if present is None or present not in bench.candidates:
        gone = "there was no champion" if present is None else f"{present} is not trained or not in use any more"
        return _promoted(best, present, gone, bench)
    if not bench.passes(present):
        lost = f"{present} loses to the median: {bench.mae(present):.3f} against {bench.median_errors.mean():.3f}"
        return _promoted(best, present, lost, bench)
    if present == MEDIAN and best not in (None, MEDIAN):
        return _promoted(best, present, "only the median held the seat", bench)
    if best is not None and best != present:
        found = bench.difference(best, present)
        if found is not None and found.interval.high < 0:
            return _promoted(best, present, f"{best} is better than {present} beyond chance", bench)
    rival = next((name for name in bench.candidates if name != present), None)
    why = f"{rival} is not better beyond chance" if rival else "there is nobody else"
    return Verdict(present, False, None, f"{present} stays: {why}", **_evidence(present, rival, bench))


def refresh_champion(
    warehouse: Warehouse,
    models: ModelStore,
    subreddit: str,
    names: Sequence[str],
    *,
    seed: int,
    progress: Callable[[str], None],
) -> tuple[dict[str, Any] | None, bool]:
    """Judge anew if a model, the training set or the rules changed since the last judgement, and add it to the history.

    Args:
        warehouse: models.predictors, models.training_set and models.validation_predictions are read.
        models: where the models lie; only those that the judgement takes are loaded.
        subreddit: in lower case.
        names: the predictors in use.
        seed: of the bootstrap.
        progress: told why there is a new judgement.

    Returns:
        The last row of models.champions for the subreddit, None if nothing was ever trained; whether it is new.
    """
    scope = {"subreddit": subreddit}
    history = warehouse.query(f"FROM {TABLE} WHERE subreddit = $subreddit ORDER BY judgement", scope).to_pylist()
    last = history[-1] if history else None
    labelled = warehouse.query(_LABELLED, scope).to_pydict()
    snapshot = labelled["snapshot"][0] if labelled["snapshot"] else ""
    trained = [
        model
        for model in warehouse.query(_MODELS, scope).to_pylist()
        if model["predictor"] in names and model["snapshot"] == snapshot and not model["untrained_weights"]
    ]
    digests = sorted((model["predictor"], model["digest"]) for model in trained)
    parts = {"rules": versions.CHAMPIONS, "models": digests, "training set": snapshot, "seed": seed}
    made_from = Snapshot(parts, {"snapshot": "training set", "inputs": ALL})
    if last is None and not trained:
        return None, False
    if made_from.is_of(last):
        return last, False
    progress(f"The champion of r/{subreddit} is judged because {made_from.because(last)}")

    split = np.array(labelled["split"])
    log_score = np.array(labelled["log_score"], dtype=np.float64)
    test = split == "test"
    test_ids = [post_id for post_id, tested in zip(labelled["post_id"], test, strict=True) if tested]
    by_name = {model["predictor"]: model for model in trained}
    known: dict[str, Doubles] = {}

    def errors(name: str) -> Doubles:
        if name not in known:
            known[name] = np.abs(_expected(warehouse, models, by_name[name], test_ids) - log_score[test])
        return known[name]

    learnt = log_score[split == "train"]
    median_errors = np.abs(np.median(learnt) - log_score[test]) if len(learnt) else np.zeros(0)
    clusters = author_clusters([author for author, tested in zip(labelled["cluster"], test, strict=True) if tested])
    verdict = judge(last["predictor"] if last else None, Bench(list(by_name), median_errors, errors, clusters, seed))
    now = utc_now()
    champion = by_name.get(verdict.predictor or "")
    row = {
        **asdict(verdict),
        "subreddit": subreddit,
        "judgement": len(history) + 1,
        "judged_at": now,
        "digest": champion["digest"] if champion else None,
        "promoted_at": now if verdict.promoted else last["promoted_at"] if last and champion else None,
        "test_posts": int(test.sum()),
        "median_mae": float(median_errors.mean()) if len(median_errors) else None,
        "validation_mae": champion["validation_mae"] if champion else None,
        **made_from.columns,
    }
    warehouse.append(TABLE, arrow_table({name: [value] for name, value in row.items()}))
    return row, True


def _promoted(name: str | None, present: str | None, because: str, bench: Bench) -> Verdict:
    """`name` takes the seat of `present`, which is left empty if there is nobody."""
    if name is None:
        return Verdict(None, False, present, f"{because}; no other predictor holds against the median")
    rival = present if present in bench.candidates else next((one for one in bench.candidates if one != name), None)
    passed = "" if name == MEDIAN else "; it holds against the median"
    return Verdict(name, True, present, f"{because}{passed}", **_evidence(name, rival, bench))


def _evidence(name: str, rival: str | None, bench: Bench) -> dict[str, Any]:
    evidence: dict[str, Any] = {"mae": bench.mae(name), "rival": rival}
    if rival is None or rival == name:
        return {**evidence, "rival": None}
    evidence |= {"rival_mae": bench.mae(rival), "mae_difference": bench.mae(name) - bench.mae(rival)}
    found = bench.difference(name, rival)
    if found is not None:
        evidence |= {
            "mae_difference_low": found.interval.low,
            "mae_difference_high": found.interval.high,
            "p_value": found.p_value,
        }
    return evidence


def _expected(warehouse: Warehouse, models: ModelStore, model: Mapping[str, Any], post_ids: Sequence[str]) -> Doubles:
    """(n,) expectations of a stored model for posts, whose ids are in ascending order."""
    data = read_dataset(warehouse, model["subreddit"], encoders_of(model), model["blocks"], post_ids)
    folder = models.folder(model["subreddit"], model["predictor"], model["digest"])
    return load_predictor(folder).predict(data)
