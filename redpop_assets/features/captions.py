"""What a caption says and how it is written: counts, tags and two sentiment lexica.

Captions are Reddit titles: up to 300 characters of any script, often with tags in brackets such as `[OC]` or
`[1968x1310]`. The lexica (VADER and NRC) are English and come with their packages; captions of other languages get
zeros from them, never NaN.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

CODE_VERSION: Final = "1"
"""Raise it whenever a caption would get other numbers than before."""

EMOTIONS: Final[tuple[str, ...]] = (
    "anger",
    "anticipation",
    "disgust",
    "fear",
    "joy",
    "sadness",
    "surprise",
    "trust",
    "positive",
    "negative",
)
"""The eight emotions and two sentiments of the NRC lexicon (Mohammad & Turney 2013)."""

COLUMNS: Final[tuple[str, ...]] = (
    "characters",
    "words",
    "mean_word_length",
    "upper_case_share",
    "digits",
    "punctuation",
    "question_marks",
    "exclamation_marks",
    "emoji",
    "bracket_tags",
    "has_oc_tag",
    "has_resolution_tag",
    "first_person_share",
    "vader_negative",
    "vader_neutral",
    "vader_positive",
    "vader_compound",
    *(f"nrc_{emotion}" for emotion in EMOTIONS),
)
"""Order of the columns of `caption_features`; all are scalars."""

_FIRST_PERSON: Final = re.compile(
    r"i(?:'?m|'?ve|'d|'ll)?|me|my|mine|myself|we(?:'re|'ve|'d|'ll)?|us|our|ours|ourselves"
)
_BRACKETED: Final = re.compile(r"\[([^\[\]()]*)\]|\(([^\[\]()]*)\)")
_OC: Final = re.compile(r"\bOC\b", re.IGNORECASE)
_RESOLUTION: Final = re.compile(r"\d[\d,.]{2,6}\s?(?:px)?\s?[xX×*]\s?\d[\d,.]{2,6}")
# "star" in "staring": such a stem has lost an e, else its last letter would be doubled as in "starring".
_LOST_E: Final = re.compile(r"[^aeiou][aeiou][^aeiouwxy]$")
# One match per emoji as seen: a flag, a keycap, or a pictograph with its skin tone and whatever is joined to it.
_PICTOGRAPH: Final = (
    r"(?:[\U0001F000-\U0001F1E5\U0001F200-\U0001FAFF\u2600-\u27BF\u2B50\u2B55\u231A\u231B\u23E9-\u23FA]"
    r"|[\u00A9\u00AE\u203C-\u3299](?=\uFE0F))"
    r"\uFE0F?[\U0001F3FB-\U0001F3FF]?[\U000E0020-\U000E007F]*"
)
_EMOJI: Final = re.compile(
    rf"[\U0001F1E6-\U0001F1FF]{{2}}|[0-9#*]\uFE0F?\u20E3|{_PICTOGRAPH}(?:\u200D{_PICTOGRAPH})*",
)


def caption_features(captions: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
    """Describe captions by counts, tags and sentiment.

    A word is a run of letters, digits and combining marks, apostrophes inside it included; scripts without spaces
    therefore count one word per run.

    Args:
        captions: n titles, HTML entities already decoded; empty ones are fine.

    Returns:
        The columns of `COLUMNS`, (n,) float32, always finite:

        * `characters` (code points), `words`, `mean_word_length` (characters per word, 0 without words);
        * `upper_case_share`: upper-case letters per letter that has a case, 0 without such letters;
        * `digits`, `punctuation` (characters of the Unicode categories P*), `question_marks`, `exclamation_marks`
          (full-width ones too), `emoji` (as seen: a family or a flag counts once; dingbats such as a check mark count);
        * `bracket_tags`: texts in square brackets; `has_oc_tag` (0 or 1): "OC" in square or
          round brackets; `has_resolution_tag` (0 or 1): a size such as "1968x1310", with or without brackets;
        * `first_person_share`: words such as "I", "my" or "we" per word;
        * `vader_negative`, `vader_neutral`, `vader_positive` (shares, sum 1, or all 0 for an empty caption) and
          `vader_compound` (-1 to 1) of VADER (Hutto & Gilbert 2014);
        * `nrc_*`: share of the words that the NRC lexicon associates with the emotion (Mohammad & Turney 2013). A word
          that is not in the lexicon is looked up again without its English ending (-s, -ed, -ing).
    """
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    words_of = [_words(caption) for caption in captions]
    emotions_of = _word_emotions({word for words in words_of for word in words})
    rows = np.zeros((len(captions), len(COLUMNS)), dtype=np.float32)
    for row, (caption, words) in enumerate(zip(captions, words_of, strict=True)):
        sentiment = analyzer.polarity_scores(caption)
        rows[row] = (
            *_style(caption, words),
            *_tags(caption),
            sum(_FIRST_PERSON.fullmatch(word) is not None for word in words) / max(len(words), 1),
            sentiment["neg"],
            sentiment["neu"],
            sentiment["pos"],
            sentiment["compound"],
            *(sum(emotion in emotions_of[word] for word in words) / max(len(words), 1) for emotion in EMOTIONS),
        )
    return {name: rows[:, column].copy() for column, name in enumerate(COLUMNS)}


def _words(caption: str) -> list[str]:
    """Lower-case words of a caption, typographic apostrophes made plain."""
    kept = "".join(
        character if unicodedata.category(character)[0] in "LNM" or character == "'" else " "
        for character in caption.replace("’", "'")
    )
    tokens = (token.strip("'").casefold() for token in kept.split())
    # A variation selector or an accent on its own is a mark, not a word.
    return [token for token in tokens if any(character.isalnum() for character in token)]


def _style(caption: str, words: list[str]) -> tuple[float, ...]:
    """Values of the columns from `characters` to `emoji`."""
    upper = sum(character.isupper() for character in caption)
    lower = sum(character.islower() for character in caption)
    return (
        len(caption),
        len(words),
        sum(map(len, words)) / max(len(words), 1),
        upper / max(upper + lower, 1),
        sum(character.isdigit() for character in caption),
        sum(unicodedata.category(character)[0] == "P" for character in caption),
        caption.count("?") + caption.count("？"),
        caption.count("!") + caption.count("！"),
        sum(1 for _ in _EMOJI.finditer(caption)),
    )


def _tags(caption: str) -> tuple[float, float, float]:
    """Values of the columns from `bracket_tags` to `has_resolution_tag`."""
    square = 0
    original = False
    for match in _BRACKETED.finditer(caption):
        square += match[1] is not None
        text = match[1] or match[2] or ""
        original = original or _OC.search(text) is not None
    return float(square), float(original), float(_RESOLUTION.search(caption) is not None)


def _word_emotions(words: set[str]) -> dict[str, frozenset[str]]:
    """Emotions of each word: its own if the lexicon has it, else those of the first base form that it has."""
    from nrclex import NRCLex

    forms = {word: tuple(_base_forms(word)) for word in words}
    lexicon = NRCLex()
    # Given tokens, NRCLex only looks them up; from raw text it would need corpora to download.
    lexicon.load_token_list(sorted({form for candidates in forms.values() for form in candidates}))
    known: dict[str, list[str]] = lexicon.affect_dict
    return {
        word: next((frozenset(known[form]) for form in candidates if form in known), frozenset())
        for word, candidates in forms.items()
    }


def _base_forms(word: str) -> Iterator[str]:
    """Yield the word and then what it may be an English inflection of, likeliest first."""
    yield word
    word = word.removesuffix("'s")
    yield word
    if len(word) > 4 and word.endswith(("ies", "ied")):
        yield word[:-3] + "y"
    if len(word) > 3 and word.endswith("s"):
        yield word[:-1]
        yield word.removesuffix("es")
    ending = next((ending for ending in ("ed", "ing") if word.endswith(ending)), None)
    # Three letters at least are left: "being" is no form of "bee".
    if ending is not None and len(word) >= len(ending) + 3:
        stem = word.removesuffix(ending)
        yield from (stem + "e", stem) if _LOST_E.search(stem) else (stem, stem + "e")
        if stem[-1] == stem[-2]:
            yield stem[:-1]
