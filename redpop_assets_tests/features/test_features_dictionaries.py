import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from redpop_assets.errors import ArtifactError
from redpop_assets.features.dictionaries import SMOOTHING, TargetDictionary, time_folds

# Few tokens, so that they recur; captions may be empty and may repeat a token.
TRAIN = st.lists(
    st.tuples(st.lists(st.sampled_from("abcde"), max_size=4), st.floats(-3, 11), st.integers(0, 3)),
    min_size=2,
    max_size=20,
).filter(lambda rows: len({row[2] for row in rows}) > 1)


def fitted(rows, smoothing=SMOOTHING):
    """A dictionary of (tokens, log score, fold), and the out-of-fold scores."""
    dictionary = TargetDictionary(smoothing)
    scores = dictionary.fit(
        [row[0] for row in rows], np.array([row[1] for row in rows]), np.array([r[2] for r in rows])
    )
    return dictionary, scores


def brute_force(rows, caption, smoothing):
    """The score of a caption by the definition."""
    mean = float(np.mean([row[1] for row in rows]))
    means = []
    for token in set(caption):
        scores = [row[1] for row in rows if token in row[0]]
        means.append((sum(scores) + smoothing * mean) / (len(scores) + smoothing))
    return float(np.mean(means)) if means else mean


@settings(deadline=None)
@given(TRAIN, st.lists(st.lists(st.sampled_from("abcdexy"), max_size=4), max_size=4), st.sampled_from([0.5, 10.0]))
def test_equals_the_definition(rows, others, smoothing):
    dictionary, out_of_fold = fitted(rows, smoothing)
    assert out_of_fold.dtype == np.float32
    for row, (caption, _, fold) in enumerate(rows):
        learnt = [other for other in rows if other[2] != fold]
        assert out_of_fold[row] == pytest.approx(brute_force(learnt, caption, smoothing), rel=1e-5, abs=1e-5)
    expected = [brute_force(rows, caption, smoothing) for caption in others]
    np.testing.assert_allclose(dictionary.transform(others), expected, rtol=1e-5, atol=1e-5)


@settings(deadline=None)
@given(TRAIN, st.data())
def test_the_log_scores_of_a_fold_change_no_bit_of_its_own_scores(rows, data):
    fold = data.draw(st.sampled_from(sorted({row[2] for row in rows})))
    changed = [(row[0], data.draw(st.floats(-3, 11)), row[2]) if row[2] == fold else row for row in rows]
    inside = np.array([row[2] == fold for row in rows])
    assert fitted(rows)[1][inside].tobytes() == fitted(changed)[1][inside].tobytes()


def noise(count=2_000, tokens=500, seed=7):
    """Captions of random tokens with scores that have nothing to do with them."""
    random = np.random.default_rng(seed)
    captions = [[f"t{token}" for token in random.integers(0, tokens, 4)] for _ in range(count)]
    return captions, random.normal(5, 2, count), np.arange(count) * 5 // count


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_not_predicted_out_of_fold_but_would_be_in_sample(seed):
    captions, scores, folds = noise(seed=seed)
    dictionary = TargetDictionary()
    out_of_fold = dictionary.fit(captions, scores, folds)
    in_sample = dictionary.transform(captions)
    assert abs(spearmanr(out_of_fold, scores).statistic) < 0.1
    assert spearmanr(in_sample, scores).statistic > 0.4


def test_tokens_that_matter_are_found():
    captions, scores, folds = noise()
    worth = {f"t{token}": value for token, value in enumerate(np.random.default_rng(1).normal(0, 2, 500))}
    scores += [np.mean([worth[token] for token in caption]) for caption in captions]
    dictionary = TargetDictionary()
    assert spearmanr(dictionary.fit(captions, scores, folds), scores).statistic > 0.1
    found = dictionary.transform([[token] for token in worth])
    assert spearmanr(found, list(worth.values())).statistic > 0.5


def test_a_known_dictionary():
    rows = [(["cat"], 4.0, 0), (["cat", "dog", "dog"], 6.0, 0), (["dog"], 2.0, 1), ([], 8.0, 1)]
    dictionary, out_of_fold = fitted(rows, smoothing=1.0)
    assert dictionary.mean == 5.0
    assert dictionary.token_means == {"cat": (4 + 6 + 5) / 3, "dog": (6 + 2 + 5) / 3}
    # Fold 1 has a mean of 5, and of "cat" it knows nothing.
    assert out_of_fold.tolist() == pytest.approx([5.0, (5.0 + (2 + 5) / 2) / 2, (6 + 5) / 2, 5.0])
    assert dictionary.transform([["heron"], [], ["cat", "heron"]]).tolist() == [5.0, 5.0, 5.0]


def test_posts_outside_of_the_train_part_change_nothing():
    captions, scores, folds = noise(200, 30)
    dictionary = TargetDictionary()
    dictionary.fit(captions, scores, folds)
    before = dict(dictionary.token_means)
    alone = dictionary.transform(captions[:5])
    together = dictionary.transform([*captions[:5], ["new", "t1"], []])
    assert together[:5].tobytes() == alone.tobytes()
    assert dictionary.token_means == before
    assert "new" not in before


def test_a_second_fit_forgets_the_first():
    dictionary = TargetDictionary()
    dictionary.fit([["old"], ["old"]], np.array([1.0, 2.0]), np.array([0, 1]))
    dictionary.fit([["new"], ["new"]], np.array([1.0, 2.0]), np.array([0, 1]))
    assert list(dictionary.token_means) == ["new"]


def test_a_stored_dictionary_gives_the_same_scores(tmp_path):
    captions, scores, folds = noise(300, 50)
    captions[0] += ["🐶", "\ud83d", '"quoted"', "सूर्योदय"]
    dictionary = TargetDictionary(smoothing=3)
    dictionary.fit(captions, scores, folds)
    dictionary.save(tmp_path / "titles.json")
    loaded = TargetDictionary.load(tmp_path / "titles.json")
    assert (loaded.smoothing, loaded.mean, loaded.token_means) == (3, dictionary.mean, dictionary.token_means)
    assert loaded.transform(captions).tobytes() == dictionary.transform(captions).tobytes()


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"format": "redpop-dictionary", "code_version": "0"}'])
def test_a_damaged_file_is_an_error(tmp_path, content):
    path = tmp_path / "titles.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ArtifactError, match="train again"):
        TargetDictionary.load(path)


def test_wrong_input_is_refused():
    dictionary = TargetDictionary()
    with pytest.raises(ValueError, match="one entry per post"):
        dictionary.fit([["cat"]], np.zeros(2), np.arange(2))
    with pytest.raises(ValueError, match="not all finite"):
        dictionary.fit([["cat"]] * 2, np.array([1.0, np.nan]), np.arange(2))
    with pytest.raises(ValueError, match="one fold"):
        dictionary.fit([["cat"]] * 2, np.ones(2), np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match="smoothing"):
        TargetDictionary(0)


def test_no_posts_give_no_scores():
    dictionary, _ = fitted([(["cat"], 1.0, 0), (["cat"], 2.0, 1)])
    assert dictionary.transform([]).shape == (0,)


DAYS = st.lists(st.tuples(st.integers(0, 30), st.one_of(st.none(), st.sampled_from("xyz"))), min_size=5, max_size=30)


@given(DAYS, st.integers(2, 5), st.randoms(use_true_random=False))
def test_folds_keep_time_and_groups(posts, count, random):
    def folds_of(rows):
        return time_folds(np.array([row[0] for row in rows], dtype="datetime64[D]"), [r[1] for r in rows], count=count)

    folds = folds_of(posts)
    assert ((folds >= 0) & (folds < count)).all()
    for group in "xyz":
        assert len({fold for fold, post in zip(folds, posts, strict=True) if post[1] == group}) <= 1
    alone = sorted((post[0], fold) for fold, post in zip(folds.tolist(), posts, strict=True) if post[1] is None)
    assert [fold for _, fold in alone] == sorted(fold for _, fold in alone)

    shuffled = list(range(len(posts)))
    random.shuffle(shuffled)
    assert folds_of([posts[row] for row in shuffled]).tolist() == folds[shuffled].tolist()


def test_folds_are_of_equal_size_and_a_group_goes_with_its_earliest_post():
    days = np.arange(10).astype("datetime64[D]")
    assert time_folds(days, [None] * 10, count=5).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    groups = [None, "copy", None, None, None, None, "copy", None, None, "copy"]
    assert time_folds(days, groups, count=5).tolist() == [0, 0, 1, 1, 2, 2, 0, 3, 4, 0]


def test_folds_that_cannot_be_are_refused():
    days = np.arange(3).astype("datetime64[D]")
    with pytest.raises(ValueError, match="one entry per post"):
        time_folds(days, [None])
    with pytest.raises(ValueError, match="cannot be cut"):
        time_folds(days, [None] * 3, count=5)
    with pytest.raises(ValueError, match="missing"):
        time_folds(np.array(["NaT"] * 3, dtype="datetime64[s]"), [None] * 3, count=2)
