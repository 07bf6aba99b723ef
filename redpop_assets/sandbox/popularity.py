"""The process that decides how popular a post of the local Reddit becomes, and the numbers that describe it.

The natural log score of a post at its final age is

    log1p(score) = base(community) + image + caption + time + author + noise

with five independent terms whose shares of the variance are fixed (`SHARES`); the standard deviation is `SPREAD`. The
median final score of a community is therefore expm1(base).

- image: a sum over the six visible properties of a `Look` (subject, palette, sharpness, overlay, framing, composition);
- caption: a sum over the four readable properties of a `Caption` (theme, tone, story, length);
- time: a smooth daily curve with its top in the early afternoon UTC, plus a weekday step;
- author: one constant per author;
- noise: Gaussian, new for each post, knowable to nobody.

Each community starts from the common `TASTE` and bends it a little (`Taste.of`). The terms are brought to their shares
analytically: mean and variance of each raw sum follow from the probabilities with which properties, hours and authors
occur; the author constants are made orthogonal to what authors prefer to show, to say and to post at, so that the
shares add up. Rare kinds of posts without a picture have an image term of zero.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from redpop_assets.sandbox import captions, pictures

SHARES: Mapping[str, float] = {"image": 0.30, "caption": 0.20, "time": 0.15, "author": 0.15, "noise": 0.20}
SPREAD = 1.3
MEDIAN_SCORE: Mapping[str, float] = {"pics": 60.0, "earthporn": 45.0}

IMAGE_PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "subject": pictures.SUBJECTS,
    "palette": pictures.PALETTES,
    "sharpness": pictures.SHARPNESSES,
    "overlay": pictures.OVERLAYS,
    "framing": pictures.FRAMINGS,
    "composition": pictures.COMPOSITIONS,
}
CAPTION_PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "theme": captions.THEMES,
    "tone": captions.TONES,
    "story": captions.STORIES,
    "length": captions.LENGTHS,
}

# How often each value of a property occurs; subjects by community, everything else in all of them.
ODDS: Mapping[str, tuple[float, ...]] = {
    "palette": (0.25, 0.25, 0.25, 0.25),
    "sharpness": (0.56, 0.20, 0.24),
    "overlay": (0.84, 0.16),
    "framing": (0.78, 0.11, 0.11),
    "composition": (0.4, 0.35, 0.25),
    "theme": (0.16, 0.12, 0.18, 0.13, 0.13, 0.13, 0.15),
    "tone": (0.22, 0.22, 0.2, 0.16, 0.2),
    "story": (0.62, 0.38),
    "length": (0.3, 0.45, 0.25),
}
_SUBJECT_ODDS: Mapping[str, tuple[float, ...]] = {
    "pics": (0.11, 0.11, 0.06, 0.05, 0.1, 0.2, 0.15, 0.1, 0.12),
    "earthporn": (0.33, 0.25, 0.2, 0.14, 0.08, 0.0, 0.0, 0.0, 0.0),
}

# What people like, in arbitrary units; only differences within a property and ratios between properties matter.
TASTE: Mapping[str, tuple[float, ...]] = {
    "subject": (0.6, 0.4, 0.0, -0.3, -0.4, 1.0, -0.1, -1.0, -0.2),
    "palette": (0.3, -0.1, -0.6, 0.45),
    "sharpness": (0.6, 0.15, -1.5),
    "overlay": (0.25, -1.2),
    "framing": (0.1, -0.4, 0.2),
    "composition": (0.45, -0.5, -0.1),
    "theme": (1.0, 0.6, 0.1, 0.1, -0.2, -0.7, -1.0),
    "tone": (0.6, 0.6, 0.0, -0.2, -1.2),
    "story": (-0.35, 0.6),
    "length": (-0.15, 0.1, 0.0),
}
BEND = 0.12
"""How far communities bend the common taste: standard deviation of each value, in the units of `TASTE`."""
_WEEKDAYS = (0.0, -0.1, -0.1, 0.0, -0.15, 0.3, 0.35)
_SLOTS = 168 * 4


def subject_odds(subreddit: str) -> np.ndarray:
    """Probability of each subject in a community; equal for one that is not described here."""
    odds = _SUBJECT_ODDS.get(subreddit.lower(), (1 / len(pictures.SUBJECTS),) * len(pictures.SUBJECTS))
    return np.asarray(odds) / sum(odds)


def posting_rate(week_hour: np.ndarray) -> np.ndarray:
    """Posts per hour, in arbitrary units, at hours since Monday 00:00 UTC: a daily wave, calmer at the weekend."""
    hour, weekday = week_hour % 24, (week_hour // 24).astype(int) % 7
    daily: np.ndarray = 1 + 0.6 * np.cos(2 * np.pi * (hour - 16) / 24)
    return daily * np.where(weekday >= 5, 0.85, 1.0)


def _time_appeal(week_hour: np.ndarray) -> np.ndarray:
    """Raw time effect at hours since Monday 00:00 UTC."""
    hour, weekday = week_hour % 24, (week_hour // 24).astype(int) % 7
    wave = np.cos(2 * np.pi * (hour - 13.5) / 24) + 0.25 * np.cos(4 * np.pi * (hour - 13.5) / 24)
    return np.asarray(wave + np.asarray(_WEEKDAYS)[weekday])


@dataclass(frozen=True)
class Habits:
    """What the authors of a community do: one row per author."""

    activity: np.ndarray
    """(a,) probability that a post is theirs, before the hour is known"""
    hour: np.ndarray
    """(a,) favourite hour of the day, UTC"""
    subject: np.ndarray
    """(a, subjects) probability of each subject"""
    tone: np.ndarray
    """(a, tones) probability of each tone"""

    def at_hour(self, hour: np.ndarray) -> np.ndarray:
        """(h, a) probability of each author for a post made at the hours of the day `hour` (h,)."""
        wave = np.exp(1.2 * np.cos(2 * np.pi * (hour[:, None] - self.hour[None, :]) / 24))
        weight = self.activity * wave
        return np.asarray(weight / weight.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Taste:
    """The five terms of one community, each scaled to its share of the variance."""

    base: float
    image: Mapping[str, Mapping[str, float]]
    caption: Mapping[str, Mapping[str, float]]
    author: np.ndarray
    time_mean: float
    time_scale: float
    noise_scale: float

    @classmethod
    def of(cls, subreddit: str, habits: Habits, rng: np.random.Generator, bend: float = BEND) -> "Taste":
        """The taste of a community with these authors; `rng` bends the common taste and draws the author constants."""
        odds = {name: np.asarray(values) for name, values in ODDS.items()}
        slots = np.arange(_SLOTS) / 4
        rate = posting_rate(slots) / posting_rate(slots).sum()
        who = habits.at_hour(slots % 24)
        present = rate @ who
        odds["subject"], odds["tone"] = present @ habits.subject, present @ habits.tone

        image, image_by_author = _scaled("image", IMAGE_PROPERTIES, odds, "subject", habits.subject, bend, rng)
        caption, caption_by_author = _scaled("caption", CAPTION_PROPERTIES, odds, "tone", habits.tone, bend, rng)

        appeal = _time_appeal(slots)
        time_mean = float(rate @ appeal)
        time_scale = _deviation("time") / float(np.sqrt(rate @ (appeal - time_mean) ** 2))
        hours_by_author = (rate * (appeal - time_mean)) @ who / present

        habitual = np.column_stack([np.ones_like(present), image_by_author, caption_by_author, hours_by_author])
        raw = rng.normal(size=len(present))
        root = np.sqrt(present)[:, None]
        if len(present) > 2 * habitual.shape[1]:
            raw = raw - habitual @ np.linalg.lstsq(habitual * root, raw * root[:, 0], rcond=None)[0]
        else:
            raw = raw - present @ raw
        deviation = float(np.sqrt(present @ raw**2))
        author = raw * (_deviation("author") / deviation) if deviation > 0 else raw
        median = MEDIAN_SCORE.get(subreddit.lower(), 50.0)
        return cls(float(np.log1p(median)), image, caption, author, time_mean, time_scale, _deviation("noise"))

    def of_look(self, look: pictures.Look) -> float:
        """The image term."""
        return sum(effects[getattr(look, name)] for name, effects in self.image.items())

    def of_caption(self, caption: captions.Caption) -> float:
        """The caption term."""
        return sum(effects[getattr(caption, name)] for name, effects in self.caption.items())

    def of_time(self, week_hour: float) -> float:
        """The time term at hours since Monday 00:00 UTC."""
        return (float(_time_appeal(np.asarray([week_hour]))[0]) - self.time_mean) * self.time_scale


def _deviation(term: str) -> float:
    """Standard deviation of a term of the log score."""
    return SPREAD * float(np.sqrt(SHARES[term]))


def _scaled(
    term: str,
    properties: Mapping[str, tuple[str, ...]],
    odds: Mapping[str, np.ndarray],
    personal: str,
    by_author: np.ndarray,
    bend: float,
    rng: np.random.Generator,
) -> tuple[dict[str, dict[str, float]], np.ndarray]:
    """Effects of every value, centred and scaled to the share, and (a,) their mean for each author.

    The properties are independent of each other, so the variance of the sum is the sum of the variances.
    """
    centred = {}
    variance = 0.0
    for name in properties:
        raw = np.asarray(TASTE[name]) + rng.normal(0, bend, len(TASTE[name]))
        raw = raw - odds[name] @ raw
        centred[name] = raw
        variance += float(odds[name] @ raw**2)
    scale = SPREAD * float(np.sqrt(SHARES[term] / variance))
    effects = {
        name: dict(zip(values, (centred[name] * scale).tolist(), strict=True)) for name, values in properties.items()
    }
    return effects, by_author @ (centred[personal] * scale)


def growth(age: float, pace: float) -> float:
    """Share of the final score reached at `age` (seconds): 1 - exp(-(age/pace)^1.4), a sigmoid; `pace` in seconds."""
    return 0.0 if age <= 0 else 1 - math.exp(-((age / pace) ** 1.4))
