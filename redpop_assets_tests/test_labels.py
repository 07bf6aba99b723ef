"""The label rule: an age from which readings count, and a later one from which the label is final."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.labels import LabelRule

AGES = st.timedeltas(timedelta(microseconds=1), timedelta(days=9999))
WINDOWS = st.timedeltas(timedelta(0), timedelta(days=9999))


@given(AGES, WINDOWS)
def test_a_label_is_final_when_the_window_behind_its_age_is_over(age, window):
    rule = LabelRule(age, window)
    assert rule.final_age - rule.window == rule.age
    assert rule.final_age >= rule.age


@pytest.mark.parametrize(
    ("age", "window"), [(timedelta(0), timedelta(hours=1)), (timedelta(days=7), timedelta(hours=-1))]
)
def test_a_label_from_no_age_or_over_no_window_is_refused(age, window):
    with pytest.raises(ValueError, match="age above 0"):
        LabelRule(age, window)
