"""The process by which the moderators of a generated community take posts down, and so the best anybody could foresee.

Off, removals are pure chance (`world.World` draws them) and nothing about them can be learnt. On, each post that its
author leaves standing is taken down by a moderator with the probability

    logistic(INTERCEPT + the sum of EFFECTS that hold of it)

- `question`: the title asks something;
- `emoji`: it has an emoji;
- `long_title`: it has more than `LONG_TITLE` characters;
- `night`: it is made from 22:00 to 06:00 UTC, when other moderators are awake;
- `careless`: its author is one of `CARELESS` of all authors, whose posts often break what no title shows.

All of it can be seen or, of careless authors, suspected from their past when a post is made; what decides beyond it is
chance. `Post.removal_chance` is therefore the ceiling of what a predictor can know, and a little above what it
can learn, as nobody knows an author at the first post. It is drawn apart from everything else: pictures, titles,
authors and votes are the same with and without moderators, except that voting ends with a removal.
"""

import math
from collections.abc import Mapping
from typing import Final

from redpop_assets.sandbox.captions import EMOJI, Caption

INTERCEPT: Final = -4.2
EFFECTS: Final[Mapping[str, float]] = {
    "question": 2.2,
    "emoji": 1.6,
    "long_title": 0.8,
    "night": 1.0,
    "careless": 1.8,
}
LONG_TITLE: Final = 110
CARELESS: Final = 0.15
DELAY: Final = 0.25
"""Mean delay of a removal (days)."""


def holds(caption: Caption, created: float, careless: bool) -> dict[str, bool]:
    """Which of `EFFECTS` hold of a post.

    Args:
        caption: its title.
        created: when it was made (Unix seconds).
        careless: whether its author is.
    """
    hour = created / 3600 % 24
    return {
        "question": "?" in caption.text,
        "emoji": any(emoji in caption.text for emoji in EMOJI),
        "long_title": len(caption.text) > LONG_TITLE,
        "night": hour >= 22 or hour < 6,
        "careless": careless,
    }


def probability(caption: Caption, created: float, careless: bool) -> float:
    """Of a post to be taken down by a moderator, at whatever age; arguments as of `holds`."""
    facts = holds(caption, created, careless)
    return 1 / (1 + math.exp(-INTERCEPT - sum(EFFECTS[name] for name, true in facts.items() if true)))
