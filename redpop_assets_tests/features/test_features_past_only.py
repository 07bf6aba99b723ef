"""What all families that look at other posts have in common, whatever they say of them: rows know the past alone.

`redpop_assets.storage.made_posts` computes no row anew before the moment at which something different acts.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.features import novelty, title_past
from redpop_assets.features.family import Asked, Encoders, Everybody, Networks, Past, Subjects
from redpop_assets.features.registry import FAMILIES
from redpop_assets.features.vectors import Vectors
from redpop_assets.storage.history import History

pytestmark = pytest.mark.integration

AGE = timedelta(days=9)
HALF_DAY = 43_200
PAST = [family for family in FAMILIES if family.past != "nothing"]
RNG = np.random.default_rng(0)
VECTORS = {"image": RNG.normal(size=(5, 3)).astype(np.float32), "caption": RNG.normal(size=(5, 4)).astype(np.float32)}


@pytest.fixture(autouse=True)
def few_posts_are_enough(monkeypatch):
    """So that what learns from many posts does so from those that an example has."""
    monkeypatch.setattr(title_past, "LEAST_LEARNT_FROM", 1)
    monkeypatch.setattr(novelty, "MOST_POSTS", 4)
    monkeypatch.setattr(novelty, "_BLOCK", 3)
    monkeypatch.setattr(novelty, "_REACH", 5)


# Coarse times and few names, so that equal seconds, authors, pictures and vectors are common.
POST = st.fixed_dictionaries(
    {
        "subreddit": st.sampled_from(["pics", "pics", "cats"]),
        "created": st.integers(0, 80).map(lambda number: number * HALF_DAY),
        "author": st.sampled_from([None, "a", "b"]),
        "caption": st.lists(st.sampled_from(["lake", "old", "cat", "[OC]"]), max_size=4).map(" ".join),
        "score": st.sampled_from([None, 0.0, 1.5, 4.0]),
        "group": st.sampled_from([None, "x", "y"]),
        "image": st.sampled_from([None, 0, 1, 2]),
        "vector": st.sampled_from([None, 0, 1, 2]),
        "members": st.sampled_from([None, 100, 200]),
    }
)
POSTS = st.dictionaries(st.integers(0, 60).map(lambda number: f"p{number:02}"), POST, max_size=25)


class Told(Subjects):
    def __init__(self, past, asked):
        super().__init__(Networks("cpu", None))
        self._past, self._asked = past, asked

    def __len__(self):
        return len(self._asked)

    @property
    def past(self):
        return self._past

    @property
    def asked(self):
        return self._asked


def history(posts):
    created = np.array([post["created"] for post in posts.values()], dtype="datetime64[s]")
    return History(
        post_ids=list(posts),
        subreddits=[post["subreddit"] for post in posts.values()],
        authors=[post["author"] for post in posts.values()],
        captions=[post["caption"] for post in posts.values()],
        groups=[post["group"] for post in posts.values()],
        created_at=created,
        matured_at=created + np.timedelta64(AGE),
        log_score=np.array([post["score"] for post in posts.values()], dtype=np.float64),
    )


def vectors_of(posts, content):
    kind, key = ("image", "image") if content == "picture" else ("caption", "vector")
    width = VECTORS[kind].shape[1]
    rows = [np.full(width, np.nan) if p[key] is None else VECTORS[kind][p[key]] for p in posts.values()]
    return np.array(rows, dtype=np.float32).reshape(-1, width)


def members_of(posts):
    seen_at = np.array([post["created"] for post in posts.values()], dtype="datetime64[s]") + np.timedelta64(300, "s")
    return np.array([post["members"] for post in posts.values()], dtype=np.float64), seen_at


def past_of(posts):
    posts = dict(sorted(posts.items()))
    own = {post_id: post for post_id, post in posts.items() if post["subreddit"] == "pics"}
    return Past(
        "pics",
        Everybody(history(posts)),
        history(own),
        *members_of(own),
        lambda one, _: Vectors.of(vectors_of(own, one), one),
    )


def said(family, past, asked, names):
    """Name -> what the family says of each that is asked about, as bytes; -0 is 0."""
    features = family.compute(Told(past, asked), Encoders("one", "one"))
    columns = [np.asarray(values) + 0.0 for values in features.values()]
    assert all(len(values) == len(names) for values in columns)
    return {post: b"".join(values[row].tobytes() for values in columns) for row, post in enumerate(names)}


def rows_of(family, posts, due=None):
    """Post id -> what the family says of it."""
    past = past_of(posts)
    wanted = [row for row, post in enumerate(past.posts.post_ids) if due is None or post in due]
    asked = past.asked(np.array(wanted, dtype=np.int64))
    return said(family, past, asked, [past.posts.post_ids[row] for row in wanted])


def acts_from(before, after):
    """The first moment at which something that came, went or changed acts."""
    moments = [np.inf]
    for post_id in before.keys() | after.keys():
        sides = [posts[post_id] for posts in (before, after) if post_id in posts]
        if len(sides) == 1 or sides[0] != sides[1]:
            only_score = len(sides) == 2 and {**sides[0], "score": None} == {**sides[1], "score": None}
            moments += [side["created"] + only_score * AGE.total_seconds() for side in sides]
    return min(moments)


@pytest.mark.parametrize("family", PAST, ids=lambda family: family.name)
def test_rows_before_the_first_moment_at_which_anything_different_acts_stay_as_they_are(family):
    @settings(max_examples=40)
    @given(POSTS, POSTS, st.data())
    def check(before, others, data):
        changed = data.draw(st.sets(st.sampled_from(sorted(others))) if others else st.just(set()))
        gone = data.draw(st.sets(st.sampled_from(sorted(before)), max_size=2) if before else st.just(set()))
        scores = data.draw(st.sets(st.sampled_from(sorted(before))) if before else st.just(set()))
        after = {
            **{name: {**post, "score": 2.5} if name in scores else post for name, post in before.items()},
            **{name: others[name] for name in changed},
        }
        after = {name: post for name, post in after.items() if name not in gone}
        moment = acts_from(before, after)
        old, new = rows_of(family, before), rows_of(family, after)
        for post_id in old.keys() & new.keys():
            if after[post_id]["created"] < moment and before[post_id]["created"] < moment:
                assert old[post_id] == new[post_id], post_id

    check()


@pytest.mark.parametrize("family", PAST, ids=lambda family: family.name)
def test_what_is_due_comes_out_as_if_all_were(family):
    @settings(max_examples=40)
    @given(POSTS, st.data())
    def check(posts, data):
        due = data.draw(st.sets(st.sampled_from(sorted(posts))) if posts else st.just(set()))
        whole, some = rows_of(family, posts), rows_of(family, posts, due)
        assert some == {post_id: row for post_id, row in whole.items() if post_id in due}

    check()


def drafts_of(posts):
    """The posts of r/pics as posts that are in no past."""
    own = {name: post for name, post in sorted(posts.items()) if post["subreddit"] == "pics"}
    told = history(own)
    members, seen_at = members_of(own)
    return Asked(
        told.authors,
        told.captions,
        told.groups,
        told.created_at,
        members,
        seen_at,
        lambda content, _: vectors_of(own, content),
    )


def rows_of_drafts(family, posts, others):
    names = sorted(name for name, post in others.items() if post["subreddit"] == "pics")
    return said(family, past_of(posts), drafts_of(others), names)


@pytest.mark.parametrize("family", PAST, ids=lambda family: family.name)
def test_a_draft_of_a_stored_post_is_seen_as_the_stored_post(family):
    @settings(max_examples=40)
    @given(POSTS)
    def check(posts):
        stored, drafted = rows_of(family, posts), rows_of_drafts(family, posts, posts)
        assert stored.keys() == drafted.keys()
        for name, row in stored.items():
            if family.name not in ("neighbours", "retrieved"):
                assert drafted[name] == row
            else:  # the products that tell how near they are round otherwise
                one, other = (np.frombuffer(bytes_, dtype=np.float32) for bytes_ in (row, drafted[name]))
                np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-6)

    check()


@pytest.mark.parametrize("family", PAST, ids=lambda family: family.name)
def test_drafts_do_not_see_each_other_whatever_their_times_are(family):
    @settings(max_examples=40)
    @given(POSTS, POSTS)
    def check(posts, others):
        together = rows_of_drafts(family, posts, others)
        for name, post in others.items():
            if post["subreddit"] == "pics":
                assert rows_of_drafts(family, posts, {name: post}) == {name: together[name]}

    check()


def test_many_threads_may_ask_one_past_at_once():
    rng = np.random.default_rng(1)
    posts = {
        f"p{number:03}": {
            "subreddit": "pics",
            "created": int(rng.integers(0, 400)) * HALF_DAY,
            "author": f"a{rng.integers(9)}",
            "caption": " ".join(rng.choice(["lake", "old", "cat", "dog"], 3)),
            "score": float(rng.normal()),
            "group": None,
            "image": int(rng.integers(3)),
            "vector": int(rng.integers(3)),
            "members": 100,
        }
        for number in range(200)
    }
    one = past_of(posts)
    asked = [drafts_of({name: post}) for name, post in posts.items()]
    for family in PAST:
        alone = [said(family, past_of(posts), draft, ["it"]) for draft in asked[:20]]
        with ThreadPoolExecutor(10) as pool:
            found = list(pool.map(lambda draft, family=family: said(family, one, draft, ["it"]), asked))
        assert found[:20] == alone, family.name
