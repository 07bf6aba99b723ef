"""What the studio says when it cannot answer: a status and a sentence, in which no path, SQL, stack or name stands."""

import logging
import secrets

from redpop_assets.errors import (
    ArtifactError,
    NothingPublished,
    NotTrainable,
    OtherVersion,
    RedPopError,
    StoreError,
    WarehouseError,
    WarehouseLocked,
    WeightsUnavailable,
)

_log = logging.getLogger(__name__)


class Refusal(RedPopError):
    """An answer that is none.

    Attributes:
        status: of HTTP.
        retry_after: seconds after which asking again may help; None where it does not.
        title: what is wrong, in a few words.
    """

    def __init__(self, status: int, sentence: str, *, title: str = "", retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after = retry_after
        self.title = title or _TITLES.get(status, "That did not work")


_TITLES = {
    401: "Who is there?",
    403: "Not from there",
    404: "Not here",
    405: "Not like this",
    413: "Too large",
    415: "No picture",
    421: "Not under this name",
    422: "Something has to be changed",
    429: "Too fast",
    500: "That should not have happened",
    503: "Not just now",
}

# The first that fits. What these errors say themselves names files, and is for the one who runs the studio.
_KNOWN: tuple[tuple[type[RedPopError], int, str, str], ...] = (
    (
        NothingPublished,
        503,
        "Nothing is published yet",
        "There are no posts to answer from. Run `redpop materialize`, or `make demo` for a home to try things on; this "
        "page takes over what is published by itself.",
    ),
    (
        OtherVersion,
        503,
        "Published by another version",
        "Another version of RedPop has published the file that is read here. Run `redpop materialize` with this one; "
        "this page takes it over by itself.",
    ),
    (
        WarehouseLocked,
        503,
        "The published file is held",
        "A program has the published file open for writing, and nobody else can read it meanwhile. Close it there, or "
        "open it read-only.",
    ),
    (
        WarehouseError,
        503,
        "The published file cannot be read",
        "The published file cannot be read. `redpop materialize` publishes it anew; the log of the studio says more.",
    ),
    (
        WeightsUnavailable,
        503,
        "Weights are not there",
        "The weights of a network that the champion looks through are not there. `redpop doctor` says which, and what "
        "to set.",
    ),
    (
        ArtifactError,
        503,
        "The champion cannot be loaded",
        "The files of the stored predictor are missing, damaged or of another version of RedPop. Let `redpop "
        "materialize` train it again; the log of the studio says which.",
    ),
    (
        StoreError,
        503,
        "The storage does not answer",
        "The storage that the predictors are in does not answer. `redpop doctor` says more; try again in a moment.",
    ),
    (
        NotTrainable,
        409,
        "Nobody speaks for this community yet",
        "No predictor is trained for this community. It takes posts whose score has settled, a hundred or so, and then "
        "`redpop materialize`.",
    ),
)


def refusal_of(error: Exception) -> Refusal:
    """What visitors are told of an error; what else it says goes to the log."""
    if isinstance(error, Refusal):
        return error
    for kind, status, title, sentence in _KNOWN:
        if isinstance(error, kind):
            _log.warning("%s: %s", type(error).__name__, error)
            return Refusal(status, sentence, title=title, retry_after=10 if status == 503 else None)
    reference = secrets.token_hex(4)
    _log.error("Something that RedPop does not expect (%s)", reference, exc_info=error)
    return Refusal(500, f"The studio met something that it does not expect. Its log says what, under {reference}.")
