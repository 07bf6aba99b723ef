"""A round of the communities: every one of them brought up to date inside this process, phase by phase.

Each has a run of its own in each phase, recorded like any other: the UI shows it, and one that fails leaves the others
alone. Inside one process they share what is expensive to start, import and open.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from redpop_assets.automation import REFRESH, TOGETHER
from redpop_assets.phases import Part, in_phases
from redpop_assets.resources import open_warehouse
from redpop_assets.run_owners import end_dead_runs, owning
from redpop_assets.settings import Settings

PHASE, MADE_FROM = "redpop/phase", "redpop/made_from"
"""Tags of the runs of a round: what they are about, and the digest of all that features and models were made from."""

POSTS = "posts"
_RUNS_LOOKED_AT = 40  # a harvest an hour, and the phases of a night

_INTERRUPTIONS = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")


@dataclass(frozen=True)
class Failure:
    """A step that failed: what went wrong in one sentence, and where, which is empty for RedPop's own errors."""

    step: str
    message: str
    stack: str = ""

    def __str__(self) -> str:
        return f"{self.step}: {self.message}"


@dataclass(frozen=True)
class RunOutcome:
    """How the last run of a subreddit ended: its id, and the steps that failed.

    `subreddit` is None for what was made of all of them together.
    """

    subreddit: str | None
    run_id: str
    failures: tuple[Failure, ...]

    @property
    def title(self) -> str:
        """What was brought up to date, for people."""
        return "what is made of all communities" if self.subreddit is None else f"r/{self.subreddit}"


def go_round(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    subreddits: Sequence[str],
    keys: Sequence[dg.AssetKey],
    *,
    tags: dict[str, str],
    inputs: Callable[[Sequence[str]], str] | None = None,
) -> list[RunOutcome]:
    """Bring assets of some subreddits up to date.

    Several go through the phases of `redpop_assets.phases` together, in a run each, and one more for what is made of
    all of them. Where the run of one phase failed, there is no next one for that subreddit; the others go on.

    Args:
        defs: the platform.
        instance: where the runs are recorded.
        subreddits: partitions, in lower case.
        keys: the assets.
        tags: of the runs.
        inputs: gives the digest of all that features and models are made from, their assets and code versions among
            it: a community whose last run of them succeeded with the same one has no other. None: each looks itself.

    Returns:
        How the last run of each subreddit ended, in their order, and, for several, that of what is made of all of them.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    outcomes: dict[str | None, RunOutcome] = {}

    def run(subreddit: str | None, part: Part, digest: str | None = None) -> bool:
        about = {PHASE: POSTS} if {key.path[0] for key in part.keys} <= {"raw", "core"} else {}
        made_from = {} if digest is None else {MADE_FROM: digest}
        result = execute(defs, instance, subreddit, part.keys, tags={**tags, **about, **made_from})
        outcomes[subreddit] = RunOutcome(subreddit, result.run_id, tuple(failures_of(result.all_events)))
        return not outcomes[subreddit].failures

    going = list(subreddits)
    for part in in_phases(keys, subreddits):
        if part.together:
            if not going or not run(None, part):
                break  # what comes next is made from it
            continue
        digest = None
        if part.settles and inputs is not None and going:
            graph = defs.resolve_asset_graph()
            digest = inputs([f"{key.to_user_string()} {graph.get(key).code_version}" for key in part.keys])
        going = [
            subreddit
            for subreddit in going
            if (digest is not None and _is_settled(instance, subreddit, digest)) or run(subreddit, part, digest)
        ]
    return [outcomes[name] for name in (*subreddits, None) if name in outcomes]


def made_from(settings: Settings, versions: Sequence[str]) -> str:
    """Digest of all that features and models of a deployment are made from.

    Args:
        settings: the deployment; any other setting counts as another result.
        versions: assets and their code versions.
    """
    from redpop_assets.refresh.settled import inputs_digest

    return inputs_digest(open_warehouse(settings), settings.model_dump(mode="json"), versions)


def _is_settled(instance: dg.DagsterInstance, subreddit: str, digest: str) -> bool:
    """Whether the last run that may have touched features or models of a community made them from just this."""
    for run in instance.get_runs(dg.RunsFilter(tags={"dagster/partition": subreddit}), limit=_RUNS_LOOKED_AT):
        if run.tags.get(PHASE) != POSTS:
            return run.is_success and run.tags.get(MADE_FROM) == digest
    return False


def execute(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    subreddit: str | None,
    keys: Sequence[dg.AssetKey],
    *,
    tags: dict[str, str],
    config: dict[str, Any] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run assets of one subreddit, or of all, in this process; a failed step is part of the result, Ctrl-C is not.

    Args:
        defs: the platform.
        instance: where the run is recorded.
        subreddit: partition, in lower case; None for assets that are made of all of them.
        keys: the assets.
        tags: of the run.
        config: run configuration, as in Dagster's launchpad.

    Raises:
        KeyboardInterrupt: it was interrupted; the run is recorded as failed.
    """
    end_dead_runs(instance)
    with owning(instance) as owner:
        result = defs.resolve_job_def(TOGETHER if subreddit is None else REFRESH).execute_in_process(
            instance=instance,
            partition_key=subreddit,
            asset_selection=list(keys),
            run_config={"loggers": {"terminal": {}}, **(config or {})},
            raise_on_error=False,
            tags={**owner, **tags},
        )
    raise_if_interrupted(result.all_events)
    return result


def raise_if_interrupted(events: Iterable[dg.DagsterEvent]) -> None:
    """Say so if a run was interrupted: for Dagster that is one more way to fail.

    Raises:
        KeyboardInterrupt: it was.
    """
    for event in events:
        if event.is_step_failure:
            error = event.step_failure_data.error
        elif event.is_job_failure:
            error = event.job_failure_data.error
        else:
            continue
        while error is not None:
            if error.cls_name in _INTERRUPTIONS:
                raise KeyboardInterrupt
            error = error.cause


def failures_of(events: Iterable[dg.DagsterEvent]) -> list[Failure]:
    """What went wrong in each failed step: RedPop's own message if that stopped it, else the type and message."""
    failures = []
    for event in events:
        if not event.is_step_failure:
            continue
        error = event.step_failure_data.error
        step = event.step_key or "run"
        # From what Dagster says of the step inwards, to what the error was raised from.
        chain = []
        link = error
        while link is not None:
            chain.append(link)
            link = link.cause
        ours = next((one for one in chain if one.message.startswith("redpop_assets.errors.")), None)
        if ours is not None:
            failures.append(Failure(step, ours.message.partition(": ")[2].strip()))
        elif error is not None:
            failures.append(Failure(step, " ".join(chain[-1].message.split()), error.to_string()))
        else:
            failures.append(Failure(step, event.message or "failed"))
    return failures
