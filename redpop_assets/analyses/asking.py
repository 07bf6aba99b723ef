"""How questions are asked of communities, and how their tables are kept up to date.

The table of an analysis says what it was measured on, so that asking again while nothing changed costs a look at the
warehouse. Analyses are computed when somebody asks, not every night.
"""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass

import pyarrow as pa

from redpop_assets.analyses.study import Analysis, Finding, Row, Study
from redpop_assets.errors import NotTrainable, SettingsError
from redpop_assets.features.family import Encoders
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.refresh.lending import lent_digest
from redpop_assets.refresh.snapshot import ALL, Snapshot
from redpop_assets.refresh.training_set import training_sets
from redpop_assets.storage.figures import FigureStore
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.warehouse import Warehouse


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
    measured, notes = 0, []
    for study in asked:
        made_from = _made_from(analysis, study)
        why = _why_again(analysis, study, made_from)
        if why is None:
            continue
        study.progress(f"{analysis.name} asks r/{study.subreddit} because {why}")
        finding = analysis.measure(study)
        _store(analysis, study, finding, made_from)
        notes += [f"r/{study.subreddit}: {note}" for note in finding.notes]
        measured += 1
        remarks = f" ({'; '.join(finding.notes)})" if finding.notes else ""
        study.progress(f"{analysis.name}: {len(finding.rows)} rows of r/{study.subreddit}{remarks}")
    rows = warehouse.query(f"FROM {analysis.read_from} ORDER BY {analysis.order}").to_pylist()
    there = [FigureStore.relative(study.subreddit, name) for study in asked for name in _drawn(analysis, study)]
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
        kind = predictor_class(study.predictor)
        lent = (lent_digest(study.warehouse, study.subreddit),) if kind.borrows else ()
        parts["predictor"] = (study.predictor, kind.code_version, *lent)
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


def _why_again(analysis: Analysis, study: Study, made_from: Snapshot) -> str | None:
    """Why a community is asked, to follow the word "because"; None if it answered before and nothing changed."""
    condition, params = _scope(analysis, study)
    found = study.warehouse.query(
        f"SELECT DISTINCT {', '.join(made_from.kept)} FROM {analysis.table} WHERE {condition}", params
    ).to_pylist()
    other = next((row for row in found if not made_from.is_of(row)), None)
    if not found or other:
        return made_from.because(other)
    return "its figures are lost" if analysis.draws and not _drawn(analysis, study) else None


def _drawn(analysis: Analysis, study: Study) -> list[str]:
    """Names of the figures of an analysis that are there."""
    own = analysis.figure_name(study)
    others = () if analysis.of_one_predictor else (f"{own}-",)
    return [name for name in study.figures.names(study.subreddit) if name == own or name.startswith(others or ("\0",))]


def _store(analysis: Analysis, study: Study, finding: Finding, made_from: Snapshot) -> None:
    """Write the rows, then the figures.

    Posts may have been forgotten while the analysis ran: their rows are not stored, nor a figure that shows one. A
    figure is written while nobody else can write to the warehouse, after the rows that name it, and removed before they
    change: whatever happens, forgetting finds it.
    """
    same = {"subreddit": study.subreddit, **made_from.columns}
    rows = [{**row, **same} for row in finding.rows]
    figures = study.figures
    paths = {name: figures.relative(study.subreddit, name) for name in finding.figures}
    with study.warehouse.write() as writer:
        figures.remove(*(figures.relative(study.subreddit, name) for name in _drawn(analysis, study)))
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
