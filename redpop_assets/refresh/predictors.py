"""The predictors of a community, each trained again when its training set, its code or the seed changed.

A row of models.predictors says what a model was made from and which networks it looks through; its files lie in the
model store, and what it expected of the posts that stopped its training in models.validation_predictions.
"""

import time
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets.errors import ArtifactError, NotTrainable
from redpop_assets.features.family import Encoders
from redpop_assets.features.registry import encoders_behind
from redpop_assets.predictors.base import Progress
from redpop_assets.predictors.registry import predictor_class
from redpop_assets.refresh.lending import lent_digest, read_lent
from redpop_assets.refresh.snapshot import Snapshot
from redpop_assets.refresh.training_set import read_parts, training_sets
from redpop_assets.storage.arrow import arrow_table, utc_now
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.rows import Readable
from redpop_assets.storage.warehouse import Warehouse

NETWORK_COLUMNS: Mapping[str, str] = {
    "image": "image_encoder",
    "caption": "caption_encoder",
    "clip": "clip_encoder",
    "objects": "object_encoder",
    "entities": "entity_model",
    "emotions": "emotion_model",
}
"""Field of `Encoders` -> column of models.predictors."""

VALIDATION = "models.validation_predictions"
OF_MODEL = ("subreddit", "predictor", "digest")


_KEPT = {"snapshot": "training set", "code_version": "code", "seed": "seed"}
_LENT = "posts of other communities"


@dataclass(frozen=True)
class TrainedState:
    """The row of something that is trained; `trained_because` says why this call made it, None if it did not."""

    row: dict[str, Any]
    trained_because: str | None = None

    @property
    def trained_now(self) -> bool:
        """Whether this call made the row."""
        return self.trained_because is not None

    @property
    def outcome(self) -> str:
        """What came of it, in a sentence."""
        status, reason = self.row["status"], self.row["reason"]
        return str(status) if reason is None else f"{status}: {reason}"


class PredictorState(TrainedState):
    """One row of models.predictors."""

    @property
    def version(self) -> str:
        """Equal for models that were learnt from one training set and have the same files."""
        return f"{self.row['snapshot']}-{self.row['digest']}"


def refresh_predictor(
    name: str,
    subreddit: str,
    warehouse: Warehouse,
    models: ModelStore,
    encoders: Encoders,
    *,
    seed: int,
    progress: Progress | None = None,
) -> PredictorState:
    """Train a predictor unless it has been trained on this training set with this code and seed; record the outcome.

    One that borrows is trained again, too, when what others lend is something else (`redpop_assets.refresh.lending`).

    What cannot be trained, for want of posts or of a block, is recorded as not trained with the reason.

    Args:
        name: of the predictor, as in the registry.
        subreddit: in lower case.
        warehouse: with models.training_set and the features.
        models: where the trained predictor is put.
        encoders: networks whose outputs it may learn from.
        seed: of the training.
        progress: told why it is trained, and what it says of its training.
    """
    kind = predictor_class(name)
    scope = {"subreddit": subreddit, "predictor": name}
    snapshot = training_sets(warehouse).get(subreddit, "")
    found = warehouse.query(
        "FROM models.predictors WHERE subreddit = $subreddit AND predictor = $predictor", scope
    ).to_pylist()
    stored = found[0] if found else None
    parts = {"training set": snapshot, "code": kind.code_version, "seed": seed}
    borrows = {_LENT: lent_digest(warehouse, subreddit)} if kind.borrows else {}
    made_from = Snapshot({**parts, **borrows}, {**_KEPT, **({"lent_digest": _LENT} if borrows else {})})
    why = _lost(stored, warehouse, models) if stored and made_from.is_of(stored) else made_from.because(stored)
    if stored and why is None:
        return PredictorState(stored)
    if progress is not None:
        progress(f"{name} is trained in r/{subreddit} because {why}")

    train, validation = read_parts(warehouse, subreddit, encoders, sorted(kind.uses))
    others = read_lent(warehouse, subreddit, encoders, sorted(kind.uses)) if borrows else []
    predictor = kind(seed=seed, progress=progress)
    began = time.perf_counter()
    digest: str | None = None
    reason: str | None = None
    blocks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    held_out: dict[str, float] = {}
    lent: Mapping[str, int] = {}
    try:
        report = predictor.fit(train, validation, others)
    except NotTrainable as error:
        reason = str(error)
    else:
        blocks, notes, lent = report.blocks, report.notes, report.lent
        held_out = dict(zip(validation.post_ids, report.validation_prediction.tolist(), strict=True))
        with models.new(subreddit, name) as model:
            predictor.save(model.folder)
        digest = model.digest
    used = encoders_behind(encoders, blocks)
    row: dict[str, Any] = {
        **scope,
        "status": "not_trained" if digest is None else "trained",
        "reason": reason,
        "lent_digest": None,
        **made_from.columns,
        "lenders": len(lent) if lent else None,
        "lent_rows": sum(lent.values()) if lent else None,
        "digest": digest,
        "blocks": list(blocks),
        "notes": list(notes),
        **{column: getattr(used, network) or None for network, column in NETWORK_COLUMNS.items()},
        "untrained_weights": _any_random(warehouse, used, "ratings" in blocks),
        "networks_ran": _ways(warehouse, used),
        "train_rows": len(train),
        "validation_rows": len(validation),
        "train_seconds": time.perf_counter() - began,
        "trained_at": utc_now(),
    }
    with warehouse.write() as writer:
        writer.merge("models.predictors", arrow_table({column: [value] for column, value in row.items()}))
        writer.replace(
            VALIDATION,
            arrow_table(
                {
                    "post_id": pa.array(held_out.keys(), pa.string()),
                    **{column: pa.array([row[column]] * len(held_out), pa.string()) for column in OF_MODEL},
                    "expected_log_score": pa.array(held_out.values(), pa.float64()),
                }
            ),
            "subreddit = $subreddit AND predictor = $predictor",
            scope,
        )
    return PredictorState(row, trained_because=why)


def encoders_of(model: Mapping[str, Any]) -> Encoders:
    """The networks that a predictor looks through, from its row of models.predictors.

    One that it does not use may as well be none: its block stays empty.
    """
    return Encoders(**{network: model[column] or "" for network, column in NETWORK_COLUMNS.items()})


def held_out_residuals(
    warehouse: Readable, model: Mapping[str, Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What a model expected of posts that it had not been fitted on, and what came: two (n,) arrays, by post id.

    Args:
        model: its row of models.predictors.
    """
    rows = warehouse.query(
        f"SELECT v.expected_log_score, t.log_score FROM {VALIDATION} AS v "
        "JOIN models.training_set AS t USING (post_id, subreddit) "
        "WHERE v.subreddit = $subreddit AND v.predictor = $predictor AND v.digest = $digest ORDER BY post_id",
        {name: model[name] for name in OF_MODEL},
    )
    return rows.column("expected_log_score").to_numpy(), rows.column("log_score").to_numpy()


def _lost(row: Mapping[str, Any], warehouse: Warehouse, models: ModelStore) -> str | None:
    """What a trained predictor lacks though nothing changed, and so is made again for; None if nothing."""
    if row["digest"] is None:
        return None
    try:
        models.folder(row["subreddit"], row["predictor"], row["digest"])
    except ArtifactError:
        return "its files are lost or damaged"
    expected, _ = held_out_residuals(warehouse, row)
    return None if len(expected) else "nothing says what it expected of posts that it had not learnt from"


def _ways(warehouse: Warehouse, used: Encoders) -> str | None:
    """How the encoders behind a predictor ran when they last wrote a vector; None if it looks through none."""
    way = "modality || ': ' || coalesce(backend || ' ' || precision, 'not recorded')"
    found: str | None = warehouse.scalar(
        f"SELECT string_agg(DISTINCT {way}, ', ' ORDER BY {way}) FROM features.encoders "
        "WHERE (encoder, modality) IN ((coalesce($image, ''), 'image'), (coalesce($caption, ''), 'caption'))",
        {"image": used.image, "caption": used.caption},
    )
    return found


def _any_random(warehouse: Warehouse, used: Encoders, judged: bool) -> bool:
    """Whether a network that a predictor looks through is untrained; `judged`: whether it looks at image_scores."""
    names = list(filter(None, astuple(used)))
    found = warehouse.scalar(
        "SELECT count(*) FROM features.encoders WHERE provenance = 'random' AND list_contains($names, encoder)",
        {"names": names},
    )
    scored = "SELECT count(*) FROM features.image_scores WHERE weights = 'random'"
    return bool(found) or (judged and bool(warehouse.scalar(scored)))
