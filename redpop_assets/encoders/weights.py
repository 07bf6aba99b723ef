"""Getting weights: the foreign exceptions of hubs and files become WeightsUnavailable with the reason in one line."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

from redpop_assets.errors import RedPopError, WeightsUnavailable

_SEED = 0


@contextlib.contextmanager
def seeded() -> Iterator[None]:
    """Parameters made inside are the same every time; the caller's random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        yield


@contextlib.contextmanager
def from_hub(model: str) -> Iterator[None]:
    """Whatever fails inside means that the hub did not give the model."""
    try:
        yield
    except RedPopError:
        raise
    except Exception as error:
        if _is_unreachable(error):
            raise WeightsUnavailable(
                f"they are not in the local cache and the model hub cannot be reached ({_line(error)})."
            ) from error
        raise WeightsUnavailable(f"the model hub did not give {model} ({_line(error)}).") from error


@contextlib.contextmanager
def from_path(path: Path, model: str) -> Iterator[None]:
    """Whatever fails inside means that the file or folder does not hold weights of the model."""
    if not path.exists():
        raise WeightsUnavailable(f"there is no {path.absolute()}.")
    try:
        yield
    except RedPopError:
        raise
    except Exception as error:
        raise WeightsUnavailable(f"{path.absolute()} holds no weights that fit {model} ({_line(error)}).") from error


@contextlib.contextmanager
def from_package(distribution: str, extra: str = "bundled") -> Iterator[None]:
    """A missing package that would carry the weights, one of an extra of ours, is weights missing."""
    try:
        yield
    except ImportError as error:
        raise WeightsUnavailable(
            f"the package {distribution} is not installed: pip install 'redpop[{extra}]'."
        ) from error


def _is_unreachable(error: BaseException | None) -> bool:
    # The libraries wrap the cause, and timm and open_clip keep only its text or its context.
    while error is not None:
        if isinstance(error, OfflineModeIsEnabled | LocalEntryNotFoundError | ConnectionError | TimeoutError):
            return True
        if "connect" in type(error).__name__.lower() or "couldn't connect" in str(error).lower():
            return True
        error = error.__cause__ or error.__context__
    return False


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:299]}…"
