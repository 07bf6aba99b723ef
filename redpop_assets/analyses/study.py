"""What every analysis is given and gives, and how its table is kept up to date.

An analysis asks one question of one community at a time. Its table says what it was measured on, so that asking again
while nothing changed costs a look at the warehouse. Analyses are computed when somebody asks, not every night.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets import markdown
from redpop_assets.errors import NotTrainable, SettingsError
from redpop_assets.evaluation.bootstrap import Interval, Statistic, author_clusters, interval
from redpop_assets.features.family import Encoders
from redpop_assets.predictors.base import Predictor
from redpop_assets.predictors.dataset import Dataset
from redpop_assets.predictors.registry import load_predictor, predictor_class
from redpop_assets.refresh.predictors import encoders_of
from redpop_assets.refresh.snapshot import ALL, Snapshot
from redpop_assets.refresh.training_set import read_split, training_sets
from redpop_assets.storage.figures import FigureStore
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse

LEAST_POSTS: Final = 30
"""Fewest posts that a number of an analysis is computed from."""

Row = dict[str, Any]
Doubles = npt.NDArray[np.float64]


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
        rows = self.warehouse.query(
            "SELECT * FROM models.predictors WHERE subreddit = $subreddit AND snapshot = $snapshot "
            "AND status = 'trained' ORDER BY predictor",
            {"subreddit": self.subreddit, "snapshot": self.snapshot},
        ).to_pylist()
        return tuple(Model(row["predictor"], row["digest"], encoders_of(row), tuple(row["blocks"])) for row in rows)

    def load(self, model: Model) -> Predictor:
        """The stored predictor. Raises `ArtifactError` when its files are missing or damaged."""
        return load_predictor(self.models.folder(self.subreddit, model.name, model.digest))

    def parts(self, blocks: Iterable[str], encoders: Encoders | None = None) -> dict[str, Part]:
        """Train, validation and test part with some of the blocks."""
        data, split = read_split(self.warehouse, self.subreddit, encoders or self.encoders, blocks)
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


@dataclass(frozen=True)
class Outcome:
    """What a refresh did: the rows that people are shown, communities measured now, remarks, and the figures there."""

    rows: list[Row]
    measured: int
    notes: tuple[str, ...]
    figures: tuple[str, ...]


def studies(
    warehouse: Warehouse,
    models: ModelStore,
    images: ImageStore,
    encoders: Encoders,
    *,
    subreddit: str,
    predictor: str,
    seed: int,
    progress: Callable[[str], None],
) -> list[Study]:
    """One study per community with a training set.

    Args:
        warehouse, models, images, encoders: of the deployment.
        subreddit: only this one, in lower case; empty for all.
        predictor: the one to take apart.
        seed: of bootstraps, fits and samples.
        progress: told what takes long.

    Raises:
        NotTrainable: the community has no training set.
        SettingsError: there is no such predictor.
    """
    try:
        predictor_class(predictor)
    except ValueError as error:
        raise SettingsError(f"REDPOP_ANALYSED_PREDICTOR, or --predictor: {error}.") from error
    found = training_sets(warehouse)
    chosen = {name: snapshot for name, snapshot in found.items() if subreddit in ("", name)}
    if subreddit and not chosen:
        known = ", ".join(found) or "none yet"
        raise NotTrainable(
            f"r/{subreddit} has no training set: run `redpop materialize -r {subreddit}` first. There is one for: "
            f"{known}."
        )
    return [
        Study(warehouse, models, images, encoders, name, snapshot, predictor, seed, progress)
        for name, snapshot in chosen.items()
    ]


def refresh(analysis: Analysis, asked: Sequence[Study], warehouse: Warehouse) -> Outcome:
    """Ask a question of communities, unless they answered it before and nothing changed; store rows and figures."""
    figures = FigureStore.of(warehouse)
    measured, notes = 0, []
    for study in asked:
        made_from = _made_from(analysis, study)
        why = _why_again(analysis, study, made_from, figures)
        if why is None:
            continue
        study.progress(f"{analysis.name} asks r/{study.subreddit} because {why}")
        finding = analysis.measure(study)
        _store(analysis, study, finding, made_from, figures)
        notes += [f"r/{study.subreddit}: {note}" for note in finding.notes]
        measured += 1
        remarks = f" ({'; '.join(finding.notes)})" if finding.notes else ""
        study.progress(f"{analysis.name}: {len(finding.rows)} rows of r/{study.subreddit}{remarks}")
    rows = warehouse.query(f"FROM {analysis.read_from} ORDER BY {analysis.order}").to_pylist()
    there = [figures.relative(study.subreddit, name) for study in asked for name in _drawn(analysis, study, figures)]
    return Outcome(rows, measured, tuple(notes), tuple(there))


def _made_from(analysis: Analysis, study: Study) -> Snapshot:
    """What the rows depend on."""
    parts: dict[str, object] = {
        "code": analysis.version,
        "seed": study.seed,
        "training set": study.snapshot,
        "networks": astuple(study.encoders),
    }
    if analysis.of_one_predictor:
        parts["predictor"] = (study.predictor, predictor_class(study.predictor).code_version)
    with study.warehouse.read() as reader:
        for table in analysis.sources:
            parts[f"rows of {table}"] = reader.fingerprint(
                table, "subreddit = $subreddit", {"subreddit": study.subreddit}
            )
    return Snapshot(parts, {"snapshot": "training set", "measured_on": ALL})


def _scope(analysis: Analysis, study: Study) -> tuple[str, dict[str, str]]:
    """Condition for the rows that a measurement replaces: those of an older training set, too."""
    params = {"subreddit": study.subreddit}
    if not analysis.of_one_predictor:
        return "subreddit = $subreddit", params
    condition = "subreddit = $subreddit AND (predictor = $predictor OR snapshot <> $snapshot)"
    return condition, {**params, "predictor": study.predictor, "snapshot": study.snapshot}


def _why_again(analysis: Analysis, study: Study, made_from: Snapshot, figures: FigureStore) -> str | None:
    """Why a community is asked, to follow the word "because"; None if it answered before and nothing changed."""
    condition, params = _scope(analysis, study)
    found = study.warehouse.query(
        f"SELECT DISTINCT {', '.join(made_from.kept)} FROM {analysis.table} WHERE {condition}", params
    ).to_pylist()
    other = next((row for row in found if not made_from.is_of(row)), None)
    if not found or other:
        return made_from.because(other)
    return "its figures are lost" if analysis.draws and not _drawn(analysis, study, figures) else None


def _drawn(analysis: Analysis, study: Study, figures: FigureStore) -> list[str]:
    """Names of the figures of an analysis that are there."""
    own = analysis.figure_name(study)
    others = () if analysis.of_one_predictor else (f"{own}-",)
    return [name for name in figures.names(study.subreddit) if name == own or name.startswith(others or ("\0",))]


def _store(analysis: Analysis, study: Study, finding: Finding, made_from: Snapshot, figures: FigureStore) -> None:
    """Write the rows, then the figures.

    Posts may have been forgotten while the analysis ran: their rows are not stored, nor a figure that shows one. A
    figure is written while nobody else can write to the warehouse, after the rows that name it, and removed before they
    change: whatever happens, forgetting finds it.
    """
    same = {"subreddit": study.subreddit, **made_from.columns}
    rows = [{**row, **same} for row in finding.rows]
    paths = {name: figures.relative(study.subreddit, name) for name in finding.figures}
    with study.warehouse.write() as writer:
        for name in _drawn(analysis, study, figures):
            figures.remove(figures.relative(study.subreddit, name))
        empty = writer.query(f"SELECT * FROM {analysis.table} LIMIT 0").schema
        writer.replace(analysis.table, pa.Table.from_pylist(rows, schema=empty), *_scope(analysis, study))
        if analysis.shows_posts:
            writer.execute(f"DELETE FROM {analysis.table} WHERE post_id NOT IN (SELECT post_id FROM core.posts)")
    with study.warehouse.write() as writer:
        for name, png in finding.figures.items():
            expected = sum(row.get("figure") == paths[name] for row in rows)
            if analysis.shows_posts and expected != writer.scalar(
                f"SELECT count(*) FROM {analysis.table} WHERE figure = $figure", {"figure": paths[name]}
            ):
                continue
            figures.write(paths[name], png)


def three(name: str, found: Interval | None) -> Row:
    """Columns `<name>`, `<name>_low` and `<name>_high` of an interval; all None without one."""
    ends = (None, None, None) if found is None else (found.estimate, found.low, found.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))


def rows_markdown(rows: Sequence[Row], shown: Mapping[str, str], *, most: int = 60) -> str:
    """Rows as a Markdown table.

    Args:
        rows: of a table.
        shown: column -> title; a column that has `_low` and `_high` beside it is shown with its interval.
        most: rows shown; how many are left out is said.
    """
    table = markdown.table(list(shown.values()), ([cell(row, column) for column in shown] for row in rows[:most]))
    return table if len(rows) <= most else f"{table}\n\n… and {len(rows) - most} more rows."


def cell(row: Row, column: str) -> str:
    """One value for people, with its interval if it has one; a dash where it is undefined."""
    value = row[column]
    if value is None:
        return markdown.DASH
    if not isinstance(value, float):
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    low, high = (row.get(f"{column}_{end}") for end in ("low", "high"))
    return markdown.number(value, ".3f") if low is None else markdown.interval(value, low, high)
