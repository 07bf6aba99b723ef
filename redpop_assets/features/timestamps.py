"""When a post was made, as numbers: the plain calendar fields and three encodings that know that time runs in circles.

A clock hour, a weekday and a day of the year are points on a circle. Each is offered as dummies (one column per bin),
as sine and cosine, and as radial basis functions, so that linear models, trees and networks can each take what suits
them. Everything is UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import CHEAP_CHUNK, Encoders, Family, Features, Subjects

Floats: TypeAlias = "npt.NDArray[np.float32]"

CODE_VERSION: Final = "1"
"""Raise it whenever a time would get other numbers than before."""

COLUMNS: Final[tuple[str, ...]] = (
    "hour",
    "weekday",
    "day_of_year",
    "hour_sin",
    "hour_cos",
    "weekday_sin",
    "weekday_cos",
    "day_of_year_sin",
    "day_of_year_cos",
    "hour_onehot",
    "weekday_onehot",
    "month_onehot",
    "hour_rbf",
    "weekday_rbf",
    "day_of_year_rbf",
)
"""Order of the columns of `timestamp_features`."""

WIDTHS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "hour_onehot": 24,
        "weekday_onehot": 7,
        "month_onehot": 12,
        "hour_rbf": 12,
        "weekday_rbf": 7,
        "day_of_year_rbf": 12,
    }
)
"""Width of the columns that are vectors; all others are scalars."""

HOURS_PER_DAY: Final = 24.0
DAYS_PER_WEEK: Final = 7.0
DAYS_PER_YEAR: Final = 365.25

_SECONDS_PER_DAY: Final = 86_400


def timestamp_features(created_at: npt.NDArray[np.datetime64]) -> dict[str, Floats]:
    """Encode creation times.

    Args:
        created_at: (n,) datetime64, UTC; finer units are truncated to seconds.

    Returns:
        The columns of `COLUMNS`, float32, shape (n,), or (n, k) for those in `WIDTHS`:

        * `hour` 0-23, `weekday` 0-6 (0 is Monday), `day_of_year` 1-366: calendar fields, whole numbers;
        * `*_sin`, `*_cos`: sine and cosine of 2 pi x / period with the periods 24 h, 7 d and 365.25 d; x is continuous
          (a quarter past is a quarter on), so 23:59 is next to 00:00 and Sunday night next to Monday morning;
        * `*_onehot`: one column per hour, weekday and calendar month (January first);
        * `*_rbf`: see `circular_rbf`; twelve bumps two hours apart, seven bumps at the midnights that begin Monday to
          Sunday, twelve bumps a twelfth of a year apart.

        The place in the year is the number of days since 2000-01-01 modulo 365.25, not the day of the calendar year:
        the calendar year jumps by a day at a leap day or at New Year, whereas this runs evenly, and a date differs by
        less than a day between years.

    Raises:
        ValueError: a time is missing (NaT) or the array is not one-dimensional.
    """
    seconds = _seconds(created_at)
    days = seconds // _SECONDS_PER_DAY
    hour = (seconds % _SECONDS_PER_DAY) / 3600.0
    # 1970-01-01 was a Thursday.
    weekday = (days + 3) % 7
    week_position = weekday + hour / HOURS_PER_DAY
    first_of_2000 = 10_957
    year_position = np.mod(days - first_of_2000 + hour / HOURS_PER_DAY, DAYS_PER_YEAR)

    dates = days.astype("datetime64[D]")
    month = dates.astype("datetime64[M]").astype(np.int64) % 12
    day_of_year = (dates - dates.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) + 1

    hour_sin, hour_cos = _sine_and_cosine(hour, HOURS_PER_DAY)
    weekday_sin, weekday_cos = _sine_and_cosine(week_position, DAYS_PER_WEEK)
    year_sin, year_cos = _sine_and_cosine(year_position, DAYS_PER_YEAR)
    return {
        "hour": np.floor(hour).astype(np.float32),
        "weekday": weekday.astype(np.float32),
        "day_of_year": day_of_year.astype(np.float32),
        "hour_sin": hour_sin,
        "hour_cos": hour_cos,
        "weekday_sin": weekday_sin,
        "weekday_cos": weekday_cos,
        "day_of_year_sin": year_sin,
        "day_of_year_cos": year_cos,
        "hour_onehot": _one_hot(np.floor(hour).astype(np.int64), WIDTHS["hour_onehot"]),
        "weekday_onehot": _one_hot(weekday, WIDTHS["weekday_onehot"]),
        "month_onehot": _one_hot(month, WIDTHS["month_onehot"]),
        "hour_rbf": circular_rbf(hour, HOURS_PER_DAY, WIDTHS["hour_rbf"]),
        "weekday_rbf": circular_rbf(week_position, DAYS_PER_WEEK, WIDTHS["weekday_rbf"]),
        "day_of_year_rbf": circular_rbf(year_position, DAYS_PER_YEAR, WIDTHS["day_of_year_rbf"]),
    }


def circular_rbf(position: npt.NDArray[np.float64], period: float, bumps: int) -> Floats:
    """Evaluate equally spaced Gaussian bumps on a circle.

    Bump j has its centre at c_j = j * period / bumps and the value exp(-(d / w)^2), where d is the shorter way round
    from the position to c_j and w = period / bumps is the spacing: 1 at its own centre, 1/e at the neighbouring ones.
    This is the repeating basis function of scikit-lego (`RepeatingBasisFunction`, default width), the third of the
    encodings that E. Lewinson compares for time features.

    Args:
        position: (n,) places on the circle, in the unit of `period`.
        period: length of the circle.
        bumps: number of bumps.

    Returns:
        (n, bumps) float32 in (0, 1].
    """
    spacing = period / bumps
    offset = np.abs(np.mod(position, period)[:, None] - np.arange(bumps) * spacing)
    distance = np.minimum(offset, period - offset)
    bump: Floats = np.exp(-((distance / spacing) ** 2)).astype(np.float32)
    return bump


def _seconds(created_at: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int64]:
    times = np.asarray(created_at, dtype="datetime64[s]")
    if times.ndim != 1:
        raise ValueError(f"created_at must have shape (n,), not {times.shape}")
    if np.isnat(times).any():
        raise ValueError("created_at has missing times; leave those posts out first")
    return times.astype(np.int64)


def _sine_and_cosine(position: npt.NDArray[np.float64], period: float) -> tuple[Floats, Floats]:
    angle = 2.0 * np.pi * position / period
    return np.sin(angle).astype(np.float32), np.cos(angle).astype(np.float32)


def _one_hot(index: npt.NDArray[np.int64], width: int) -> Floats:
    dummies: Floats = (index[:, None] == np.arange(width)).astype(np.float32)
    return dummies


def _of_posts(subjects: Subjects, _: Encoders) -> Features:
    return timestamp_features(subjects.created_at)


FAMILY: Final = Family(
    "time",
    "features.timestamp_features",
    "post",
    CODE_VERSION,
    _of_posts,
    compared=False,  # it drifts with the calendar, by design
    rows_at_once=CHEAP_CHUNK,
    note="Hour, weekday and day of the year (UTC) as dummies, on a circle, and as radial bases.",
)
