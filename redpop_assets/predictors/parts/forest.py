"""A random forest as plain arrays: grown by scikit-learn, stored without pickle, applied with numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redpop_assets.arrays import np, npt
from redpop_assets.predictors.base import Doubles
from redpop_assets.predictors.dataset import Floats

PREDICTED_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Forest:
    """All trees one after another; a post goes left where its column is at most the threshold.

    Args:
        roots: (trees,) int32, node that each tree begins with.
        column, left, right: (nodes,) int32; a leaf leads to itself.
        threshold: (nodes,) float64.
        value: (nodes,) float64, mean label of the posts of a node.
        depth: (1,) int32, of the deepest tree.
        importances: (d,) float64, share of each column in what the splits explain of the train part.
    """

    roots: npt.NDArray[np.int32]
    column: npt.NDArray[np.int32]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    threshold: Doubles
    value: Doubles
    depth: npt.NDArray[np.int32]
    importances: Doubles

    @classmethod
    def fit(cls, values: Floats, labels: Floats, *, trees: int, least_leaf: int, share: float, seed: int) -> Forest:
        """Grow it on one core: squared error, bootstrap samples.

        Args:
            values: (n, d) float32 without NaN.
            labels: (n,).
            trees: how many.
            least_leaf: posts in a leaf at least.
            share: of the columns that each split may choose from.
            seed: of samples and choices.
        """
        from sklearn.ensemble import RandomForestRegressor

        grown = RandomForestRegressor(
            trees, criterion="squared_error", min_samples_leaf=least_leaf, max_features=share, random_state=seed
        ).fit(values, labels)
        found = [tree.tree_ for tree in grown.estimators_]
        roots = np.cumsum([0, *(tree.node_count for tree in found)])
        nodes = np.arange(roots[-1])
        shift = np.repeat(roots[:-1], np.diff(roots))
        column = np.concatenate([tree.feature for tree in found])
        leaf = column < 0
        return cls(
            roots=roots[:-1].astype(np.int32),
            column=np.where(leaf, 0, column).astype(np.int32),
            left=np.where(leaf, nodes, np.concatenate([tree.children_left for tree in found]) + shift).astype(np.int32),
            right=np.where(leaf, nodes, np.concatenate([tree.children_right for tree in found]) + shift).astype(
                np.int32
            ),
            threshold=np.where(leaf, 0.0, np.concatenate([tree.threshold for tree in found])),
            value=np.concatenate([tree.value[:, 0, 0] for tree in found]),
            depth=np.array([max(tree.max_depth for tree in found)], np.int32),
            importances=np.asarray(grown.feature_importances_, np.float64),
        )

    def predict(self, values: Floats) -> Doubles:
        """(n,) mean over the trees, for (n, d) float32 without NaN."""
        predicted = np.empty(len(values))
        for first in range(0, len(values), PREDICTED_AT_ONCE):
            some = values[first : first + PREDICTED_AT_ONCE].astype(np.float64)
            rows = np.arange(len(some))[:, None]
            nodes = np.broadcast_to(self.roots, (len(some), len(self.roots)))
            for _ in range(int(self.depth[0])):
                goes_left = some[rows, self.column[nodes]] <= self.threshold[nodes]
                nodes = np.where(goes_left, self.left[nodes], self.right[nodes])
            predicted[first : first + PREDICTED_AT_ONCE] = self.value[nodes].mean(axis=1)
        return predicted

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The fields by name, to be stored; `Forest(**arrays)` is the same again."""
        return dict(vars(self))
