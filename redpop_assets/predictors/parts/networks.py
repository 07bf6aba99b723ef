"""Training a small network on arrays of numbers to give the expected log score: the loop that network systems share.

What goes in and how the network is built belongs to the systems; here is how it learns: Adam on mini-batches, mean
squared error (or a loss of the system's own) on the standardised log score, early stopping on the validation part, the
best epoch kept, no refit. On a GPU if there is one; else on one thread, which is quicker than more for batches this
small and repeatable whatever the number of cores. Predicting is done on the CPU, some thousand posts at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from redpop_assets.arrays import np, npt
from redpop_assets.predictors.base import Doubles, Progress
from redpop_assets.predictors.dataset import Floats

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]
    Loss = Callable[[torch.nn.Module, Tensors, torch.Tensor], torch.Tensor]
    Build = Callable[[Mapping[str, int]], torch.nn.Module]
    Passes = Generator[tuple[int, torch.nn.Module], None, None]

Inputs = Mapping[str, Floats]
"""Name of an input -> (n, d) float32 without NaN."""
Arrays: TypeAlias = "dict[str, npt.NDArray[Any]]"

PREDICTED_AT_ONCE = 4096


@dataclass(frozen=True)
class Recipe:
    """How long and how fast a network learns.

    Args:
        learning_rate, weight_decay: of Adam.
        schedule: of an epoch, counted from 1: its learning rate, as a multiple of `learning_rate`.
        batch: posts per step at most; the batches of an epoch are of equal size, so that none is of a single post,
            which has no variance to normalise by.
        most_epochs: passes over the train part at most.
        patience: passes without a smaller validation loss after which it stops.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    batch: int = 64
    most_epochs: int = 100
    patience: int = 10
    schedule: Callable[[int], float] = lambda _epoch: 1.0


class NetworkRegressor:
    """A network with the scale of its labels, from arrays to expected log scores.

    Args:
        build: makes the untrained network from the widths of its inputs by name, in alphabetical order; its forward
            takes {name: (n, width) float32} and returns (n,) standardised log scores.
        recipe: how to train it.
        loss: of (network, inputs, standardised labels); None for the mean squared error of the forward.
        stopping: likewise, what is least in the best epoch.
        standardise: whether labels are; False where they are classes, or where the network has to give them as they
            are.
    """

    def __init__(
        self,
        build: Build,
        recipe: Recipe,
        loss: Loss | None = None,
        stopping: Loss | None = None,
        *,
        standardise: bool = True,
    ) -> None:
        self.build = build
        self.recipe = recipe
        self.loss = _squared_error if loss is None else loss
        self.stopping = _squared_error if stopping is None else stopping
        self.standardise = standardise
        self.label = np.array([0.0, 1.0], dtype=np.float32)
        self.widths: dict[str, int] = {}
        self.network: torch.nn.Module

    def fit(
        self,
        inputs: Inputs,
        labels: Floats,
        held_out: Inputs,
        held_out_labels: Floats,
        seed: int,
        say: Progress | None = None,
    ) -> int:
        """Train until the error on the held-out posts no longer falls, and go back to the epoch of the least.

        Args:
            inputs, labels: of the train part.
            held_out, held_out_labels: of the validation part.
            seed: of weights, batches and dropout.
            say: told of every tenth epoch.

        Returns:
            That epoch, counted from 1.
        """
        import torch

        seen = tensors_of(held_out)
        self._scale(inputs, labels)
        target = torch.from_numpy(self._standardised(held_out_labels))
        least, best_epoch, best_state = np.inf, 0, {}
        with closing(self._epochs(inputs, labels, seed)) as epochs:
            for epoch, network in epochs:
                device = next(network.parameters()).device
                seen, target = {name: tensor.to(device) for name, tensor in seen.items()}, target.to(device)
                network.eval()
                with torch.no_grad():
                    error = self.stopping(network, seen, target).item()
                if error < least:
                    least, best_epoch = error, epoch
                    best_state = {key: tensor.detach().clone() for key, tensor in network.state_dict().items()}
                if say is not None and epoch % 10 == 0:
                    say(f"epoch {epoch}, validation loss {error:.4f}, best {least:.4f}")
                if epoch - best_epoch >= self.recipe.patience:
                    break
        if best_epoch:  # else the error was never a number: the network stays as it ended
            network.load_state_dict(best_state)
        self.network = network.cpu().eval()
        return best_epoch

    def fit_epochs(self, inputs: Inputs, labels: Floats, epochs: int, seed: int) -> None:
        """Train for so many passes, from 1 to the most of the recipe, without looking at other posts."""
        self._scale(inputs, labels)
        with closing(self._epochs(inputs, labels, seed)) as passes:
            _, network = next(islice(passes, max(epochs, 1) - 1, None))
        self.network = network.cpu().eval()

    def predict(self, inputs: Inputs) -> Doubles:
        """(n,) expected log scores."""
        import torch

        tensors = tensors_of(inputs)
        n = len(next(iter(tensors.values())))
        with torch.no_grad(), _one_thread():
            parts = [
                self.network({name: t[first : first + PREDICTED_AT_ONCE] for name, t in tensors.items()}).numpy()
                for first in range(0, n, PREDICTED_AT_ONCE)
            ]
        mean, deviation = self.label.astype(np.float64)
        return np.asarray(np.concatenate(parts).astype(np.float64) * deviation + mean)

    def arrays(self, prefix: str = "network") -> Arrays:
        """All that was learnt, to be stored as safetensors; `load_arrays` reads it."""
        weights = {key: np.ascontiguousarray(tensor.numpy()) for key, tensor in self.network.state_dict().items()}
        return {
            f"{prefix}.label": self.label,
            **{f"{prefix}.width.{name}": np.array([width], np.int64) for name, width in self.widths.items()},
            **{f"{prefix}.weights.{key}": value for key, value in weights.items()},
        }

    def load_arrays(self, arrays: Mapping[str, npt.NDArray[Any]], prefix: str = "network") -> None:
        """Become what `arrays` described."""
        import torch

        self.label = arrays[f"{prefix}.label"]
        self.widths = {name: int(width[0]) for name, width in sorted(below(arrays, f"{prefix}.width.").items())}
        self.network = self.build(self.widths).eval()
        weights = below(arrays, f"{prefix}.weights.")
        self.network.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})

    def _scale(self, inputs: Inputs, labels: Floats) -> None:
        self.widths = {name: inputs[name].shape[1] for name in sorted(inputs)}
        if self.standardise:
            self.label = np.array([labels.mean(), max(labels.std(), 1e-6)], dtype=np.float32)

    def _standardised(self, labels: Floats) -> Floats:
        mean, deviation = self.label
        return np.asarray((labels - mean) / deviation, dtype=np.float32)

    def _epochs(self, inputs: Inputs, labels: Floats, seed: int) -> Passes:
        """The network after each pass over the posts; the random state and threads of torch are put back at the end."""
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        tensors = {name: tensor.to(device) for name, tensor in tensors_of(inputs).items()}
        target = torch.from_numpy(self._standardised(labels)).to(device)
        # cuDNN would else try out several algorithms and keep the quickest, which is not the same every time.
        repeatable = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
        with torch.random.fork_rng(), _one_thread(), repeatable:
            torch.manual_seed(seed)
            network = self.build(self.widths).to(device)
            optimizer = torch.optim.Adam(
                network.parameters(), lr=self.recipe.learning_rate, weight_decay=self.recipe.weight_decay
            )
            for epoch in range(1, self.recipe.most_epochs + 1):
                for group in optimizer.param_groups:
                    group["lr"] = self.recipe.learning_rate * self.recipe.schedule(epoch)
                network.train()
                order = torch.randperm(len(labels)).to(device)
                for rows in torch.tensor_split(order, -(-len(labels) // self.recipe.batch)):
                    optimizer.zero_grad()
                    batch = {name: tensor[rows] for name, tensor in tensors.items()}
                    torch.autograd.backward(self.loss(network, batch, target[rows]))
                    optimizer.step()
                yield epoch, network


def below(arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> Arrays:
    """The arrays whose names begin with the prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def _squared_error(network: torch.nn.Module, inputs: Tensors, target: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.nn.functional.mse_loss(network(inputs), target)


def tensors_of(inputs: Inputs) -> Tensors:
    """Inputs as a network takes them, on the CPU."""
    import torch

    return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in inputs.items()}


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
