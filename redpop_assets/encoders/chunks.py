"""Rows that encoders made, on their way to the warehouse, whoever ran the networks and wherever. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from redpop_assets.encoders.base import Backend, Choice, Precision, Provenance
from redpop_assets.storage.arrow import arrow_table, utc_now
from redpop_assets.storage.warehouse import Warehouse

_MEASURED = ("batch_size", "items_per_second", "min_cosine")


@dataclass(frozen=True)
class Running:
    """An encoder as it ran: which weights, in which library and precision, and the measurement that chose them."""

    provenance: Provenance
    backend: Backend
    precision: Precision
    choice: Choice | None


@dataclass(frozen=True)
class Unreadable:
    """A picture that could not be encoded: `reason` is a code as in `ImageRejected`, `detail` a sentence."""

    image_sha256: str
    path: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Chunk:
    """Rows that are ready to be written, in one transaction.

    Attributes:
        tables: Rows by the name of their table; no table without rows.
        items: Pictures or captions that were encoded.
        unreadable: Pictures that were not.
        device_seconds: Seconds for which the device computed, by encoder.
        ran: The encoders that made them.
    """

    tables: Mapping[str, pa.Table]
    items: int
    unreadable: Sequence[Unreadable]
    device_seconds: Mapping[str, float]
    ran: Sequence[Running]


def record_encoder(warehouse: Warehouse, running: Running) -> None:
    """Enter an encoder into features.encoders when it first writes a vector; how it runs now, each time."""
    provenance = running.provenance
    how = {name: getattr(running.choice, name, None) for name in _MEASURED}
    how |= {"backend": running.backend, "precision": running.precision}
    row = {**asdict(provenance), "first_used_at": utc_now(), **how}
    with warehouse.write() as writer:
        writer.append("features.encoders", arrow_table({name: [value] for name, value in row.items()}))
        writer.execute(
            f"UPDATE features.encoders SET {', '.join(f'{name} = ${name}' for name in how)} "
            "WHERE encoder = $encoder AND modality = $modality",
            {"encoder": provenance.encoder, "modality": provenance.modality, **how},
        )
