"""Who speaks for each community: its trained predictors, loaded once for all questions about one reading of the store.

What a speaker needs in order to answer does not depend on what it is asked: its files, the residuals that its ranges
come from, the labels that a score is ranked among, and what its differences between titles are worth.
"""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from redpop_assets.errors import NotTrainable
from redpop_assets.features.family import Encoders
from redpop_assets.kept import Kept, Recent
from redpop_assets.predictors.base import Predictor
from redpop_assets.predictors.parts import conformal
from redpop_assets.predictors.registry import load_predictor
from redpop_assets.refresh.predictors import encoders_of, held_out_residuals
from redpop_assets.storage.models import ModelStore
from redpop_assets.storage.rows import Readable

MOST_LOADED = 32
"""Speakers that are kept loaded: the largest takes some 10 MB besides the libraries behind it."""

MODELS: Final = """models.predictors AS m
    LEFT JOIN marts.leaderboard AS l USING (subreddit, predictor, digest)
    LEFT JOIN marts.champions AS c USING (subreddit, predictor, digest)"""
"""SQL: the predictors of communities, what they showed on unseen posts, and whether they are champions."""

SPEAKS_FIRST: Final = "c.promoted_at IS NULL, l.spearman DESC NULLS LAST, m.predictor"
"""SQL: the order of the trained ones of `MODELS` in which they speak: the champion, then as they rank unseen posts."""

_TRAINED = f"""
SELECT m.*, l.spearman AS test_spearman, l.mae AS test_mae, c.promoted_at AS champion_since
FROM {MODELS}
WHERE m.status = 'trained' AND m.subreddit = $subreddit ORDER BY {SPEAKS_FIRST}
"""
_LOG_SCORES = "SELECT log_score FROM models.training_set WHERE subreddit = $subreddit ORDER BY log_score"
_COMMUNITIES = "SELECT DISTINCT subreddit FROM models.predictors WHERE status = 'trained' ORDER BY 1"


class Speaker(Kept):
    """One trained predictor of a community; loaded when it is first asked something. Threads may ask at once.

    Attributes:
        model: its row of models.predictors, with `test_spearman`, `test_mae` and `champion_since`, each None where
            there is none.
        log_scores: (n,) labels of its community, ascending.

    Args:
        warehouse: where its row is from.
        models: where its files lie.
        model: see above.
        log_scores: see above.
    """

    def __init__(
        self,
        warehouse: Readable,
        models: ModelStore,
        model: Mapping[str, Any],
        log_scores: npt.NDArray[np.float64],
    ) -> None:
        super().__init__()
        self.warehouse = warehouse
        self.model = model
        self.log_scores = log_scores
        self._models = models

    @property
    def name(self) -> str:
        """Of the predictor."""
        return str(self.model["predictor"])

    @property
    def subreddit(self) -> str:
        """Its community, in lower case."""
        return str(self.model["subreddit"])

    @property
    def encoders(self) -> Encoders:
        """The networks that it looks through."""
        return encoders_of(self.model)

    @property
    def predictor(self) -> Predictor:
        """Ready to be asked.

        Raises:
            ArtifactError: its files are missing or damaged.
        """
        model = self.model
        return self.kept_as(
            "predictor",
            lambda: load_predictor(self._models.folder(self.subreddit, self.name, model["digest"])),
        )

    @property
    def calibration(self) -> conformal.Calibration:
        """What its ranges come from."""
        return self.kept_as(
            "calibration", lambda: conformal.Calibration.fit(*held_out_residuals(self.warehouse, self.model))
        )


class Speakers(Kept):
    """The speakers of all communities, as one reading of the warehouse shows them. Threads may ask at once.

    Memory grows with the communities that are asked about, by 8 bytes for each labelled post, and with the speakers
    that are loaded, of which the latest `MOST_LOADED` are kept.

    Args:
        warehouse: one edition; or the live one, for as long as nothing is to be seen of what changes there.
        models: where the trained predictors lie.
    """

    def __init__(self, warehouse: Readable, models: ModelStore) -> None:
        super().__init__()
        self.warehouse = warehouse
        self._models = models
        self._loaded: Recent[tuple[str, str], Speaker] = Recent(MOST_LOADED)

    def first(self, subreddit: str) -> Speaker:
        """The one who speaks for a community (in lower case); no other one is loaded or kept for it.

        Raises:
            NotTrainable: no predictor is trained there.
        """
        models, _ = self.kept_as(subreddit, partial(self._read, subreddit))
        return self.of(subreddit, [model["predictor"] for model in models[:1]])[0]

    def of(self, subreddit: str, only: Collection[str] = ()) -> tuple[Speaker, ...]:
        """Those of a community: the champion first, then as they rank unseen posts.

        Args:
            subreddit: in lower case.
            only: names of predictors; empty for all.

        Raises:
            NotTrainable: no predictor is trained in this subreddit, or not one of these names.
        """
        models, log_scores = self.kept_as(subreddit, partial(self._read, subreddit))
        names = [model["predictor"] for model in models]
        if not names:
            known = ", ".join(self.warehouse.query(_COMMUNITIES).column("subreddit").to_pylist())
            raise NotTrainable(
                f"No predictor is trained for r/{subreddit}. Subreddits with trained predictors: "
                f"{known or 'none yet: run `redpop materialize`'}."
            )
        if unknown := set(only) - set(names):
            raise NotTrainable(
                f"{', '.join(sorted(unknown))}: not trained for r/{subreddit}. Trained predictors: "
                f"{', '.join(sorted(names))}."
            )

        def made(model: Mapping[str, Any]) -> Speaker:
            return Speaker(self.warehouse, self._models, model, log_scores)

        return tuple(
            self._loaded.get((subreddit, model["predictor"]), partial(made, model))
            for model in models
            if not only or model["predictor"] in only
        )

    def _read(self, subreddit: str) -> tuple[list[Mapping[str, Any]], npt.NDArray[np.float64]]:
        scope = {"subreddit": subreddit}
        models = self.warehouse.query(_TRAINED, scope).to_pylist()
        scores: npt.NDArray[np.float64] = self.warehouse.query(_LOG_SCORES, scope).column("log_score").to_numpy()
        return models, scores
