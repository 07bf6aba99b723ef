"""What an analysis is, and what it is given and gives: one question, asked of one community at a time.

How questions are asked, and how their tables are kept up to date, belongs into `redpop_assets.analyses.asking`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from redpop_assets.arrays import np, npt

if TYPE_CHECKING:
    from redpop_assets.evaluation.bootstrap import Interval, Statistic
    from redpop_assets.features.family import Encoders
    from redpop_assets.predictors.base import Predictor
    from redpop_assets.predictors.dataset import Dataset
    from redpop_assets.storage.figures import FigureStore
    from redpop_assets.storage.images import ImageStore
    from redpop_assets.storage.models import ModelStore
    from redpop_assets.storage.warehouse import Warehouse

LEAST_POSTS: Final = 30
"""Fewest posts that a number of an analysis is computed from."""

Row = dict[str, Any]
Doubles: TypeAlias = "npt.NDArray[np.float64]"


@dataclass(frozen=True)
class Part:
    """Posts of a training set, with what an interval needs.

    Attributes:
        data: n posts with their labels.
        clusters: (n,) cluster numbers, as of `bootstrap.author_clusters`.
    """

    data: Dataset
    clusters: npt.NDArray[np.int64]

    @property
    def truth(self) -> Doubles:
        """(n,) log scores."""
        return self.data.labels.astype(np.float64)


@dataclass(frozen=True)
class Model:
    """A trained predictor as models.predictors has it."""

    name: str
    digest: str
    encoders: Encoders
    blocks: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """One community on its present training set, and what an analysis of it may use.

    Attributes:
        predictor: The predictor to take apart, for analyses of a single one.
        encoders: The networks of the deployment.
        progress: Told of what takes long, a sentence at a time.
    """

    warehouse: Warehouse
    models: ModelStore
    images: ImageStore
    encoders: Encoders
    subreddit: str
    snapshot: str
    predictor: str
    seed: int
    progress: Callable[[str], None]

    @cached_property
    def trained(self) -> tuple[Model, ...]:
        """The predictors that are trained on this snapshot, by name."""
        from redpop_assets.refresh.predictors import encoders_of

        rows = self.warehouse.query(
            "SELECT * FROM models.predictors WHERE subreddit = $subreddit AND snapshot = $snapshot "
            "AND status = 'trained' ORDER BY predictor",
            {"subreddit": self.subreddit, "snapshot": self.snapshot},
        ).to_pylist()
        return tuple(Model(row["predictor"], row["digest"], encoders_of(row), tuple(row["blocks"])) for row in rows)

    @property
    def figures(self) -> FigureStore:
        """The figures of the deployment."""
        from redpop_assets.storage.figures import FigureStore

        return FigureStore.beside(self.images)

    def load(self, model: Model) -> Predictor:
        """The stored predictor. Raises `ArtifactError` when its files are missing or damaged."""
        from redpop_assets.predictors.registry import load_predictor

        return load_predictor(self.models.folder(self.subreddit, model.name, model.digest))

    def read(self, blocks: Iterable[str], encoders: Encoders | None = None) -> tuple[Dataset, npt.NDArray[np.str_]]:
        """All labelled posts with some of the blocks, n of them, and (n,) the part that each is in."""
        from redpop_assets.refresh.training_set import read_split

        return read_split(self.warehouse, self.subreddit, encoders or self.encoders, blocks)

    def others(self, blocks: Iterable[str]) -> list[Dataset]:
        """The posts of other communities that this one may learn from, with some of the blocks: those of each."""
        from redpop_assets.refresh.lending import read_lent

        return read_lent(self.warehouse, self.subreddit, self.encoders, blocks)

    def parts(self, blocks: Iterable[str], encoders: Encoders | None = None) -> dict[str, Part]:
        """Train, validation and test part with some of the blocks."""
        from redpop_assets.evaluation.bootstrap import author_clusters

        data, split = self.read(blocks, encoders)
        found = self.warehouse.query(
            "SELECT post_id, cluster FROM models.training_set WHERE subreddit = $subreddit",
            {"subreddit": self.subreddit},
        ).to_pydict()
        cluster = dict(zip(found["post_id"], found["cluster"], strict=True))
        parts = {}
        for part in ("train", "validation", "test"):
            chosen = data.select(split == part)
            parts[part] = Part(chosen, author_clusters([cluster[post] for post in chosen.post_ids]))
        return parts

    def interval(self, statistic: Statistic, clusters: npt.NDArray[np.int64]) -> Interval | None:
        """Bound a statistic of posts; None for fewer than `LEAST_POSTS` of them."""
        from redpop_assets.evaluation.bootstrap import interval

        return interval(statistic, clusters, seed=self.seed) if len(clusters) >= LEAST_POSTS else None


@dataclass(frozen=True)
class Finding:
    """What an analysis found in a community.

    Attributes:
        rows: Rows of its table, without `subreddit`, `snapshot` and `measured_on`.
        figures: Name -> PNG. The name is that of the analysis, with a detail after a hyphen where there are several.
        notes: Sentences worth showing, such as why there is nothing to show.
    """

    rows: Sequence[Row]
    figures: Mapping[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Analysis:
    """One question, its table and who answers it.

    Attributes:
        name: Short name, and name of its table below `marts`.
        question: What it answers and how, for people.
        measure: Answers it for one community.
        version: Raise it whenever a number would come out differently.
        sources: Tables it reads beside the training set, with a column `subreddit`; new rows there make it ask again.
        of_one_predictor: Whether it takes one predictor apart, rather than looking at all.
        draws: Whether it draws figures.
        shows_posts: Whether they show posts: pictures or captions.
        view: What people are shown, if that is not the table itself.
        order: SQL of the order in which they are shown it.
        shown: Columns of the tables that people are shown: column -> title. An interval is named after its estimate.
    """

    name: str
    question: str
    measure: Callable[[Study], Finding]
    version: str
    shown: Mapping[str, str]
    sources: tuple[str, ...] = ("models.predictors",)
    of_one_predictor: bool = False
    draws: bool = False
    shows_posts: bool = False
    view: str = ""
    order: str = "ALL"

    @property
    def table(self) -> str:
        """Its table."""
        return f"marts.{self.name}"

    @property
    def read_from(self) -> str:
        """The table or view that people are shown."""
        return self.view or self.table

    def figure_name(self, study: Study, detail: str = "") -> str:
        """Name of its figure; of an analysis of one predictor, the figure of that one."""
        return "-".join(filter(None, (self.name, study.predictor if self.of_one_predictor else detail)))


def three(name: str, found: Interval | None) -> Row:
    """Columns `<name>`, `<name>_low` and `<name>_high` of an interval; all None without one."""
    ends = (None, None, None) if found is None else (found.estimate, found.low, found.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))
