"""Explanations of boosted predictors: they sum to the prediction, and the planted effects come first."""

import numpy as np
import pytest

from redpop_assets.errors import ArtifactError
from redpop_assets.predictors.parts.contributions import Contributions, Explained
from redpop_assets.predictors.registry import load_predictor, predictor_class

pytestmark = pytest.mark.integration

EXPLAINED = ("metadata_boosting", "fusion_lightgbm", "catboost_fusion")


@pytest.mark.parametrize("name", EXPLAINED)
def test_contributions_sum_to_the_prediction(name, fitted, small):
    predictor = fitted(name)[0]
    assert isinstance(predictor, Explained)
    found = predictor.contributions(small.test)
    assert found.added.shape == (len(small.test), len(found.inputs))
    assert found.base + found.added.sum(axis=1) == pytest.approx(predictor.predict(small.test), abs=1e-6)
    assert {block for block, _ in found.inputs} <= set(predictor.columns) | {"title words"}
    known = dict(zip(found.inputs, found.values.T, strict=True))
    column = predictor.columns["text"][0]
    assert np.array_equal(known["text", column], small.test.blocks["text"].pick((column,)).values[:, 0])


@pytest.mark.parametrize("name", EXPLAINED)
def test_a_loaded_predictor_explains_the_same(name, fitted, small, tmp_path):
    predictor = fitted(name)[0]
    predictor.save(tmp_path)
    one, other = predictor.contributions(small.test), load_predictor(tmp_path).contributions(small.test)
    assert (one.inputs, one.base) == (other.inputs, pytest.approx(other.base))
    assert one.added == pytest.approx(other.added)


def test_the_planted_crossing_is_found(fitted, small):
    """After noon a certain property of the caption adds 3: column 5 of the text, and the hour."""
    found = fitted("metadata_boosting")[0].contributions(small.test)
    size = dict(zip(found.inputs, np.abs(found.added).mean(axis=0), strict=True))
    first = max((key for key in size if key[0] == "text"), key=size.__getitem__)
    assert first == ("text", small.train.blocks["text"].columns[5])
    hours = sum(value for (block, name), value in size.items() if block == "time" and "weekday" not in name)
    assert hours > sum(value for (block, _), value in size.items() if block == "flags")


def test_who_cannot_explain_itself_does_not_claim_to():
    assert not isinstance(predictor_class("redpop_thesis")(), Explained)


@pytest.mark.parametrize("name", EXPLAINED)
def test_data_of_other_columns_are_refused(name, fitted, small):
    with pytest.raises(ArtifactError, match="train it again"):
        fitted(name)[0].contributions(small.test.without("time"))


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 inputs"):
        Contributions(0.0, (("a", "b"), ("a", "c")), np.zeros((3, 1)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="twice"):
        Contributions(0.0, (("a", "b"), ("a", "b")), np.zeros((3, 2)), np.zeros((3, 2)))
