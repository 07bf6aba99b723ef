"""The yes-or-no facts of a post: what its author declared, and what moderators may have changed since."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import Encoders, Family, Features, Subjects

CODE_VERSION: Final = "1"
"""Raise it whenever the same facts would get other numbers than before."""

COLUMNS: Final[tuple[str, ...]] = (
    "is_gallery",
    "image_count",
    "is_crosspost",
    "is_original_content",
    "has_flair",
    "over_18",
    "spoiler",
)
"""Order of the columns of `flag_features`; all are scalars."""


def flag_features(
    kinds: Sequence[str],
    image_counts: npt.ArrayLike,
    crosspost_parents: Sequence[str | None],
    is_original_content: npt.ArrayLike,
    flairs: Sequence[str | None],
    over_18: npt.ArrayLike,
    spoiler: npt.ArrayLike,
) -> dict[str, npt.NDArray[np.float32]]:
    """Turn the flags of n posts into numbers.

    Args:
        kinds: "image", "gallery", "album", "self", "crosspost" or "preview".
        image_counts: (n,) number of image URLs.
        crosspost_parents: id of the original of a crosspost, else None.
        is_original_content: (n,) booleans, set by the author.
        flairs: link flair at first sight, None or blank without one.
        over_18: (n,) booleans.
        spoiler: (n,) booleans.

    Returns:
        The columns of `COLUMNS`, (n,) float32; all are 0 or 1 except `image_count`.

    Raises:
        ValueError: lengths differ.
    """
    features = {
        "is_gallery": [kind == "gallery" for kind in kinds],
        "image_count": image_counts,
        "is_crosspost": [
            kind == "crosspost" or parent is not None for kind, parent in zip(kinds, crosspost_parents, strict=True)
        ],
        "is_original_content": is_original_content,
        "has_flair": [flair is not None and flair.strip() != "" for flair in flairs],
        "over_18": over_18,
        "spoiler": spoiler,
    }
    arrays = {name: np.asarray(values, dtype=np.float32) for name, values in features.items()}
    wrong = [name for name, values in arrays.items() if values.shape != (len(kinds),)]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} must have one entry per post ({len(kinds)})")
    return arrays


def _of_posts(subjects: Subjects, _: Encoders) -> Features:
    facts = subjects.facts
    return flag_features(
        facts.kinds,
        facts.image_counts,
        facts.crosspost_parents,
        facts.is_original_content,
        facts.flairs,
        facts.over_18,
        facts.spoiler,
    )


FAMILY: Final = Family(
    "flags",
    "features.post_flags",
    "post",
    CODE_VERSION,
    _of_posts,
    export="flag",
    note="Gallery, crosspost, original content and flair; maturity and spoiler flags for analysis only.",
)
