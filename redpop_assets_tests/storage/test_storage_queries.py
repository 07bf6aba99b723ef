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
from redpop_assets.evaluation.leaderboard import refresh_leaderboard
from redpop_assets.features import captions, pixels
from redpop_assets.storage.schema import load_schema, warehouse_folder
from redpop_assets.storage.warehouse import Warehouse

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
            yield reading(post["labelled_at"], final)
            yield reading(post["labelled_at"] + timedelta(seconds=20), final + fuzz)
            yield reading(post["labelled_at"] + timedelta(days=2), 2 * final)

    def labelled(self, subreddit: str) -> list[Row]:
        return [post for post in self.posts if post["subreddit"] == subreddit and post["score"] is not None]


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def answers(world: World, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Rows of a query by its name, from the published file of a filled warehouse."""
    warehouse = Warehouse(tmp_path_factory.mktemp("filled"), source="sandbox", lock_timeout=60)
    fill(warehouse, world)
    refresh_leaderboard(warehouse, seed=1)
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
                "observed_at": post["labelled_at"],
                "age_at_label_hours": (post["labelled_at"] - post["created_at"]) / timedelta(hours=1),
                "score_scale": "current",
            }
            for post in labelled
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
            }
            for post in posts
            for predictor, expected in (("good", post["expected"]), ("poor", -post["expected"]))
        ],
    }
    with warehouse.write() as writer:
        for table, filled in rows.items():
            schema = writer.query(f"SELECT * FROM {table} LIMIT 0").schema
            writer.append(table, pa.Table.from_pylist(list(filled), schema=schema))


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
    warehouse = Warehouse(tmp_path, source="sandbox", lock_timeout=60)
    with warehouse.write():
        pass
    rows = answers_of(warehouse)
    assert len(rows) >= 10
    assert {name for name, found in rows.items() if found} == {"freshness"}
    assert sum(row["row_count"] for row in rows["freshness"]) == 1  # raw.source


def test_freshness_lists_every_table(world, answers):
    rows = by(answers("freshness"), "layer", "table_name")
    assert {".".join(name) for name in rows} == {table.name for table in load_schema().values() if not table.is_view}
    assert rows["raw", "observations"]["row_count"] == len(world.observations)
    assert rows["raw", "observations"]["latest"] == max(row["observed_at"] for row in world.observations)


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


def test_score_growth_takes_the_last_open_reading_of_each_age(world, answers):
    rows = by(answers("score_growth"), "subreddit", "from_hours")
    posts = by(world.posts, "post_id")
    shares: dict[tuple[str, int], list[float]] = defaultdict(list)
    for reading in world.observations:
        post = posts[reading["post_id"]]
        if post["score"] is not None and post["score"] >= 10 and not reading["hide_score"]:
            hours = (reading["observed_at"] - post["created_at"]) / timedelta(hours=1)
            start = next(start for start in (64, 32, 16, 8, 4, 2, 1, 0) if hours >= start)
            if reading["observed_at"] < post["labelled_at"]:
                shares[post["subreddit"], start].append(reading["score"] / post["score"])
    assert set(rows) == set(shares)
    assert {start for _, start in rows} == {0, 2, 16, 64}
    for name, values in shares.items():
        assert (rows[name]["posts"], rows[name]["share_median"]) == (len(values), near(np.median(values)))
        assert rows[name]["to_hours"] == max(2 * name[1], 1)


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
    readings = grouped(world.observations, lambda row: row["post_id"])
    differences: dict[tuple[str, int], list[int]] = defaultdict(list)
    for post in world.posts:
        if post["score"] is not None:
            label, second = readings[post["post_id"]][-3:-1]
            size = 10 ** (len(str(max(label["score"], 1))) - 1)
            differences[post["subreddit"], size].append(second["score"] - label["score"])
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
