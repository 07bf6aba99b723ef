"""What a caption says and how it is written: counts, tags, readability and two sentiment lexica.

Captions are Reddit titles: up to 300 characters of any script, often with tags in brackets such as `[OC]` or
`[1968x1310]`. The lexica (VADER and NRC) are English and come with their packages; captions of other languages get
zeros from them, never NaN.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import CHEAP_CHUNK, Encoders, Family, Features, Subjects
from redpop_assets.features.tokens import BRACKETED, EMOJI, NUMBER, RESOLUTION, cased_words

if TYPE_CHECKING:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

CODE_VERSION: Final = "2"
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
    "sentences",
    "has_readability",
    "coleman_liau",
    "automated_readability",
    "title_case_share",
    "ellipses",
    "quotations",
    "round_brackets",
    "user_mentions",
    "subreddit_mentions",
    "numbers",
    "has_year",
    "has_age",
)
"""Order of the columns of `caption_features`; all are scalars."""

LEAST_READABLE_WORDS: Final = 3
"""Captions with fewer words have no readability: the indices were made for prose and explode on one long word."""

READABILITY_RANGE: Final = (-20.0, 40.0)
"""Both indices (US school grades) are clipped to it; prose lies between 0 and 20."""

_BLOCK: Final = 16_384  # captions described at a time, which bounds the memory
_FIRST_PERSON: Final = re.compile(
    r"i(?:'?m|'?ve|'d|'ll)?|me|my|mine|myself|we(?:'re|'ve|'d|'ll)?|us|our|ours|ourselves"
)
_OC: Final = re.compile(r"\bOC\b", re.IGNORECASE)
# "star" in "staring": such a stem has lost an e, else its last letter would be doubled as in "starring".
_LOST_E: Final = re.compile(r"[^aeiou][aeiou][^aeiouwxy]$")
_ELLIPSIS: Final = re.compile(r"\.{3,}|…+")
_QUOTATION: Final = re.compile(r"\"[^\"]+\"|“[^”]+”|„[^“”]+[“”]|«[^»]+»|「[^」]+」|『[^』]+』")
_USER: Final = re.compile(r"(?<![\w/])/?u/[A-Za-z0-9_-]{3,20}(?![\w-])", re.IGNORECASE)
_SUBREDDIT: Final = re.compile(r"(?<![\w/])/?r/[A-Za-z0-9][A-Za-z0-9_]{1,20}(?!\w)", re.IGNORECASE)
_ANY_DIGIT: Final = re.compile(r"\d")
_YEAR: Final = re.compile(r"(?<![\w.,])(?:1[89]|20)\d\ds?(?![\w]|[.,]\d)")
_AGE: Final = re.compile(
    r"\b\d{1,3}[\s-]?(?:y/?o|(?:year|yr|month|week|day)s?[\s-]?old)\b"
    r"|[\[(]\s?(?:\d\d\s?/?\s?[mf]|[mf]\s?/?\s?\d\d)\b"
    r"|\baged?\s\d{1,3}\b",
    re.IGNORECASE,
)
_SQUARE: Final = re.compile(r"\[[^\[\]]*\]")
_SENTENCE_END: Final = re.compile(r"[.!?…]+[\"'”’»)]*(?:\s+|$)|[。！？]+")
_ABBREVIATION: Final = re.compile(
    r"(?:^|[^\w.])(?:(?-i:[A-HJ-Z])|\w(?:\.\w)+|mr|mrs|ms|dr|prof|st|mt|ft|jr|sr|vs|etc|approx|ca|est|gen|sgt|lt|capt|inc|ltd)$",
    re.IGNORECASE,
)
# Columns that `_marks` finds in one caption, in its order.
_MARKS: Final = (
    "question_marks",
    "exclamation_marks",
    "emoji",
    "bracket_tags",
    "has_oc_tag",
    "has_resolution_tag",
    "ellipses",
    "quotations",
    "round_brackets",
    "user_mentions",
    "subreddit_mentions",
    "numbers",
    "has_year",
    "has_age",
)


def caption_features(captions: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
    """Describe captions by counts, tags, readability and sentiment.

    Words, tags and emoji are those of `redpop_assets.features.tokens`.

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
          that is not in the lexicon is looked up again without its English ending (-s, -ed, -ing);
        * `sentences`: stretches with a word in them, square brackets apart, that end in a full stop, question or
          exclamation mark or ellipsis, or with the caption. A full stop after an abbreviation, and one or an ellipsis
          before a lower-case letter, ends nothing;
        * `has_readability` (0 or 1): at least `LEAST_READABLE_WORDS` words; then, in US school grades,
          `coleman_liau` = 5.88 letters / words - 29.6 sentences / words - 15.8 (Coleman & Liau 1975) and
          `automated_readability` = 4.71 (letters + numerals) / words + 0.5 words / sentences - 21.43 (Senter & Smith
          1967), both clipped to `READABILITY_RANGE`, else 0. Neither needs syllables; both are meant for alphabets;
        * `title_case_share`: of the words of two letters or more that begin with a letter that has a case, those that
          begin with a capital and are not all capitals; 0 without such words;
        * `ellipses` ("..." or "…"), `quotations` (texts in double, low, angle or corner quotation marks),
          `round_brackets` (texts in round brackets), `user_mentions` (u/name), `subreddit_mentions` (r/name);
        * `numbers`: numbers that stand alone, sizes apart; `has_year` (0 or 1): one from 1800 to 2099, decades such as
          1960s included; `has_age` (0 or 1): such as "3 year-old", "5yo", "(24F)" or "aged 7".
    """
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    rows = np.zeros((len(captions), len(COLUMNS)), dtype=np.float32)
    for start in range(0, len(captions), _BLOCK):
        block = captions[start : start + _BLOCK]
        features = _describe(block, analyzer)
        for column, name in enumerate(COLUMNS):
            rows[start : start + len(block), column] = features[name]
    return {name: rows[:, column].copy() for column, name in enumerate(COLUMNS)}


def _describe(
    captions: Sequence[str], analyzer: SentimentIntensityAnalyzer
) -> dict[str, npt.NDArray[np.int64] | npt.NDArray[np.float64]]:
    """The columns of some captions, at least one."""
    words_of = [cased_words(caption) for caption in captions]
    counts = np.array([len(words) for words in words_of])
    per_word = np.maximum(counts, 1)
    characters = _character_counts(captions)
    sums = _word_sums(words_of)
    marks = np.array([_marks(caption) for caption in captions])
    sentiments = [analyzer.polarity_scores(caption) for caption in captions]
    sentences = np.array([_sentences(caption) for caption in captions])
    return {
        "characters": np.array([len(caption) for caption in captions]),
        "words": counts,
        "mean_word_length": sums["length"] / per_word,
        "upper_case_share": characters["upper"] / np.maximum(characters["upper"] + characters["lower"], 1),
        "digits": characters["digit"],
        "punctuation": characters["punctuation"],
        **{name: marks[:, column] for column, name in enumerate(_MARKS)},
        "first_person_share": sums["first_person"] / per_word,
        **{
            f"vader_{name}": np.array([sentiment[key] for sentiment in sentiments])
            for name, key in (("negative", "neg"), ("neutral", "neu"), ("positive", "pos"), ("compound", "compound"))
        },
        **{f"nrc_{emotion}": sums[emotion] / per_word for emotion in EMOTIONS},
        "sentences": sentences,
        **_readability(characters["letter"], characters["numeral"], counts, sentences),
        "title_case_share": sums["title_case"] / np.maximum(sums["case_begins"], 1),
    }


def _character_counts(captions: Sequence[str]) -> dict[str, npt.NDArray[np.int64]]:
    """How many characters of each kind the captions have, (n,) by kind."""
    codes = np.frombuffer("".join(captions).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    ends = np.cumsum([len(caption) for caption in captions])
    kinds: Mapping[str, Callable[[str], bool]] = {
        "upper": str.isupper,
        "lower": str.islower,
        "digit": str.isdigit,
        "punctuation": lambda character: unicodedata.category(character)[0] == "P",
        "letter": str.isalpha,
        "numeral": lambda character: unicodedata.category(character)[0] == "N",
    }
    # Python is asked once per different character, not once per character.
    occurs = np.zeros(sys.maxunicode + 1, dtype=np.bool_)
    occurs[codes] = True
    different = np.flatnonzero(occurs)
    is_kind = np.zeros(sys.maxunicode + 1, dtype=np.bool_)
    counts = {}
    for name, belongs in kinds.items():
        is_kind[different] = [belongs(chr(code)) for code in different]
        counts[name] = _sums_until(is_kind[codes], ends)
    return counts


def _word_sums(words_of: Sequence[Sequence[str]]) -> dict[str, npt.NDArray[np.int64]]:
    """Sums over the words of each caption, (n,): lengths, and how many words are of each kind and each emotion."""
    number: dict[str, int] = {}
    numbers = np.array([number.setdefault(word, len(number)) for words in words_of for word in words], dtype=np.int64)
    ends = np.cumsum([len(words) for words in words_of])
    folded = [word.casefold() for word in number]
    emotions = _word_emotions(set(folded))
    case_begins = [len(word) > 1 and word[0] != word[0].swapcase() for word in number]
    of_word = {
        "length": [len(word) for word in folded],
        "first_person": [_FIRST_PERSON.fullmatch(word) is not None for word in folded],
        "case_begins": case_begins,
        "title_case": [
            begins and word[0].isupper() and not word.isupper()
            for begins, word in zip(case_begins, number, strict=True)
        ],
        **{emotion: [emotion in emotions[word] for word in folded] for emotion in EMOTIONS},
    }
    return {name: _sums_until(np.array(values, dtype=np.int64)[numbers], ends) for name, values in of_word.items()}


def _sums_until(values: npt.NDArray[np.generic], ends: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Sums of consecutive stretches of whole numbers; each stretch ends before `ends`, and may be empty."""
    total = np.concatenate(([0], np.cumsum(values, dtype=np.int64)))
    sums: npt.NDArray[np.int64] = np.diff(total[ends], prepend=0)
    return sums


def _marks(caption: str) -> tuple[int, ...]:
    """Values of the columns in `_MARKS`."""
    square, round_, original = 0, 0, False
    if "[" in caption or "(" in caption:
        for match in BRACKETED.finditer(caption):
            square += match[1] is not None
            round_ += match[2] is not None
            original = original or _OC.search(match[0]) is not None
    has_slash = "/" in caption
    has_digit = _ANY_DIGIT.search(caption) is not None
    without_sizes, sizes = RESOLUTION.subn(" ", caption) if has_digit else (caption, 0)
    return (
        caption.count("?") + caption.count("？"),
        caption.count("!") + caption.count("！"),
        0 if caption.isascii() else sum(1 for _ in EMOJI.finditer(caption)),
        square,
        original,
        sizes > 0,
        len(_ELLIPSIS.findall(caption)),
        len(_QUOTATION.findall(caption)),
        round_,
        len(_USER.findall(caption)) if has_slash else 0,
        len(_SUBREDDIT.findall(caption)) if has_slash else 0,
        len(NUMBER.findall(without_sizes)) if has_digit else 0,
        has_digit and _YEAR.search(without_sizes) is not None,
        has_digit and _AGE.search(without_sizes) is not None,
    )


def _sentences(caption: str) -> int:
    """Number of sentences; 0 for a caption without words."""
    text = _SQUARE.sub(" ", caption) if "[" in caption else caption
    # Where brackets hold everything, what is in them is the sentence.
    text = text if _has_word(text) else caption
    count, start = 0, 0
    for match in _SENTENCE_END.finditer(text):
        piece = text[start : match.start()]
        if match[0][0] in ".…" and (
            text[match.end() : match.end() + 1].islower() or _ends_abbreviated(match[0], piece)
        ):
            continue
        count += _has_word(piece)
        start = match.end()
    return count + _has_word(text[start:])


def _has_word(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _ends_abbreviated(mark: str, piece: str) -> bool:
    """Whether the full stop after the piece belongs to an abbreviation."""
    return mark.rstrip() == "." and _ABBREVIATION.search(piece) is not None


def _readability(
    letters: npt.NDArray[np.int64],
    numerals: npt.NDArray[np.int64],
    words: npt.NDArray[np.int64],
    sentences: npt.NDArray[np.int64],
) -> dict[str, npt.NDArray[np.int64] | npt.NDArray[np.float64]]:
    """`has_readability` and both indices; see `caption_features`."""
    readable = words >= LEAST_READABLE_WORDS
    words, sentences = np.maximum(words, 1), np.maximum(sentences, 1)
    indices = {
        "coleman_liau": 5.88 * letters / words - 29.6 * sentences / words - 15.8,
        "automated_readability": 4.71 * (letters + numerals) / words + 0.5 * words / sentences - 21.43,
    }
    return {
        "has_readability": readable.astype(np.int64),
        **{name: np.where(readable, np.clip(index, *READABILITY_RANGE), 0.0) for name, index in indices.items()},
    }


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


def _of_captions(subjects: Subjects, _: Encoders) -> Features:
    return caption_features(subjects.captions)


FAMILY: Final = Family(
    "text",
    "features.caption_features",
    "caption",
    CODE_VERSION,
    _of_captions,
    step="captions_and_words",
    export="caption",
    rows_at_once=CHEAP_CHUNK,
    note="Lengths, case, tags, readability, sentiment (VADER) and emotions (NRC), once per caption.",
)
