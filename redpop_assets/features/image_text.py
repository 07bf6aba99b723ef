"""What is written in a picture, how much of it and how: words on memes, screenshots and posters, read by PP-OCR.

PP-OCRv6 of PaddleOCR (its first version: Du et al. 2020) is two networks: one finds lines of words, the other reads
them. Weights and the steps between them are those of the package rapidocr; the networks run in OpenVINO. They read
Latin, Chinese and Japanese writing. Lines of other alphabets are found but come out as nonsense of low confidence, and
are left out, as are lines upside down.

What is written in a picture may name people, so the words are nowhere kept: features are numbers, and a vector of what
is written by the caption encoder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.features.captions import EMOTIONS, caption_features
from redpop_assets.features.family import Encoders, Family, Features, Subjects

if TYPE_CHECKING:
    from PIL.Image import Image

    from redpop_assets.encoders.base import TextEncoder

Floats: TypeAlias = "npt.NDArray[np.float32]"
Pixels: TypeAlias = "npt.NDArray[np.uint8]"

CODE_VERSION: Final = "1"
"""Raise it whenever a picture would get other numbers than before."""

WORDING: Final[tuple[str, ...]] = (
    "characters",
    "words",
    "mean_word_length",
    "upper_case_share",
    "title_case_share",
    "digits",
    "numbers",
    "punctuation",
    "question_marks",
    "exclamation_marks",
    "first_person_share",
    "vader_negative",
    "vader_neutral",
    "vader_positive",
    "vader_compound",
    *(f"nrc_{emotion}" for emotion in EMOTIONS),
)
"""Columns that what is written has as a caption has them; those of titles and of prose are left out."""

PLACING: Final[tuple[str, ...]] = (
    "has_text",
    "lines",
    "lines_share",
    "text_x",
    "text_y",
    "line_height",
    "tallest_line_height",
    "reading_confidence",
)
"""Columns that say how much there is and where."""

COLUMNS: Final[tuple[str, ...]] = (*PLACING, *WORDING, "embedding")
"""Order of the columns of `image_text_features`; the last is a vector."""

WORKING_EDGE: Final = 960
"""Longest edge (pixels) that larger pictures are shrunk to before words are looked for, as PaddleOCR does: letters of
10 pixels can then still be read."""

LEAST_CONFIDENCE: Final = 0.85
"""Mean probability of the characters of a line from which it counts as read: textures, windows and waves are taken for
words now and then, but with less."""

LEAST_CHARACTERS: Final = 2
"""Letters and digits of a line that counts: what looks like one letter is mostly a thing."""

MOST_LINES: Final = 100
"""Of more lines in one picture the largest are read."""

_STEP: Final = (
    160  # both edges are filled up to multiples of it: OpenVINO prepares itself anew for each size, and keeps
)
# what it prepared; the network takes multiples of 32
_LEAST_SIDE: Final = 4  # of the box around a line, pixels
_LINE_HEIGHT: Final = 48  # that the reading network takes, pixels
_LINE_STEP: Final = 64  # likewise for the width of a line
_SHORTEST, _LONGEST = 320, 3840  # width of a line, pixels; a longer one is compressed
_UPRIGHT: Final = 1.5  # a line this many times as high as wide runs up or down
_MOST_WORKERS: Final = 16


@dataclass(frozen=True, eq=False)
class Line:
    """A line of words.

    Attributes:
        text: what is written.
        confidence: mean probability of its characters, 0 to 1.
        corners: (4, 2) float32, of the box around it: x and y as shares of the picture's width and height.
        height: of the box, at right angles to the line, as a share of the picture's height; 0 to 1 for lines that lie.
    """

    text: str
    confidence: float
    corners: Floats
    height: float


class TextReader:
    """PP-OCR on the processor.

    Args:
        finder: the network that finds lines, as `read_network` returns it.
        reader: the network that reads them; it names the characters it knows.
        workers: pictures looked at side by side, each on one core.
    """

    def __init__(self, finder: Any, reader: Any, *, workers: int) -> None:
        from rapidocr.ch_ppocr_det.utils import DBPostProcess
        from rapidocr.ch_ppocr_rec.utils import CTCLabelDecode

        from redpop_assets.encoders.openvino_network import OpenVinoNetwork

        self._workers = workers
        self._find = OpenVinoNetwork(finder, "float32", streams=workers, threads=workers)
        self._read = OpenVinoNetwork(reader, "float32", streams=workers, threads=workers)
        self._boxes = DBPostProcess(thresh=0.3, box_thresh=0.5, unclip_ratio=1.6, use_dilation=True)  # rapidocr's own
        characters: str = reader.get_rt_info(["framework", "character"]).astype(str)
        self._decode = CTCLabelDecode(character=characters.splitlines())

    def read(self, images: Sequence[Image]) -> list[list[Line]]:
        """Read pictures.

        Args:
            images: n upright RGB pictures. A sequence that decodes a picture when it is asked for it is asked once for
                each, and no more pictures are held than there are workers.

        Returns:
            For each picture its lines from top to bottom, those beside each other from left to right.

        Raises:
            ValueError: a picture is not RGB.
        """
        with ThreadPoolExecutor(self._workers, thread_name_prefix="redpop-reader") as pool:
            return list(pool.map(lambda index: self._lines(images[index]), range(len(images))))

    def _lines(self, image: Image) -> list[Line]:
        pixels = _working_copy(image)
        height, width, _ = pixels.shape
        lines = []
        for box in self._found(pixels):
            text, confidence = self._reading(pixels, box)
            if confidence >= LEAST_CONFIDENCE and sum(map(str.isalnum, text)) >= LEAST_CHARACTERS:
                corners = box / np.array([width, height], np.float32)
                lines.append(Line(text, confidence, corners, min(_sides(box)) / height))
        return lines

    def _found(self, pixels: Pixels) -> Floats:
        """(k, 4, 2) corners of the lines in pixels, in reading order."""
        from rapidocr.ch_ppocr_det.main import TextDetector

        height, width, _ = pixels.shape
        batch = np.zeros((1, 3, _rounded_up(height, _STEP), _rounded_up(width, _STEP)), np.float32)
        batch[0, :, :height, :width] = _normal(pixels)
        (probable,) = self._run(self._find, batch)
        found, _ = self._boxes(probable, batch.shape[2:])
        boxes = np.asarray(found, np.float32).reshape(-1, 4, 2)
        boxes = boxes.clip(0, np.array([width - 1, height - 1], np.float32))
        boxes = boxes[[min(_sides(box)) >= _LEAST_SIDE for box in boxes]]
        if len(boxes) > MOST_LINES:
            boxes = boxes[np.argsort(-_areas(boxes), kind="stable")[:MOST_LINES]]
        ordered: Floats = TextDetector.sorted_boxes(boxes)
        return ordered

    def _reading(self, pixels: Pixels, box: Floats) -> tuple[str, float]:
        """What a line says, and how sure that is; the surer of both ways for one that runs up or down."""
        from rapidocr.utils.process_img import get_rotate_crop_image

        line = get_rotate_crop_image(pixels, box.copy())
        ways = [line]
        across, down = _sides(box)
        if down >= _UPRIGHT * across:  # it was turned to lie, which is right for one of both
            ways.append(line[::-1, ::-1])
        return max(map(self._said, ways), key=lambda said: said[1])

    def _said(self, line: Pixels) -> tuple[str, float]:
        from PIL import Image

        width = min(max(1, math.ceil(_LINE_HEIGHT * line.shape[1] / line.shape[0])), _LONGEST)
        resized = Image.fromarray(np.ascontiguousarray(line)).resize((width, _LINE_HEIGHT), Image.Resampling.BILINEAR)
        batch = np.zeros((1, 3, _LINE_HEIGHT, max(_SHORTEST, _rounded_up(width, _LINE_STEP))), np.float32)
        batch[0, :, :, :width] = _normal(np.asarray(resized))
        (probable,) = self._run(self._read, batch)
        ((text, confidence),), _ = self._decode(probable)
        return text.strip(), float(confidence)

    @staticmethod
    def _run(network: Any, batch: Floats) -> tuple[Floats, ...]:
        import torch

        outputs: tuple[Floats, ...] = network(torch.from_numpy(batch))
        return outputs


def load_text_reader(*, workers: int | None = None) -> TextReader:
    """Load PP-OCR.

    Args:
        workers: as of `TextReader`; None for as many as torch has threads.

    Raises:
        WeightsUnavailable: the package that carries the weights is not installed.
    """
    import torch

    from redpop_assets.encoders.openvino_network import read_network
    from redpop_assets.encoders.weights import from_package

    with from_package("rapidocr", extra="recognise"):
        import rapidocr

        folder = Path(rapidocr.__file__).parent / "models"
        finder, reader = (read_network(folder / f"PP-OCRv6_{what}_small.onnx") for what in ("det", "rec"))
        return TextReader(finder, reader, workers=workers or min(_MOST_WORKERS, torch.get_num_threads()))


def image_text_features(read: Sequence[Sequence[Line]], encoder: TextEncoder) -> dict[str, Floats]:
    """Describe what is written in pictures.

    Args:
        read: for each of n pictures, its lines, as `TextReader.read` returns them.
        encoder: what makes the vectors.

    Returns:
        The columns of `COLUMNS`, (n,) float32, `embedding` (n, d); always finite:

        * `has_text` (0 or 1), `lines` (count);
        * `lines_share`: areas of the boxes around the lines over that of the picture, 0 to 1; what overlaps counts
          twice; `text_x`, `text_y`: their centre of gravity, 0 to 1 from the left and from the top;
        * `line_height`, `tallest_line_height`: mean and greatest height of a line as a share of the picture's height;
        * `reading_confidence`: mean confidence of the lines;
        * those of `WORDING`: as `captions.caption_features` has them, of the lines one below the other. Blanks between
          words in capitals are sometimes missed, so `words` may be too few; `characters` hardly ever are;
        * `embedding`: L2-normalised vector of the same text.

        Where `has_text` is 0 the centre is that of the picture, 0.5, and all else is 0, the vector too.
    """
    texts = ["\n".join(line.text for line in lines) for lines in read]
    placed = np.array([_placed(lines) for lines in read], np.float32).reshape(len(read), len(PLACING))
    wording = caption_features(texts)
    vectors = np.zeros((len(read), encoder.dimension), np.float32)
    written = np.flatnonzero(placed[:, 0])
    if len(written):
        vectors[written] = encoder.encode([texts[index] for index in written])
    return {
        **{name: placed[:, column].copy() for column, name in enumerate(PLACING)},
        **{name: wording[name] for name in WORDING},
        "embedding": vectors,
    }


def _placed(lines: Sequence[Line]) -> tuple[float, ...]:
    """The values of `PLACING` for one picture."""
    if not lines:
        return 0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0
    corners = np.stack([line.corners for line in lines]).astype(np.float64)
    areas = _areas(corners)
    x, y = areas @ corners.mean(axis=1) / areas.sum()
    heights = [line.height for line in lines]
    return (
        1.0,
        float(len(lines)),
        min(float(areas.sum()), 1.0),
        float(x),
        float(y),
        float(np.mean(heights)),
        max(heights),
        float(np.mean([line.confidence for line in lines])),
    )


def _sides(box: Floats) -> tuple[float, float]:
    """Lengths of the upper and lower, and of the left and right side of a box, the longer of both."""
    after = np.linalg.norm(np.roll(box, -1, axis=0) - box, axis=1)
    return float(max(after[0], after[2])), float(max(after[1], after[3]))


def _areas(boxes: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """(k,) areas of k quadrangles (k, 4, 2), by Gauss's formula."""
    x, y = boxes[:, :, 0], boxes[:, :, 1]
    areas: npt.NDArray[np.floating[Any]] = np.abs((x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(axis=1))
    return areas / 2


def _working_copy(image: Image) -> Pixels:
    """(h, w, 3) uint8 in the order blue, green, red, with a longest edge of at most `WORKING_EDGE`."""
    from PIL.Image import Resampling

    if image.mode != "RGB":
        raise ValueError(f"an image of mode {image.mode} came where RGB is needed; convert it when decoding")
    copy = image.copy()
    copy.thumbnail((WORKING_EDGE, WORKING_EDGE), Resampling.BICUBIC, reducing_gap=2.0)
    return np.ascontiguousarray(np.asarray(copy)[:, :, ::-1])


def _normal(pixels: Pixels) -> Floats:
    """(3, h, w) float32, -1 to 1, as both networks take them."""
    return (pixels.astype(np.float32) / np.float32(127.5) - np.float32(1)).transpose(2, 0, 1)


def _rounded_up(value: int, step: int) -> int:
    return -(-value // step) * step


def _of_pictures(subjects: Subjects, encoders: Encoders) -> Features:
    reader = subjects.networks.kept("image_text", load_text_reader)
    encoder = subjects.networks.text_encoder(encoders.caption)
    return image_text_features(reader.read(subjects.pictures(WORKING_EDGE // 2)), encoder)


FAMILY: Final = Family(
    "image_text",
    "features.image_text",
    "picture",
    CODE_VERSION,
    _of_pictures,
    networks=(("encoder", "caption"),),
    optional=True,
    note="By PP-OCR of rapidocr, once per picture and caption encoder. The words themselves are not kept.",
)
