"""Attention to words and to the environment, quarters of author or community, and the baselines of the same family."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from redpop_assets.errors import ArtifactError, NotTrainable
from redpop_assets.features.tokens import caption_tokens
from redpop_assets.predictors.dataset import Block, Dataset
from redpop_assets.predictors.registry import load_predictor, predictor_class, predictor_names, predictor_variants
from redpop_assets.predictors.systems.dual_attention import (
    ATTENTION,
    NO_WORD,
    STATE,
    UNKNOWN,
    DualAttention,
    Parts,
    _loss,
    build_network,
    common_words,
    quarter_labels,
    word_numbers,
)

pytestmark = pytest.mark.integration

VARIANTS = predictor_variants("dual_attention")
WIDTHS = {"image": 6, "image_mean": 6, "caption_mean": 4}


def posts(scores, authors=(), days=None):
    n = len(scores)
    days = np.arange(n) if days is None else days
    created = np.datetime64("2025-01-01T00:00:00", "s") + (np.asarray(days) * 86400).astype("timedelta64[s]")
    return Dataset(
        "pics", tuple(f"p{i}" for i in range(n)), {}, created, np.asarray(scores, dtype=np.float32), authors=authors
    )


def changed(data, name, values):
    block = data.blocks[name]
    values = np.where(block.present[:, None], values, np.nan)
    return replace(data, blocks={**data.blocks, name: Block(values.astype(np.float32), block.columns, block.present)})


def test_quarters_are_those_of_the_author_with_enough_posts_and_else_of_the_community():
    # A famous author's worst posts are better than everybody's best: a class must not tell them apart.
    scores = [*range(100, 116), *range(16)]
    authors = ("famous",) * 16 + tuple(f"a{i}" for i in range(14)) + (None, None)
    labels = quarter_labels(posts(scores, authors, days=np.tile(np.arange(16), 2)))
    for half in (labels[:16], labels[16:]):
        np.testing.assert_array_equal(half, [0] * 4 + [np.nan] * 8 + [1] * 4)
    # Without authors, or with too few posts of each, the community is one group.
    np.testing.assert_array_equal(quarter_labels(posts(scores))[:16], [np.nan] * 8 + [1] * 8)


def test_quarters_are_those_of_a_window_of_time():
    """A community that grows does not make all late posts popular."""
    scores = np.tile(np.arange(250), 2) + np.repeat([0, 1000], 250)
    labels = quarter_labels(posts(scores))
    np.testing.assert_array_equal(labels[:250], labels[250:])
    assert (labels[:250] == 1).sum() == (labels[:250] == 0).sum() == 63


def test_equal_scores_get_equal_labels():
    labels = quarter_labels(posts([0] * 12 + [1, 2, 3, 4]))
    assert set(labels[:12]) == {0}
    assert np.isnan(quarter_labels(posts([2] * 15 + [9]))).all()


def test_words_are_numbered_by_the_train_captions():
    vocabulary = common_words(["the lake", "The lake at dawn", "lake"])
    assert vocabulary == ("lake", "the")
    numbers = word_numbers(["the fog lake", ""], vocabulary)
    assert numbers[0, :4].tolist() == [3, UNKNOWN, 2, NO_WORD]
    assert numbers[1, :2].tolist() == [UNKNOWN, NO_WORD]


def test_explicit_attention_is_that_of_the_paper():
    torch.manual_seed(0)
    network = build_network(Parts("explicit"), WIDTHS, words=9).eval()
    numbers, image = torch.tensor([[2, 5, 3, 0], [4, 0, 0, 0]]), torch.randn(2, 6)
    pair = network.pair
    with torch.no_grad():
        weights = network.word_weights({"words": numbers, "image": image})
        states = pair.states(numbers)[0]  # (T, d2)
        # Equations (1) and (2), one post at a time, as they are written.
        q = states.T
        affinity = torch.tanh(q.T @ (pair.affinity.weight @ image[0] + pair.affinity.bias))
        w_v = (pair.of_image.weight @ image[0] + pair.of_image.bias)[:, None]
        hidden = torch.tanh(pair.of_words.weight @ q + pair.of_words.bias[:, None] + w_v @ affinity[None, :])
        expected = torch.softmax(pair.weight.weight @ hidden, dim=1)
    assert hidden.shape == (ATTENTION, 3)
    torch.testing.assert_close(weights[:1], expected)
    torch.testing.assert_close(weights[1], torch.tensor([1.0, 0, 0]))


def test_implicit_attention_is_that_of_the_paper():
    torch.manual_seed(0)
    environment = build_network(Parts("explicit", "implicit"), WIDTHS, words=9).environment.eval()
    image, caption = torch.randn(1, 6), torch.randn(1, 4)
    with torch.no_grad():
        product = torch.relu(environment.image(image)) * torch.relu(environment.caption(caption))
        mapped = environment.short_image(image) + environment.short_caption(caption) + product
        torch.testing.assert_close(
            environment({"image_mean": image, "caption_mean": caption}), environment.last(mapped)
        )
    assert mapped.shape == (1, STATE)


def test_late_fusion_is_the_mean_of_two_probabilities():
    network = build_network(Parts("late"), WIDTHS, words=9).eval()
    inputs = {"words": torch.tensor([[2, 3]]), "image": torch.randn(1, 6)}
    with torch.no_grad():
        _, visual, textual = network.branches(inputs)
        mean = (torch.sigmoid(visual) + torch.sigmoid(textual)) / 2
        torch.testing.assert_close(torch.sigmoid(network(inputs)), mean)


def test_ccr_adds_the_divergence_of_the_branches():
    network = build_network(Parts("ccr"), WIDTHS, words=9).eval()
    inputs = {"words": torch.tensor([[2, 3]]), "image": torch.randn(1, 6)}
    with torch.no_grad():
        p, *q = (torch.sigmoid(each).item() for each in network.branches(inputs))
        found = _loss(network, inputs, torch.ones(1)).item()
    divergences = [p * np.log(p / each) + (1 - p) * np.log((1 - p) / (1 - each)) for each in q]
    assert found == pytest.approx(-np.log(p) + sum(divergences) / 2, abs=1e-5)


def test_it_finds_planted_effects_in_picture_and_caption(planted):
    data = planted()
    model = DualAttention()
    model.fit(data.train, data.validation)
    seeing = spearmanr(model.predict(data.test), data.test.labels).statistic
    assert seeing > 0.3
    shuffled = np.random.default_rng(0).permutation(len(data.test))
    mixed = replace(data.test, captions=tuple(data.test.captions[i] for i in shuffled))
    assert spearmanr(model.predict(mixed), data.test.labels).statistic < seeing
    probability = model.probability(data.test)
    assert (probability > 0).all()
    assert (probability < 1).all()
    np.testing.assert_array_equal(np.argsort(model.predict(data.test)), np.argsort(probability))


def test_words_have_weights(fitted, small):
    model = fitted("dual_attention")[0]
    found = model.word_weights(small.test)
    tokens = caption_tokens(small.test.captions).tokens
    assert [[word for word, _ in post] for post in found] == tokens
    np.testing.assert_allclose([sum(weight for _, weight in post) for post in found], 1, rtol=1e-5)


def test_a_map_of_the_picture_can_be_made(fitted, small):
    """The 49 cells of a grid, each as the picture of the same post."""
    model = fitted("dual_attention")[0]
    one = small.test.take(np.zeros(1, dtype=np.intp))
    rng = np.random.default_rng(0)
    cells = {
        name: Block(np.repeat(block.values, 49, axis=0), block.columns, np.repeat(block.present, 49))
        for name, block in one.blocks.items()
    }
    grid = Dataset("pics", tuple(map(str, range(49))), cells, np.repeat(one.created_at, 49), captions=one.captions * 49)
    grid = changed(grid, "image", rng.normal(size=cells["image"].values.shape))
    assert len(set(model.probability(grid))) == 49


def test_zeros_of_a_post_without_past_are_the_mean_environment(fitted, small):
    model = fitted("dual_attention")[0]
    environment = small.test.blocks["environment"]
    means = np.concatenate([model.scales["mean.image_mean"], model.scales["mean.caption_mean"]])
    nothing = model.predict(changed(small.test, "environment", np.zeros_like(environment.values)))
    mean = np.tile(means, (len(small.test), 1))
    order = [environment.columns.index(column) for column in model.columns["environment"]]
    values = np.zeros_like(environment.values)
    values[:, order] = mean
    np.testing.assert_allclose(model.predict(changed(small.test, "environment", values)), nothing, atol=1e-5)


@pytest.mark.usefixtures("few_rounds")
def test_scales_and_words_come_from_the_train_part(fitted, small):
    moved = {name: Block(b.values + np.float32(1), b.columns, b.present) for name, b in small.validation.blocks.items()}
    other = DualAttention(seed=3)
    other.fit(small.train, replace(small.validation, blocks=moved, captions=("never seen",) * len(small.validation)))
    model = fitted("dual_attention")[0]
    assert other.vocabulary == model.vocabulary
    for key, value in model.scales.items():
        np.testing.assert_array_equal(other.scales[key], value)


@pytest.mark.usefixtures("few_rounds")
@pytest.mark.parametrize("name", VARIANTS)
def test_each_variant_looks_at_its_parts_only(name, small, tmp_path):
    kind = predictor_class(name)
    assert (kind.name, issubclass(kind, DualAttention)) == (name, True)
    model = kind(seed=3)
    model.fit(small.train, small.validation)
    model.save(tmp_path)
    loaded = load_predictor(tmp_path)
    test = small.test
    expected = model.predict(test)
    np.testing.assert_array_equal(loaded.predict(test), expected)
    rng = np.random.default_rng(0)
    others = {
        "image": changed(test, "image", rng.normal(size=test.blocks["image"].values.shape)),
        "words": replace(test, captions=test.captions[::-1]),
        "environment": changed(test, "environment", rng.normal(size=test.blocks["environment"].values.shape)),
    }
    looked_at = {part for part, other in others.items() if np.abs(model.predict(other) - expected).max() > 1e-6}
    alone = {"visual": {"image"}, "textual": {"words"}}.get(kind.parts.pair, {"image", "words"})
    assert looked_at == alone | ({"environment"} if kind.parts.environment else set())
    if kind.parts.pair != "explicit":
        with pytest.raises(ValueError, match="has no attention to words"):
            model.word_weights(test)


def test_variants_are_found_by_name_but_not_listed():
    assert len(VARIANTS) == 10
    assert not set(VARIANTS) & set(predictor_names())
    assert predictor_variants("redpop_thesis") == ()


def test_what_cannot_be_trained_says_so_in_numbers(fitted, small):
    equal = replace(small.train, log_score=np.ones(len(small.train), dtype=np.float32))
    with pytest.raises(NotTrainable, match="too few posts in the top quarter: 0 of 20"):
        DualAttention().fit(equal, small.validation)
    with pytest.raises(NotTrainable, match="the validation posts have no top and bottom quarter"):
        DualAttention().fit(
            small.train, replace(small.validation, log_score=np.ones(len(small.validation), dtype=np.float32))
        )
    with pytest.raises(ArtifactError, match="reads captions, which the data lack"):
        fitted("dual_attention")[0].predict(replace(small.test, captions=()))
