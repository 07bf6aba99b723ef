"""The protocol that every predictor follows: fit, predict, save, load; and what they share.

A predictor states which blocks it needs and may use, checks that there is enough to learn from, and stores itself as
JSON, safetensors and LightGBM text, never as a pickle. Modules of predictors import torch and lightgbm inside
functions: the registry reads the class attributes without paying for either.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.errors import ArtifactError, NotTrainable
from redpop_assets.evaluation.metrics import mae, rmse, spearman
from redpop_assets.features.registry import BLOCKS
from redpop_assets.predictors.dataset import BLOCK_NAMES, EARLY, Dataset

Doubles: TypeAlias = "npt.NDArray[np.float64]"
Progress = Callable[[str], None]

DESCRIPTION = "predictor.json"
ANNUAL_COLUMNS = ("day_of_year", "month_")
LEAST_LENT = 30
"""Fewest posts of another community that a predictor borrows."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class FitReport:
    """What a training did.

    Args:
        predictor: name of the predictor.
        train_rows, validation_rows: posts it was given.
        blocks: blocks it used, in the order of `BLOCK_NAMES`.
        blocks_left_out: blocks it could have used but that had no row in the train part.
        image_rows: train posts that have an image, of `train_rows`; None if the predictor looks at no image.
        rounds: epochs or trees per ensemble member; 0 where nothing is iterated.
        rounds_of: "epochs", "trees" or "".
        validation: metrics on the validation part, by name: mae, rmse (log scale) and spearman (None if
            undefined). They are measured before any refit that includes the validation part; they helped to choose
            `rounds`, so they flatter a little.
        validation_prediction: (m,) what these metrics were measured on: expected log scores of the validation posts.
        seconds: wall time of the fit.
        notes: sentences worth showing, such as "trained without image".
        lent: community -> posts of it that were learnt from as well; empty for predictors that do not borrow.
    """

    predictor: str
    train_rows: int
    validation_rows: int
    blocks: tuple[str, ...]
    blocks_left_out: tuple[str, ...]
    image_rows: int | None
    rounds: int
    rounds_of: str
    validation: Mapping[str, float | None]
    validation_prediction: Doubles
    seconds: float
    notes: tuple[str, ...] = ()
    lent: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """What a predictor's own `_fit` hands back to the base class.

    Args:
        validation_prediction: (m,) expected log scores of the validation posts, none of them learnt from.
        rounds, rounds_of, notes: as in `FitReport`.
    """

    validation_prediction: Doubles
    rounds: int = 0
    rounds_of: str = ""
    notes: tuple[str, ...] = ()


class Predictor(ABC):
    """Predicts the matured log score of posts of one subreddit.

    Class attributes: `name` (registry key), `title` (one line for people), `requires` (blocks without which it cannot
    train), `uses` (all blocks it may look at, `requires` included), `reads_captions` (whether it reads the words of the
    captions themselves), `code_version` (raise it whenever stored files or their meaning change), `library` (what it
    learns with, as Dagster calls it; empty for numpy), `literal` (what it does as its paper does, although it is
    wrong: its notes tell), `borrows` (whether it learns from other communities, too, and cannot without any),
    `minimum_train` and `minimum_validation` (posts of its own community).

    Args:
        seed: everything random in the fit comes from it.
        progress: called with one sentence at a time during the fit; the same goes to the log at INFO.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    requires: ClassVar[frozenset[str]]
    uses: ClassVar[frozenset[str]]
    reads_captions: ClassVar[bool] = False
    code_version: ClassVar[str]
    library: ClassVar[str] = ""
    literal: ClassVar[str] = ""
    borrows: ClassVar[bool] = False
    minimum_train: ClassVar[int] = 100
    minimum_validation: ClassVar[int] = 20

    def __init__(self, seed: int = 0, progress: Progress | None = None) -> None:
        self.seed = seed
        self.columns: dict[str, tuple[str, ...]] = {}
        self.subreddit = ""
        self._progress = progress
        self._fitted = False

    def fit(self, train: Dataset, validation: Dataset, others: Sequence[Dataset] = ()) -> FitReport:
        """Learn from labelled posts; scalers and the like see `train` only.

        Args:
            train, validation: labelled posts of one subreddit with equal blocks and columns; validation
                is later in time.
            others: labelled posts of other subreddits, one dataset each, for a predictor that `borrows`; others do
                not look at them. None is later than the newest of `train`, whose labels count as known: so
                whatever is kept from `train` for want of time is kept from them. Who reads them also leaves out what
                shows a picture of this subreddit again.

        Raises:
            NotTrainable: too few posts, or a required block is missing or empty; or there is nobody to borrow from.
            ValueError: the parts do not fit together, carry no labels, or others are later than `train`.
        """
        report = self._fitted_report(train, validation, others)
        shown = ", ".join(f"{key} {value:.3f}" for key, value in report.validation.items() if value is not None)
        self._say(f"{self.name}: fitted in {report.seconds:.1f} s; validation {shown}")
        return report

    def _fitted_report(self, train: Dataset, validation: Dataset, others: Sequence[Dataset]) -> FitReport:
        """As `fit`, which tells of it."""
        began = time.perf_counter()
        self._fitted = False
        if train.subreddit != validation.subreddit:
            raise ValueError(f"train is of r/{train.subreddit}, validation of r/{validation.subreddit}")
        if shared := set(train.post_ids) & set(validation.post_ids):
            raise ValueError(f"{len(shared)} posts are in train and in validation")
        if train.log_score is None or validation.log_score is None:
            raise ValueError("train and validation need labels")
        if len(train) < self.minimum_train:
            raise NotTrainable(f"too few matured posts: {len(train)} of {self.minimum_train}")
        if len(validation) < self.minimum_validation:
            raise NotTrainable(f"too few matured posts for validation: {len(validation)} of {self.minimum_validation}")
        if self.reads_captions and not train.captions:
            raise NotTrainable("needs captions: the data carry no words")
        for block in sorted(self.requires):
            if block not in train.blocks:
                raise NotTrainable(f"needs {_plural(block)}: the data have no block {block}")
            if not train.blocks[block].present.any():
                raise NotTrainable(
                    f"needs {_plural(block)}: 0 of {len(train)} training rows have one{_switched_on_by(block)}"
                )

        usable = [name for name in (*BLOCK_NAMES, EARLY) if name in self.uses]
        available = [name for name in usable if name in train.blocks and train.blocks[name].present.any()]
        left_out = tuple(name for name in usable if name not in available)
        if self.uses and not available:
            raise NotTrainable(f"needs one of {', '.join(usable)}: none has a training row")
        used = self._choose(available)
        self.columns = {name: kept for name in used if (kept := informative_columns(train, name))}
        for block in sorted(self.requires - set(self.columns)):
            raise NotTrainable(f"needs {_plural(block)} that differ: all {len(train)} training rows are the same")
        self.subreddit = train.subreddit
        self._check_columns(validation)
        lenders = self._lenders(train, validation, others) if self.borrows else []
        train, validation = train.pick(self.columns), validation.pick(self.columns)
        notes = tuple(f"trained without {name}: no training row has it" for name in left_out)
        if self.literal:
            notes = (f"as in the paper: {self.literal}", *notes)
        self._say(f"{self.name}: {len(train)} train and {len(validation)} validation posts of r/{train.subreddit}")
        for note in notes:
            self._say(f"{self.name}: {note}")

        training = self._fit_beside(train, validation, lenders) if self.borrows else self._fit(train, validation)
        self._fitted = True
        return FitReport(
            predictor=self.name,
            train_rows=len(train),
            validation_rows=len(validation),
            blocks=tuple(used),
            blocks_left_out=left_out,
            image_rows=int(train.blocks["image"].present.sum()) if "image" in used else None,
            rounds=training.rounds,
            rounds_of=training.rounds_of,
            validation=regression_metrics(validation.labels.astype(np.float64), training.validation_prediction),
            validation_prediction=np.asarray(training.validation_prediction, dtype=np.float64),
            seconds=time.perf_counter() - began,
            notes=notes + training.notes,
            lent={lender.subreddit: len(lender) for lender in lenders},
        )

    def predict(self, data: Dataset) -> Doubles:
        """Expected log score of each post, (n,) float64. Labels in `data` are not looked at.

        Posts that lack a block, such as a missing image, are predicted all the same: each predictor's docstring says
        how.

        Raises:
            ArtifactError: the data lack a block of the fit or the captions, or the columns are others.
            ValueError: not fitted yet.
        """
        if not self._fitted:
            raise ValueError(f"{self.name} is not fitted: call fit or load")
        self._check_columns(data)
        if len(data) == 0:
            return np.zeros(0, dtype=np.float64)
        return self._predict(data.pick(self.columns)).astype(np.float64)

    def save(self, folder: Path) -> None:
        """Write the fitted predictor into `folder` (made if need be): files, then `predictor.json` with their digests.

        Equal fits write equal bytes.

        Raises:
            ValueError: not fitted yet.
        """
        if not self._fitted:
            raise ValueError(f"{self.name} is not fitted: there is nothing to save")
        folder.mkdir(parents=True, exist_ok=True)
        files = self._save_files(folder)
        description = {
            "name": self.name,
            "code_version": self.code_version,
            "seed": self.seed,
            "subreddit": self.subreddit,
            "columns": self.columns,
            "files": {file: _sha256(folder / file) for file in sorted(files)},
        }
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a predictor that `save` wrote.

        Raises:
            ArtifactError: files are missing or damaged, or of another predictor or code version.
        """
        description = read_description(folder)
        if description["name"] != cls.name:
            raise ArtifactError(f"{folder} holds {description['name']}, not {cls.name}")
        if description["code_version"] != cls.code_version:
            raise ArtifactError(
                f"{folder} was written by version {description['code_version']} of {cls.name}; this is version "
                f"{cls.code_version}: train it again"
            )
        for file, digest in description["files"].items():
            path = folder / file
            if not path.is_file():
                raise ArtifactError(f"{path} is missing: train {cls.name} again")
            if _sha256(path) != digest:
                raise ArtifactError(f"{path} is damaged (its SHA-256 is not the recorded one): train {cls.name} again")
        predictor = cls(seed=description["seed"])
        predictor.subreddit = description["subreddit"]
        predictor.columns = {name: tuple(columns) for name, columns in description["columns"].items()}
        predictor._load_files(folder)
        predictor._fitted = True
        return predictor

    def _choose(self, available: list[str]) -> list[str]:
        """Which of the blocks that it may use and that have training rows it takes; all, unless a predictor says so.

        Raises:
            NotTrainable: there is no choice that it can learn from.
        """
        return available

    @abstractmethod
    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        """Learn; `self.columns` already names the blocks to use."""

    def _fit_beside(self, train: Dataset, validation: Dataset, others: Sequence[Dataset]) -> Training:
        """Learn, of a predictor that borrows, from other communities, too: they have the columns of `train`."""
        raise NotImplementedError(f"{self.name} borrows, and does not say what it makes of it")

    @abstractmethod
    def _predict(self, data: Dataset) -> Doubles:
        """Expected log scores (n,) of checked, non-empty data."""

    @abstractmethod
    def _save_files(self, folder: Path) -> list[str]:
        """Write the fitted things; return the names of the files."""

    @abstractmethod
    def _load_files(self, folder: Path) -> None:
        """Read what `_save_files` wrote, digests already checked."""

    def _lenders(self, train: Dataset, validation: Dataset, others: Sequence[Dataset]) -> list[Dataset]:
        """Other communities that it can learn from, with the columns that it uses.

        Raises:
            NotTrainable: there is none.
            ValueError: they have no labels, are later than `train`, or share posts with it or with validation.
        """
        own, newest = {*train.post_ids, *validation.post_ids}, train.created_at.max()
        for other in others:
            if other.subreddit == train.subreddit or not own.isdisjoint(other.post_ids):
                raise ValueError(f"posts of r/{other.subreddit} are to be lent to r/{train.subreddit}, which has them")
            if other.log_score is None:
                raise ValueError(f"posts of r/{other.subreddit} that are lent need labels")
            if len(other) and other.created_at.max() > newest:
                raise ValueError(
                    f"posts of r/{other.subreddit} are later than all that r/{train.subreddit} learns from"
                )
        able = [
            other.pick(self.columns)
            for other in others
            if len(other) >= LEAST_LENT
            and all(
                name in other.blocks and set(kept) <= set(other.blocks[name].columns)
                for name, kept in self.columns.items()
            )
        ]
        if not able:
            raise NotTrainable(
                f"nobody to borrow from: no other community has {LEAST_LENT} posts that had matured by then"
            )
        return able

    def _say(self, sentence: str) -> None:
        logger.info(sentence)
        if self._progress is not None:
            self._progress(sentence)

    def _check_columns(self, data: Dataset) -> None:
        if self.reads_captions and len(data) and not data.captions:
            raise ArtifactError(f"{self.name} reads captions, which the data lack")
        for name, columns in self.columns.items():
            if name not in data.blocks:
                raise ArtifactError(f"{self.name} was fitted with block {name}, which the data lack: train it again")
            given = set(data.blocks[name].columns)
            if missing := [column for column in columns if column not in given]:
                raise ArtifactError(
                    f"{self.name} was fitted with {len(columns)} columns of block {name}, and the data lack "
                    f"{len(missing)} of them ({', '.join(missing[:5])}): train it again"
                )


def informative_columns(train: Dataset, block: str) -> tuple[str, ...]:
    """The columns of a block that a predictor may learn from.

    A constant column says nothing, but would speak up at the first post that differs. And until the posts cover
    a year, the place in the year is but another name for the date, of which every later post is an extrapolation.
    """
    _, deviation = train.blocks[block].moments()
    covers_a_year = np.ptp(train.created_at) >= np.timedelta64(365, "D")
    return tuple(
        column
        for column, spread in zip(train.blocks[block].columns, deviation, strict=True)
        if spread > 0 and (covers_a_year or not (block == "time" and column.startswith(ANNUAL_COLUMNS)))
    )


def read_description(folder: Path) -> dict[str, Any]:
    """Read `predictor.json`: name, code_version, seed, subreddit, columns (by block), files (SHA-256 by name).

    Raises:
        ArtifactError: it is missing or no such description.
    """
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{folder} holds no predictor ({DESCRIPTION} is missing): train it again") from None
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}): train it again") from error
    expected = {"name", "code_version", "seed", "subreddit", "columns", "files"}
    if not isinstance(description, dict) or not expected <= description.keys():
        raise ArtifactError(f"{path} is damaged: it must hold {', '.join(sorted(expected))}; train it again")
    return description


def regression_metrics(truth: Doubles, prediction: Doubles) -> dict[str, float | None]:
    """mae and rmse (log scale) and spearman (None where undefined, as for a constant) of (n,) values."""
    return {"mae": mae(truth, prediction), "rmse": rmse(truth, prediction), "spearman": spearman(truth, prediction)}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _switched_on_by(block: str) -> str:
    """How a block that is not computed by default is had."""
    family = BLOCKS.get(block)
    return f"; REDPOP_OPTIONAL_FAMILIES={family.name} computes them" if family and family.optional else ""


def _plural(block: str) -> str:
    return {"image": "images", "caption": "captions"}.get(block, f"block {block}")
