"""`marts.shap`: which inputs move the boosted predictors, by how much and in which direction (TreeSHAP)."""

from __future__ import annotations

from typing import Final

from redpop_assets.analyses.drawings import beeswarm
from redpop_assets.analyses.study import LEAST_POSTS, Analysis, Finding, Row, Study
from redpop_assets.arrays import np
from redpop_assets.evaluation.metrics import spearman
from redpop_assets.predictors.parts.contributions import Contributions, Explained

MOST_POSTS: Final = 2_000
"""Test posts that are explained, the newest."""

DRAWN: Final = 15
"""Inputs of a figure, the most important ones."""


def measure(study: Study) -> Finding:
    """One row per input of each trained predictor that can explain itself."""
    rows: list[Row] = []
    figures: dict[str, bytes] = {}
    notes: list[str] = []
    for model in study.trained:
        predictor = study.load(model)
        if not isinstance(predictor, Explained):
            continue
        study.progress(f"shap: {model.name} in r/{study.subreddit}")
        test = study.parts(model.blocks, model.encoders)["test"].data.newest(MOST_POSTS)
        if len(test) < LEAST_POSTS:
            notes.append(f"{model.name}: too few test posts: {len(test)} of {LEAST_POSTS}")
            continue
        found = predictor.contributions(test)
        ranked = importance(found)
        rows += [{"predictor": model.name, "posts": len(test), **row} for row in ranked]
        figures[SHAP.figure_name(study, model.name)] = _drawing(study, model.name, found, ranked)
    if not rows and not notes:
        notes.append("no trained predictor can explain itself")
    return Finding(rows, figures, tuple(notes))


def importance(found: Contributions) -> list[Row]:
    """The inputs, the largest mean size of their contributions first; those that never add anything are left out."""
    size = np.abs(found.added).mean(axis=0)
    total = float(size.sum())
    order = [int(at) for at in np.argsort(-size, kind="stable") if size[at] > 0.0]
    rows = []
    for rank, at in enumerate(order, start=1):
        known = ~np.isnan(found.values[:, at])
        rows.append(
            {
                "block": found.inputs[at][0],
                "input": found.inputs[at][1],
                "rank": rank,
                "mean_abs": float(size[at]),
                "share": float(size[at]) / total,
                "direction": spearman(found.values[known, at], found.added[known, at]),
            }
        )
    return rows


def _drawing(study: Study, name: str, found: Contributions, ranked: list[Row]) -> bytes:
    first = [(row["block"], row["input"]) for row in ranked[:DRAWN]]
    at = [found.inputs.index(pair) for pair in first]
    return beeswarm(
        [f"{block}: {column}" for block, column in first],
        found.added[:, at],
        found.values[:, at],
        title=f"{name} in r/{study.subreddit}: what moves it",
        axis="added to the expected log score",
    )


SHAP = Analysis(
    name="shap",
    question=(
        "Which inputs move the boosted predictors, by how much and in which direction? Shapley values of test posts "
        "(TreeSHAP, Lundberg et al. 2020), which sum to the prediction; what a kernel or ridge regression says of a "
        "whole block counts as one input. They explain the predictor, not the score."
    ),
    measure=measure,
    version="1",
    draws=True,
    order="subreddit, rank, predictor",
    shown={
        "subreddit": "subreddit",
        "predictor": "predictor",
        "rank": "rank",
        "block": "block",
        "input": "input",
        "mean_abs": "mean size",
        "share": "share",
        "direction": "direction",
    },
)
