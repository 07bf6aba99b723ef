"""The training loop that network systems share."""

import numpy as np
import pytest
import torch

from redpop_assets.predictors.parts.networks import NetworkRegressor, Recipe, below


def linear(widths):
    return torch.nn.Sequential(Only(), torch.nn.Linear(widths["x"], 1), torch.nn.Flatten(0))


class Only(torch.nn.Module):
    def forward(self, inputs):
        return inputs["x"]


def data(n, seed, noise=0.1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    y = (5 + 2 * (x @ [1, -1, 0.5, 0] + noise * rng.normal(size=n))).astype(np.float32)
    return {"x": x}, y


def test_it_learns_on_the_scale_of_the_labels():
    regressor = NetworkRegressor(linear, Recipe(learning_rate=0.03, weight_decay=0, most_epochs=40))
    epochs = regressor.fit(*data(300, 0), *data(80, 1), seed=0)
    inputs, labels = data(200, 2)
    assert 1 < epochs <= 40
    assert np.abs(regressor.predict(inputs) - labels).mean() < 0.3
    stored = {f"other.{key}": value for key, value in regressor.arrays("a").items()}
    loaded = NetworkRegressor(linear, Recipe())
    loaded.load_arrays(below(stored, "other."), "a")
    np.testing.assert_array_equal(loaded.predict(inputs), regressor.predict(inputs))


def test_the_epoch_of_the_least_error_is_kept_and_patience_ends_it():
    """Validation labels that contradict the train part: the first epoch is the best, two more show it."""
    seen = []

    def counted(network, inputs, target):
        seen.append(len(target))
        return torch.nn.functional.mse_loss(network(inputs), target)

    recipe = Recipe(learning_rate=0.03, batch=100, most_epochs=40, patience=2)
    regressor = NetworkRegressor(linear, recipe, counted)
    inputs, labels = data(100, 0)
    held_out, held_out_labels = data(50, 1)
    best = regressor.fit(inputs, labels, held_out, 10 - held_out_labels, seed=0)
    assert best == 1
    assert len(seen) == 3
    stopped = regressor.predict(held_out)
    regressor.fit_epochs(inputs, labels, 1, seed=0)
    np.testing.assert_array_equal(regressor.predict(held_out), stopped)


def test_every_tenth_epoch_is_told():
    said = []
    regressor = NetworkRegressor(linear, Recipe(most_epochs=25, patience=25))
    regressor.fit(*data(100, 0), *data(20, 1), seed=0, say=said.append)
    assert [line.partition(",")[0] for line in said] == ["epoch 10", "epoch 20"]


def test_random_state_and_threads_are_put_back_also_after_an_error():
    def broken(*_):
        raise RuntimeError("broken")

    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    with pytest.raises(RuntimeError, match="broken"):
        NetworkRegressor(linear, Recipe(), broken).fit(*data(60, 0), *data(20, 1), seed=0)
    NetworkRegressor(linear, Recipe(most_epochs=2)).fit(*data(60, 0), *data(20, 1), seed=0)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_many_posts_are_predicted_in_parts(monkeypatch):
    regressor = NetworkRegressor(linear, Recipe(most_epochs=1))
    regressor.fit(*data(60, 0), *data(20, 1), seed=0)
    inputs, _ = data(50, 3)
    whole = regressor.predict(inputs)
    monkeypatch.setattr("redpop_assets.predictors.parts.networks.PREDICTED_AT_ONCE", 7)
    np.testing.assert_allclose(regressor.predict(inputs), whole, atol=1e-6)


def test_no_batch_is_of_a_single_post():
    """Batch normalisation cannot learn from one; of 65 posts, batches of 64 would leave one over."""

    def normalised(widths):
        return torch.nn.Sequential(
            Only(), torch.nn.BatchNorm1d(widths["x"]), torch.nn.Linear(4, 1), torch.nn.Flatten(0)
        )

    regressor = NetworkRegressor(normalised, Recipe(batch=64, most_epochs=2))
    regressor.fit(*data(65, 0), *data(20, 1), seed=0)
    assert np.isfinite(regressor.predict(data(3, 2)[0])).all()


def test_a_schedule_slows_the_learning_down():
    def weights(schedule):
        regressor = NetworkRegressor(linear, Recipe(most_epochs=3, schedule=schedule))
        regressor.fit(*data(100, 0), *data(20, 1), seed=0)
        return regressor.network[1].weight.detach().numpy()

    def once(epoch):
        return float(epoch == 1)

    one = NetworkRegressor(linear, Recipe(most_epochs=1))
    one.fit(*data(100, 0), *data(20, 1), seed=0)
    np.testing.assert_array_equal(weights(once), one.network[1].weight.detach().numpy())
    assert not np.array_equal(weights(lambda _: 1.0), weights(once))


def test_classes_are_left_as_they_are_and_stop_by_their_own_loss():
    seen = []

    def loss(network, inputs, target):
        seen.append(set(target.tolist()))
        return torch.nn.functional.binary_cross_entropy_with_logits(network(inputs), target)

    classifier = NetworkRegressor(linear, Recipe(most_epochs=2), loss, loss, standardise=False)
    (inputs, labels), (held_out, held_out_labels) = data(100, 0), data(20, 1)
    classifier.fit(inputs, (labels > 5).astype(np.float32), held_out, (held_out_labels > 5).astype(np.float32), seed=0)
    assert set().union(*seen) == {0.0, 1.0}
    assert len(seen) == 2 * 2 + 2
    assert classifier.label.tolist() == [0, 1]
