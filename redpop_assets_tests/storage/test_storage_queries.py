"""The questions of warehouse/queries, asked of a published warehouse and answered a second time in Python."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import rankdata, spearmanr

from redpop_assets.encoders.base import CODE_VERSION as ENCODING_VERSION
from redpop_assets.features import captions, pixels
from redpop_assets.features.family import Encoders
from redpop_assets.refresh.catalogue import refresh_catalogue
from redpop_assets.refresh.leaderboard import refresh_leaderboard
from redpop_assets.storage.schema import load_schema, warehouse_folder
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

QUERIES = sorted((warehouse_folder() / "queries").glob("*.sql"))
LABEL_AGE = timedelta(days=7)
ENCODER = "timm:tf_efficientnet_lite0/bundled"
Row = dict[str, Any]
Answers = Callable[[str], list[Row]]

CAPTIONS = (
    "A happy dog loves the sunshine",
    "Sad lonely cat waits for a friend who will never come home again, what a terrible loss",
    "The sea",
    "Angry storm over the mountain village last night",
    "My grandmother's wonderful birthday cake, she is so proud of it",
    "Fear of the dark forest",
    "Good morning from the most beautiful valley in the world",
)
HASHES = {0: "f0f0f0f00f0f0f0f", 1: "f0f0f0f00f0f0f00", 2: "f0f0f0f00f0ff0f0", 3: "f0f0f0f00f0f0f0d"}


class World:
    """60 posts of two communities: what the tables are filled with, and what the answers are computed from."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(20240304)
        self.posts = [self._post(n) for n in range(60)]
        for subreddit in ("aww", "pics"):
            labelled = [post for post in self.posts if post["subreddit"] == subreddit and post["score"] is not None]
            ranks = rankdata([post["score"] for post in labelled])
            for post, rank in zip(labelled, ranks, strict=True):
                post["percentile"] = (rank - 0.5) / len(labelled)
        self.rejected = [
            ("aww", "video"), ("aww", "video"), ("aww", "self"), ("pics", "removed_by_moderator"),
        ]  # fmt: skip
        self.observations = [reading for post in self.posts for reading in self._readings(post)]
        self.vectors = {
            sha: vector / np.linalg.norm(vector)
            for sha in sorted({post["sha"] for post in self.posts if post["sha"]})
            for vector in [self.rng.normal(size=8)]
        }

    def _post(self, n: int) -> Row:
        subreddit = "aww" if n < 33 else "pics"
        author = None if n % 20 == 19 else f"{subreddit}-author-{n % (12 if subreddit == 'aww' else 5)}"
        young = n in (31, 58, 59)
        created_at = datetime(2024, 3, 4, 9 + n // 12 % 2 * 8, n) + timedelta(days=52 if young else n * 2 % 45)
        talent = 0.0 if author is None else len(author) % 3 + int(author.rsplit("-", 1)[1]) % 4
        # Post 32 was lost sight of before it matured.
        score = None if young or n == 32 else int(self.rng.lognormal(2 + 0.7 * talent, 1.0))
        broken = {7: "url_dead", 8: "url_dead", 40: "timeout"}.get(n)
        # The second post of picture 0 is a repost, and so is the first one of the other subreddit.
        picture = 0 if n in (0, 20, 33) else n
        return {
            "post_id": f"p{n:02}",
            "subreddit": subreddit,
            "author": author,
            "cluster": author or f"p{n:02}",
            "created_at": created_at,
            "caption": CAPTIONS[n % 7] if n < 50 else f"{CAPTIONS[n % 7]} {CAPTIONS[n % 3]}",
            "url": f"https://{'i.imgur.com' if n % 4 == 0 else 'i.redd.it'}/{n}.jpg",
            "reason": broken,
            "sha": None if broken else _hash(f"picture {picture}"),
            "phash": HASHES.get(picture, _hash(f"phash {picture}")[:16]),
            "score": score,
            "log_score": None if score is None else math.log1p(score),
            "percentile": None,
            "labelled_at": created_at + LABEL_AGE + timedelta(minutes=n),
            "listing": "top" if n % 3 == 0 else "new",
            "expected": float(self.rng.normal(3, 1)) + (0.0 if score is None else 0.8 * math.log1p(score)),
            "split": "unlabelled" if score is None else "test" if n % 2 else "train",
        }

    def _readings(self, post: Row) -> Iterator[Row]:
        def reading(observed_at: datetime, score: int, hidden: bool = False) -> Row:
            return {
                **{name: post[name] for name in ("post_id", "subreddit")},
                "observed_at": observed_at,
                "endpoint": "listing",
                "score": score,
                "hide_score": hidden,
            }

        final = 50 if post["score"] is None else post["score"]
        newest = 35 if post["score"] is None else 14 * 24
        for hours, share in ((0.2, 0.02), (0.6, 0.1), (3, 0.4), (30, 0.9), (100, 1.02)):
            if hours < newest:
                wobble = self.rng.uniform(0.8, 1.2)
                yield reading(post["created_at"] + timedelta(hours=hours), round(final * share * wobble), hours == 0.6)
        if post["score"] is not None:
            fuzz = int(self.rng.integers(-9, 10))
            fuzz = max(min(fuzz, final), -final)
            # The label is the median of two readings, or the only one.
            pair = ((0, final),) if post["created_at"].minute % 7 == 3 else ((0, final - fuzz), (20, final + fuzz))
            for seconds, score in pair:
                yield reading(post["labelled_at"] + timedelta(seconds=seconds), score)
            yield reading(post["labelled_at"] + timedelta(days=2, minutes=1), 2 * final)

    def label_readings(self, post: Row) -> list[Row]:
        """The readings that made the label."""
        window = post["labelled_at"], post["labelled_at"] + timedelta(days=2)
        own = [reading for reading in self.observations if reading["post_id"] == post["post_id"]]
        return [reading for reading in own if window[0] <= reading["observed_at"] <= window[1]]

    @property
    def forecast(self) -> list[Row]:
        """Posts that were forecast: young ones, and some that have matured since."""
        return [post for post in self.posts if post["split"] in ("unlabelled", "test")]

    def labelled(self, subreddit: str) -> list[Row]:
        return [post for post in self.posts if post["subreddit"] == subreddit and post["score"] is not None]


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def answers(world: World, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Rows of a query by its name, from the published file of a filled warehouse."""
    warehouse = Warehouse(tmp_path_factory.mktemp("filled"), source="sandbox", lock_timeout=60)
    with warehouse.kept():
        fill(warehouse, world)
        refresh_leaderboard(warehouse, seed=1, progress=str)
        refresh_catalogue(warehouse, Encoders(image="", caption=""), seed=1, progress=str)
    return answers_of(warehouse).__getitem__


def answers_of(warehouse: Warehouse) -> dict[str, list[Row]]:
    """Rows of every query, by its name."""
    with duckdb.connect(warehouse.publish().path, read_only=True) as conn:
        return {query.stem: conn.execute(query.read_text("utf-8")).to_arrow_table().to_pylist() for query in QUERIES}


def fill(warehouse: Warehouse, world: World) -> None:
    moment = datetime(2024, 5, 1)
    posts = world.posts
    labelled = [post for post in posts if post["score"] is not None]
    texts = sorted({post["caption"] for post in posts})
    text_features = captions.caption_features(texts)
    pictures = {post["sha"]: post for post in posts if post["sha"]}
    first = {post["sha"]: post for post in sorted(posts, key=age, reverse=True) if post["sha"]}
    key = ("post_id", "subreddit")
    rejected = [
        {"post_id": f"r{n}", "subreddit": subreddit, "reason": reason, "detail": f"because of {reason}"}
        for n, (subreddit, reason) in enumerate(world.rejected)
    ]
    rows: dict[str, Iterable[Row]] = {
        "raw.submissions": [
            {**pick(row, *key), "discovered_at": moment, "origin": "listing", "json": "{}"} for row in posts + rejected
        ],
        "raw.observations": world.observations,
        "raw.sightings": [
            {
                **pick(post, *key),
                "seen_at": post["created_at"] + timedelta(hours=hours),
                "listing": listing,
                "time_filter": "week" if listing == "top" else "",
                "rank": 3,
            }
            for post in posts
            # Whatever was found in `new` is seen in `top` as well, but later.
            for listing, hours in ((post["listing"], 1), ("top", 2))
        ],
        "core.posts": [
            {
                **pick(post, *key, "created_at", "author", "caption"),
                "caption_sha256": _hash(post["caption"]),
                "kind": "image",
                "image_urls": [post["url"]],
                **dict.fromkeys(("is_original_content", "over_18", "spoiler"), False),
                "code_version": "1",
            }
            for post in posts
        ],
        "core.rejected_posts": [{**row, "code_version": "1"} for row in rejected],
        "core.labels": [
            {
                **pick(post, *key, "score", "log_score", "percentile"),
                "observed_at": readings[-1]["observed_at"],
                "age_at_label_hours": (post["labelled_at"] - post["created_at"]) / timedelta(hours=1),
                "score_scale": "current",
                "first_observed_at": post["labelled_at"],
                "readings": len(readings),
                "score_spread": abs(readings[-1]["score"] - readings[0]["score"]),
            }
            for post in labelled
            for readings in [world.label_readings(post)]
        ],
        "core.images": [
            {
                "image_sha256": sha,
                "path": f"{sha[:2]}/{sha}.jpg",
                "format": "JPEG",
                **{"bytes": 1000, "width": 640, "height": 480, "dhash": "0" * 16},
                "phash": post["phash"],
                "stored_at": moment,
            }
            for sha, post in pictures.items()
        ],
        "core.image_fetches": [
            {
                "url": post["url"],
                "status": image_status(post),
                "reason": post["reason"],
                "detail": post["reason"] or "",
                "http_status": {"url_dead": 404, "timeout": None}.get(post["reason"], 200),
                "image_sha256": post["sha"],
                "attempts": 1,
                "fetched_at": moment,
            }
            for post in posts
        ],
        "core.anomalies": [
            {
                **{"subreddit": "pics", "kind": "first_readings", "score_scale": "current"},
                **{"first_day": datetime(2024, 3, 20).date(), "last_day": datetime(2024, 4, 2).date()},
                **{"observed": 0.9, "expected": 0.1, "strength": 0.889, "p_value": 1e-9, "posts": 7},
                "found_at": moment,
            }
        ],
        "core.duplicates": [
            {
                **pick(post, *key),
                "duplicate_group": first.get(post["sha"], post)["post_id"],
                "canonical": first.get(post["sha"], post) is post,
                "level": None if first.get(post["sha"], post) is post else "bytes",
            }
            for post in posts
        ],
        "features.image_embeddings": [
            {
                "image_sha256": sha,
                "encoder": ENCODER,
                "code_version": ENCODING_VERSION,
                "embedding": vector.astype(np.float32).tolist(),
            }
            for sha, vector in world.vectors.items()
        ],
        "features.caption_features": [
            {
                "caption_sha256": _hash(text),
                "code_version": captions.CODE_VERSION,
                **{name: float(values[n]) for name, values in text_features.items()},
            }
            for n, text in enumerate(texts)
        ],
        "features.image_features": [
            {
                "image_sha256": sha,
                "code_version": pixels.CODE_VERSION,
                **{name: float(int(sha[n : n + 2], 16)) for n, name in enumerate(pixels.COLUMNS)},
            }
            for sha in pictures
        ],
        "models.training_set": [
            {
                **pick(post, *key, "created_at", "cluster", "log_score", "split"),
                "duplicate_group": post["sha"] or post["url"],
                "snapshot": "s",
            }
            for post in labelled
        ],
        "models.predictors": [
            {
                "subreddit": subreddit,
                "predictor": predictor,
                "status": "trained",
                **{"snapshot": "s", "code_version": "1", "seed": 1, "digest": f"{subreddit}-{predictor}"},
                **{"blocks": ["time"], "untrained_weights": False, "train_rows": 20, "validation_rows": 5, "notes": []},
                "networks_ran": None,
                "train_seconds": 1.0,
                "trained_at": moment,
            }
            for subreddit in ("aww", "pics")
            for predictor in ("good", "poor")
        ],
        "marts.predictions": [
            {
                **pick(post, *key, "split"),
                "predictor": predictor,
                "expected_log_score": expected,
                "expected_score": math.expm1(abs(expected)),
                "percentile": 0.5,
                "digest": f"{post['subreddit']}-{predictor}",
                "inputs": "i",
                **bounds(expected),
            }
            for post in posts
            for predictor, expected in (("good", post["expected"]), ("poor", -post["expected"]))
        ],
        "marts.split_comparison": [
            {
                **{"subreddit": "aww", "predictor": "good", "split": split, "spearman": spearman},
                **{"status": "not_trained" if spearman is None else "trained", "reason": reason},
                **dict.fromkeys(("train_posts", "validation_posts", "test_posts", "left_out_posts", "pairs"), 9),
                **{"split_digest": split, "snapshot": "s", "version": "v"},
            }
            for split, spearman, reason in (
                *(("random", 0.6125, None), ("time", 0.25, None)),
                ("one_per_author", None, "too few matured posts"),
            )
        ],
        "models.champions": [
            {
                **{"subreddit": subreddit, "judgement": number, "judged_at": moment + timedelta(days=number)},
                **{"predictor": predictor, "promoted": promoted, "reason": "it holds", "rival": "poor"},
                **{"test_posts": 15, "mae": 0.5, "mae_difference": -0.25, "snapshot": "s", "inputs": str(number)},
            }
            for subreddit in ("aww", "pics")
            for number, predictor, promoted in ((1, "poor", True), (2, "good", True), (3, "good", False))
        ],
        "models.removal_predictors": [
            {
                **{"subreddit": "pics", "status": "trained", "posts_digest": "p", "settings": "s", "code_version": "1"},
                **{"seed": 7, "digest": "d", "age_hours": 168.0, "posts": 200, "removed": 30, "base_rate": 0.15},
                **dict.fromkeys(("seen_late", "not_read_in_time", "train_posts", "train_removed"), 0),
                **dict.fromkeys(("validation_posts", "validation_removed", "test_posts", "test_removed"), 0),
                **{"trained_at": moment},
            }
        ],
        "marts.removal_metrics": [
            {
                **{"subreddit": "pics", "status": "trained", "digest": "d", "age_hours": 168.0, "test_posts": 40},
                **{"test_removed": 6, "test_authors": 20, "base_rate": 0.15, "pr_auc": 0.4, "inputs": "i"},
            }
        ],
        "marts.removal_calibration": [
            {
                **{"subreddit": "pics", "bin": 1, "posts": 40, "removed": 6, "mean_probability": 0.1234},
                **{"removed_share": 0.15},
            }
        ],
        "marts.forecasts": [
            {
                **pick(post, *key),
                **{"predictor": "good", "digest": "d", "made_at": moment, "as_of": post["created_at"]},
                **{"age_hours": 0.0, "expected_log_score": post["expected"], "percentile": 0.5},
                **{"expected_score": math.expm1(post["expected"]), "median_log_score": 3.0, "missing_blocks": []},
                **bounds(post["expected"]),
            }
            for post in world.forecast
        ],
        **analysed(),
    }
    with warehouse.write() as writer:
        for table, filled in rows.items():
            schema = writer.query(f"SELECT * FROM {table} LIMIT 0").schema
            writer.append(table, pa.Table.from_pylist(list(filled), schema=schema))


def bounds(expected: float) -> Row:
    """Intervals of different widths, to the upper side wider."""
    return {
        name: value
        for level in (50, 80, 90)
        for name, value in ((f"low_{level}", expected - level / 60), (f"high_{level}", expected + level / 50))
    }


def analysed() -> dict[str, list[Row]]:
    """What `redpop analyse` might have found in r/pics, of two predictors: one that is sound and one that is not."""
    same = {"subreddit": "pics", "snapshot": "s", "measured_on": "m"}

    def ends(name: str, estimate: float, width: float = 0.1) -> Row:
        return {name: estimate, f"{name}_low": estimate - width, f"{name}_high": estimate + width}

    def of_both(sound: Row, unsound: Row) -> list[Row]:
        return [{**same, "predictor": "good", **sound}, {**same, "predictor": "poor", **unsound}]

    slices = {"posts": 40, "authors": 20}
    return {
        "marts.error_slices": [
            {**row, "dimension": dimension, "slice": value, **slices}
            for dimension, value, bias in (("listing", "new", 0.0), ("listing", "top", 0.9), ("month", "2024-04", 0.05))
            for row in of_both(
                {**ends("spearman", 0.6), **ends("mae", 0.5), **ends("bias", bias)},
                {"reason": "too few posts: 3 of 30"},
            )
        ],
        "marts.calibration": [
            {**row, "bin": 1 + number, "posts": 20}
            for number, actual in enumerate((1.0, 2.0, 3.0))
            for row in of_both(
                {"mean_expected": actual, **ends("mean_actual", actual)},
                {"mean_expected": 2.0, **ends("mean_actual", actual)},
            )
        ],
        "marts.emap": of_both(
            {"posts": 80, **ends("spearman", 0.6), **ends("additive_spearman", 0.4), **ends("gap", 0.2)},
            {"posts": 80, **ends("spearman", 0.3), **ends("additive_spearman", 0.3), **ends("gap", 0.0)},
        ),
        "marts.shuffled_labels": of_both(
            {"test_posts": 80, "permutations": 8, **ends("spearman", 0.01), "true_spearman": 0.6, "covers_zero": True},
            {"test_posts": 80, "permutations": 8, **ends("spearman", 0.4), "true_spearman": 0.9, "covers_zero": False},
        ),
        "marts.ablation": [
            {**row, "variant": variant, "block": block, "test_posts": 80}
            for variant, block, spearman, difference in (
                *(("all", "", 0.6, None), ("only", "text", 0.5, -0.1), ("only", "time", 0.2, -0.4)),
                *(("without", "text", 0.25, -0.35), ("without", "time", 0.55, -0.05)),
            )
            for row in of_both(
                {**ends("spearman", spearman), **(ends("difference", difference) if difference else {})},
                {"reason": "needs block time"},
            )
        ],
        "marts.learning_curves": [
            {
                **row,
                **{"posts": posts, "test_posts": 80, "limited_by": "posts" if posts == 800 else None},
                **({"reachable": 0.55, "pairs": 40} if posts == 800 else {}),
            }
            for posts, spearman, gain in ((400, 0.5, None), (800, 0.6, 0.1))
            for row in of_both(
                {**ends("spearman", spearman), **(ends("gain", gain) if gain else {})},
                {"reason": "nobody to borrow from"},
            )
        ],
        "marts.shap": [
            {
                **row,
                **{"block": "text", "input": f"c{rank:02}", "posts": 80, "rank": rank},
                **{"mean_abs": 1 / rank, "share": 0.1},
            }
            for rank in range(1, 13)
            for row in of_both({"direction": 0.9 if rank == 1 else -0.9}, {"direction": None})
        ],
        "marts.words": [
            {
                **same,
                **{"kind": "word", "token": token, "posts": 12, "authors": 6, "share": 0.1, **ends("lift", lift)},
                **{"top_posts": 5, "bottom_posts": 3, "difference": 2, "band": "neutral"},
            }
            for token, lift in (("dog", 0.5), ("sea", 0.05), ("storm", -0.5))
        ],
        "marts.image_category_posts": [
            {
                **same,
                **{"post_id": f"p{n}", "category": 1 + n % 2, "unpopular": n < 40, "distance": abs(n - 45.2)},
                "picked_out": False,
            }
            for n in range(33, 50)
        ],
        "marts.object_families": [
            {**same, "family": family, "rank": rank, **ends("weight", weight)}
            for rank, (family, weight) in enumerate((("dog", 2.0), ("tool", 0.05), ("fungus", -1.0)), start=1)
        ],
        "marts.word_attention": [
            {**same, "post_id": "p40", "position": n, "word": word, "weight": weight, "probability": 0.8}
            for n, (word, weight) in enumerate((("angry", 0.1), ("storm", 0.7), ("the", 0.1), ("sea", 0.1)), start=1)
        ],
    }


def age(post: Row) -> tuple[datetime, str]:
    return post["created_at"], post["post_id"]


def pick(row: Row, *names: str) -> Row:
    return {name: row[name] for name in names}


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def near(value: float) -> Any:
    """Answers are rounded to three digits."""
    return pytest.approx(value, abs=5.1e-4)


def by(rows: Iterable[Row], *names: str) -> dict[Any, Row]:
    """The rows by the values of these columns; no two may share them."""
    rows = list(rows)
    found = {tuple(row[name] for name in names) if len(names) > 1 else row[names[0]]: row for row in rows}
    assert len(found) == len(rows)
    return found


def grouped(rows: Iterable[Row], group: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[group(row)].append(row)
    return dict(groups)


def clustered_mean(posts: list[Row]) -> tuple[float, float]:
    """Mean percentile and its cluster-robust standard error by author."""
    values = np.array([post["percentile"] for post in posts])
    names = np.array([post["cluster"] for post in posts])
    sums = np.array([(values[names == name] - values.mean()).sum() for name in np.unique(names)])
    return values.mean(), math.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / len(values)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.stem)
def test_a_query_asks_one_question_and_is_answered(query: Path, answers: Answers):
    text = query.read_text(encoding="utf-8")
    assert re.match(r"-- [A-Z][^\n]*(\n-- [^\n]*)*\?\n\n", text), "it starts with its question, and an empty line"
    statement = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    assert statement.count(";") == 1
    assert statement.rstrip().endswith(";")
    assert answers(query.stem), "no row"


def test_every_query_runs_on_an_empty_warehouse(tmp_path):
    warehouse = blank_warehouse(tmp_path)
    rows = answers_of(warehouse)
    assert len(rows) >= 10
    assert {name for name, found in rows.items() if found} == {"freshness"}
    assert sum(row["row_count"] for row in rows["freshness"]) == 1  # raw.source


def test_freshness_lists_every_table(world, answers):
    rows = by(answers("freshness"), "layer", "table_name")
    assert {".".join(name) for name in rows} == {table.name for table in load_schema().values() if not table.is_view}
    assert rows["raw", "observations"]["row_count"] == len(world.observations)
    assert rows["raw", "observations"]["latest"] == max(row["observed_at"] for row in world.observations)


def test_removals_are_shown_with_what_chance_reaches(answers):
    (row,) = answers("removals")
    assert (row["subreddit"], row["removed"], row["pr_auc"], row["pr_auc_of_chance"]) == ("pics", 30, 0.4, 0.15)
    (group,) = answers("removal_calibration")
    assert (group["removed"], group["mean_probability"], group["removed_share"]) == (6, 0.123, 0.15)


def test_leaderboard_is_within_a_subreddit_and_best_first(world, answers):
    rows = answers("leaderboard")
    assert [(row["subreddit"], row["predictor"]) for row in rows] == [
        ("aww", "good"), ("aww", "poor"), ("pics", "good"), ("pics", "poor"),
    ]  # fmt: skip
    for row in rows:
        test = [post for post in world.labelled(row["subreddit"]) if post["split"] == "test"]
        expected = spearmanr([post["score"] for post in test], [post["expected"] for post in test]).statistic
        assert row["spearman"] == near(expected if row["predictor"] == "good" else -expected)
        assert row["spearman_low"] <= row["spearman"] <= row["spearman_high"]
        assert row["test_posts"] == len(test)


def test_leaderboard_says_who_stands_where(answers):
    rows = by(answers("leaderboard"), "subreddit", "predictor")
    for subreddit in ("aww", "pics"):
        assert rows[subreddit, "good"]["standing"] in ("best", "among_best")
        assert rows[subreddit, "poor"]["standing"] in ("among_best", "worse")
        assert rows[subreddit, "good"]["smallest_detectable"] > 0


def test_metrics_are_those_of_each_predictor_beside_a_guess(world, answers):
    rows = by(answers("metrics"), "subreddit", "predictor", "target", "metric")
    for subreddit in ("aww", "pics"):
        test = [post for post in world.labelled(subreddit) if post["split"] == "test"]
        truth, expected = ([post[name] for post in test] for name in ("log_score", "expected"))
        assert rows[subreddit, "good", "log_score", "spearman"]["value"] == near(spearmanr(truth, expected).statistic)
        mae = rows[subreddit, "good", "log_score", "mae"]
        assert mae["value"] == near(np.abs(np.subtract(truth, expected)).mean())
        assert (mae["n"], mae["chance"], mae["above_chance"]) == (len(test), None, None)
    for row in rows.values():
        bounded = row["low"] is not None and row["chance"] is not None
        # Rounding may make equals of what differs by less.
        assert row["above_chance"] in (
            (row["low"] > row["chance"], row["low"] >= row["chance"]) if bounded else (None,)
        )
    assert rows["aww", "poor", "log_score", "spearman"]["above_chance"] is False
    assert "members" in rows["aww", "good", "per_subscriber", "spearman"]["note"]


def test_comparisons_have_the_better_one_first(world, answers):
    rows = by(answers("comparisons"), "community", "target", "metric")
    for subreddit in ("aww", "pics"):
        row = rows[subreddit, "log_score", "spearman"]
        assert (row["first"], row["second"]) == ("good", "poor")
        test = [post for post in world.labelled(subreddit) if post["split"] == "test"]
        expected = spearmanr([post["score"] for post in test], [post["expected"] for post in test]).statistic
        assert row["difference"] == near(2 * expected)
        assert row["better_beyond_chance"] == (row["p_holm"] < 0.05)
    assert rows["aww", "log_score", "mae"]["difference"] < 0


def test_macro_means_need_thirty_test_posts(answers):
    rows = answers("macro_means")
    assert {row["metric"] for row in rows} == {"spearman", "mae", "rmse", "pair_accuracy"}
    for row in rows:
        assert (row["mean"], row["subreddits"], row["note"]) == (None, 0, "no subreddit has 30 test posts")
        assert (row["pooled_do_not_use"] is None) == (row["metric"] == "pair_accuracy")


def test_split_comparison_is_beside_the_split_by_time(answers):
    rows = answers("split_comparison")
    assert [row["split"] for row in rows] == ["time", "one_per_author", "random"]
    assert [row["more_than_by_time"] for row in rows] == [0, None, near(0.3625)]
    assert [row["outcome"] for row in rows] == ["trained", "too few matured posts", "trained"]


def test_feature_catalogue_lists_what_goes_with_the_score_beyond_chance(world, answers):
    rows = answers("feature_catalogue")
    assert rows
    by(rows, "subreddit", "block", "feature")
    assert rows == sorted(rows, key=lambda row: row["subreddit"])
    texts = sorted({post["caption"] for post in world.posts})
    features = captions.caption_features(texts)
    compared = set()
    for subreddit in ("aww", "pics"):
        found = [row for row in rows if row["subreddit"] == subreddit]
        sizes = [abs(row["spearman"]) for row in found]
        assert sizes == sorted(sizes, reverse=True)
        for row in found:
            assert row["spearman_low"] > 0 or row["spearman_high"] < 0
            assert (row["known_at"] != "after_post", bool(row["description"])) == (True, True)
            assert row["by_chance"] >= 1
        labelled = world.labelled(subreddit)
        at = [texts.index(post["caption"]) for post in labelled]
        for row in found:
            if row["block"] != "text" or row["labelled_posts"] < len(labelled):  # unknown for some captions
                continue
            compared.add(subreddit)
            expected = spearmanr(features[row["feature"]][at], [post["score"] for post in labelled]).statistic
            assert row["spearman"] == near(expected)
    assert compared


def test_surprises_are_the_largest_errors_of_the_best_predictor_on_test_posts(world, answers):
    rows = answers("surprises")
    for subreddit in ("aww", "pics"):
        test = [post for post in world.labelled(subreddit) if post["split"] == "test"]
        worst = sorted(test, key=lambda post: -abs(post["log_score"] - post["expected"]))[:10]
        found = [row for row in rows if row["subreddit"] == subreddit]
        assert [row["post_id"] for row in found] == [post["post_id"] for post in worst]
        assert [row["surprise"] for row in found] == [near(post["log_score"] - post["expected"]) for post in worst]
        assert {row["predictor"] for row in found} == {"good"}


def test_calibration_compares_means_in_fifths(world, answers):
    rows = by(answers("calibration"), "subreddit", "predictor", "fifth")
    for subreddit in ("aww", "pics"):
        test = [post for post in world.labelled(subreddit) if post["split"] == "test"]
        fifths = np.array_split(sorted(test, key=lambda post: post["expected"]), 5)
        for number, fifth in enumerate(fifths, start=1):
            row = rows[subreddit, "good", number]
            assert row["posts"] == len(fifth)
            assert row["mean_expected_log_score"] == near(np.mean([post["expected"] for post in fifth]))
            assert row["mean_log_score"] == near(np.mean([post["log_score"] for post in fifth]))


def test_young_posts_are_those_without_a_label_that_are_still_read(world, answers):
    rows = answers("young_posts")
    expected = by(world.posts, "post_id")
    pics = sorted(("p58", "p59"), key=lambda post_id: -expected[post_id]["expected"])
    assert [row["post_id"] for row in rows] == ["p31", *pics]
    assert {row["predictor"] for row in rows} == {"good"}
    assert [row["age_hours"] for row in rows] == [30.0] * 3
    for row in rows:
        found = bounds(expected[row["post_id"]]["expected"])
        assert row["low_80"] == pytest.approx(np.sign(found["low_80"]) * np.expm1(abs(found["low_80"])), abs=0.051)
        assert row["low_80"] < row["expected_score"] < row["high_80"]
    last = {reading["post_id"]: reading["score"] for reading in world.observations}
    assert [row["score_so_far"] for row in rows] == [last[row["post_id"]] for row in rows]


def image_status(post: Row) -> str:
    return {None: "stored", "timeout": "retry"}.get(post["reason"], "failed")


def words_from(post: Row) -> int:
    return min(len(re.findall(r"[\w']+", post["caption"])) // 5 * 5, 30)


@pytest.mark.parametrize(
    ("query", "column", "group", "has_intervals"),
    [
        ("best_hours", "hour", lambda post: post["created_at"].hour, True),
        ("best_weekdays", "weekday", lambda post: post["created_at"].isoweekday(), False),
        ("caption_length", "words_from", words_from, False),
        ("label_drift", "month", lambda post: post["created_at"].date().replace(day=1), True),
        ("missing_pictures", "image_status", image_status, True),
    ],
)
def test_mean_percentiles_have_intervals_clustered_by_author(world, answers, query, column, group, has_intervals):
    rows = by(answers(query), "subreddit", column)
    groups = {
        (subreddit, value): posts
        for subreddit in ("aww", "pics")
        for value, posts in grouped(world.labelled(subreddit), group).items()
    }
    assert set(rows) == set(groups)
    for name, posts in groups.items():
        row = rows[name]
        authors = len({post["cluster"] for post in posts})
        assert (row["posts"], row["authors"]) == (len(posts), authors)
        assert row["mean_percentile"] == near(np.mean([post["percentile"] for post in posts]))
        if authors < 10:
            assert row["mean_low"] is row["mean_high"] is None
        else:
            mean, error = clustered_mean(posts)
            assert row["mean_low"] == near(mean - 1.96 * error)
            assert row["mean_high"] == near(mean + 1.96 * error)
    assert any(row["mean_low"] is not None for row in rows.values()) == has_intervals


def test_label_drift_gives_the_quantiles_of_the_month(world, answers):
    rows = by(answers("label_drift"), "subreddit", "month")
    for (subreddit, month), row in rows.items():
        posts = [
            post
            for post in world.labelled(subreddit)
            if (post["created_at"].year, post["created_at"].month) == (2024, month.month)
        ]
        scores = [post["score"] for post in posts]
        assert row["score_median"] == np.quantile(scores, 0.5, method="inverted_cdf")
        assert row["score_q90"] == np.quantile(scores, 0.9, method="inverted_cdf")


def test_anomalies_stand_beside_the_scores_of_before(world, answers):
    (row,) = answers("anomalies")
    first, last = row["first_day"], row["last_day"]
    assert (row["subreddit"], row["kind"], last - first) == ("pics", "first_readings", timedelta(days=13))
    days = {post["created_at"].date(): [] for post in world.labelled("pics")}
    for post in world.labelled("pics"):
        days[post["created_at"].date()].append(post["score"])
    within = [score for day, scores in days.items() if first <= day <= last for score in scores]
    before = [score for day, scores in days.items() if day < first for score in scores]
    assert (row["median_score"], row["median_score_before"]) == (np.median(within), np.median(before))


def test_caption_emotions_are_rank_correlations_within_a_subreddit(world, answers):
    rows = by(answers("caption_emotions"), "subreddit", "feature")
    assert len(rows) == 2 * 14
    for subreddit in ("aww", "pics"):
        posts = world.labelled(subreddit)
        features = captions.caption_features([post["caption"] for post in posts])
        for feature in ("vader_compound", "nrc_joy", "nrc_fear"):
            expected = spearmanr(features[feature], [post["score"] for post in posts]).statistic
            row = rows[subreddit, feature]
            assert row["spearman"] == near(expected)
            authors = len({post["cluster"] for post in posts})
            assert row["authors"] == authors
            margin = 1.96 * math.sqrt((1 + expected**2 / 2) / (authors - 3))
            assert row["spearman_low"] == near(math.tanh(math.atanh(expected) - margin))
            assert row["spearman_high"] == near(math.tanh(math.atanh(expected) + margin))


def test_picture_properties_are_rank_correlations_of_posts_with_a_picture(world, answers):
    rows = by(answers("picture_properties"), "subreddit", "feature")
    posts = [post for post in world.labelled("pics") if post["sha"]]
    for n, feature in enumerate(pixels.COLUMNS):
        values = [int(post["sha"][n : n + 2], 16) for post in posts]
        row = rows["pics", feature]
        assert row["posts"] == len(posts)
        assert row["spearman"] == near(spearmanr(values, [post["score"] for post in posts]).statistic)


def test_listing_bias_goes_by_the_first_sighting(world, answers):
    rows = by(answers("listing_bias"), "subreddit", "found_in")
    assert len(rows) == 4
    for (subreddit, listing), row in rows.items():
        values = [post["percentile"] for post in world.labelled(subreddit) if post["listing"] == listing]
        assert row["posts"] == len(values)
        quartiles = (row["percentile_q25"], row["percentile_median"], row["percentile_q75"])
        assert quartiles == tuple(near(value) for value in np.quantile(values, (0.25, 0.5, 0.75)))
        assert row["share_in_top_tenth"] == near(np.mean(np.array(values) >= 0.9))
        assert row["median_age_when_found_hours"] == 1.0


BUCKETS = (0, 1, 3, 6, 12, *range(24, 24 * 30, 24))


def growth(world: World) -> dict[tuple[str, int], list[float]]:
    """Shares of the later score by community and age: the first open reading of each post at that age."""
    shares: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    posts = by(world.posts, "post_id")
    for reading in world.observations:
        post = posts[reading["post_id"]]
        if post["score"] is not None and post["score"] >= 10 and not reading["hide_score"]:
            hours = (reading["observed_at"] - post["created_at"]) / timedelta(hours=1)
            start = max(start for start in BUCKETS if start <= hours)
            if reading["observed_at"] < post["labelled_at"]:
                first = shares[post["subreddit"], start]
                first.setdefault(post["post_id"], reading["score"] / post["score"])
    return {name: list(found.values()) for name, found in shares.items()}


def test_score_growth_takes_the_first_open_reading_of_each_age(world, answers):
    rows = by(answers("score_growth"), "subreddit", "from_hours")
    shares = growth(world)
    assert set(rows) == set(shares)
    assert {start for _, start in rows} == {0, 3, 24, 96}
    for name, values in shares.items():
        row = rows[name]
        assert row["posts"] == len(values)
        quartiles = (row["share_q25"], row["share_median"], row["share_q75"])
        assert quartiles == tuple(near(value) for value in np.quantile(values, (0.25, 0.5, 0.75)))
        assert row["to_hours"] == BUCKETS[BUCKETS.index(name[1]) + 1]
    assert {start: row["median_age_hours"] for (_, start), row in rows.items()} == {0: 0.2, 3: 3, 24: 30, 96: 100}


def test_maturity_ages_are_the_first_at_which_the_median_post_is_that_far(world, answers):
    rows = by(answers("maturity_ages"), "subreddit")
    for subreddit in ("aww", "pics"):
        medians = {start: np.median(values) for (name, start), values in growth(world).items() if name == subreddit}
        row = rows[subreddit]
        assert row["half_from_hours"] == min(start for start, median in medians.items() if median >= 0.5)
        late = [start for start, median in medians.items() if median >= 0.9]
        assert row["nine_tenths_from_hours"] == (min(late) if late else None)
        assert (row["last_from_hours"], row["last_share_median"]) == (96, near(medians[96]))


def test_best_histories_are_the_open_readings_of_the_best(world, answers):
    rows = grouped(answers("best_histories"), lambda row: row["post_id"])
    posts = by(world.posts, "post_id")
    best = {
        post["post_id"]
        for subreddit in ("aww", "pics")
        for post in sorted(world.labelled(subreddit), key=lambda post: -post["score"])[:3]
    }
    assert set(rows) == best
    for post_id, found in rows.items():
        post = posts[post_id]
        readings = [r for r in world.observations if r["post_id"] == post_id and not r["hide_score"]]
        assert [row["score"] for row in found] == [reading["score"] for reading in readings]
        assert {row["label"] for row in found} == {post["score"]}
        hours = [(reading["observed_at"] - post["created_at"]) / timedelta(hours=1) for reading in readings]
        assert [row["age_hours"] for row in found] == [pytest.approx(hour, abs=0.0051) for hour in hours]
        assert [row["share_of_label"] for row in found] == [near(row["score"] / post["score"]) for row in found]
        assert found[0]["points_per_hour"] is None
        speed = (found[2]["score"] - found[1]["score"]) / (hours[2] - hours[1])
        assert found[2]["points_per_hour"] == pytest.approx(speed, abs=0.051)


def test_label_noise_is_the_spread_of_the_readings_behind_a_label(world, answers):
    rows = by(answers("label_noise"), "subreddit", "score_from", "readings")
    spreads: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for subreddit in ("aww", "pics"):
        for post in world.labelled(subreddit):
            scores = [reading["score"] for reading in world.label_readings(post)]
            size = 10 ** (len(str(max(post["score"], 1))) - 1)
            spreads[subreddit, size, len(scores)].append(max(scores) - min(scores))
    assert {readings for _, _, readings in spreads} == {1, 2}
    assert set(rows) == set(spreads)
    for name, values in spreads.items():
        row = rows[name]
        assert (row["posts"], row["spread_max"]) == (len(values), max(values))
        assert row["spread_median"] == np.quantile(values, 0.5, method="inverted_cdf")
        assert row["spread_q90"] == np.quantile(values, 0.9, method="inverted_cdf")


def test_score_histories_leave_out_masked_readings_and_other_score_scales(tmp_path):
    """Three readings around December 2016, one of them masked: only the one on the scale of the label is a share."""
    created = datetime(2016, 11, 20)
    warehouse = blank_warehouse(tmp_path)
    post = {"post_id": "old", "subreddit": "pics"}
    rows: dict[str, list[Row]] = {
        "core.posts": [
            {
                **post,
                "created_at": created,
                **dict.fromkeys(("caption", "caption_sha256", "code_version"), "x"),
                "kind": "image",
                "image_urls": [],
                **dict.fromkeys(("is_original_content", "over_18", "spoiler"), False),
            }
        ],
        "raw.observations": [
            {
                **post,
                "observed_at": created + timedelta(days=days),
                "endpoint": "info",
                "score": score,
                "hide_score": masked,
            }
            for days, score, masked in ((0.5, 1, True), (2, 500, False), (2.5, None, False), (20, 2000, None))
        ],
        "core.labels": [
            {
                **post,
                "score": 2000,
                **dict.fromkeys(("log_score", "percentile", "age_at_label_hours"), 1.0),
                "observed_at": created + timedelta(days=20),
                "score_scale": "current",
            }
        ],
    }  # fmt: skip
    with warehouse.write() as writer:
        for table, filled in rows.items():
            schema = writer.query(f"SELECT * FROM {table} LIMIT 0").schema
            writer.append(table, pa.Table.from_pylist(filled, schema=schema))
    found = warehouse.query("FROM marts.score_histories ORDER BY observed_at").to_pylist()
    assert [(row["age_hours"], row["score"], row["share_of_label"]) for row in found] == [
        (48.0, 500, None), (480.0, 2000, 1.0),
    ]  # fmt: skip
    assert warehouse.query("FROM marts.growth_curves").to_pylist() == []


def test_rejections_are_shares_of_what_was_collected(world, answers):
    rows = by(answers("rejections"), "subreddit", "reason")
    assert {name: row["posts"] for name, row in rows.items()} == Counter(world.rejected)
    assert rows["aww", "video"]["share_of_collected"] == near(2 / 36)
    assert rows["aww", "video"]["most_frequent_detail"] == "because of video"


def test_image_failures_are_shares_of_their_host(world, answers):
    rows = by(answers("image_failures"), "host", "reason")
    per_host = Counter(post["url"].split("/")[2] for post in world.posts)
    failures = Counter((post["url"].split("/")[2], post["reason"]) for post in world.posts if post["reason"])
    assert {name: row["urls"] for name, row in rows.items()} == failures
    for name, row in rows.items():
        assert row["share_of_host"] == near(failures[name] / per_host[name[0]])


def test_reposts_have_the_same_file_and_near_duplicates_a_close_hash(world, answers):
    (repost,) = answers("reposted_pictures")
    posts = [post for post in world.posts if post["sha"] == _hash("picture 0")]
    assert (repost["posts"], repost["subreddits"]) == (3, ["aww", "pics"])
    assert repost["first_percentile"] == near(world.posts[0]["percentile"])
    assert repost["highest_percentile"] == near(max(post["percentile"] for post in posts))

    pictures = {post["sha"]: post for post in reversed(world.posts) if post["sha"]}
    expected = {}
    for a in pictures.values():
        for b in pictures.values():
            distance = (int(a["phash"], 16) ^ int(b["phash"], 16)).bit_count()
            if a["sha"] < b["sha"] and distance <= 6:
                expected[frozenset((a["post_id"], b["post_id"]))] = distance
    pairs = {
        frozenset((row["post_id"], row["other_post_id"])): row["distance"] for row in answers("near_duplicate_pictures")
    }
    assert pairs == expected
    assert pairs == {frozenset(("p00", "p01")): 4, frozenset(("p00", "p03")): 1, frozenset(("p01", "p03")): 3}


def test_duplicate_groups_compare_the_first_post_with_the_others(world, answers):
    (group,) = answers("duplicate_groups")
    posts = sorted((post for post in world.posts if post["sha"] == _hash("picture 0")), key=age)
    assert group["duplicate_group"] == posts[0]["post_id"]
    assert (group["posts"], group["subreddits"], group["levels"]) == (3, ["aww", "pics"], ["bytes"])
    assert (group["first_posted_at"], group["last_posted_at"]) == (posts[0]["created_at"], posts[-1]["created_at"])
    percentiles = [post["percentile"] for post in posts]
    assert group["first_percentile"] == near(percentiles[0])
    assert group["mean_percentile_of_reposts"] == near(np.mean([p for p in percentiles[1:] if p is not None]))


def test_shared_pictures_have_several_addresses(world, answers):
    (shared,) = answers("shared_pictures")
    posts = [post for post in world.posts if post["sha"] == _hash("picture 0")]
    assert (shared["verdict"], shared["urls"], shared["posts"]) == ("repost", 3, 3)
    assert shared["authors"] == len({post["author"] for post in posts})
    assert shared["first_posted_at"] == min(post["created_at"] for post in posts)


def test_author_consistency_is_an_intraclass_correlation(world, answers):
    def correlation(groups: list[np.ndarray]) -> float:
        values = np.concatenate(groups)
        sizes = np.array([len(group) for group in groups])
        k, n = len(groups), len(values)
        between = sum(len(group) * (group.mean() - values.mean()) ** 2 for group in groups) / (k - 1)
        within = sum(((group - group.mean()) ** 2).sum() for group in groups) / (n - k)
        size = (n - (sizes**2).sum() / n) / (k - 1)
        return (between - within) / (between + (size - 1) * within)

    rows = by(answers("author_consistency"), "subreddit")
    for subreddit in ("aww", "pics"):
        known = [post for post in world.labelled(subreddit) if post["author"]]
        groups = [
            np.array([post["log_score"] for post in posts])
            for posts in grouped(known, lambda post: post["author"]).values()
            if len(posts) > 1
        ]
        without = np.array([correlation(groups[:n] + groups[n + 1 :]) for n in range(len(groups))])
        error = math.sqrt((len(groups) - 1) / len(groups) * ((without - without.mean()) ** 2).sum())
        row = rows[subreddit]
        assert (row["authors"], row["posts"]) == (len(groups), sum(map(len, groups)))
        assert row["intraclass_correlation"] == near(correlation(groups))
        assert row["intraclass_correlation_low"] == near(correlation(groups) - 1.96 * error)
        assert row["intraclass_correlation_high"] == near(correlation(groups) + 1.96 * error)


def test_vote_fuzz_compares_readings_of_matured_posts_within_a_minute(world, answers):
    rows = by(answers("vote_fuzz"), "subreddit", "score_from")
    differences: dict[tuple[str, int], list[int]] = defaultdict(list)
    for post in (*world.labelled("aww"), *world.labelled("pics")):
        if len(pair := world.label_readings(post)) == 2:
            first, second = (reading["score"] for reading in pair)
            size = 10 ** (len(str(max(first, 1))) - 1)
            differences[post["subreddit"], size].append(second - first)
    assert set(rows) == set(differences)
    for name, values in differences.items():
        assert rows[name]["pairs"] == len(values)
        assert rows[name]["noise_of_a_reading"] == near(math.sqrt(np.mean(np.square(values)) / 2))
        assert rows[name]["largest_difference"] == max(map(abs, values))


def test_nearest_neighbours_are_other_pictures_of_the_subreddit(world, answers):
    rows = answers("nearest_neighbours")
    for subreddit in ("aww", "pics"):
        pictured = [post for post in world.posts if post["subreddit"] == subreddit and post["sha"]]
        best = max((post for post in pictured if post["score"] is not None), key=lambda post: post["score"])
        cosines = {
            post["post_id"]: float(world.vectors[best["sha"]] @ world.vectors[post["sha"]])
            for post in pictured
            if post["sha"] != best["sha"]
        }
        nearest = sorted(cosines, key=lambda post_id: (-cosines[post_id], post_id))[:5]
        found = [row for row in rows if row["subreddit"] == subreddit]
        assert {row["best_post_id"] for row in found} == {best["post_id"]}
        assert [row["post_id"] for row in found] == nearest
        assert [row["similarity"] for row in found] == [near(cosines[post_id]) for post_id in nearest]


def test_pipeline_funnel_counts_every_stage(world, answers):
    rows = by(answers("pipeline_funnel"), "subreddit")
    for subreddit in ("aww", "pics"):
        posts = [post for post in world.posts if post["subreddit"] == subreddit]
        labelled = world.labelled(subreddit)
        row = rows[subreddit]
        assert row["collected"] == len(posts) + sum(where == subreddit for where, _ in world.rejected)
        assert row["kept"] == len(posts)
        assert row["with_picture"] == row["with_image_embedding"] == sum(post["sha"] is not None for post in posts)
        assert row["labelled"] == len(labelled)
        assert row["train"] + row["validation"] + row["test"] == len(labelled)
        assert row["test"] == sum(post["split"] == "test" for post in labelled)


def inside(post: Row, level: int, expected: float) -> bool:
    found = bounds(expected)
    return bool(found[f"low_{level}"] <= post["log_score"] <= found[f"high_{level}"])


def test_interval_coverage_is_the_share_inside_on_the_test_part(world, answers):
    rows = by(answers("interval_coverage"), "subreddit", "predictor", "expected")
    assert len(rows) == 2 * 2 * 3
    for (subreddit, predictor, part), row in rows.items():
        sign = 1 if predictor == "good" else -1
        test = [post for post in world.labelled(subreddit) if post["split"] == "test"]
        test.sort(key=lambda post: (sign * post["expected"], post["post_id"]))
        lower = test[: math.ceil(len(test) / 2)]
        chosen = {"all": test, "lower half": lower, "upper half": test[len(lower) :]}[part]
        assert row["posts"] == len(chosen)
        for level in (50, 80, 90):
            shares = [inside(post, level, sign * post["expected"]) for post in chosen]
            assert row[f"coverage_{level}"] == near(np.mean(shares))
        assert row["mean_width_80"] == near(80 / 60 + 80 / 50)
        assert row["standard_error_80"] == near(math.sqrt(0.16 / len(chosen)))
    assert rows["aww", "good", "all"]["coverage_80"] > rows["aww", "poor", "all"]["coverage_80"]


def test_champions_are_every_judgement_the_newest_first(answers):
    rows = answers("champions")
    assert [(row["subreddit"], row["champion"], row["promoted"]) for row in rows] == [
        (name, *of) for name in ("aww", "pics") for of in (("good", False), ("good", True), ("poor", True))
    ]
    assert {row["mae_difference"] for row in rows} == {-0.25}


def test_forecast_accuracy_is_of_what_has_matured_since_within_a_month(world, answers):
    rows = by(answers("forecast_accuracy"), "subreddit", "month")
    months = grouped(world.forecast, lambda post: (post["subreddit"], post["created_at"].date().replace(day=1)))
    assert set(rows) == set(months)
    compared = 0
    for key, posts in months.items():
        row, scored = rows[key], [post for post in posts if post["score"] is not None]
        assert (row["forecasts"], row["scored"], row["predictor"]) == (len(posts), len(scored), "good")
        if not scored:
            assert [row[name] for name in ("mae", "median_mae", "bias", "spearman", "coverage_80")] == [None] * 5
            continue
        compared += 1
        errors = np.array([post["expected"] - post["log_score"] for post in scored])
        assert row["mae"] == near(np.abs(errors).mean())
        assert row["bias"] == near(errors.mean())
        assert row["median_mae"] == near(np.mean([abs(3.0 - post["log_score"]) for post in scored]))
        expected = spearmanr([post["expected"] for post in scored], [post["log_score"] for post in scored]).statistic
        assert row["spearman"] == (near(expected) if len(scored) > 2 else None)
        for level in (50, 80, 90):
            assert row[f"coverage_{level}"] == near(np.mean([inside(p, level, p["expected"]) for p in scored]))
        assert row["factor_80"] == pytest.approx(math.exp(80 / 60 + 80 / 50), abs=0.06)
    assert compared >= 3


def test_forecasts_stand_beside_what_came(world, answers):
    rows = by(answers("forecasts"), "post_id")
    for subreddit in ("aww", "pics"):
        own = sorted((post for post in world.forecast if post["subreddit"] == subreddit), key=age, reverse=True)
        assert {row["post_id"] for row in rows.values() if row["subreddit"] == subreddit} == {
            post["post_id"] for post in own[:20]
        }
    said = Counter()
    for post in world.forecast:
        if row := rows.get(post["post_id"]):
            found = bounds(post["expected"])
            outcome = "waiting"
            if post["score"] is not None:
                outcome = "below" if post["log_score"] < found["low_80"] else "inside"
                outcome = "above" if post["log_score"] > found["high_80"] else outcome
            said[outcome] += 1
            assert (row["outcome"], row["score"]) == (outcome, post["score"])
            assert row["low_80"] == pytest.approx(np.sign(found["low_80"]) * np.expm1(abs(found["low_80"])), abs=0.051)
            assert row["high_80"] == pytest.approx(np.expm1(found["high_80"]), abs=0.051)
    assert len(said) >= 3


def test_learning_curves_are_shown_from_few_posts_to_all_with_the_verdict_last(answers):
    rows = [row for row in answers("learning_curves") if row["predictor"] == "good"]
    assert [(row["posts"], row["spearman"], row["gained_by_doubling"]) for row in rows] == [
        (400, 0.5, None),
        (800, 0.6, 0.1),
    ]
    assert [(row["limited_by"], row["reachable_at_least"]) for row in rows] == [(None, None), ("posts", 0.55)]


def test_worth_of_blocks_sets_each_one_alone_beside_what_its_absence_costs(answers):
    rows = by(answers("worth_of_blocks"), "predictor", "block")
    text = rows["good", "text"]
    assert (text["spearman_alone"], text["missed"]) == (0.5, 0.35)
    assert (text["missed_low"], text["missed_high"]) == (near(0.25), near(0.45))
    assert [row["block"] for row in answers("worth_of_blocks") if row["predictor"] == "good"] == ["text", "time"]
    assert rows["poor", "time"]["reason"] == "needs block time"


def test_audits_say_what_is_sound_and_what_is_not(answers):
    assert {row["predictor"]: row["verdict"] for row in answers("leakage_audit")} == {
        "good": "nothing found", "poor": "SOMETHING LEAKS",
    }  # fmt: skip
    assert {row["predictor"]: row["interaction"] for row in answers("interactions")} == {
        "good": "useful", "poor": "not beyond chance",
    }  # fmt: skip
    found = by(answers("calibration_groups"), "predictor", "bin")
    assert [found["good", bin_]["expected"] for bin_ in (1, 2, 3)] == ["calibrated"] * 3
    assert [found["poor", bin_]["expected"] for bin_ in (1, 2, 3)] == ["too much", "calibrated", "too little"]


def test_errors_by_listing_and_by_month(answers):
    listings = by(answers("predictors_by_listing"), "predictor", "found_in")
    assert listings["good", "top"]["bias"] == 0.9
    assert listings["poor", "new"]["reason"] == "too few posts: 3 of 30"
    (month,) = answers("error_by_month")
    assert (month["month"], month["beyond_chance"]) == ("2024-04", False)


def test_explanations_list_what_stands_out(world, answers):
    rows = [row for row in answers("important_inputs") if row["predictor"] == "good"]
    assert [row["rank"] for row in rows] == list(range(1, 11))
    assert [row["direction"] for row in rows[:2]] == ["more is better", "less is better"]
    assert {row["direction"] for row in answers("important_inputs") if row["predictor"] == "poor"} == {"mixed"}
    assert [row["token"] for row in answers("words")] == ["dog", "storm"]
    assert [row["family"] for row in answers("objects_in_pictures")] == ["dog", "fungus"]
    captions = {post["post_id"]: post["caption"] for post in world.posts}
    kinds = answers("kinds_of_pictures")
    assert [(row["category"], row["typical_post"]) for row in kinds] == [(1, "p46"), (2, "p45")]
    assert all(row["typical_caption"] == captions[row["typical_post"]] for row in kinds)
    assert [(row["word"], row["attention"], row["even"]) for row in answers("attention_to_words")][1] == (
        "storm",
        0.7,
        0.25,
    )
