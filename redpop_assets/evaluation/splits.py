"""Which posts a predictor may learn from and which judge it: one split, made once and shared by all.

The parts are "train", "validation" (early stopping and choices), "test", and some that nobody learns from: "embargo"
(made before the test posts, but not yet mature when these began), "seen_before" (test posts whose image was already
among the others) and, where some posts of some authors count only, "left_out" (the others).
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from redpop_assets.errors import NotTrainable

PARTS: Final[tuple[str, ...]] = ("train", "validation", "test", "embargo", "seen_before", "left_out")
"""The values of a split."""

Split = npt.NDArray[np.str_]


def time_split(
    created_at: npt.NDArray[np.datetime64],
    matured_at: npt.NDArray[np.datetime64],
    groups: Sequence[str | None] | None = None,
    *,
    test_share: float = 0.2,
    validation_share: float = 0.15,
) -> Split:
    """Split by time of creation: learn from the past, be judged by what came after.

    1. The newest `test_share` of the posts are the test part, from the creation T of its first post on. Posts of one
       second stay together, so the part may be a little larger.
    2. Of the others, those that had not matured by T go to "embargo": at T nobody could have read their final labels.
    3. Of the rest, the newest `validation_share` are the validation part. There is no gap between train and validation:
       it would cost a second label age of the newest posts, to guard a choice that the test part judges anyway.
    4. Of a duplicate group with members on both sides of T, the earlier ones (train or validation) stay and the later
       ones leave the test part as "seen_before". Embargoed posts teach nobody, so they do not count as earlier members.
       Of a group in train and validation all members join the train part.

    Args:
        created_at: (n,) datetime64, UTC.
        matured_at: (n,) datetime64, UTC: the earliest moment the label was final: creation plus label age plus window.
            Not the time it was read: archives are read months later, and every post of one would then fall under the
            embargo.
        groups: duplicate group of each post, such as the hash of its image; None for a post, or for all, means no
            duplicates.
        test_share: share of all posts, between 0 and 1.
        validation_share: share of the posts that are neither test nor embargo, from 0 to below 1.

    Returns:
        (n,) strings of `PARTS`.

    Raises:
        ValueError: lengths differ, a time is missing, a post matures before it is created, or a share is out of range.
        NotTrainable: no post is left to learn from, because the posts cover too short a time.
    """
    created = np.asarray(created_at, dtype="datetime64[s]")
    matured = np.asarray(matured_at, dtype="datetime64[s]")
    _check_shares(test_share, validation_share)
    if created.ndim != 1 or created.shape != matured.shape or (groups is not None and len(groups) != len(created)):
        raise ValueError("created_at, matured_at and groups must have one entry per post")
    if np.isnat(created).any() or np.isnat(matured).any():
        raise ValueError("created_at or matured_at has missing times")
    if (matured < created).any():
        raise ValueError(
            "a post matures before it is created; matured_at is created_at plus the age at which labels are final"
        )
    if len(created) < 2:
        raise NotTrainable(f"{len(created)} labelled posts cannot be split; scrape more, or wait for scores to mature")

    newest = max(1, round(test_share * len(created)))
    first_test = np.sort(created)[-newest]
    split = np.full(len(created), "test", dtype=_WIDTH)
    before = created < first_test
    split[before] = "embargo"
    learnable = np.flatnonzero(before & (matured <= first_test))
    if len(learnable) == 0:
        days = (created.max() - created.min()) / np.timedelta64(1, "D")
        raise NotTrainable(
            f"the labelled posts cover {days:.1f} days, and none had matured before the test posts began: "
            "wait for more posts to mature, import an archive, or set a smaller label age"
        )
    split[learnable] = "train"
    times = np.sort(created[learnable])
    held_out = round(validation_share * len(learnable))
    if held_out:
        split[learnable[created[learnable] >= times[-held_out]]] = "validation"
        if not (split == "train").any():
            split[learnable] = "train"
    if groups is not None:
        _keep_groups_apart(split, groups)
    return split


def grouped_split(
    *keys: Sequence[str | None],
    test_share: float = 0.2,
    validation_share: float = 0.15,
    seed: int = 0,
) -> Split:
    """Split at random, keeping together all posts that share a value of any key, directly or through others.

    With the duplicate groups as the only key this is the random split, which flatters every predictor and is shown only
    beside the time split. With authors as a second key it asks how a predictor does on authors it has never met.

    Args:
        keys: one or more sequences of n values; a post whose value is None shares it with nobody.
        test_share: least share of all posts in the test part, between 0 and 1.
        validation_share: share of the other posts to validate on, from 0 to below 1.
        seed: the same seed gives the same split.

    Returns:
        (n,) of "train", "validation" and "test"; whole groups move, so the shares are approximate.

    Raises:
        ValueError: there are no keys, lengths differ or a share is out of range.
        NotTrainable: nothing is left to learn from, because almost all posts hang together.
    """
    _check_shares(test_share, validation_share)
    component = connected_components(*keys)
    count = len(component)
    sizes = np.bincount(component)
    order = np.random.default_rng(seed).permutation(len(sizes))
    # Posts in the groups drawn before each group: a group is drawn while its part still wants posts.
    drawn_before = np.cumsum(sizes[order]) - sizes[order]
    test_goal = test_share * count
    validation_goal = test_goal + validation_share * (count - test_goal)
    parts = np.where(drawn_before < test_goal, "test", np.where(drawn_before < validation_goal, "validation", "train"))
    part_of = np.empty(len(sizes), dtype=_WIDTH)
    part_of[order] = parts
    split: Split = part_of[component]
    if not (split == "train").any():
        raise NotTrainable("almost all posts share a group, so none is left to learn from; split by time instead")
    return split


def one_per_author_split(
    authors: Sequence[str | None],
    groups: Sequence[str | None],
    *,
    test_share: float = 0.2,
    validation_share: float = 0.15,
    seed: int = 0,
) -> Split:
    """Split one random post of each author at random; the others are left out, so that no author can be recognised.

    The "one per user" setting of Khosla, Das Sarma & Hamid 2014. The
    drawn posts of a duplicate group are in one part.

    Args:
        authors: (n,) names; None stands for an author of whom there is no other post.
        groups: (n,) duplicate groups; None for no duplicates.
        test_share, validation_share, seed: as for `grouped_split`, shares being those of the drawn posts.

    Returns:
        (n,) of "train", "validation", "test" and "left_out".

    Raises:
        ValueError: lengths differ or a share is out of range.
        NotTrainable: nothing is left to learn from.
    """
    owner = connected_components(authors)
    if len(groups) != len(owner):
        raise ValueError(f"{len(owner)} authors and {len(groups)} groups: give one of each per post")
    order = np.random.default_rng(seed).permutation(len(owner))
    drawn = order[np.unique(owner[order], return_index=True)[1]]
    drawn.sort()
    split: Split = np.full(len(owner), "left_out", dtype=_WIDTH)
    if len(drawn):
        split[drawn] = grouped_split(
            [groups[row] for row in drawn], test_share=test_share, validation_share=validation_share, seed=seed
        )
    return split


def one_author_split(
    authors: Sequence[str | None],
    created_at: npt.NDArray[np.datetime64],
    matured_at: npt.NDArray[np.datetime64],
    groups: Sequence[str | None],
    *,
    test_share: float = 0.2,
    validation_share: float = 0.15,
) -> Split:
    """Split the posts of the author who has most of them by time; all others are left out.

    The "user specific" setting of Khosla, Das Sarma & Hamid 2014, for one user: what makes one post of an author do
    better than another of the same author?

    Args:
        authors: (n,) names; None is nobody in particular.
        created_at, matured_at, groups, test_share, validation_share: as for `time_split`.

    Returns:
        (n,) of `PARTS`.

    Raises:
        ValueError: as `time_split`.
        NotTrainable: no author has two posts, or they cover too short a time.
    """
    names, counts = np.unique([author for author in authors if author is not None], return_counts=True)
    if len(authors) != len(groups) or len(authors) != len(created_at):
        raise ValueError(f"{len(authors)} authors, {len(groups)} groups, {len(created_at)} times: give one of each")
    if not len(names) or counts.max() < 2:
        raise NotTrainable("no author has two labelled posts")
    chosen = names[counts.argmax()]
    rows = [row for row, author in enumerate(authors) if author == chosen]
    split: Split = np.full(len(authors), "left_out", dtype=_WIDTH)
    split[rows] = time_split(
        np.asarray(created_at)[rows],
        np.asarray(matured_at)[rows],
        [groups[row] for row in rows],
        test_share=test_share,
        validation_share=validation_share,
    )
    return split


def connected_components(*keys: Sequence[str | None]) -> npt.NDArray[np.int64]:
    """Join posts that share a value of any key, directly or through others (union-find).

    Args:
        keys: one or more sequences of n values; a post whose value is None shares it with nobody.

    Returns:
        (n,) number of the set that each post belongs to, from 0.

    Raises:
        ValueError: there are no keys, or their lengths differ.
    """
    if not keys or len({len(key) for key in keys}) != 1:
        raise ValueError("give at least one key, and as many values in each")
    parent = list(range(len(keys[0])))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for key in keys:
        first: dict[str, int] = {}
        for row, value in enumerate(key):
            if value is not None:
                parent[root(row)] = root(first.setdefault(value, row))
    number: npt.NDArray[np.int64] = np.unique(
        np.asarray([root(row) for row in range(len(parent))], dtype=np.int64), return_inverse=True
    )[1]
    return number


def digest(post_ids: Sequence[str], split: Split) -> str:
    """SHA-256, hexadecimal, of which post is in which part; the order of the posts does not matter.

    Raises:
        ValueError: lengths differ.
    """
    lines = sorted(f"{post_id}\t{part}\n" for post_id, part in zip(post_ids, split, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


_WIDTH: Final = f"<U{max(map(len, PARTS))}"


def _check_shares(test_share: float, validation_share: float) -> None:
    if not 0.0 < test_share < 1.0 or not 0.0 <= validation_share < 1.0:
        raise ValueError(f"shares must lie between 0 and 1: test {test_share}, validation {validation_share}")


def _keep_groups_apart(split: Split, groups: Sequence[str | None]) -> None:
    """Apply rule 4 of `time_split` in place."""
    in_train = {group for group, part in zip(groups, split, strict=True) if part == "train"} - {None}
    for row, group in enumerate(groups):
        if split[row] == "validation" and group in in_train:
            split[row] = "train"
    learnt = {group for group, part in zip(groups, split, strict=True) if part in ("train", "validation")} - {None}
    for row, group in enumerate(groups):
        if split[row] == "test" and group in learnt:
            split[row] = "seen_before"
