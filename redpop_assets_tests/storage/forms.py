"""The forms that a warehouse has, for tests of what is promised of each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from redpop_assets.storage.lake_address import LakeAddress
from redpop_assets.storage.warehouse import Warehouse

both_forms = pytest.mark.parametrize("form", ["file", "lake"], indirect=True)
"""What is promised of a warehouse is promised of each of its forms."""


@dataclass(frozen=True)
class Place:
    """Where the warehouse of a test is, for whoever opens it again."""

    home: Path
    lake: LakeAddress | None

    def open(self, *, source: str = "reddit", lock_timeout: float = 60, **others: Any) -> Warehouse:
        """The warehouse, as another process has it."""
        return Warehouse(self.home, source=source, lock_timeout=lock_timeout, lake=self.lake, **others)
