"""What visitors ask, read from a form or from JSON: every value is a stranger's until it is here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from redpop_assets.captions import parse_title
from redpop_assets.errors import SettingsError
from redpop_assets.refresh.answers import Question
from redpop_assets.shown import visible
from redpop_assets.spellings import parse_account, parse_community
from redpop_assets.studio.refusals import Refusal

if TYPE_CHECKING:
    from redpop_assets.refresh.new_post import Picture

MOST_TITLES = 10
MOST_COMMUNITIES = 6
_LONGEST_TEXT = 8_000
_EARLIEST, _LATEST = datetime(2005, 6, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

Digest = Callable[[str], str]


@dataclass(frozen=True, eq=False)
class Asked:
    """A draft, and where it would be posted.

    Attributes:
        communities: in lower case, the first of which is looked at closely.
        question: the draft.
        zone: of the visitor.
    """

    communities: tuple[str, ...]
    question: Question
    zone: ZoneInfo


def read_titles(text: str | Sequence[str]) -> tuple[str, ...]:
    """The titles in a text, one in a line, or of a list; each once.

    Raises:
        Refusal: there are too many, or Reddit would refuse one (422).
    """
    lines = text.splitlines() if isinstance(text, str) else text
    if sum(map(len, lines)) > _LONGEST_TEXT:
        raise Refusal(422, "These are too many words for titles: Reddit takes 300 characters of one.")
    titles = tuple(dict.fromkeys(visible(line).strip() for line in lines if line.strip()))
    if len(titles) > MOST_TITLES:
        raise Refusal(422, f"At most {MOST_TITLES} titles are compared at once: leave some out.")
    return tuple(_told(parse_title, title) for title in titles)


def read_communities(names: Sequence[str]) -> tuple[str, ...]:
    """Communities in lower case, each once.

    Raises:
        Refusal: a text names none, or there are too many (422).
    """
    found = tuple(dict.fromkeys(_told(parse_community, name[:200]).lower() for name in names if name.strip()))
    if len(found) > MOST_COMMUNITIES:
        raise Refusal(422, f"At most {MOST_COMMUNITIES} communities are looked at closely: Where compares all of them.")
    return found


def read_zone(name: str) -> ZoneInfo:
    """The time zone of a visitor; UTC where it is none that is known here."""
    try:
        return ZoneInfo(name or "UTC")
    except (ValueError, OSError):  # no such name; a name that leads to something else
        return ZoneInfo("UTC")


def read_moment(text: str, zone: ZoneInfo) -> datetime:
    """A point in time as a browser writes it, in the visitor's zone; now where it is empty.

    Raises:
        Refusal: it is none, or none at which somebody posts on Reddit (422).
    """
    if not text.strip():
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text.strip())
        found = found.replace(tzinfo=zone) if found.tzinfo is None else found
        if _EARLIEST <= found <= _LATEST:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Refusal(422, "The time is none at which one can post: write it like 2026-12-24T18:00.")


def read_author(text: str, digest: Digest) -> str | None:
    """The keyed hash of an author's name; None for nobody. The name itself is kept nowhere.

    Raises:
        Refusal: it is no name of an account (422).
    """
    if not text.strip():
        return None
    return digest(
        _told(parse_account, text[:200], "That is no name of an account: letters, digits, _ and -, up to 20.")
    )


def ask(
    communities: Sequence[str],
    titles: str | Sequence[str],
    picture: "Picture | None",
    at: str,
    zone: str,
    author: str,
    digest: Digest,
) -> Asked:
    """What somebody asks about; see the functions above for what each part may be.

    Raises:
        Refusal: a part is missing or is not what it has to be (422).
    """
    where, what, here = read_communities(communities), read_titles(titles), read_zone(zone)
    if not what:
        raise Refusal(422, "Write a title: Reddit takes no post without one.", title="A title is missing")
    if not where:
        raise Refusal(422, "Choose a community: what does well in one is lost in another.", title="Where?")
    return Asked(where, Question(what, picture, read_moment(at, here), read_author(author, digest)), here)


def _told(parse: Callable[[str], str], text: str, instead: str = "") -> str:
    """What a text is by its parser, whose sentence goes to the visitor."""
    try:
        return parse(text)
    except SettingsError as error:
        raise Refusal(422, instead or str(error)) from error
