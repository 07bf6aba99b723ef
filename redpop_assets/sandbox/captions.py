"""Captions of the local Reddit: a small grammar of titles that people might write under a picture.

A caption has a few readable properties that the community reacts to (theme, tone, whether it tells a story, length)
and some that it does not (a question at the end, a tag, an emoji, a number, the place). The noun says what is in the
picture.
"""

from dataclasses import dataclass

import numpy as np

THEMES = ("family", "achievement", "travel", "humour", "weather", "daily", "gear")
TONES = ("awe", "joyful", "calm", "sad", "angry")
STORIES = ("plain", "story")
LENGTHS = ("short", "medium", "long")

_NOUNS = {
    "mountain": ("mountain", "peak", "summit", "ridge"),
    "sea": ("sea", "ocean", "coast", "sailboat"),
    "forest": ("forest", "woods", "trees", "trail"),
    "desert": ("desert", "dunes", "cactus", "sand"),
    "flower": ("flower", "blossom", "garden", "petals"),
    "animal": ("dog", "cat", "puppy", "kitten"),
    "portrait": ("portrait", "face", "smile", "stranger"),
    "food": ("dinner", "breakfast", "pasta", "soup"),
    "city": ("city", "skyline", "street", "downtown"),
}
_PLACES = ("Norway", "Oregon", "Patagonia", "Iceland", "Utah", "Portugal", "Japan", "Scotland", "Slovenia", "Montana")

_TONE_WORDS = {
    "awe": ("breathtaking", "spectacular", "magnificent", "stunning"),
    "joyful": ("happy", "delightful", "cheerful", "joyful"),
    "calm": ("quiet", "peaceful", "serene", "calm"),
    "sad": ("lonely", "sorrowful", "heartbreaking", "sad"),
    "angry": ("awful", "disgusting", "infuriating", "terrible"),
}
_TONE_ENDINGS = {
    "awe": ("absolutely breathtaking", "I was speechless with wonder", "truly magnificent"),
    "joyful": ("it made me so happy", "pure joy", "I love it so much"),
    "calm": ("so peaceful and quiet", "perfect silence", "calm at last"),
    "sad": ("I cried all evening", "such sadness", "it broke my heart"),
    "angry": ("I hate this so much", "what a disgrace", "I am furious"),
}

# One row per theme: short titles, plain ones, stories, and clauses that make a title long.
_TITLES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "family": (
        ("{adj} {noun}, with grandpa", "My daughter's {adj} {noun}", "Mom and the {adj} {noun}"),
        (
            "The {adj} {noun} in my grandmother's family album",
            "My dad's {adj} {noun}, framed for my mother's birthday",
            "My little brother and the {adj} {noun} at our family reunion",
        ),
        (
            "My grandfather passed away last week, and I found this {adj} {noun} among his things",
            "Before my mother died she asked to see the {adj} {noun} again, so I took her there",
            "When I was six my father showed me this {adj} {noun}, and today I showed it to my son",
        ),
        ("the whole family was there, children and grandparents", "my parents were married right here forty years ago"),
    ),
    "achievement": (
        ("Finally finished: {adj} {noun}", "I did it! {adj} {noun}", "Won first prize: {adj} {noun}"),
        (
            "Proud of finishing my {adj} {noun} challenge",
            "My prize-winning {adj} {noun}, first place this season",
            "New personal record with this {adj} {noun}",
        ),
        (
            "After three years of training and two failures I finally made it to this {adj} {noun}",
            "They told me I would never succeed, so I worked every day until I won with this {adj} {noun}",
            "I quit drinking a year ago, and today I earned this {adj} {noun} as my reward",
        ),
        ("hard work and practice paid off in the end", "my biggest accomplishment and my greatest success so far"),
    ),
    "travel": (
        ("{adj} {noun} in {place}", "{place}: {adj} {noun}", "Road trip to {place}, {adj} {noun}"),
        (
            "A {adj} {noun} on the road through {place}",
            "The {adj} {noun} that tourists visit in {place}",
            "Backpacking past a {adj} {noun} near the border of {place}",
        ),
        (
            "We missed our flight to {place}, rented a car instead and discovered this {adj} {noun}",
            "I sold everything to travel the world, and in {place} I came across this {adj} {noun}",
            "Our guide in {place} took a wrong turn, and we ended up at this {adj} {noun}",
        ),
        ("a stop on a long journey across the country", "worth every hour of the flight and the hotel"),
    ),
    "humour": (
        ("{adj} {noun} looks like a potato", "{adj} {noun} had one job lol", "Send help: {adj} {noun}"),
        (
            "This {adj} {noun} looks like my boss on a Monday, haha",
            "{adj} {noun} impersonating a potato, funny as ever",
            "Nobody asked for this {adj} {noun} joke, lol",
        ),
        (
            "I tried to be cool in front of my crush, slipped on a banana and landed on this {adj} {noun}",
            "My friend bet me ten dollars that this {adj} {noun} is a clown in disguise, and I lost",
            "I told my roommate a joke about this {adj} {noun}, and he laughed until he choked",
        ),
        ("the funniest joke of the week, lol", "I am still laughing at this ridiculous prank"),
    ),
    "weather": (
        ("{adj} {noun} after the storm", "First snow, {adj} {noun}", "Rain and fog, {adj} {noun}"),
        (
            "A {adj} {noun} under thunder clouds and lightning",
            "Winter frost and morning fog around the {adj} {noun}",
            "Autumn rain over the {adj} {noun} before sunset",
        ),
        (
            "We hid from the thunderstorm for hours, and when the rain stopped there was this {adj} {noun}",
            "I woke at dawn because of the hail and saw the {adj} {noun} under a rainbow",
            "The blizzard kept us inside for two days, then the clouds opened over this {adj} {noun}",
        ),
        ("the temperature fell below freezing during the night", "the forecast had promised sunshine and no clouds"),
    ),
    "daily": (
        ("{adj} {noun} on my commute", "Tuesday at work, {adj} {noun}", "My lunch break: {adj} {noun}"),
        (
            "Just a {adj} {noun} I pass on my way to the office",
            "The {adj} {noun} outside my apartment window this morning",
            "Ordinary Tuesday, {adj} {noun} next to the bus stop",
        ),
        (
            "I was late for work, missed the bus, and noticed this {adj} {noun} by the parking lot",
            "I took out the trash this morning and saw the {adj} {noun} near my apartment",
            "My office meeting was cancelled, so I walked home and passed this {adj} {noun}",
        ),
        ("nothing special, the same as every working day", "seen between the supermarket and the laundry"),
    ),
    "gear": (
        ("{adj} {noun}, 50mm f/1.8", "{adj} {noun}, Canon test shot", "{adj} {noun} in Lightroom"),
        (
            "Long exposure of a {adj} {noun} with my new Nikon lens",
            "{adj} {noun}, shot on a Sony A7 at ISO 100, f/8, 1/250s",
            "Testing camera settings and a polarizing filter on a {adj} {noun}",
        ),
        (
            "I saved up for a Canon 85mm lens, carried the tripod uphill and shot this {adj} {noun}",
            "My camera's shutter broke, I borrowed a Nikon and photographed this {adj} {noun}",
            "I learned Photoshop last month and edited this RAW file of a {adj} {noun}",
        ),
        ("shutter speed 1/500s with a 24-70mm lens on a tripod", "RAW file processed in Lightroom and Photoshop"),
    ),
}
_QUESTIONS = ("what do you think?", "does anyone know more?", "can you see it?")
EMOJI = ("😍", "😂", "🙏", "🔥", "❤️", "📷")


@dataclass(frozen=True)
class Caption:
    """A title and the properties that the community reacts to."""

    text: str
    theme: str
    tone: str
    story: str
    length: str


def write(
    rng: np.random.Generator, subject: str, theme: str, tone: str, story: str, length: str, *, tag: bool
) -> Caption:
    """Write a title about `subject` with the given properties; `tag` adds an [OC]. A short title tells no story."""
    short, plain, stories, clauses = _TITLES[theme]
    if length == "short" and story == "plain":
        pattern = _pick(rng, short)
    else:
        pattern = _pick(rng, stories if story == "story" else plain)
    text = pattern.format(
        adj=_pick(rng, _TONE_WORDS[tone]), noun=_pick(rng, _NOUNS[subject]), place=_pick(rng, _PLACES)
    )
    if length != "short":
        text += f", {_pick(rng, _TONE_ENDINGS[tone])}"
    if length == "long":
        text += f" — {_pick(rng, clauses)}, and {_pick(rng, _TONE_ENDINGS[tone])}"
    roll = rng.random()
    if roll < 0.08:
        text += f", {_pick(rng, _QUESTIONS)}"
    elif roll < 0.5:
        text += _pick(rng, ("", "", ".", "!"))
    if rng.random() < 0.08:
        text += f" {_pick(rng, EMOJI)}"
    if tag:
        text += " [OC]"
    elif rng.random() < 0.07:
        text += f" [{int(rng.integers(20, 60)) * 100}x{int(rng.integers(15, 40)) * 100}]"
    return Caption(text[0].upper() + text[1:], theme, tone, story, length)


def _pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]
