"""`marts.image_category_posts` and its view `marts.image_categories`: which kinds of pictures do badly, which well?

Origin: the K-means analysis of Zhang et al. ("dual attention"): cluster the pictures into K = 12, take out the clusters
whose share R of unpopular pictures is away from one half, |R - 0.5| > t, cluster the others again, and so on until none
qualifies. Popular and unpopular are the top and bottom quarters of `dual_attention.quarter_labels`.

Choices: t, which the paper does not give, is 0.1, and the 95 % interval of R (Wilson 1927) must leave one half out:
clusters get small, and a share of few pictures is far from one half by chance. At most a cluster per
`LEAST_IN_A_CLUSTER` pictures. Names are for people to give: the figure shows the pictures nearest to each centre.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redpop_assets.analyses.drawings import gallery
from redpop_assets.analyses.study import Analysis, Doubles, Finding, Row, Study
from redpop_assets.arrays import np, npt
from redpop_assets.evaluation.metrics import wilson
from redpop_assets.predictors.systems.dual_attention import quarter_labels
from redpop_assets.storage.figures import FigureStore

if TYPE_CHECKING:
    from PIL import Image

CLUSTERS: Final = 12
THRESHOLD: Final = 0.1
LEAST_IN_A_CLUSTER: Final = 10
"""Pictures per cluster on average, at least; ten times as many are needed to begin with."""

SHOWN: Final = 8
"""Pictures of a category in the figure."""

EDGE: Final = 96
"""Their longest edge in pixels."""

_PATHS = """
SELECT p.post_id, f.path
FROM core.posts AS p JOIN core.primary_images AS i USING (post_id) JOIN core.images AS f USING (image_sha256)
WHERE p.subreddit = $subreddit AND NOT p.over_18 AND NOT p.spoiler
"""


@dataclass(frozen=True, eq=False)
class Categories:
    """Clusters of n pictures, the one with the largest share of unpopular ones first.

    Args:
        category: (n,) numbers from 1.
        distance: (n,) Euclidean distance to the centre.
        turn: (n,) the clustering, from 1, after which the picture was taken out; 0 if it never was.
    """

    category: npt.NDArray[np.int64]
    distance: Doubles
    turn: npt.NDArray[np.int64]


def pick_out(vectors: npt.NDArray[np.float32], unpopular: npt.NDArray[np.bool_], *, seed: int) -> Categories:
    """Cluster, take out what is mostly popular or mostly unpopular, and begin again with the others.

    Args:
        vectors: (n, d) pictures, n > 0.
        unpopular: (n,) whether the post was in a bottom quarter rather than in a top one.
        seed: of the clusterings.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    n = len(vectors)
    label, turns, distance = np.full(n, -1), np.zeros(n, dtype=np.int64), np.zeros(n)
    remaining, turn, used = np.arange(n), 0, 0
    while len(remaining):
        turn += 1
        k = min(CLUSTERS, max(1, len(remaining) // LEAST_IN_A_CLUSTER))
        with threadpool_limits(limits=1):
            found = KMeans(k, n_init=10, random_state=seed).fit(vectors[remaining].astype(np.float64))
        label[remaining] = used + found.labels_
        distance[remaining] = found.transform(vectors[remaining].astype(np.float64)).min(axis=1)
        used += k
        out = [cluster for cluster in range(k) if _stands_out(unpopular[remaining[found.labels_ == cluster]])]
        taken = np.isin(found.labels_, out)
        turns[remaining[taken]] = turn
        remaining = remaining[~taken] if out else remaining[:0]
    labels = np.unique(label)
    shares = [float(unpopular[label == one].mean()) for one in labels]
    order = sorted(range(len(labels)), key=lambda at: (-shares[at], labels[at]))
    number = {int(labels[at]): place for place, at in enumerate(order, start=1)}
    return Categories(np.array([number[int(one)] for one in label], dtype=np.int64), distance, turns)


def _stands_out(unpopular: npt.NDArray[np.bool_]) -> bool:
    low, high = wilson(int(unpopular.sum()), len(unpopular))
    return bool(abs(unpopular.mean() - 0.5) > THRESHOLD and not low <= 0.5 <= high)


def measure(study: Study) -> Finding:
    """One row per labelled post of a top or bottom quarter that has a picture."""
    data, _ = study.read(["image"])
    quarters = quarter_labels(data)
    chosen = data.select(~np.isnan(quarters) & data.blocks["image"].present)
    least = 10 * LEAST_IN_A_CLUSTER
    if len(chosen) < least:
        return Finding((), notes=(f"too few pictures of top and bottom quarters: {len(chosen)} of {least}",))
    unpopular = quarters[~np.isnan(quarters) & data.blocks["image"].present] == 0
    found = pick_out(chosen.blocks["image"].values, unpopular, seed=study.seed)
    rows: list[Row] = [
        {
            "post_id": post,
            "category": int(found.category[at]),
            "unpopular": bool(unpopular[at]),
            "distance": float(found.distance[at]),
            "picked_out": bool(found.turn[at]),
            "turn": int(found.turn[at]) or None,
            "figure": None,
        }
        for at, post in enumerate(chosen.post_ids)
    ]
    name = IMAGE_CATEGORIES.figure_name(study)
    paths = study.warehouse.query(_PATHS, {"subreddit": study.subreddit}).to_pydict()
    path = dict(zip(paths["post_id"], paths["path"], strict=True))
    shown: list[tuple[str, list[Image.Image]]] = []
    for category in range(1, int(found.category.max()) + 1):
        members = sorted((row for row in rows if row["category"] == category), key=lambda row: row["distance"])
        examples = [row for row in members if row["post_id"] in path][:SHOWN]
        if not examples:
            continue
        for row in examples:
            row["figure"] = FigureStore.relative(study.subreddit, name)
        share = sum(row["unpopular"] for row in members) / len(members)
        out = ", picked out" if members[0]["picked_out"] else ""
        heading = f"{category}: {share:.0%} of {len(members)} unpopular{out}"
        shown.append((heading, [thumbnail(study.images.read, path[row["post_id"]], EDGE) for row in examples]))
    title = f"r/{study.subreddit}: kinds of pictures, the least popular first"
    return Finding(rows, {name: gallery(shown, title=title)} if shown else {})


def thumbnail(read: Callable[[str], bytes], path: str, edge: int) -> Image.Image:
    """A stored picture in RGB, shrunk so that its longest edge has so many pixels."""
    from redpop_assets.images.decode import open_rgb

    picture = open_rgb(read(path))
    picture.thumbnail((edge, edge))
    return picture


IMAGE_CATEGORIES = Analysis(
    name="image_category_posts",
    view="marts.image_categories",
    question=(
        "Which kinds of pictures do badly, and which well? K-means categories of pictures of top and bottom quarters "
        "with their share of unpopular ones; categories away from one half are picked out, and the others clustered "
        "again (Zhang et al.)."
    ),
    measure=measure,
    version="1",
    sources=(),
    draws=True,
    shows_posts=True,
    shown={
        "subreddit": "subreddit",
        "category": "category",
        "posts": "pictures",
        "unpopular_share": "share unpopular (95 %)",
        "picked_out": "picked out",
        "turn": "in clustering",
    },
)
