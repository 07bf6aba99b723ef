"""A community with planted effects: what an honest predictor can find in it is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from redpop_assets.features.community import community_features
from redpop_assets.features.environments import environments
from redpop_assets.features.neighbours import neighbour_features
from redpop_assets.features.retrieved import retrieved_features
from redpop_assets.predictors.dataset import Block, Dataset

TEXT_COLUMNS = (
    *("characters", "words", "mean_word_length", "bracket_tags", "vader_compound", "user_mentions"),
    *(f"nrc_{i}" for i in range(10)),
)
AUTHOR_COLUMNS = ("past_mature_posts", "past_mean_log_score", "is_cold_start")
TIME_COLUMNS = ("hour_sin", "hour_cos", "half_day_sin", "half_day_cos", "weekday_sin", "weekday_cos", "hour", "weekday")
FLAG_COLUMNS = ("is_gallery", "is_crosspost", "is_original_content", "has_flair")
WORDS = (
    *("cat", "dog", "lake", "fog", "dawn", "city", "bird", "snow"),
    *("moon", "tree", "road", "barn", "rose", "wolf", "ship", "rain"),
)
FILLERS = ["a", "the", "my", "this", "in", "on", "with", "of"]
SHARES = {"image": 0.30, "caption": 0.20, "time": 0.15, "author": 0.15, "noise": 0.20}
MATURITY = np.timedelta64(7, "D")

_Numbers = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Planted:
    """Three parts of a community, in the order of time, and the best that can be said of the last one."""

    train: Dataset
    validation: Dataset
    test: Dataset
    oracle: _Numbers
    """Expected log score of the test posts: everything but the noise."""


def standardised(values: _Numbers) -> _Numbers:
    """Mean 0, standard deviation 1."""
    scaled: _Numbers = (values - values.mean()) / values.std()
    return scaled


def embedded(rng: np.random.Generator, latent: _Numbers, width: int, *, relu: bool) -> _Numbers:
    """Latent factors mixed linearly and through tanh into many columns, with noise: (n, width), L2-normalised."""
    linear = latent @ rng.normal(size=(latent.shape[1], width)) / np.sqrt(latent.shape[1])
    bent = np.tanh(latent @ rng.normal(size=(latent.shape[1], 32))) @ rng.normal(size=(32, width)) / np.sqrt(32)
    values: _Numbers = linear + bent + 1.0 * rng.normal(size=linear.shape)
    if relu:
        values = np.maximum(values, 0)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return values


def block(
    values: npt.ArrayLike, columns: Sequence[str] | None = None, present: npt.NDArray[np.bool_] | None = None
) -> Block:
    """A block of numbers, (n, d), missing where the post has none; columns are numbered unless they have names."""
    values = np.asarray(values, dtype=np.float32)
    present = np.ones(len(values), dtype=bool) if present is None else present
    values = np.where(present[:, None], values, np.float32(np.nan))
    return Block(values, tuple(columns or (f"c{i}" for i in range(values.shape[1]))), present)


def planted_captions(rng: np.random.Generator, latent: _Numbers) -> tuple[str, ...]:
    """Captions of a dozen words: each latent factor of the caption is heard as one of two words, between fillers.

    Some have a tag, which says nothing.
    """
    heard = (latent > 0.3 * rng.normal(size=latent.shape)).astype(int)
    lines = [
        " ".join(rng.permutation([*(WORDS[2 * i + word] for i, word in enumerate(row)), *rng.choice(FILLERS, 4)]))
        for row in heard
    ]
    tagged = rng.random(len(lines)) < 0.3
    return tuple(f"{title} [OC]" if tag else title for title, tag in zip(lines, tagged, strict=True))


def softmax(values: _Numbers) -> _Numbers:
    """Shares of each row, (n, d)."""
    powers: _Numbers = np.exp(values - values.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def content_blocks(
    rng: np.random.Generator,
    image: _Numbers,
    caption: _Numbers,
    present: npt.NDArray[np.bool_],
    objects: int = 12,
    concepts: int = 20,
) -> dict[str, Block]:
    """What networks and formulas say of picture and title: noisy views of the same latent factors, and plain noise."""
    n = len(image)
    shares = softmax(1.5 * image @ rng.normal(size=(8, objects)) + rng.normal(size=(n, objects)))
    entropy = -(shares * np.log(shares + 1e-9)).sum(axis=1)
    matches = 0.2 + 0.02 * (image[:, 0] * caption[:, 0] + rng.normal(size=n))
    return {
        "visual": block(
            np.hstack([image[:, 2:6] + rng.normal(size=(n, 4)), rng.normal(size=(n, 30))]), present=present
        ),
        "objects": block(
            np.column_stack([shares, shares.max(axis=1), entropy]),
            [*(f"families_{i:03d}" for i in range(objects)), "peak", "entropy"],
            present,
        ),
        "concepts": block(
            image @ rng.normal(size=(8, concepts)) + 2 * rng.normal(size=(n, concepts)),
            [f"anp_{i:03d}" for i in range(concepts)],
            present,
        ),
        "agreement": block(np.column_stack([matches, 1 - matches]), ["agreement", "inconsistency"], present),
        "entities": block(rng.poisson(0.3, size=(n, 7))),
        "emotions": block(softmax(caption[:, :5] + rng.normal(size=(n, 5)))),
    }


def environment_means(
    ids: Sequence[str],
    authors: Sequence[str | None],
    created: npt.NDArray[np.datetime64],
    vectors: Mapping[str, Block],
) -> tuple[_Numbers, _Numbers]:
    """Mean picture and caption of strictly earlier posts, as the platform computes them: (n, d) and (n, e)."""
    image, caption = (np.zeros_like(vectors[name].values) for name in ("image", "caption"))
    for found in environments(ids, authors, created, vectors["image"].values, vectors["caption"].values):
        image[found.rows], caption[found.rows] = found.image_mean, found.caption_mean
    return image, caption


def history_blocks(
    rng: np.random.Generator,
    vectors: Mapping[str, Block],
    authors: Sequence[str | None],
    created: npt.NDArray[np.datetime64],
    score: _Numbers,
) -> dict[str, Block]:
    """What earlier posts tell, as the platform itself computes it; a few pictures were seen before."""
    n = len(score)
    ids, matured = [f"p{i}" for i in range(n)], created + MATURITY
    known = (ids, created, matured, score)
    near = neighbour_features(*known, vectors["image"].values, vectors["caption"].values)
    retrieved = retrieved_features(*known, authors, vectors["image"].values, vectors["caption"].values)
    age = (created - created[0]).astype(float) / np.ptp(created).astype(float)
    members = np.rint(50_000 * np.exp(0.1 * age + 0.01 * rng.normal(size=n)))
    traffic = community_features(ids, authors, created, matured, score, subscribers=members)
    image_mean, caption_mean = environment_means(ids, authors, created, vectors)
    seen = rng.random(n) < 0.1
    return {
        "novelty": block(
            rng.random((n, 4)), ["window_posts", "max_similarity", "mean_similarity", "unseen_word_share"]
        ),
        "community": block(np.column_stack(list(traffic.values())), list(traffic)),
        "seen": block(np.column_stack([seen, rng.random(n) * seen]), ["seen_before", "best_percentile"]),
        "environment": block(
            np.hstack([image_mean, caption_mean]),
            [
                f"{kind}_{i:04d}"
                for kind, values in (("image_mean", image_mean), ("caption_mean", caption_mean))
                for i in range(values.shape[1])
            ],
        ),
        "neighbours": block(np.column_stack(list(near.values())), list(near)),
        "retrieved": Block.of(retrieved),
    }


def make_planted(
    seed: int = 0,
    sizes: tuple[int, int, int] = (650, 100, 250),
    image_width: int = 1280,
    caption_width: int = 384,
    missing_images: float = 0.03,
    crossed: float = 0.0,
) -> Planted:
    """Make such a community; `SHARES` says how much of the variance of log scores is due to what.

    Args:
        seed: of everything.
        sizes: posts to learn from, to validate with and to test on.
        image_width: numbers in the vector of a picture.
        caption_width: numbers in the vector of a caption.
        missing_images: share of posts without a picture.
        crossed: added to the log score after noon for captions with a certain property: an effect no sum can hold.
    """
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    start = np.datetime64("2025-03-01T00:00:00", "s")
    created = start + np.sort(rng.integers(0, 100 * 86400, n)).astype("timedelta64[s]")
    authors = rng.zipf(1.6, n) % 220

    image, caption = rng.normal(size=(n, 8)), rng.normal(size=(n, 8))
    hour = (created - created.astype("datetime64[D]")).astype(float) / 3600
    weekday = (created.astype("datetime64[D]").astype(int) + 3) % 7
    bump = np.exp(-((np.minimum(abs(hour - 14), 24 - abs(hour - 14)) / 3.5) ** 2))
    effects = {
        "image": standardised(
            image @ rng.normal(size=8) + 0.8 * np.tanh(image[:, 0] * image[:, 1]) + 0.6 * abs(image[:, 2])
        ),
        "caption": standardised(caption @ rng.normal(size=8) + 0.5 * np.tanh(2 * caption[:, 0])),
        "time": standardised(bump + 0.15 * (weekday >= 5)),
        "author": standardised(rng.normal(size=220)[authors]),
        "noise": standardised(rng.normal(size=n)),
    }
    score = 3.0 + 1.4 * sum(np.sqrt(SHARES[name]) * effect for name, effect in effects.items())
    noise_free = score - 1.4 * np.sqrt(SHARES["noise"]) * effects["noise"]

    text = np.column_stack([caption[:, :4] + rng.normal(size=(n, 4)), rng.normal(size=(n, 12))])
    crossing = crossed * ((text[:, 5] > 0.3) & (hour > 12))
    score, noise_free = score + crossing, noise_free + crossing

    past_posts, past_mean = np.zeros(n), np.full(n, np.nan)
    for i in range(n):
        mature = created + MATURITY <= created[i]
        community = score[mature].mean() if mature.any() else 0.0
        own = score[mature & (authors == authors[i])]
        past_posts[i] = len(own)
        past_mean[i] = (own.sum() + 3 * community) / (len(own) + 3)
    turns = [np.sin, np.cos]
    time_values = np.column_stack(
        [turn(2 * np.pi * k * hour / 24) for k in (1, 2) for turn in turns]
        + [turn(2 * np.pi * weekday / 7) for turn in turns]
        + [hour, weekday]
    )
    present = rng.random(n) >= missing_images
    blocks = {
        "image": block(embedded(rng, image, image_width, relu=True), present=present),
        "caption": block(embedded(rng, caption, caption_width, relu=False)),
        "text": block(text, TEXT_COLUMNS),
        "time": block(time_values, TIME_COLUMNS),
        "author": block(np.column_stack([np.log1p(past_posts), past_mean, past_posts == 0]), AUTHOR_COLUMNS),
        "flags": block(rng.random((n, 4)) < 0.1, FLAG_COLUMNS),
        "pixels": block(image[:, :3] + rng.normal(size=(n, 3)), present=present),
    }
    # Streams of their own: a block more leaves the others as they were.
    words, content, history = (np.random.default_rng((seed, stream)) for stream in range(1, 4))
    names = tuple(f"author{author}" if author else None for author in authors)
    blocks |= content_blocks(content, image, caption, present)
    blocks |= history_blocks(history, blocks, names, created, score)
    data = Dataset(
        *("pics", tuple(f"p{i}" for i in range(n)), blocks, created, score.astype(np.float32)),
        captions=planted_captions(words, caption),
        authors=names,
    )
    part = np.repeat([0, 1, 2], sizes)
    train, validation, test = (data.select(part == i) for i in range(3))
    return Planted(train, validation, test, noise_free[part == 2])


def make_drifting(
    seed: int = 0,
    sizes: tuple[int, int, int] = (800, 150, 350),
    *,
    subjects: int = 12,
    share: float = 0.6,
    memory_days: float = 60.0,
    days: int = 240,
    image_width: int = 64,
    caption_width: int = 32,
) -> Planted:
    """Make a community in which what a subject is worth changes all the time, so that only past posts like it can tell.

    Every post is about one of some subjects, which the vectors of picture and title show. What a subject is worth is a
    stationary process of its own (Ornstein and Uhlenbeck 1930): little of what it was worth in the train part remains
    in the test part, but posts of some weeks ago tell. Besides, the hour counts, and the rest is noise. With a `share`
    of 0 all subjects are worth the same, and neighbours tell nothing.

    Args:
        seed, sizes, image_width, caption_width: as of `make_planted`.
        subjects: how many.
        share: of the variance of log scores that is due to the worth of the subject; at most 0.7.
        memory_days: after which the worth of a subject still correlates by 1/e with what it was.
        days: that the posts span.
    """
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    seconds = np.sort(rng.integers(0, days * 86_400, n))
    created = np.datetime64("2025-03-01T00:00:00", "s") + seconds.astype("timedelta64[s]")
    subject = rng.integers(0, subjects, n)
    kept = np.exp(-1 / memory_days)
    worth = np.empty((days, subjects))
    worth[0] = rng.normal(size=subjects)
    for day in range(1, days):
        worth[day] = kept * worth[day - 1] + np.sqrt(1 - kept**2) * rng.normal(size=subjects)
    hour = (seconds % 86_400) / 3600
    told = np.sqrt(0.3) * standardised(np.sin(2 * np.pi * hour / 24))
    told = told + np.sqrt(share) * worth[seconds // 86_400, subject]
    score = 3.0 + 1.4 * (told + np.sqrt(0.7 - share) * rng.normal(size=n))

    image = rng.normal(size=(subjects, 8))[subject] + 0.3 * rng.normal(size=(n, 8))
    caption = rng.normal(size=(subjects, 8))[subject] + 0.3 * rng.normal(size=(n, 8))
    authors = tuple(f"author{author}" for author in rng.integers(0, n, n))
    blocks = {
        "image": block(embedded(rng, image, image_width, relu=True)),
        "caption": block(embedded(rng, caption, caption_width, relu=False)),
        "text": block(rng.normal(size=(n, len(TEXT_COLUMNS))), TEXT_COLUMNS),
        "time": block(np.column_stack([np.sin(2 * np.pi * hour / 24), hour]), ("hour_sin", "hour")),
        "pixels": block(image[:, :3] + rng.normal(size=(n, 3))),
    }
    blocks |= history_blocks(rng, blocks, authors, created, score)
    data = Dataset(
        *("pics", tuple(f"p{i}" for i in range(n)), blocks, created, score.astype(np.float32)),
        captions=planted_captions(rng, caption),
        authors=authors,
    )
    part = np.repeat([0, 1, 2], sizes)
    train, validation, test = (data.select(part == i) for i in range(3))
    return Planted(train, validation, test, 3.0 + 1.4 * told[part == 2])
