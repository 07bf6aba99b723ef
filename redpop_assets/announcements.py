"""What of Dagster's history people want to be told, and to whom it was told already.

Everything is found anew each time in the history of the last days, and has a key that stays the same: so what a
receiver has not taken is told later, and nothing is told twice, also after a restart.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from redpop_assets.webhooks import Announcement, Receiver

LOOK_BACK: Final = timedelta(days=3)
"""For so long something is told that could not be told before."""

_REMEMBERED: Final = 2 * LOOK_BACK
_MOST: Final = 50  # of one kind in one look
_SECONDS: Final = 30.0  # after so long the rest is told in the next look: Dagster waits a minute

_HARVESTED: Final = dg.AssetKey(["raw", "submissions"])
_CHAMPIONS: Final = dg.AssetKey(["models", "champions"])


@dataclass(frozen=True)
class Watch:
    """What is looked at.

    Attributes:
        rounds: jobs whose failure is told, and what their announcement is called.
        communities: in lower case.
        stale_after: a community that was not harvested for so long is told.
        drift_checks: checks whose failure means that features look unlike before.
    """

    rounds: Mapping[str, str]
    communities: Sequence[str]
    stale_after: timedelta
    drift_checks: Sequence[dg.AssetCheckKey]


def news(instance: dg.DagsterInstance, watch: Watch, now: datetime) -> list[Announcement]:
    """What happened within `LOOK_BACK`, and what is stale now; the oldest first."""
    since = now - LOOK_BACK
    found = [
        *_failed_rounds(instance, watch, since),
        *_stale(instance, watch, now),
        *_drifted(instance, watch, since),
        *_new_champions(instance, watch, since),
    ]
    return sorted(found, key=lambda each: (each.at, each.key))


class Told:
    """What each receiver was told, as the cursor of a sensor keeps it."""

    def __init__(self, cursor: str | None) -> None:
        self._is_first = cursor is None
        self._known: dict[str, dict[str, float]] = json.loads(cursor) if cursor else {}

    def cursor(self, now: datetime) -> str:
        """The text to keep; what is too old to be found again is left out."""
        oldest = (now - _REMEMBERED).timestamp()
        return json.dumps(
            {receiver: {key: at for key, at in keys.items() if at >= oldest} for receiver, keys in self._known.items()}
        )

    def tell(
        self,
        receivers: Iterable[Receiver],
        announcements: Sequence[Announcement],
        now: datetime,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> int:
        """Tell each receiver what it does not know; returns how many announcements were taken.

        A new receiver is told only of what happens from now on, and of what is stale. One that takes nothing is left
        alone until the next time.
        """
        taken, until = 0, clock() + _SECONDS
        for receiver in receivers:
            known = self._known.get(receiver.name)
            if known is None:
                known = {each.key: now.timestamp() for each in announcements if each.event != "stale"}
                self._known[receiver.name] = known
            for each in announcements:
                if each.key in known:
                    known[each.key] = now.timestamp()
                elif clock() >= until or not receiver.tell(each):
                    break
                else:
                    known[each.key] = now.timestamp()
                    taken += 1
        return taken


def _failed_rounds(instance: dg.DagsterInstance, watch: Watch, since: datetime) -> Iterator[Announcement]:
    for job, event in watch.rounds.items():
        failed = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
        for record in instance.get_run_records(failed, limit=_MOST):
            run = record.dagster_run
            why = _reason(instance, run.run_id)
            yield Announcement(
                f"run {run.run_id}",
                event,
                "",
                f"RedPop: {event.replace('_', ' ')}. {why} Run {run.run_id[:8]}.",
                _utc(record.update_timestamp),
            )


def _reason(instance: dg.DagsterInstance, run_id: str) -> str:
    """What a failed step said, as a sentence; else what ended the run."""
    for kind in (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE):
        for record in instance.get_records_for_run(run_id, of_type=kind, limit=1).records:
            event = record.event_log_entry.dagster_event
            data = event.event_specific_data if event else None
            if isinstance(data, StepFailureData):
                if data.user_failure_data and data.user_failure_data.description:
                    return data.user_failure_data.description
                if data.error:
                    return data.error.message.partition(": ")[2].strip().partition("\n")[0]
            if event and event.message:
                return event.message.partition("\n")[0]
    return ""


def _stale(instance: dg.DagsterInstance, watch: Watch, now: datetime) -> Iterator[Announcement]:
    for community in watch.communities:
        last = dg.AssetRecordsFilter(asset_key=_HARVESTED, asset_partitions=[community])
        for record in instance.fetch_materializations(last, limit=1).records:
            at = _utc(record.timestamp)
            if now - at > watch.stale_after:
                hours = (now - at) / timedelta(hours=1)
                yield Announcement(
                    f"stale {community} {record.storage_id}",
                    "stale",
                    community,
                    f"RedPop: nothing of r/{community} was harvested for {hours:.0f} hours, since "
                    f"{at:%Y-%m-%d %H:%M} UTC. `redpop doctor` says what is missing.",
                    at + watch.stale_after,
                )


def _drifted(instance: dg.DagsterInstance, watch: Watch, since: datetime) -> Iterator[Announcement]:
    for check in watch.drift_checks:
        failed = instance.event_log_storage.get_asset_check_execution_history(
            check, limit=_MOST, status={AssetCheckExecutionRecordStatus.FAILED}
        )
        for record in failed:
            at = _utc(record.create_timestamp)
            event = record.event.dagster_event if record.event else None
            if at < since or event is None:
                continue
            verdict = event.asset_check_evaluation_data
            community = record.partition or event.partition or ""
            place = f" of r/{community}" if community else ""
            table = ".".join(check.asset_key.path)
            text = f"RedPop: features{place} look unlike before ({table}). {verdict.description or ''}"
            yield Announcement(f"drift {record.id}", "drift", community, text, at)


def _new_champions(instance: dg.DagsterInstance, watch: Watch, since: datetime) -> Iterator[Announcement]:
    for community in watch.communities:
        judgements = dg.AssetRecordsFilter(asset_key=_CHAMPIONS, asset_partitions=[community])
        records = instance.fetch_materializations(judgements, limit=_MOST).records
        first = [None] if len(records) < _MOST else []
        for record, before in zip(records, [*records[1:], *first], strict=False):  # the newest first
            champion, replaced = _champion(record), _champion(before)
            at = _utc(record.timestamp)
            if at < since or champion in (replaced, ""):
                continue
            made = record.asset_materialization
            reason = str(made.metadata["reason"].value) if made and "reason" in made.metadata else ""
            text = (
                f"RedPop: {champion} speaks for r/{community} from now on, in place of {replaced or 'nobody'}. {reason}"
            )
            yield Announcement(f"champion {record.storage_id}", "new_champion", community, text, at)


def _champion(record: dg.EventLogRecord | None) -> str:
    """Whom a judgement made champion; empty for nobody."""
    made = record.asset_materialization if record else None
    name = str(made.metadata["champion"].value) if made and "champion" in made.metadata else ""
    return "" if name == "nobody" else name


def _utc(moment: datetime | float) -> datetime:
    """A time of Dagster's history."""
    if isinstance(moment, datetime):
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return datetime.fromtimestamp(moment, UTC)
