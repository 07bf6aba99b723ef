"""What a community's own rules have against a post that is not made yet, as far as they are known.

Four kinds of rules: what Reddit's form refuses at once (`core.communities`: lengths, words, patterns, flair), what may
be posted at all (its description), the rules that moderators wrote (`core.community_rules`), and Reddit's own length of
titles. Only the first, second and last can be checked. Of written rules one kind is understood: that a picture must not
be posted again, or not within some time; all others are for a person to read.

What is not known counts as not known, never as fine. Rules are text of strangers, quoted as they stand.
"""

import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from redpop_assets.captions import LONGEST_TITLE
from redpop_assets.refresh import patterns
from redpop_assets.storage.rows import Readable

Certainty = Literal["certain", "likely", "read it", "not known"]
"""`certain`: the post breaks the rule. `likely`: it may, as far as words can be understood. `read it`: a person has to
read the rule. `not known`: nobody can tell, because the rule was never read or cannot be checked."""

Subject = Literal["title", "flair", "form", "adults", "repost", "rules"]

CERTAINTIES: Final[tuple[Certainty, ...]] = ("certain", "likely", "read it", "not known")
"""In the order in which objections are given."""


@dataclass(frozen=True)
class DraftFacts:
    """What rules ask of a post that is not made yet.

    Attributes:
        title: its title.
        posted_at: when it would be made (aware).
        pictures: how many it shows; 0 for a title or a text alone.
        flair: its flair; None without one.
        over_18: whether it would be marked as mature.
        duplicate_group: whose picture it shows, as of `Draft.group`; None where it was never seen.
    """

    title: str
    posted_at: datetime
    pictures: int = 1
    flair: str | None = None
    over_18: bool = False
    duplicate_group: str | None = None


@dataclass(frozen=True)
class Objection:
    """One thing that stands against a post, or that is not known.

    Attributes:
        about: what of the post it is about.
        says: what stands against it, in a sentence.
        certainty: how sure that is.
        rule: the rule, as strangers wrote it: text, whatever is in it. None where it is Reddit's own, or not known.
        read_at: when the rule was read (UTC); None where it is Reddit's own, or was never read.
    """

    about: Subject
    says: str
    certainty: Certainty
    rule: str | None = None
    read_at: datetime | None = None


@dataclass(frozen=True)
class RepostRule:
    """That a picture must not be posted again.

    Attributes:
        within: for how long; None for ever.
    """

    within: timedelta | None


_COMMUNITY = "FROM core.communities WHERE subreddit = $subreddit"
_RULES = "FROM core.community_rules WHERE subreddit = $subreddit ORDER BY position"
# A list of no rules was read, too.
_RULES_READ_AT = "SELECT max(read_at) FROM raw.communities WHERE subreddit = $subreddit AND answer = 'rules'"
_SHOWN_BEFORE = """
SELECT max(p.created_at) FROM core.duplicates AS d JOIN core.posts AS p USING (post_id)
WHERE d.duplicate_group = $duplicate_group AND p.subreddit = $subreddit AND p.created_at < $posted_at
"""

_NUMBERS: Final[Mapping[str, float]] = {
    **{"": 1, "a": 1, "an": 1, "one": 1, "half a": 0.5, "two": 2, "a couple of": 2, "three": 3, "four": 4, "five": 5},
    **{"six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "eighteen": 18},
}
_DAYS: Final[Mapping[str, float]] = {
    **{"hour": 1 / 24, "hr": 1 / 24, "day": 1, "week": 7, "wk": 7, "fortnight": 14, "month": 31, "mo": 31},
    **{"year": 366, "yr": 366},
}
_REPOST: Final = re.compile(
    r"\bre-?\s?post|\bposted (?:here )?(?:before|already)|\balready (?:been )?posted", re.IGNORECASE
)
# About what is said of reposts, not about posting them.
_OF_TALK: Final = re.compile(r"\b(?:accus|complain|call(?:ing|s)? out|comment|report)", re.IGNORECASE)
_ALLOWED: Final = re.compile(r"\b(?:allow|ok\b|okay|fine|welcome|permitted)", re.IGNORECASE)
_FORBIDDEN: Final = re.compile(
    r"\b(?:no|not|never|don'?t|don’t|isn'?t|aren'?t|avoid|prohibit\w*|forbid\w*|bann?\w*|remov\w*|without)\b",
    re.IGNORECASE,
)
_SPAN: Final = re.compile(
    r"(?:(?<![\w.])(\d{1,4}(?:\.\d)?)\)?|\b(half a|a couple of|"
    + "|".join(sorted(filter(str.isalpha, _NUMBERS), key=len, reverse=True))
    + r")|\b(?:last|past|previous|this))[\s-]{1,3}(hour|hr|day|week|wk|fortnight|month|mo|year|yr)s?\b",
    re.IGNORECASE,
)
_SENTENCE_ENDS: Final = re.compile(r"[\n!?;]|\.(?=\s|$)")
_MOST_OF_A_RULE: Final = 10_000  # characters that are looked through; Reddit takes 500


def objections(edition: Readable, subreddit: str, draft: DraftFacts) -> tuple[Objection, ...]:
    """What stands against a draft in a community, the surest first.

    Args:
        edition: where rules and past posts are.
        subreddit: in lower case.
        draft: what would be posted.
    """
    scope = {"subreddit": subreddit}
    with edition.read() as reader:
        described = reader.query(_COMMUNITY, scope).to_pylist()
        rules = reader.query(_RULES, scope).to_pylist()
        rules_read_at = reader.scalar(_RULES_READ_AT, scope)
        shown_at = None
        if draft.duplicate_group is not None:
            posted_at = draft.posted_at.astimezone(UTC).replace(tzinfo=None)
            shown_at = reader.scalar(
                _SHOWN_BEFORE, {**scope, "duplicate_group": draft.duplicate_group, "posted_at": posted_at}
            )
    community = described[0] if described else {}
    found = [
        *_of_reddit(draft),
        *_of_the_form(subreddit, community, draft),
        *_of_the_description(subreddit, community, draft),
        *_of_moderators(subreddit, rules, rules_read_at, draft, shown_at),
    ]
    return tuple(sorted(found, key=lambda one: CERTAINTIES.index(one.certainty)))


def repost_rule(text: str) -> RepostRule | None:
    """The rule against showing a picture again that a text states; None where no such rule is understood.

    Of several spans of time the longest counts: what is missed costs a post, what is said in vain a look at the rule.

    Args:
        text: of a rule, by a stranger.
    """
    forbidden, spans = False, []
    for sentence in _SENTENCE_ENDS.split(text[:_MOST_OF_A_RULE]):
        if not _REPOST.search(sentence) or _OF_TALK.search(sentence):
            continue
        here = [_span(*match.groups()) for match in _SPAN.finditer(sentence)]
        spans += here
        forbidden |= bool(here) or bool(_FORBIDDEN.search(sentence)) or not _ALLOWED.search(sentence)
    return RepostRule(max(spans, default=None)) if forbidden else None


def _span(digits: str | None, word: str | None, unit: str) -> timedelta:
    number = float(digits) if digits else _NUMBERS[(word or "").lower()]
    return timedelta(days=number * _DAYS[unit.lower()])


def _of_reddit(draft: DraftFacts) -> Iterator[Objection]:
    title = draft.title.strip()
    if not title:
        yield Objection("title", "The title is empty, and Reddit takes no post without one.", "certain")
    if len(title) > LONGEST_TITLE:
        yield Objection("title", f"The title has {len(title)} characters; Reddit takes {LONGEST_TITLE}.", "certain")


def _of_the_form(subreddit: str, community: Mapping[str, Any], draft: DraftFacts) -> Iterator[Objection]:
    """What Reddit's form for new posts refuses at once."""
    read_at = community.get("requirements_read_at")
    if read_at is None:
        says = f"What Reddit's form refuses in r/{subreddit} (by length, words, patterns, flair) was never read."
        yield Objection("rules", says, "not known")
        return
    title = draft.title.strip()
    # Browsers count an emoji as two; where the counts disagree about the rule, nobody knows which one decides.
    lengths = len(title), len(title.encode("utf-16-le", "surrogatepass")) // 2
    for wrong, limit, words in (
        (operator.lt, community["title_min_length"], "at least"),
        (operator.gt, community["title_max_length"], "at most"),
    ):
        broken = [limit is not None and wrong(length, limit) for length in lengths]
        if any(broken):
            says = f"The title has {lengths[0]} characters; r/{subreddit} asks for {words} {limit}."
            yield Objection(
                "title", says, "certain" if all(broken) else "likely", f"{words} {limit} characters", read_at
            )
    yield from _of_words(subreddit, community, title, read_at)
    yield from _of_patterns(subreddit, _texts(community["title_patterns"]), title, read_at)
    flair_required = community["flair_required"]
    if flair_required is None:
        yield Objection("flair", f"Whether a post in r/{subreddit} needs a flair is not known.", "not known")
    elif flair_required and not (draft.flair or "").strip():
        says = f"A post in r/{subreddit} needs a flair, and the draft has none."
        yield Objection("flair", says, "certain", "a flair is required", read_at)


def _of_words(subreddit: str, community: Mapping[str, Any], title: str, read_at: datetime) -> Iterator[Objection]:
    """Strings that a title has to have, or must not have; that case does not matter is likely, but not told."""
    folded = title.casefold()
    required = _texts(community["title_required"])
    if required and not any(text in title for text in required):
        elsewhere = any(text.casefold() in folded for text in required)
        listed = ", ".join(f"“{text}”" for text in required)
        says = f"A title in r/{subreddit} has to have one of {len(required)} texts in it, and this one has none."
        if elsewhere:
            says = f"A title in r/{subreddit} has to have a text that this one has in other letters, small or capital."
        yield Objection("title", says, "likely" if elsewhere else "certain", listed, read_at)
    for text in _texts(community["title_forbidden"]):
        if text.casefold() in folded:
            says = f"The title has a text in it that r/{subreddit} forbids."
            yield Objection("title", says, "certain" if text in title else "likely", f"“{text}”", read_at)


def _of_patterns(subreddit: str, wanted: Sequence[str], title: str, read_at: datetime) -> Iterator[Objection]:
    """That a title matches none of the patterns, one of which it has to match."""
    if not wanted:
        return
    found = patterns.search(wanted, title)
    if "yes" in found:
        return
    unclear = [pattern for pattern, one in zip(wanted, found, strict=True) if one in ("invalid", "too slow")]
    if unclear:
        why = "are no valid patterns" if set(found) <= {"invalid", "no"} else "are no valid patterns or take too long"
        says = f"{len(unclear)} of the patterns for titles in r/{subreddit} cannot be checked: they {why}."
        yield Objection("title", says, "not known", "\n".join(unclear), read_at)
    else:
        # Reddit's engine may read a pattern otherwise.
        says = f"The title matches none of the patterns that r/{subreddit} asks of titles."
        yield Objection("title", says, "likely", "\n".join(wanted), read_at)


def _of_the_description(subreddit: str, community: Mapping[str, Any], draft: DraftFacts) -> Iterator[Objection]:
    """What may be posted at all."""
    read_at = community.get("read_at")
    if read_at is None:
        says = f"What may be posted in r/{subreddit} (pictures, galleries, posts for adults) was never read."
        yield Objection("form", says, "not known")
        return
    kind, images, galleries = (community[name] for name in ("submission_type", "allow_images", "allow_galleries"))
    if kind == "self" and draft.pictures:
        yield Objection("form", f"r/{subreddit} takes texts only.", "certain", "submission_type: self", read_at)
    if kind == "link" and not draft.pictures:
        yield Objection("form", f"r/{subreddit} takes no texts.", "certain", "submission_type: link", read_at)
    if draft.pictures and images is False:
        yield Objection("form", f"r/{subreddit} takes no pictures.", "certain", "allow_images: false", read_at)
    if draft.pictures > 1 and galleries is False:
        yield Objection("form", f"r/{subreddit} takes no galleries.", "certain", "allow_galleries: false", read_at)
    if draft.over_18 and community["over_18"] is False:
        says = f"The post would be for adults, and r/{subreddit} is not."
        yield Objection("adults", says, "likely", "over18: false", read_at)
    if community["over_18"] and not draft.over_18:
        says = f"r/{subreddit} is for adults: only they see what is posted there."
        yield Objection("adults", says, "certain", "over18: true", read_at)
    asked = {"what kinds of posts": kind, "posts for adults": community["over_18"]}
    asked |= {"pictures": images} if draft.pictures else {}
    asked |= {"galleries": galleries} if draft.pictures > 1 else {}
    if missing := [name for name, value in asked.items() if value is None]:
        says = f"Whether r/{subreddit} takes {', '.join(missing)} is not known: its description does not say."
        yield Objection("form", says, "not known", None, read_at)


def _of_moderators(
    subreddit: str,
    rules: Iterable[Mapping[str, Any]],
    read_at: datetime | None,
    draft: DraftFacts,
    shown_at: datetime | None,
) -> Iterator[Objection]:
    """Written rules: those about reposts are compared with where the picture was seen, the others are to be read."""
    if read_at is None:
        yield Objection("rules", f"The rules of r/{subreddit} are not known: they were never read.", "not known")
        return
    for rule in rules:
        if rule["kind"] == "comment":
            continue
        texts = [rule["short_name"], rule["description"]]
        quoted = "\n".join(text.strip() for text in texts if text and text.strip())
        yield _repost(subreddit, quoted, read_at, draft, shown_at) or Objection(
            "rules", f"A rule of r/{subreddit} that a person has to read.", "read it", quoted, read_at
        )


def _repost(
    subreddit: str, quoted: str, read_at: datetime, draft: DraftFacts, shown_at: datetime | None
) -> Objection | None:
    """That the picture was shown there within the time that a rule names; None where it was not, or no rule says so."""
    rule = repost_rule(quoted)
    if rule is None or shown_at is None:
        return None
    age = draft.posted_at.astimezone(UTC) - shown_at.replace(tzinfo=UTC)
    if rule.within is not None and age > rule.within:
        return None
    says = (
        f"This may count as a repost: a post of {shown_at:%Y-%m-%d} in r/{subreddit} shows the picture, "
        f"{max(age.days, 0)} days before."
    )
    return Objection("repost", says, "likely", quoted, read_at)


def _texts(found: Sequence[str | None] | None) -> tuple[str, ...]:
    """The texts of a list that moderators wrote; an empty one says nothing."""
    return tuple(text for text in found or () if text)
