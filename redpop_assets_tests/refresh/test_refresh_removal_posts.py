"""What counts as removed, as standing or as neither, by each kind of reading; and that nothing later gets in."""

import json
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redpop_assets.labels import LabelRule
from redpop_assets.refresh.posts import refresh_posts
from redpop_assets.refresh.removal_posts import LEFT_OUT, REMOVED, STANDING, RemovalPosts, draft_inputs
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

RULE = LabelRule(timedelta(days=7), timedelta(days=2))
BORN = datetime(2026, 1, 1)
AUTHOR = "f" * 32
DOWN = "moderator"


class Home:
    """A warehouse with posts of r/pics that are born an hour apart, each with its readings."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.submissions: list[dict[str, object]] = []
        self.observations: list[dict[str, object]] = []

    def post(self, *readings, origin="arctic_shift", discovered=0.0, author=AUTHOR, born=None, **fields):
        """One more post; `readings` are (age in days, removed_by_category), `discovered` its age in hours."""
        number = len(self.submissions)
        post_id = f"a{number:03}"
        created = BORN + timedelta(hours=number) if born is None else born
        shown = {"title": f"Lake {number}", "url": f"https://i.redd.it/{post_id}.jpg", "subreddit": "pics"}
        shown |= {"id": post_id, "author": author, "created_utc": (created - datetime(1970, 1, 1)).total_seconds()}
        self.submissions.append(
            {
                **{"post_id": post_id, "subreddit": "pics", "origin": origin, "revised_at": None},
                "discovered_at": created + timedelta(hours=discovered),
                "json": json.dumps({**shown, **fields}),
            }
        )
        for age, category in readings:
            self.read(post_id, created + timedelta(days=age), category)
        return post_id

    def read(self, post_id, at, category):
        row = {"post_id": post_id, "subreddit": "pics", "observed_at": at, "endpoint": "info", "author_present": True}
        self.observations.append({**row, "removed_by_category": category, "score": 5})

    def posts(self, *, author=None):
        """What the job sees of all that was told so far."""
        with self.warehouse.write() as writer:
            for table, rows in (("raw.submissions", self.submissions), ("raw.observations", self.observations)):
                writer.execute(f"DELETE FROM {table}")
                names = [column.name for column in writer.schema[table].columns]
                columns = {name: [row.get(name) for row in rows] for name in names}
                times = {name for name in names if name.endswith("_at")}
                writer.append(
                    table,
                    pa.table(
                        {
                            name: pa.array(values, pa.timestamp("us") if name in times else None)
                            for name, values in columns.items()
                        }
                    ),
                )
            writer.execute("DELETE FROM core.posts")
            writer.execute("DELETE FROM core.rejected_posts")
        refresh_posts(self.warehouse, "pics", allow_over_18=False, progress=lambda _: None)
        with self.warehouse.read() as reader:
            return RemovalPosts.read(reader, "pics", RULE, author=author)

    def outcomes(self):
        posts = self.posts()
        return dict(zip(posts.post_ids, posts.outcome.tolist(), strict=True))


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    warehouse = blank_warehouse(tmp_path_factory.mktemp("removals") / "home")
    with warehouse.kept():
        yield warehouse


@pytest.fixture
def home(warehouse):
    return Home(warehouse)


def test_each_kind_of_reading(home):
    expected = {
        home.post((0, None), (7.5, None)): STANDING,
        home.post((0, None), (7.0, None), (8.9, None)): STANDING,
        home.post((0, None), (7.5, DOWN)): REMOVED,
        home.post((0, None), (0.3, DOWN), (7.5, DOWN)): REMOVED,
        # Later than the age is not counted, in either direction: the first reading from the age on decides.
        home.post((0, None), (7.5, None), (8.0, DOWN), (30, DOWN)): STANDING,
        home.post((0, None), (7.5, DOWN), (8.0, None)): REMOVED,
        home.post((0, None), (0.3, DOWN), (2.0, None), (7.5, None)): STANDING,
        # Never read at that age: nobody knows, whatever was seen before or long after.
        home.post((0, None)): LEFT_OUT,
        home.post((0, None), (0.3, DOWN)): LEFT_OUT,
        home.post((0, None), (6.99, None)): LEFT_OUT,
        home.post((0, None), (30, DOWN)): LEFT_OUT,
        home.post((0, None), (30, None)): LEFT_OUT,
        # Who removed it.
        **{home.post((0, None), (7.5, who)): REMOVED for who in ("reddit", "automod_filtered", "unknown", "a new one")},
        # A listing that shows a post late shows only what survived until then; an archive shows all.
        home.post((7.5, None), origin="listing", discovered=3.1): LEFT_OUT,
        home.post((7.5, DOWN), origin="listing", discovered=3.1): LEFT_OUT,
        home.post((7.5, None), origin="listing", discovered=2.9): STANDING,
        home.post((7.5, DOWN), origin="listing", discovered=2.9): REMOVED,
        home.post((7.5, DOWN), origin="archive:x", discovered=200): REMOVED,
    }
    gone = [home.post((0, None), (age, who)) for age in (1, 7.5, 30) for who in ("deleted", "author", "legal")]
    found = home.outcomes()
    assert found == expected
    assert not set(gone) & set(found)


def test_what_is_no_image_post_or_is_pinned_has_no_part_standing_or_not(home):
    for readings in (((7.5, None),), ((7.5, DOWN),)):
        home.post(*readings, is_self=True, selftext="words", url="https://www.reddit.com/r/pics/comments/x")
        home.post(*readings, stickied=True)
        home.post(*readings, url="https://v.redd.it/x", is_video=True)
        home.post(*readings, over_18=True)
    kept = home.post((7.5, DOWN))
    assert home.outcomes() == {kept: REMOVED}


def test_what_is_known_of_a_post_does_not_depend_on_whether_it_stands(home):
    gallery = {"is_gallery": True, "url": "https://www.reddit.com/gallery/x"}
    media = {"gallery_data": {"items": [{"media_id": "m"}]}}
    media["media_metadata"] = {"m": {"status": "valid", "e": "Image", "s": {"u": "https://i.redd.it/m.jpg"}}}
    same = {"title": "  The &amp; lake ", "born": BORN}
    home.post((7.5, None), **same, **gallery, **media)
    home.post((7.5, DOWN), **same, **gallery, **media)
    # First seen when it was down already: its pictures are gone, and a moderator gave it a flair.
    home.post((7.5, DOWN), **same, **gallery, link_flair_text="Removed: rule 3", removed_by_category=DOWN, spoiler=True)
    posts = home.posts()
    assert posts.outcome.tolist() == [STANDING, REMOVED, REMOVED]
    assert posts.is_gallery.all()
    inputs = posts.inputs(np.arange(3))
    assert len(set(inputs.titles)) == 1
    for values in (inputs.numbers, inputs.standing):
        assert (values == values[0]).all()


def test_a_draft_is_described_as_the_same_post_would_be(home):
    for number in range(6):
        home.post((0.01, DOWN if number % 2 else None), (7.5, DOWN if number % 2 else None))
    posts = home.posts()
    last = np.array([5])
    stored = posts.inputs(last)
    past = home.posts()
    drafted = draft_inputs(past, (posts.titles[5],), posts.created_at[last], AUTHOR)
    assert drafted.titles[0] == stored.titles[0]
    assert (drafted.numbers == stored.numbers).all()
    assert drafted.standing == pytest.approx(stored.standing, rel=1e-12)
    unknown = draft_inputs(RemovalPosts.none(), ("A lake", "A sea"), posts.created_at[[5, 5]], None)
    assert np.isnan(unknown.standing).all()
    assert len(unknown) == 2


def test_posts_of_one_author_only(home):
    mine = [home.post((7.5, None)), home.post((7.5, DOWN))]
    home.post((7.5, DOWN), author="e" * 32)
    home.post((7.5, None), author=None)
    assert home.posts(author=AUTHOR).post_ids == tuple(mine)
    assert home.posts().authors[-1] is None


READINGS = st.lists(st.tuples(st.floats(9.001, 60), st.sampled_from([None, DOWN, "reddit"])), max_size=3)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from([None, DOWN]), READINGS), min_size=3, max_size=8), st.integers(1, 3))
def test_later_readings_and_later_posts_change_no_bit(warehouse, posts, later):
    """All readings after the age at which labels are final, and all posts after the newest one that is learnt from."""

    def seen(*, also):
        home = Home(warehouse)
        for first, then in posts:
            home.post((0, None), (7.5, first), *(then if also else ()))
        for number in range(later if also else 0):
            born = BORN + timedelta(days=40 + number)
            home.post((0, None), born=born)
            home.read(f"a{len(posts) + number:03}", born + timedelta(days=1), DOWN)
        return home.posts()

    plain, more = seen(also=False), seen(also=True)
    rows, same = plain.newest(100), more.newest(100)
    assert rows.tolist() == same.tolist() == list(range(len(posts)))
    assert plain.outcome[rows].tolist() == more.outcome[same].tolist()
    assert plain.digest(rows) == more.digest(same)
    before, after = plain.inputs(rows), more.inputs(same)
    assert before.titles == after.titles
    assert before.numbers.tobytes() == after.numbers.tobytes()
    assert before.standing.tobytes() == after.standing.tobytes()
