"""How many faces a picture shows, how large they are and where, as MTCNN finds them.

MTCNN (Zhang et al. 2016, "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks") is three
small networks in a row: the first proposes squares at all sizes, the second drops most of them, the third decides. Code
and weights are those of the package facenet-pytorch. Whose face it is nobody asks here, and nothing that could tell is
computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import Encoders, Family, Features, Subjects

if TYPE_CHECKING:
    from PIL.Image import Image

Floats: TypeAlias = "npt.NDArray[np.float32]"

CODE_VERSION: Final = "1"
"""Raise it whenever a picture would get other numbers than before."""

COLUMNS: Final[tuple[str, ...]] = (
    "has_face",
    "faces",
    "faces_share",
    "largest_face_share",
    "largest_face_height",
    "largest_face_x",
    "largest_face_y",
    "largest_face_off_centre",
    "face_confidence",
)
"""Order of the columns of `face_features`; all are scalars."""

WORKING_EDGE: Final = 512
"""Longest edge (pixels) that larger pictures are shrunk to before faces are looked for."""

LEAST_FACE: Final = 20
"""Height of the smallest face that is looked for (pixels of the working copy): a 26th of its longest edge."""

LEAST_CONFIDENCE: Final = 0.9
"""Probability from which the third network's square is a face: of the labelled photographs of skimage.data.lfw_subset,
99 of 100 faces are above it at any size from 25 to 64 pixels, and none of 100 pictures without one."""

_THRESHOLDS: Final = [0.6, 0.7, LEAST_CONFIDENCE]  # of the three networks; the first two as in the paper's code
_MOST_WORKERS: Final = 16


class FaceDetector:
    """MTCNN on a device.

    Args:
        device: cpu, cuda or cuda:<n>.
        workers: pictures looked at side by side; None for as many as torch has threads, on a GPU one. What is found
            does not depend on it: each forward pass on a processor has one thread.
    """

    def __init__(self, *, device: str = "cpu", workers: int | None = None) -> None:
        import torch
        from facenet_pytorch import MTCNN

        on_gpu = device != "cpu"
        self._workers = workers or (1 if on_gpu else min(_MOST_WORKERS, torch.get_num_threads()))
        self._network: Any = MTCNN(
            keep_all=True, min_face_size=LEAST_FACE, thresholds=_THRESHOLDS, device=torch.device(device)
        ).eval()

    def find(self, images: Sequence[Image]) -> list[Floats]:
        """Find the faces of pictures.

        Args:
            images: n upright RGB pictures. A sequence that decodes a picture when it is asked for it is asked once for
                each, and no more pictures are held than there are workers.

        Returns:
            For each picture (k, 5) float32, the largest face first: left, top, right and bottom edge, as shares of the
            picture's width and height and inside it, and the probability of a face, `LEAST_CONFIDENCE` to 1.

        Raises:
            ValueError: a picture is not RGB.
        """
        from redpop_assets.encoders.lanes import threads_per_pass

        with threads_per_pass(1), ThreadPoolExecutor(self._workers, thread_name_prefix="redpop-faces") as pool:
            return list(pool.map(lambda index: self._faces(images[index]), range(len(images))))

    def _faces(self, image: Image) -> Floats:
        copy = _working_copy(image)
        if min(copy.size) < LEAST_FACE:  # the network has no size to look at
            return np.empty((0, 5), np.float32)
        squares, probabilities = self._network.detect(copy)
        if squares is None:
            return np.empty((0, 5), np.float32)
        edges = np.asarray(squares, np.float64) / np.tile(copy.size, 2)
        edges = edges.clip(0.0, 1.0)  # a face that is cut off by the edge is found whole
        area = (edges[:, 2] - edges[:, 0]) * (edges[:, 3] - edges[:, 1])
        found = np.column_stack([edges, np.asarray(probabilities, np.float64)])
        # Of equal ones the upper left one comes first, whatever order the network found them in.
        order = np.lexsort((found[:, 0], found[:, 1], -area))
        return found[order].astype(np.float32)


def load_face_detector(*, device: str = "auto", workers: int | None = None) -> FaceDetector:
    """Load the detector.

    Args:
        device: auto, cpu, cuda or cuda:<n>.
        workers: as of `FaceDetector`.

    Raises:
        SettingsError: there is no such device.
        WeightsUnavailable: the package that carries the weights is not installed.
    """
    from redpop_assets.encoders.load import resolve_device
    from redpop_assets.encoders.weights import from_package

    with from_package("facenet-pytorch", extra="recognise"):
        return FaceDetector(device=resolve_device(device), workers=workers)


def face_features(found: Sequence[Floats]) -> dict[str, Floats]:
    """Describe the faces of pictures by numbers.

    Args:
        found: for each of n pictures, what `FaceDetector.find` returns of it.

    Returns:
        The columns of `COLUMNS`, (n,) float32, always finite:

        * `has_face` (0 or 1), `faces` (count);
        * `faces_share`: areas of all faces over that of the picture, 0 to 1; what overlaps counts twice;
          `largest_face_share`: that of the largest face; `largest_face_height`: its height as a share of the picture's,
          as shots are told apart (a close-up, a figure in a landscape);
        * `largest_face_x`, `largest_face_y`: its centre, 0 to 1 from the left and from the top;
          `largest_face_off_centre`: distance of that from the centre of the picture, edges being 1 long, 0 to 1 in a
          corner;
        * `face_confidence`: mean probability of the faces.

        Where `has_face` is 0, shares, distance and confidence are 0 and the centre is that of the picture, 0.5.
    """
    rows = np.array([_described(faces) for faces in found], np.float32).reshape(len(found), len(COLUMNS))
    return {name: rows[:, column].copy() for column, name in enumerate(COLUMNS)}


def _described(faces: Floats) -> tuple[float, ...]:
    """The values of `COLUMNS` for one picture."""
    if not len(faces):
        return 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0
    width, height = faces[:, 2] - faces[:, 0], faces[:, 3] - faces[:, 1]
    area = width * height
    x, y = float(faces[0, 0] + faces[0, 2]) / 2, float(faces[0, 1] + faces[0, 3]) / 2
    return (
        1.0,
        float(len(faces)),
        min(float(area.sum()), 1.0),
        float(area[0]),
        float(height[0]),
        x,
        y,
        math.hypot(x - 0.5, y - 0.5) / math.hypot(0.5, 0.5),
        float(faces[:, 4].mean()),
    )


def _working_copy(image: Image) -> Image:
    """The picture with a longest edge of at most `WORKING_EDGE`; a small one stays as it is."""
    from PIL.Image import Resampling

    if image.mode != "RGB":
        raise ValueError(f"an image of mode {image.mode} came where RGB is needed; convert it when decoding")
    copy = image.copy()
    copy.thumbnail((WORKING_EDGE, WORKING_EDGE), Resampling.BICUBIC, reducing_gap=2.0)
    return copy


def _of_pictures(subjects: Subjects, encoders: Encoders) -> Features:  # noqa: ARG001
    networks = subjects.networks
    detector = networks.kept("faces", lambda: load_face_detector(device=networks.device))
    return face_features(detector.find(subjects.pictures(WORKING_EDGE // 2)))


FAMILY: Final = Family(
    "faces",
    "features.image_faces",
    "picture",
    CODE_VERSION,
    _of_pictures,
    on_device=True,
    optional=True,
    note="By MTCNN of facenet-pytorch, once per picture.",
)
