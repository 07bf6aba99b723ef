"""Features of posts are computed for the posts that are due, and come out as if all had been computed from nothing."""

import copy
import hashlib
import json
import random
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from redpop_assets.encoders.base import CODE_VERSION as ENCODING_VERSION
from redpop_assets.features.family import Encoders, Networks
from redpop_assets.features.registry import STEPS
from redpop_assets.refresh import features as job
from redpop_assets.refresh.features import Scope, refresh_step
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.forgetting import (
    erase_accounts,
    erase_missing_authors,
    forget,
    trace_query,
    unlink_authors,
)
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.live_file import prepare
from redpop_assets.storage.rows import Reader, Writer
from redpop_assets.storage.upkeep import transaction
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

AGE = timedelta(days=9)
BORN = datetime(2026, 1, 1)
ENCODERS = Encoders("timm:one/random", "sentence_transformers:one/random")
POST_STEPS = [step for step, families in STEPS.items() if families[0].grain == "post"]
TABLES = [family.filled_table for step in POST_STEPS for family in STEPS[step]]
COMMUNITIES = ("pics", "cats")
WORDS = ["a", "quiet", "lake", "in", "the", "evening", "light", "with", "my", "old", "cat", "and", "two", "birds"]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def vector(name: str, width: int) -> list[float]:
    rng = np.random.default_rng(int(digest(name)[:8], 16))
    return rng.normal(size=width).astype(np.float32).tolist()


@dataclass(frozen=True)
class Post:
    id: str
    subreddit: str
    created_at: datetime
    caption: str
    author: str | None
    score: int | None = None
    picture: str | None = None
    seen_by: frozenset[str] = frozenset(ENCODERS.only({"image", "caption"}).__dict__.values()) - {""}
    subscribers: int | None = None
    revised_at: datetime | None = None
    flair: str | None = None
    compared: bool = True


@dataclass
class World:
    """Posts as they are, and the tables that say so."""

    random: random.Random
    posts: dict[str, Post] = field(default_factory=dict)
    scale: str = "current"
    made: int = 0

    def make(self, created_at: datetime | None = None, **facts: object) -> Post:
        draw = self.random
        self.made += 1
        last = max((post.created_at for post in self.posts.values()), default=BORN)
        post = Post(
            id=f"p{draw.randrange(36**3):05d}{self.made:04d}",
            subreddit=draw.choice(COMMUNITIES),
            created_at=created_at or last + timedelta(seconds=draw.choice([0, 0, 1, 3600, 90_000])),
            caption=" ".join(draw.choices(WORDS, k=draw.randint(1, 6))),
            author=draw.choice([None, *(digest(f"person{n}")[:32] for n in range(4))]),
            score=draw.choice([None, 1, 5, 60, 60]),
            picture=draw.choice([None, "lake", "cat", f"own{self.made}"]),
            subscribers=draw.choice([None, 1000 + self.made]),
        )
        self.posts[post.id] = post = replace(post, **facts)
        return post

    def change(self, post: Post, **facts: object) -> None:
        self.posts[post.id] = replace(post, **facts)

    def store(self, warehouse: Warehouse) -> None:
        posts = sorted(self.posts.values(), key=lambda post: post.id)
        first = {}
        for post in sorted(posts, key=lambda post: (post.created_at, post.id)):
            first.setdefault(post.picture, post.id)
        key = {"post_id": [p.id for p in posts], "subreddit": [p.subreddit for p in posts]}
        n = len(posts)
        url = [f"https://i.redd.it/{p.id}.jpg" for p in posts]
        none = pa.nulls(n)
        tables = {
            "raw.submissions": {
                **key,
                "discovered_at": [p.created_at + timedelta(minutes=5) for p in posts],
                "origin": ["listing"] * n,
                "revised_at": pa.array([p.revised_at for p in posts], pa.timestamp("us")),
                "json": [json.dumps({"author": p.author, "subreddit_subscribers": p.subscribers}) for p in posts],
            },
            "core.posts": {
                **key,
                "created_at": [p.created_at for p in posts],
                "author": pa.array([p.author for p in posts], pa.string()),
                "caption": [p.caption for p in posts],
                "caption_sha256": [digest(p.caption) for p in posts],
                "flair": pa.array([p.flair for p in posts], pa.string()),
                "kind": ["image"] * n,
                "image_urls": [[u] for u in url],
                **dict.fromkeys(("image_captions", "preview_url", "crosspost_parent"), none),
                **dict.fromkeys(("is_original_content", "over_18", "spoiler"), [False] * n),
                **dict.fromkeys(("author_present", "removed_by_category"), none),
                "revised_at": pa.array([p.revised_at for p in posts], pa.timestamp("us")),
                "code_version": ["1"] * n,
            },
            "core.duplicates": {
                **{name: [value for value, p in zip(key[name], posts, strict=True) if p.compared] for name in key},
                "duplicate_group": [first[p.picture] if p.picture else p.id for p in posts if p.compared],
                "canonical": [not p.picture or first[p.picture] == p.id for p in posts if p.compared],
                **dict.fromkeys(("level", "distance"), pa.nulls(sum(p.compared for p in posts))),
            },
            "core.image_fetches": {
                "url": url,
                "canonical_url": none,
                "status": ["stored" if p.picture else "failed" for p in posts],
                "reason": [None if p.picture else "url_dead" for p in posts],
                "detail": [""] * n,
                "http_status": [200] * n,
                "image_sha256": pa.array([p.picture and digest(p.picture) for p in posts], pa.string()),
                "attempts": [1] * n,
                "fetched_at": [BORN] * n,
                **dict.fromkeys(("next_attempt_at", "checked_at"), none),
            },
        }
        labelled = [p for p in posts if p.score is not None]
        tables["core.labels"] = {
            "post_id": [p.id for p in labelled],
            "subreddit": [p.subreddit for p in labelled],
            "score": [p.score for p in labelled],
            "log_score": [float(np.log1p(p.score)) for p in labelled],
            "percentile": [0.5] * len(labelled),
            "observed_at": [p.created_at + AGE for p in labelled],
            "age_at_label_hours": [200.0] * len(labelled),
            "score_scale": [self.scale if p.score == 60 else "current" for p in labelled],
            **dict.fromkeys(("first_observed_at", "readings", "score_spread", "source"), pa.nulls(len(labelled))),
        }
        contents = {"image": {}, "caption": {}}
        for post in posts:
            if post.picture and ENCODERS.image in post.seen_by:
                contents["image"][digest(post.picture)] = vector(post.picture, 4)
            if ENCODERS.caption in post.seen_by:
                contents["caption"][digest(post.caption)] = vector(post.caption, 6)
        for modality, seen in contents.items():
            tables[f"features.{modality}_embeddings"] = {
                f"{modality}_sha256": list(seen),
                "encoder": [getattr(ENCODERS, modality)] * len(seen),
                "code_version": [ENCODING_VERSION] * len(seen),
                "embedding": list(seen.values()),
            }
        tables["features.encoders"] = {
            "encoder": [getattr(ENCODERS, modality) for modality, seen in contents.items() if seen],
            "modality": [modality for modality, seen in contents.items() if seen],
            "dimension": [len(next(iter(seen.values()))) for seen in contents.values() if seen],
        }
        encoders = len(tables["features.encoders"]["encoder"])
        tables["features.encoders"] |= {
            **dict.fromkeys(("provenance", "weights_sha256", "library"), ["none"] * encoders),
            "first_used_at": [BORN] * encoders,
            **dict.fromkeys(
                ("backend", "precision", "batch_size", "items_per_second", "min_cosine"), pa.nulls(encoders)
            ),
        }
        with warehouse.write() as writer:
            for table, columns in tables.items():
                known = {name: columns[name] for name in warehouse.schema[table].column_names if name in columns}
                unknown = {
                    name: pa.nulls(len(next(iter(known.values()))))
                    for name in warehouse.schema[table].column_names
                    if name not in known
                }
                rows = arrow_table({**known, **unknown})
                if rows.num_rows:
                    writer.replace(table, rows, "TRUE")
                else:
                    writer.execute(f"DELETE FROM {table}")


def scope_of(warehouse: Warehouse, subreddit: str, encoders: Encoders = ENCODERS, **changes: object) -> Scope:
    scope = Scope(
        subreddit=subreddit,
        warehouse=warehouse,
        images=ImageStore(warehouse.live.parent / "pictures"),
        encoders=encoders,
        networks=Networks("cpu", None),
        matured_after=AGE,
        chunk_size=64,
        progress=lambda _: None,
        warn=lambda _: None,
    )
    return replace(scope, **changes)


def rows(warehouse: Warehouse) -> dict[str, pa.Table]:
    with warehouse.read() as reader:
        return {table: reader.query(f"FROM {table} ORDER BY ALL") for table in TABLES}


class KeptOpen(Warehouse):
    """A warehouse whose file stays open, for tests that run hundreds of steps."""

    conn: duckdb.DuckDBPyConnection
    writes = 0
    killed_at = -1

    @contextmanager
    def read(self):
        yield Reader(self.conn, self.schema)

    @contextmanager
    def write(self):
        self.writes += 1
        if self.writes == self.killed_at:
            raise KeyboardInterrupt
        with transaction(self.conn):
            yield Writer(self.conn, self.schema)


@contextmanager
def kept(folder, content=None):
    warehouse = KeptOpen(folder, source="test")
    warehouse.live.parent.mkdir(parents=True)
    warehouse.live.write_bytes(content or blank_warehouse(folder / "blank").live.read_bytes())
    with duckdb.connect(warehouse.live) as warehouse.conn:
        prepare(warehouse.conn)
        yield warehouse


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A community of each name whose features are made: the content of the file, and the posts."""
    world = World(random.Random(11))
    for _ in range(70):
        world.make()
    with kept(tmp_path_factory.mktemp("made")) as warehouse:
        world.store(warehouse)
        refresh(warehouse)
    return warehouse.live.read_bytes(), world


@pytest.fixture
def warehouse(made, tmp_path):
    with kept(tmp_path / "home", made[0]) as warehouse:
        yield warehouse


@pytest.fixture
def world(made):
    """The posts that the warehouse has."""
    return copy.deepcopy(made[1])


@pytest.fixture
def computed():
    """Rows that families computed, by table; and steps that count them."""
    counts: dict[str, int] = {}

    def counted(family):
        def compute(subjects, encoders):
            counts[family.filled_table] = counts.get(family.filled_table, 0) + len(subjects)
            return family.compute(subjects, encoders)

        return replace(family, compute=compute)

    return counts, {step: [counted(family) for family in STEPS[step]] for step in POST_STEPS}


def refresh(warehouse: Warehouse, steps=STEPS, encoders: Encoders = ENCODERS) -> None:
    for step in POST_STEPS:
        for subreddit in COMMUNITIES:
            refresh_step(steps[step], scope_of(warehouse, subreddit, encoders))


def from_nothing(world: World, folder, encoders: Encoders = ENCODERS) -> dict[str, pa.Table]:
    with kept(folder) as warehouse:
        world.store(warehouse)
        refresh(warehouse, encoders=encoders)
        return rows(warehouse)


AFTER = datetime(2100, 1, 1)
CHANGES = {
    "new posts": lambda w, _: [w.make() for _ in range(5)],
    "late older posts": lambda w, p: w.make(created_at=p.created_at - timedelta(seconds=w.random.choice([0, 1]))),
    "a post of another community": lambda w, p: w.make(created_at=p.created_at, subreddit="cats"),
    "labels that mature": lambda w, _: [w.change(q, score=7) for q in list(w.posts.values()) if q.score is None],
    "a label that changes": lambda w, p: w.change(p, score=9),
    "a label that goes": lambda w, p: w.change(p, score=None),
    "another scale": lambda w, _: setattr(w, "scale", "before_2016_12"),
    "a rejected post": lambda w, p: w.posts.pop(p.id),
    "another time": lambda w, p: w.change(p, created_at=p.created_at - timedelta(days=2)),
    "another title": lambda w, p: w.change(p, caption="quiet birds", revised_at=p.created_at + AGE),
    "another community": lambda w, p: w.change(p, subreddit="cats" if p.subreddit == "pics" else "pics"),
    "a picture that arrives": lambda w, p: w.change(p, picture="lake"),
    "a picture that goes": lambda w, p: w.change(p, picture=None),
    "pictures nobody compared": lambda w, p: w.change(p, compared=not p.compared),
    "vectors that are missing": lambda w, p: [
        w.change(q, seen_by=frozenset()) for q in w.posts.values() if q.caption == p.caption
    ],
    "members read again": lambda w, p: w.change(p, subscribers=77, revised_at=p.created_at + AGE),
    "a flair": lambda w, p: w.change(p, flair="art"),
    "an author that is gone": lambda w, p: w.change(p, author=None),
}


def assert_as_from_nothing(warehouse, world, folder, encoders=ENCODERS, said=None):
    expected = from_nothing(world, folder, encoders)
    for table, found in rows(warehouse).items():
        assert found.equals(expected[table]), (table, said)


@pytest.mark.parametrize("seed", [0])
def test_any_sequence_of_changes_ends_as_if_all_had_been_computed(warehouse, world, tmp_path, seed):
    world.random.seed(seed)
    names = list(CHANGES)
    world.random.shuffle(names)
    while names:
        # Of what is not refreshed in between, several changes are due at once.
        some = [names.pop() for _ in range(min(len(names), world.random.randint(3, 6)))]
        for name in some:
            CHANGES[name](world, world.random.choice(sorted(world.posts.values(), key=lambda post: post.id)))
        world.store(warehouse)
        refresh(warehouse)
        assert_as_from_nothing(warehouse, world, tmp_path / f"nothing{len(names)}", said=some)


def test_nothing_new_computes_and_writes_nothing(warehouse, computed):
    counts, steps = computed
    before = warehouse.writes
    refresh(warehouse, steps)
    assert (counts, warehouse.writes) == ({}, before)


def test_new_posts_alone_are_computed_when_others_only_mature(warehouse, world, computed):
    """What an ordinary night brings: posts, and scores that no stored post may have seen."""
    counts, steps = computed
    newest = max(post.created_at for post in world.posts.values())
    new = [world.make(created_at=newest + timedelta(hours=n), subreddit="pics") for n in range(1, 4)]
    unseen = [post for post in world.posts.values() if post.created_at + AGE > newest and post not in new]
    assert len(unseen) > 3
    for post in unseen:
        world.change(post, score=12)
    world.store(warehouse)
    refresh(warehouse, steps)
    assert counts == dict.fromkeys(TABLES, len(new))


def test_a_late_label_makes_the_posts_due_that_could_have_seen_it(warehouse, world, computed):
    counts, steps = computed
    post = min((p for p in world.posts.values() if p.subreddit == "pics"), key=lambda post: post.created_at)
    world.change(post, score=33)
    world.store(warehouse)
    refresh(warehouse, steps)
    due = [p for p in world.posts.values() if p.created_at >= post.created_at + AGE]
    here = sum(p.subreddit == "pics" for p in due)
    assert 0 < here < sum(p.subreddit == "pics" for p in world.posts.values())
    assert counts["features.neighbours"] == counts["features.title_past"] == here
    assert counts["features.author_features"] == len(due)
    assert not counts.keys() & {"features.caption_novelty", "features.environments", "features.post_flags"}


@pytest.mark.parametrize("kill", [4, 6, 17])
def test_a_killed_run_is_gone_on_with(warehouse, world, tmp_path, kill):
    for name in ("late older posts", "a label that changes", "a picture that arrives", "a rejected post"):
        CHANGES[name](world, world.random.choice(sorted(world.posts.values(), key=lambda post: post.id)))
    world.store(warehouse)
    warehouse.killed_at = warehouse.writes + kill
    with pytest.raises(KeyboardInterrupt):
        refresh(warehouse)
    CHANGES["new posts"](world, None)
    world.store(warehouse)
    refresh(warehouse)
    assert_as_from_nothing(warehouse, world, tmp_path / "nothing")


def test_a_run_that_was_overtaken_writes_nothing(warehouse, world, tmp_path):
    """It read older facts, and comes to write them after another run has read and written newer ones."""
    post = min((p for p in world.posts.values() if p.subreddit == "pics"), key=lambda post: post.created_at)
    warned = []

    def overtaken(subjects, encoders):
        features = family.compute(subjects, encoders)
        world.change(world.posts[post.id], author=None, score=2)
        world.store(warehouse)
        refresh_step([family], scope_of(warehouse, "pics"))
        return features

    for step in ("author", "title_past"):
        (family,) = STEPS[step]
        world.change(post, score=90, author="b" * 32)
        world.store(warehouse)
        refresh_step([replace(family, compute=overtaken)], scope_of(warehouse, "pics", warn=warned.append))
    assert len(warned) == 2
    refresh(warehouse)
    assert_as_from_nothing(warehouse, world, tmp_path / "nothing")


def test_another_version_another_network_and_another_label_age_make_all_due(warehouse, world, tmp_path, computed):
    counts, steps = computed
    (family,) = steps["title_past"]
    here = sum(post.subreddit == "pics" for post in world.posts.values())
    for scope, families in (
        (scope_of(warehouse, "pics"), [replace(family, version="next")]),
        (scope_of(warehouse, "pics", Encoders(ENCODERS.image, "")), [family]),
        (scope_of(warehouse, "pics"), [family]),
        (scope_of(warehouse, "pics", matured_after=AGE * 2), [family]),
    ):
        counts.clear()
        refresh_step(families, scope)
        refresh_step(families, scope)
        assert counts == {"features.title_past": here}
    refresh(warehouse)
    assert_as_from_nothing(warehouse, world, tmp_path / "nothing")


def test_the_first_vector_of_a_network_makes_rows_of_its_width(tmp_path):
    world = World(random.Random(3))
    for _ in range(20):
        world.make(seen_by=frozenset())
    with kept(tmp_path / "home") as warehouse:
        world.store(warehouse)
        refresh(warehouse)
        world.make(picture="lake")
        world.store(warehouse)
        refresh(warehouse)
        assert_as_from_nothing(warehouse, world, tmp_path / "nothing")


def forgotten(warehouse, world, post):
    forget(warehouse, ImageStore(warehouse.live.parent / "pictures"), {post.id: "asked"})
    del world.posts[post.id]


def closed(warehouse, world, post):
    erase_accounts(warehouse, [post.author])
    for other in list(world.posts.values()):
        if other.author == post.author:
            world.change(other, author=None)


def nameless(warehouse, world, post):
    with warehouse.write() as writer:
        writer.execute(
            "INSERT INTO raw.observations BY NAME SELECT $id AS post_id, 'pics' AS subreddit, now()::TIMESTAMP "
            "AS observed_at, 'info' AS endpoint, 1 AS score, FALSE AS author_present",
            {"id": post.id},
        )
    assert erase_missing_authors(warehouse, "pics") == 1
    world.change(post, author=None)


def closed_and_forgotten(warehouse, world, post):
    closed(warehouse, world, post)
    forgotten(warehouse, world, post)


def closed_and_rejected(warehouse, world, post):
    closed(warehouse, world, post)
    del world.posts[post.id]
    world.store(warehouse)


@pytest.mark.parametrize("erase", [forgotten, closed, nameless, closed_and_forgotten, closed_and_rejected])
def test_what_is_erased_leaves_no_trace_and_what_knew_of_it_is_made_again(warehouse, world, tmp_path, erase):
    ours = [p for p in world.posts.values() if p.subreddit == "pics" and p.author and p.picture is None]
    post = min(ours, key=lambda post: (post.created_at, post.id))
    erase(warehouse, world, post)
    assert warehouse.scalar("SELECT count(*) FROM features.known_posts WHERE post_id = $id", {"id": post.id}) == 0
    assert warehouse.scalar(trace_query(warehouse.schema)) == 0
    due = warehouse.query("SELECT DISTINCT due_from FROM features.made_posts WHERE due_from < $now", {"now": AFTER})
    assert all(moment == moment.replace(hour=0, minute=0, second=0) for moment in due.column(0).to_pylist())
    world.store(warehouse)
    refresh(warehouse)
    assert_as_from_nothing(warehouse, world, tmp_path / "nothing")


def test_authors_that_get_other_hashes_leave_no_hash_of_the_old_ones(warehouse):
    before = rows(warehouse)
    unlink_authors(warehouse)
    assert warehouse.scalar("SELECT count(*) FROM features.known_posts") == 0
    refresh(warehouse)
    assert all(table.equals(before[name]) for name, table in rows(warehouse).items())


def test_no_vector_is_read_unless_rows_are_made_of_vectors(warehouse, world, monkeypatch):
    monkeypatch.setattr(job, "read_vectors", None)
    refresh(warehouse)
    world.change(min(world.posts.values(), key=lambda post: post.created_at), flair="art")
    world.store(warehouse)
    refresh(warehouse)
