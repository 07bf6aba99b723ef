"""What every predictor of the registry keeps: messages, files, determinism, columns, light imports."""

import json
import logging
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from redpop_assets.errors import ArtifactError, NotTrainable
from redpop_assets.predictors.base import regression_metrics
from redpop_assets.predictors.dataset import BLOCK_NAMES, Block
from redpop_assets.predictors.registry import load_predictor, predictor_class, predictor_names

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("few_rounds")]

NAMES = predictor_names()
LEARNING = [name for name in NAMES if predictor_class(name).uses]
TIMED = [name for name in NAMES if "time" in predictor_class(name).uses]
SEEDED = (
    *("metadata_boosting", "redpop_thesis", "con_soc_rf", "con_soc_cnn", "con_soc_multimodal", "learn_deeply", "vscnn"),
    *("feature_fusion", "dual_attention", "catboost_fusion", "multimodal_mlp", "late_fusion", "pooled_fusion"),
)
WITHOUT_CHANCE = ("sentiment_context", "past_neighbours", "iipa", "like_to_follower", "tfidf_ridge")


def saved(predictor, folder):
    predictor.save(folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_registry_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from redpop_assets.predictors.registry import predictor_class, predictor_names\n"
        "for name in predictor_names():\n"
        "    c = predictor_class(name)\n"
        "    assert c.name == name and c.title and c.code_version and c.requires <= c.uses, name\n"
        "    c(seed=1)\n"
        "heavy = {'torch', 'lightgbm', 'catboost', 'sklearn', 'scipy', 'safetensors'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_and_attributes():
    assert NAMES[0] == "subreddit_median"
    assert NAMES[-1] == "stack"
    assert len(set(NAMES)) == len(NAMES)
    for name in NAMES:
        assert predictor_class(name).uses <= set(BLOCK_NAMES)
    assert predictor_class("redpop_thesis").requires == {"image"}
    with pytest.raises(ValueError, match="no predictor 'oracle'; there are subreddit_median"):
        predictor_class("oracle")


@pytest.mark.parametrize("name", NAMES)
def test_a_report_says_what_was_used(name, fitted, small):
    predictor, report = fitted(name)
    assert (report.train_rows, report.validation_rows) == (220, 60)
    assert set(report.blocks) == predictor.uses & set(small.train.blocks) == set(predictor.columns)
    present = int(small.train.blocks["image"].present.sum())
    assert report.image_rows == (present if "image" in report.blocks else None)
    assert report.validation["rmse"] > 0
    assert report.seconds > 0


def test_loaded_predictors_predict_the_same_in_another_process(fitted, small, tmp_path):
    test = small.test
    arrays = {f"{name}/values": block.values for name, block in test.blocks.items()}
    arrays |= {f"{name}/present": block.present for name, block in test.blocks.items()}
    arrays |= {f"{name}/columns": np.array(block.columns) for name, block in test.blocks.items()}
    np.savez(
        tmp_path / "test.npz",
        created_at=test.created_at,
        captions=np.array(test.captions),
        authors=np.array([author or "" for author in test.authors]),
        **arrays,
    )
    files = {name: saved(fitted(name)[0], tmp_path / name) for name in NAMES}
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from redpop_assets.predictors.dataset import Block, Dataset\n"
        "from redpop_assets.predictors.registry import load_predictor\n"
        "folder = Path(sys.argv[1]); a = np.load(folder / 'test.npz')\n"
        "names = {key.partition('/')[0] for key in a.files if '/' in key}\n"
        "blocks = {b: Block(a[b + '/values'], tuple(a[b + '/columns'].tolist()), a[b + '/present']) for b in names}\n"
        "n = len(a['created_at'])\n"
        "words = {'captions': tuple(map(str, a['captions'])), 'authors': tuple(str(x) or None for x in a['authors'])}\n"
        "data = Dataset('pics', tuple(map(str, range(n))), blocks, a['created_at'], **words)\n"
        "np.savez(folder / 'out.npz', **{p: load_predictor(folder / p).predict(data) for p in sys.argv[2:]})\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path), *NAMES], check=True)
    found = np.load(tmp_path / "out.npz")
    for name in NAMES:
        assert {file.rsplit(".", 1)[1] for file in files[name]} <= {"json", "txt", "safetensors"}
        np.testing.assert_allclose(found[name], fitted(name)[0].predict(test), rtol=0, atol=1e-9, err_msg=name)
        loaded = load_predictor(tmp_path / name)
        assert loaded.seed == 3
        assert saved(loaded, tmp_path / "again" / name) == files[name]


@pytest.mark.parametrize("name", [*SEEDED, *WITHOUT_CHANCE])
def test_the_same_seed_gives_the_same_files_and_another_one_others(name, fitted, small, lent, tmp_path):
    import torch

    torch.manual_seed(99)  # what others drew before must not matter
    files = saved(fitted(name)[0], tmp_path / "a")
    for seed, same in [(3, True), (4, False)]:
        again = predictor_class(name)(seed=seed)
        again.fit(small.train, small.validation, lent)
        again_files = saved(again, tmp_path / str(seed))
        models = [file for file in files if not file.endswith("predictor.json")]
        assert all(again_files[file] == files[file] for file in models) is (same or name in WITHOUT_CHANCE)
        assert (again_files == files) is same


@pytest.mark.parametrize("name", NAMES)
def test_each_post_is_predicted_by_itself(name, fitted, small):
    predictor, _ = fitted(name)
    test = small.test
    whole = predictor.predict(test)
    some = np.arange(len(test)) % 7 == 0
    unlabelled = replace(test.select(some), log_score=None)
    np.testing.assert_allclose(predictor.predict(unlabelled), whole[some], atol=1e-5)
    assert whole.dtype == np.float64
    assert predictor.predict(test.select(np.zeros(len(test), dtype=bool))).shape == (0,)


@pytest.mark.parametrize("name", NAMES)
def test_a_post_without_any_block_is_predicted_all_the_same(name, fitted, small):
    predictor, _ = fitted(name)
    test = small.test
    missing = {
        block: Block(np.full_like(b.values, np.nan), b.columns, np.zeros(len(test), dtype=bool))
        for block, b in test.blocks.items()
        if block in ("image", "pixels", "caption", "visual", "objects", "concepts", "ratings", "environment")
    }
    predicted = predictor.predict(replace(test, blocks={**test.blocks, **missing}))
    assert np.isfinite(predicted).all()
    learners = 2 if predictor.borrows else 1  # one over what the other leaves over
    assert abs(predicted.mean() - predictor.predict(test).mean()) < learners


@pytest.mark.parametrize("name", TIMED)
def test_other_columns_are_refused(name, fitted, small):
    predictor, _ = fitted(name)
    test = small.test
    name = next(iter(predictor.columns))
    kept, block = predictor.columns[name], test.blocks[name]
    names = tuple("minute" if column == kept[0] else column for column in block.columns)
    renamed = Block(block.values, names, block.present)
    message = rf"{len(kept)} columns of block {name}, and the data lack 1 of them \({kept[0]}\)"
    with pytest.raises(ArtifactError, match=message):
        predictor.predict(replace(test, blocks={**test.blocks, name: renamed}))
    turned = Block(block.values[:, ::-1], block.columns[::-1], block.present)
    np.testing.assert_array_equal(
        predictor.predict(replace(test, blocks={**test.blocks, name: turned})), predictor.predict(test)
    )
    with pytest.raises(ArtifactError, match=f"fitted with block {name}, which the data lack"):
        predictor.predict(test.without([name]))


# The stack is a mean of members that are all asked themselves, and learns as long as all of them.
@pytest.mark.parametrize("name", [name for name in TIMED if name != "stack"])
def test_what_no_training_post_had_does_not_run_off_the_scale(name, small, lent):
    """A month, a flag or a crowd that first appears after the training must not decide the prediction."""

    def with_new(data, later):
        n = len(data)
        time = data.blocks["time"]
        days = (data.created_at - np.datetime64("2025-03-01T00:00:00", "s")).astype(float) / 86400
        values = np.column_stack([time.values, np.full(n, float(later)), days, days + 1e6 * later]).astype(np.float32)
        grown = Block(values, (*time.columns, "month_onehot_06", "day_of_year", "crowd"), time.present)
        return replace(data, blocks={**data.blocks, "time": grown})

    predictor = predictor_class(name)(seed=3)
    predictor.fit(
        with_new(small.train, False), with_new(small.validation, False), [with_new(other, False) for other in lent]
    )
    assert "month_onehot_06" not in predictor.columns["time"]
    assert "day_of_year" not in predictor.columns["time"], "the posts cover less than a year"
    expected = predictor.predict(with_new(small.test, True))
    labels = small.train.labels
    assert np.abs(expected - labels.mean()).max() < 6 * labels.std()


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_refused(name, fitted, tmp_path):
    predictor, _ = fitted(name)
    folder = tmp_path / "model"
    files = saved(predictor, folder)
    for file in sorted(files.keys() - {"predictor.json"}):
        (folder / file).write_bytes(files[file][:-1] + bytes([files[file][-1] ^ 1]))
        with pytest.raises(ArtifactError, match=f"{file} is damaged"):
            load_predictor(folder)
        (folder / file).unlink()
        with pytest.raises(ArtifactError, match=f"{file} is missing"):
            load_predictor(folder)
        (folder / file).write_bytes(files[file])
    description = json.loads(files["predictor.json"])
    for changed, message in [
        (json.dumps(description | {"code_version": "0"}), "version 0 of"),
        (json.dumps(description | {"name": "oracle"}), "'oracle', which is no predictor"),
        (json.dumps({"name": name}), "is damaged"),
        ("{", "cannot be read"),
    ]:
        (folder / "predictor.json").write_text(changed)
        with pytest.raises(ArtifactError, match=message):
            load_predictor(folder)
    (folder / "predictor.json").unlink()
    with pytest.raises(ArtifactError, match="holds no predictor"):
        load_predictor(folder)


def test_a_predictor_does_not_load_another_ones_files(fitted, tmp_path):
    fitted("subreddit_median")[0].save(tmp_path)
    with pytest.raises(ArtifactError, match="holds subreddit_median, not fusion_lightgbm"):
        predictor_class("fusion_lightgbm").load(tmp_path)


def test_what_cannot_be_trained_says_so_in_numbers(small):
    data = small
    thesis = predictor_class("redpop_thesis")()
    images = data.train.blocks["image"]
    none = Block(np.full_like(images.values, np.nan), images.columns, np.zeros(220, dtype=bool))
    with pytest.raises(NotTrainable, match=r"^needs images: 0 of 220 training rows have one$"):
        thesis.fit(replace(data.train, blocks={**data.train.blocks, "image": none}), data.validation)
    with pytest.raises(NotTrainable, match="needs images: the data have no block image"):
        thesis.fit(data.train.without(["image"]), data.validation.without(["image"]))
    with pytest.raises(NotTrainable, match=r"^too few matured posts: 37 of 100$"):
        thesis.fit(data.train.select(np.arange(220) < 37), data.validation)
    with pytest.raises(NotTrainable, match=r"^too few matured posts for validation: 5 of 20$"):
        thesis.fit(data.train, data.validation.select(np.arange(60) < 5))
    with pytest.raises(NotTrainable, match="needs one of image, caption"):
        predictor_class("fusion_lightgbm")().fit(
            data.train.without(data.train.blocks), data.validation.without(data.validation.blocks)
        )


def test_parts_that_do_not_belong_together(small, tmp_path):
    data = small
    median = predictor_class("subreddit_median")()
    with pytest.raises(ValueError, match="not fitted"):
        median.predict(data.test)
    with pytest.raises(ValueError, match="not fitted"):
        median.save(tmp_path)
    with pytest.raises(ValueError, match="train is of r/pics, validation of r/earthporn"):
        median.fit(data.train, replace(data.validation, subreddit="earthporn"))
    with pytest.raises(ValueError, match="220 posts are in train and in validation"):
        median.fit(data.train, data.train)
    with pytest.raises(ValueError, match="need labels"):
        median.fit(data.train, replace(data.validation, log_score=None))


def test_the_median_is_the_median_of_train(fitted, small):
    data = small
    assert set(fitted("subreddit_median")[0].predict(data.test)) == {float(np.median(data.train.labels))}
    assert fitted("subreddit_median")[1].validation["spearman"] is None


def test_progress_goes_to_the_caller_and_to_the_log(small, caplog):
    data = small
    said = []
    with caplog.at_level(logging.INFO, logger="redpop_assets.predictors.base"):
        predictor_class("subreddit_median")(progress=said.append).fit(data.train, data.validation)
    assert said == [record.message for record in caplog.records]
    assert said[0] == "subreddit_median: 220 train and 60 validation posts of r/pics"


@pytest.mark.parametrize("name", ["metadata_boosting", "redpop_thesis"])
def test_scalers_and_inputs_come_from_the_train_part(name, fitted, small):
    """Other validation features may change when to stop, but nothing else that is stored."""
    data = small
    blocks = data.validation.blocks
    moved = {k: Block(b.values + np.float32(5), b.columns, b.present) for k, b in blocks.items()}
    other = predictor_class(name)(seed=3)
    other.fit(data.train, replace(data.validation, blocks=moved))
    if name == "redpop_thesis":
        for key, value in fitted(name)[0].scales.items():
            np.testing.assert_array_equal(other.scales[key], value)
    else:
        first = [p.booster.model_to_string(num_iteration=1).split("end of trees")[0] for p in (other, fitted(name)[0])]
        trees = [text[text.index("Tree=0") :] for text in first]
        assert trees[0] == trees[1]


def test_fit_leaves_the_random_state_and_the_threads_of_torch_alone(small):
    import torch

    data = small
    torch.manual_seed(11)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    predictor_class("redpop_thesis")().fit(data.train, data.validation)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_metrics_by_hand():
    metrics = regression_metrics(np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 1.0]))
    assert metrics == pytest.approx({"mae": 2 / 3, "rmse": np.sqrt(2 / 3), "spearman": 0.5})
    assert regression_metrics(np.zeros(3), np.arange(3.0))["spearman"] is None
