"""Waiting for a place in a pool of Dagster, such as the one that asks Reddit: without haste, and not for the dead.

Dagster's executor within one process asks for a place again and again without a pause (dagster 1.13), which takes a
whole processor from whoever has the place. And a run that was killed while others waited would keep it for ever.
"""

import time
from typing import TYPE_CHECKING, Final

from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._utils.concurrency import ConcurrencyClaimStatus

from redpop_assets.run_owners import end_dead_runs

if TYPE_CHECKING:
    Storage = SqlEventLogStorage
else:
    Storage = object

PAUSE: Final = 1.0
"""Seconds between two questions for a place."""

LOOK_EVERY: Final = 30.0
"""Seconds between two looks for runs whose process was killed."""


class PatientClaims(Storage):
    """What an event log storage does when there is no place: wait a little, and end the runs that nobody executes."""

    _next_look = 0.0

    def claim_concurrency_slot(
        self, concurrency_key: str, run_id: str, step_key: str, priority: int | None = None
    ) -> ConcurrencyClaimStatus:
        """Ask for a place; after a pause where there is none, so that the next question may come at once."""
        status = super().claim_concurrency_slot(concurrency_key, run_id, step_key, priority)
        if status.is_claimed:
            return status
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_EVERY
            end_dead_runs(self._instance, working=True)
        time.sleep(PAUSE)
        waited: ConcurrencyClaimStatus = status.with_sleep_interval(0.0)
        return waited
