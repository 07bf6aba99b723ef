"""How much of a picture is covered by words: captions on memes, screenshots, posters.

No network and no reading: words are found by how they look. Their strokes are thin and brighter (or darker) than what
is around them; the strokes make letters of one height and one grey; the letters stand in a row with a quiet strip above
and below. This is the way of connected components (Epshtein et al. 2010 and others) with strokes from a top-hat instead
of a stroke width transform, which needs sharper pictures than a working copy is. Letters of less than 5 pixels are too
small for it, as are lines that are much inclined.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from redpop_assets.arrays import np, npt

Grey: TypeAlias = "npt.NDArray[np.uint8]"
Mask: TypeAlias = "npt.NDArray[np.bool_]"
Counts: TypeAlias = "npt.NDArray[np.int64]"
Reals: TypeAlias = "npt.NDArray[np.float64]"

_WIDEST_STROKE: Final = 13  # pixels; a brighter region is a stroke where no square of this edge fits into it
_LEAST_CONTRAST: Final = 40  # grey levels by which a stroke differs from its surroundings
_SMALLEST, _LARGEST = 5, 64  # height of a letter, pixels
_WIDEST_WORD: Final = 10  # heights; letters that touch make one component
_UNEVENNESS: Final = 0.4  # standard deviation of the grey in a letter, as a share of its contrast
_HEIGHT_RATIO: Final = 1.5  # between neighbours: "x" and "h"
_OVERLAP: Final = 0.6  # of the heights of neighbours, at least
_GAP: Final = 1.0  # between neighbours, heights, at most: a space
_SAME_GREY: Final = 0.35  # difference of neighbours, as a share of their contrast
_FEWEST: Final = 3  # components in a line
# What speaks for words, in the order of `_evidence`: a logistic regression on the lines that are found in captions
# rendered over photographs, gradients and fractal noise, against those found in photographs, textures, foliage, fences,
# rows of windows and noise without words; rounded. Above the threshold it is words.
_WEIGHTS: Final = (1.0, -3.5, 4.0, 22.0, -13.0, 3.0, 2.0)
_THRESHOLD: Final = 7.3


class _Components(NamedTuple):
    """Connected strokes, one entry per component; boxes end before `bottom` and `right` (pixels)."""

    top: Counts
    bottom: Counts
    left: Counts
    right: Counts
    area: Counts
    grey: Reals
    unevenness: Reals  # standard deviation of the grey
    contrast: Reals  # mean height of the strokes above their surroundings, grey levels

    def only(self, chosen: Mask | Counts) -> _Components:
        return _Components(
            self.top[chosen],
            self.bottom[chosen],
            self.left[chosen],
            self.right[chosen],
            self.area[chosen],
            self.grey[chosen],
            self.unevenness[chosen],
            self.contrast[chosen],
        )


def text_share(grey: Grey) -> float:
    """Measure the share of a picture that lines of words cover.

    Args:
        grey: (h, w) uint8, a copy of the picture with a longest edge of about 256 pixels.

    Returns:
        Area of the boxes around all lines, light on dark and dark on light, as a share of the picture, 0 to 1.
    """
    covered = np.zeros(grey.shape, dtype=np.bool_)
    for light in (grey, ~grey):
        for top, bottom, left, right in _text_lines(light):
            covered[top:bottom, left:right] = True
    return float(covered.mean())


def _text_lines(grey: Grey) -> list[tuple[int, int, int, int]]:
    """Boxes of the lines of words that are lighter than their surroundings: top, bottom, left, right."""
    above, mask = _strokes(grey)
    ordered, starts = _lines(_letters(_components(grey, above, mask)))
    if len(starts) == 0:
        return []
    boxes = np.stack(
        [
            np.minimum.reduceat(ordered.top, starts),
            np.maximum.reduceat(ordered.bottom, starts),
            np.minimum.reduceat(ordered.left, starts),
            np.maximum.reduceat(ordered.right, starts),
        ],
        axis=1,
    )
    score = np.zeros(len(starts))
    for weight, evidence in zip(_WEIGHTS, _evidence(ordered, starts, boxes, mask), strict=True):
        score += weight * evidence
    return [(top, bottom, left, right) for top, bottom, left, right in boxes[score > _THRESHOLD].tolist()]


def _strokes(grey: Grey) -> tuple[Grey, Mask]:
    """Height of each pixel above its surroundings (white top-hat), and where that makes it part of a stroke.

    At least half of the greatest height nearby is asked for: letters come apart at their blurred edges, and what is
    fainter than the words it lies behind drops out.
    """
    eroded = _running(np.minimum, grey)
    above = grey - _running(np.maximum, eroded)
    greatest = _running(np.maximum, above)
    return above, (above >= _LEAST_CONTRAST) & (above > greatest // 2)


def _running(extreme: np.ufunc, grey: Grey) -> Grey:
    """Minimum or maximum over a square of `_WIDEST_STROKE` around each pixel; windows double from step to step."""
    reach = _WIDEST_STROKE // 2
    for axis in (0, 1):
        grey = np.moveaxis(
            np.pad(grey, [(reach, reach) if axis == a else (0, 0) for a in (0, 1)], mode="edge"), axis, 0
        )
        window = 1
        while window < _WIDEST_STROKE:
            step = min(window, _WIDEST_STROKE - window)
            grey = extreme(grey[:-step], grey[step:])
            window += step
        grey = np.moveaxis(grey, 0, axis)
    return grey


def _components(grey: Grey, above: Grey, mask: Mask) -> _Components:
    from scipy.ndimage import find_objects, label

    labels, count = label(mask, structure=np.ones((3, 3), dtype=np.int64))
    slices = find_objects(labels)
    boxes = np.array([(y.start, y.stop, x.start, x.stop) for y, x in slices], dtype=np.int64).reshape(count, 4)
    strokes = np.flatnonzero(mask)
    owner = labels.ravel()[strokes] - 1
    area = np.bincount(owner, minlength=count)

    def mean(values: Reals) -> Reals:
        found: Reals = np.bincount(owner, values, minlength=count) / area
        return found

    values = grey.ravel()[strokes].astype(np.float64)
    mean_grey = mean(values)
    variance = mean(values * values) - mean_grey * mean_grey
    contrast = mean(above.ravel()[strokes].astype(np.float64))
    top, bottom, left, right = boxes.T
    return _Components(top, bottom, left, right, area, mean_grey, np.sqrt(np.maximum(variance, 0.0)), contrast)


def _letters(components: _Components) -> _Components:
    """Those that may be letters, or words whose letters touch: by their size and by their even grey."""
    height = components.bottom - components.top
    return components.only(
        (height >= _SMALLEST)
        & (height <= _LARGEST)
        & (components.right - components.left <= _WIDEST_WORD * height)
        & (components.unevenness <= _UNEVENNESS * components.contrast)
    )


def _neighbours(letters: _Components) -> tuple[Counts, Counts]:
    """Pairs of letters that may be neighbours in a line."""
    height = letters.bottom - letters.top
    order = np.argsort(letters.left, kind="stable")
    start = letters.left[order]
    # For each one, those that begin before the end of the widest gap after it.
    reach = np.searchsorted(start, letters.right[order] + _GAP * _HEIGHT_RATIO * height[order], side="right")
    count = reach - np.arange(len(order)) - 1
    one = np.repeat(np.arange(len(order)), count)
    other = np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count) + one + 1
    one, other = order[one], order[other]

    near = letters.top[one] < letters.bottom[other]
    near &= letters.top[other] < letters.bottom[one]
    one, other = one[near], other[near]
    taller, smaller = np.maximum(height[one], height[other]), np.minimum(height[one], height[other])
    shared = np.minimum(letters.bottom[one], letters.bottom[other]) - np.maximum(letters.top[one], letters.top[other])
    gap = letters.left[other] - np.minimum(letters.right[one], letters.right[other])
    alike = (
        (taller <= _HEIGHT_RATIO * smaller)
        & (shared >= _OVERLAP * taller)
        & (gap <= _GAP * taller)
        & (gap >= -0.2 * taller)
        & (
            np.abs(letters.grey[one] - letters.grey[other])
            <= _SAME_GREY * np.minimum(letters.contrast[one], letters.contrast[other])
        )
    )
    return one[alike], other[alike]


def _lines(letters: _Components) -> tuple[_Components, Counts]:
    """Join neighbours to lines: the letters of lines of at least `_FEWEST`, by line, and where each line begins."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = _neighbours(letters)
    if len(one) == 0:
        return letters.only(one), np.zeros(0, dtype=np.int64)
    total = len(letters.top)
    links = coo_array((np.ones(len(one), dtype=np.bool_), (one, other)), shape=(total, total))
    _, line = connected_components(links, directed=False)
    members = np.flatnonzero(np.bincount(line)[line] >= _FEWEST)
    members = members[np.argsort(line[members], kind="stable")]
    return letters.only(members), np.flatnonzero(np.diff(line[members], prepend=-1))


def _evidence(ordered: _Components, starts: Counts, boxes: Counts, mask: Mask) -> list[Reals]:
    """What tells lines of words from chance, one value per line each.

    Many letters; little clutter above and below; letters of unequal width and of unequal fill, unlike windows and
    fences; about half of their boxes filled; contrast; and a common base or upper line.
    """
    count = np.diff(np.append(starts, len(ordered.top)))

    def mean(values: Reals | Counts | Mask) -> Reals:
        sums: Reals = np.add.reduceat(values.astype(np.float64), starts)
        return sums / count

    def deviation(values: Reals) -> Reals:
        found: Reals = np.sqrt(np.maximum(mean(values * values) - mean(values) ** 2, 0.0))
        return found

    def spread(values: Reals) -> Reals:
        """From lines to their letters."""
        return np.repeat(values, count)

    height = ordered.bottom - ordered.top
    width = ordered.right - ordered.left
    filled = ordered.area / (height * width)
    top, bottom, mean_height = mean(ordered.top), mean(ordered.bottom), mean(height)
    slack = spread(np.maximum(1.0, 0.12 * mean_height))
    return [
        np.log(count),
        np.minimum(_clutter(mask, top, bottom, mean_height, boxes), 1.0),
        np.minimum(deviation(width / spread(mean_height)), 0.5),
        np.minimum(deviation(filled), 0.15),
        np.abs(mean(filled) - 0.55),
        mean(ordered.contrast) / 100.0,
        np.maximum(
            mean(np.abs(ordered.bottom - spread(bottom)) <= slack), mean(np.abs(ordered.top - spread(top)) <= slack)
        ),
    ]


def _clutter(mask: Mask, top: Reals, bottom: Reals, height: Reals, boxes: Counts) -> Reals:
    """Density of strokes in the strips above and below each line, as a multiple of that inside."""

    def density(first: int, last: int, left: int, right: int) -> float:
        part = mask[max(first, 0) : last, left:right]
        return np.count_nonzero(part) / max(part.size, 1)

    found = np.empty(len(boxes))
    for index, (left, right) in enumerate(boxes[:, 2:].tolist()):
        upper, lower = round(top[index]), round(bottom[index])
        strip = max(2, round(0.3 * height[index]))
        outside = density(upper - strip, upper, left, right) + density(lower, lower + strip, left, right)
        found[index] = outside / 2.0 / max(density(upper, lower, left, right), 0.01)
    return found
