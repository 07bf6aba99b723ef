"""The services that posts come from, and what is known of each before it is asked: limits, and the label age.

`REDPOP_SOURCE` names one. `reddit` and `arctic_shift` are two doors to the same Reddit, whose posts have the same ids,
so a home may go from one to the other; `sandbox` and `arctic_shift:sandbox` are two doors to another Reddit, whose
posts never mix with real ones. Nothing here talks to a network; how a service is asked is in the package of its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from redpop_assets.labels import LabelRule

REDDIT: Final = "reddit"
"""Name of the real Reddit, and of the service that is its own API."""

ARCTIC_SHIFT: Final = "arctic_shift"
"""Name of the archive that needs no key."""


@dataclass(frozen=True)
class Service:
    """What a kind of service can give.

    Attributes:
        title: what people call it.
        label_rule: when a score that it gives is a label, unless the settings say otherwise.
        limits: what it cannot give, for whoever chooses.
    """

    title: str
    label_rule: LabelRule
    limits: str


SERVICES: Final[Mapping[str, Service]] = {
    # A week: by then scores move less than Reddit blurs them. Two days of readings average the blur out.
    REDDIT: Service(
        "Reddit",
        LabelRule(timedelta(days=7), timedelta(hours=48)),
        "Reddit approves new keys since November 2025, and often does not answer",
    ),
    # The archive reads each post when it is made and once more 36 hours after that, so an older age would get no label.
    # The age leaves two hours for clocks that differ; the first reading of a day with a fault is not taken for the
    # second. The window ends at two days: by then a reading that is on time has been made, whatever it waited for, and
    # nothing counts as known before.
    ARCTIC_SHIFT: Service(
        "Arctic Shift",
        LabelRule(timedelta(hours=34), timedelta(hours=14)),
        "one person's free service without a promise; one score of each post at about 36 hours, so no growth curves; "
        "nothing of what is deleted or removed after that",
    ),
}
"""Kind of service -> what it can give."""

WAYS_ON: Final = (
    "Posts come in by two ways. With a key: create an app of type script at https://www.reddit.com/prefs/apps (since "
    "November 2025 Reddit has to approve new API clients first; the page says how to ask), then set REDDIT_CLIENT_ID, "
    "REDDIT_CLIENT_SECRET and REDDIT_USER_AGENT in the environment or in .env. Without a key: set "
    f"REDPOP_SOURCE={ARCTIC_SHIFT}, the archive Arctic Shift ({SERVICES[ARCTIC_SHIFT].limits})."
)
"""What to do without a login that works, in full."""


@dataclass(frozen=True)
class SourceName:
    """A source as `REDPOP_SOURCE` names it.

    Attributes:
        kind: of `SERVICES`: whose API it speaks.
        reddit: whose posts it has: `reddit` for the real ones, or a name of another Reddit.
    """

    kind: str
    reddit: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `reddit`, `arctic_shift`, `arctic_shift:<name>`, or the name of another service with Reddit's API.

        Raises:
            ValueError: nothing stands behind the colon.
        """
        kind, colon, reddit = text.strip().partition(":")
        if kind.strip() != ARCTIC_SHIFT:
            return cls(REDDIT, text.strip())
        if colon and not reddit.strip():
            raise ValueError(f"{text!r} names no service behind the colon, such as {ARCTIC_SHIFT}:sandbox")
        return cls(ARCTIC_SHIFT, reddit.strip() or REDDIT)

    @property
    def service(self) -> Service:
        """What it can give."""
        return SERVICES[self.kind]

    @property
    def is_real(self) -> bool:
        """Whether its posts are those of the real Reddit."""
        return self.reddit == REDDIT
