"""The `con_soc` systems: content and social context (Meghawat et al. 2018), in the paper's four variants.

Origin: eleven fields of a photograph and its user, a score of its title and of its tags by dictionaries, and a
sentiment (CON-SOC, sections 3.1 and 4.1), standardised, go into a random forest (`con_soc_rf`) or a small convolutional
network (`con_soc_cnn`); an image network predicts from the picture alone (`con_soc_image`); and `con_soc_multimodal` is
the network with that prediction as one more number.

What the fields become on Reddit, and why:

- pid and uid are dropped: as numbers they mean nothing. commentcount is known only afterwards; haspeople is mostly
  empty in the paper; an image post has no description, so deslen goes and the sentiment is that of the title (VADER);
- postdate: hour and weekday as sine and cosine. The date itself would only tell how the community grew;
- avgview includes the views of the very photograph in the paper; here it is the mean of the author's earlier, matured
  scores, with a flag where there is none. groupcount: communities the author has posted in. avgmembercount: members of
  this community;
- tags: texts in brackets, and what the author declared (gallery, crosspost, original content, flair).

The paper's scores fall from validation to test by 0.08 to 0.09 in Spearman, as dictionaries that have seen the label
would make them. Here title- and tag-score of the train part are out of fold, in five blocks of time, and so is the
image prediction that the multimodal network learns from. The variants `..._literal` take both in-sample, to show what
that does.

Choices the paper leaves open: kernel 3; ReLU after the first dense layer; 200 trees, a third of the columns at each
split, and the leaf size that does best on the validation part in place of its five-fold validation. The image network's
own layers are not trained, not even its first six: it gives the vectors, and the head (512, ReLU, 1) learns. A post
without a picture has the mean picture.

Memory: one standardised copy of the image block, and another of four fifths of it for the out-of-fold predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from redpop_assets.arrays import np, npt
from redpop_assets.features.dictionaries import TargetDictionary, time_folds
from redpop_assets.features.tokens import caption_tokens
from redpop_assets.predictors.base import Doubles, Predictor, Training
from redpop_assets.predictors.dataset import Block, Dataset, Floats
from redpop_assets.predictors.parts.forest import Forest
from redpop_assets.predictors.parts.networks import Arrays, Inputs, NetworkRegressor, Recipe, below
from redpop_assets.predictors.parts.reduction import side_by_side

if TYPE_CHECKING:
    import torch

FIELDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "postdate": ("time", ("hour_sin", "hour_cos", "weekday_sin", "weekday_cos")),
    "titlelen": ("text", ("characters",)),
    "tagcount": ("text", ("bracket_tags",)),
    "sentiment": ("text", ("vader_compound",)),
    "avgview": ("author", ("past_mean_log_score", "is_cold_start")),
    "groupcount": ("author", ("past_communities",)),
    "avgmembercount": ("community", ("log_subscribers",)),
}
"""The paper's field (Table 1) -> block and columns that stand for it."""
DECLARED = ("is_gallery", "is_crosspost", "is_original_content", "has_flair")
"""Columns of block flags that count as tags."""
WORDS_OF_A_COPY = 4
"""Equal captions of so many words are copies of one another; shorter ones are equal by chance."""

TREES = 200
TREES_TO_CHOOSE = 50
LEAVES = (3, 10, 30)
SHARE_OF_COLUMNS = 1 / 3
FILTERS = (20, 50)
DROPOUT = (0.1, 0.3)
KERNEL = 3
DENSE = 50
RECIPE = Recipe(learning_rate=1e-3, weight_decay=1e-3, batch=64, most_epochs=80, patience=8)
IMAGE_WIDTH = 512
IMAGE_RECIPE = Recipe(learning_rate=1e-4, weight_decay=1e-2, batch=128, most_epochs=60, patience=4)
FILE = "con_soc.safetensors"
DICTIONARIES = {"title": "titles.json", "tags": "tags.json"}


class ContentSocial:
    """The CON-SOC numbers of posts, and what they were learnt from: two dictionaries, means and deviations.

    Attributes:
        names: what each number is, `field.column` or `title-score` and `tag-score`.
    """

    def __init__(self) -> None:
        self.dictionaries = {name: TargetDictionary() for name in DICTIONARIES}
        self.mean = np.empty(0, np.float32)
        self.deviation = np.empty(0, np.float32)
        self.names: tuple[str, ...] = ()

    def fit(self, train: Dataset, *, in_sample: bool = False) -> Floats:
        """Learn from the train part.

        Returns:
            (n, d) its standardised numbers, title- and tag-score out of fold unless `in_sample`.
        """
        folds = _folds(train, [_copied(caption) for caption in _captions(train)])
        scores = {}
        for name, tokens in _tokens(train).items():
            dictionary = self.dictionaries[name]
            scores[name] = _against_the_others(dictionary.fit(tokens, train.labels, folds), train.labels, folds)
            if in_sample:
                scores[name] = dictionary.transform(tokens) - np.float32(dictionary.mean)
        numbers = _numbers(train, scores)
        self.names = numbers.columns
        self.mean, self.deviation = numbers.moments()
        return numbers.standardised(self.mean, self.deviation)

    def values(self, data: Dataset) -> Floats:
        """(n, d) standardised numbers of posts outside of the train part; unknown values count as mean."""
        scores = {
            name: self.dictionaries[name].transform(tokens) - np.float32(self.dictionaries[name].mean)
            for name, tokens in _tokens(data).items()
        }
        return _numbers(data, scores).standardised(self.mean, self.deviation)

    def arrays(self) -> Arrays:
        """Mean and deviation, to be stored."""
        return {"numbers.mean": self.mean, "numbers.deviation": self.deviation}

    def save(self, folder: Path) -> list[str]:
        """Write the dictionaries; returns the names of the files."""
        for name, file in DICTIONARIES.items():
            self.dictionaries[name].save(folder / file)
        return list(DICTIONARIES.values())

    @classmethod
    def load(cls, folder: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> ContentSocial:
        """What `save` and `arrays` gave away."""
        loaded = cls()
        loaded.dictionaries = {name: TargetDictionary.load(folder / file) for name, file in DICTIONARIES.items()}
        loaded.mean, loaded.deviation = arrays["numbers.mean"], arrays["numbers.deviation"]
        return loaded


class ImageHead:
    """The image regressor: vectors of a frozen network -> Dense 512, ReLU -> Dense 1 (section 3.3)."""

    def __init__(self) -> None:
        self.mean = np.empty(0, np.float32)
        self.deviation = np.empty(0, np.float32)
        self.regressor = NetworkRegressor(build_image_head, IMAGE_RECIPE)

    def fit(self, train: Dataset, validation: Dataset, seed: int) -> int:
        """Learn until the validation part shows no gain; returns the epoch that is kept."""
        self.mean, self.deviation = train.blocks["image"].moments()
        return self.regressor.fit(self._inputs(train), train.labels, self._inputs(validation), validation.labels, seed)

    def out_of_fold(self, train: Dataset, epochs: int, seed: int) -> Floats:
        """(n,) expected log score of each train post by a head that learnt from the other folds only.

        Args:
            train: the train part.
            epochs: passes over the posts, as many as the head of the whole train part took.
            seed: of each of the heads.
        """
        image = train.blocks["image"]
        pictures = [row.tobytes() if there else None for row, there in zip(image.values, image.present, strict=True)]
        folds = _folds(train, pictures)
        expected = np.empty(len(train), np.float32)
        for fold in np.unique(folds):
            others = train.select(folds != fold)
            head = ImageHead()
            head.mean, head.deviation = others.blocks["image"].moments()
            head.regressor.fit_epochs(head._inputs(others), others.labels, epochs, seed)
            expected[folds == fold] = head.predict(train.select(folds == fold))
        return expected

    def predict(self, data: Dataset) -> Doubles:
        """(n,) expected log scores."""
        return self.regressor.predict(self._inputs(data))

    def arrays(self) -> Arrays:
        """All that was learnt, to be stored."""
        return {"image.mean": self.mean, "image.deviation": self.deviation, **self.regressor.arrays("image.head")}

    @classmethod
    def load(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> ImageHead:
        """What `arrays` gave away."""
        loaded = cls()
        loaded.mean, loaded.deviation = arrays["image.mean"], arrays["image.deviation"]
        loaded.regressor.load_arrays(arrays, "image.head")
        return loaded

    def _inputs(self, data: Dataset) -> Inputs:
        return {"image": data.blocks["image"].standardised(self.mean, self.deviation)}


class ConSocForest(Predictor):
    """A random forest on the CON-SOC numbers (section 3.1); blind to the picture."""

    name = "con_soc_rf"
    title = "CON-SOC forest: context, author and dictionaries of titles and tags (Meghawat et al. 2018)"
    requires = frozenset({"author"})
    uses = frozenset({"time", "text", "author", "flags", "community"})
    code_version = "1"
    library = "scikitlearn"
    in_sample: ClassVar[bool] = False

    numbers: ContentSocial
    forest: Forest

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        self.numbers = ContentSocial()
        values, held_out = self.numbers.fit(train, in_sample=self.in_sample), self.numbers.values(validation)

        def grown(least_leaf: int, trees: int) -> Forest:
            return Forest.fit(
                values, train.labels, trees=trees, least_leaf=least_leaf, share=SHARE_OF_COLUMNS, seed=self.seed
            )

        errors = {
            least_leaf: float(((grown(least_leaf, TREES_TO_CHOOSE).predict(held_out) - validation.labels) ** 2).mean())
            for least_leaf in LEAVES
        }
        least_leaf = min(errors, key=lambda leaf: errors[leaf])
        self.forest = grown(least_leaf, TREES)
        largest = np.argsort(-self.forest.importances)[:4]
        shares = ", ".join(f"{self.numbers.names[at]} {self.forest.importances[at]:.0%}" for at in largest)
        note = f"most important to the forest: {shares}"
        self._say(f"{self.name}: leaves of {least_leaf} posts; {note}")
        return Training(self._predict(validation), rounds=TREES, rounds_of="trees", notes=(note,))

    def _predict(self, data: Dataset) -> Doubles:
        return self.forest.predict(self.numbers.values(data))

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        forest = {f"forest.{key}": value for key, value in self.forest.arrays().items()}
        save_file(self.numbers.arrays() | forest, folder / FILE)
        return [FILE, *self.numbers.save(folder)]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        arrays = load_file(folder / FILE)
        self.numbers = ContentSocial.load(folder, arrays)
        self.forest = Forest(**below(arrays, "forest."))


class ConSocForestLiteral(ConSocForest):
    """The forest as published: title- and tag-score of a train post hold its own label."""

    name = "con_soc_rf_literal"
    title = "CON-SOC forest with dictionaries in-sample, as in the paper"
    in_sample = True
    literal = "dictionaries that have seen the label of the post itself"


class ConSocCNN(Predictor):
    """A convolutional network on the CON-SOC numbers (section 3.2); blind to the picture."""

    name = "con_soc_cnn"
    title = "CON-SOC network: context, author and dictionaries of titles and tags (Meghawat et al. 2018)"
    requires = frozenset({"author"})
    uses = frozenset({"time", "text", "author", "flags", "community"})
    code_version = "1"
    library = "pytorch"
    in_sample: ClassVar[bool] = False

    numbers: ContentSocial
    regressor: NetworkRegressor

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        self.numbers = ContentSocial()
        return self._train(
            self.numbers.fit(train, in_sample=self.in_sample), train, self._values(validation), validation
        )

    def _train(self, values: Floats, train: Dataset, held_out: Floats, validation: Dataset) -> Training:
        self.regressor = NetworkRegressor(build_network, RECIPE)
        epochs = self.regressor.fit(
            {"numbers": values}, train.labels, {"numbers": held_out}, validation.labels, self.seed, self._say
        )
        return Training(self._predict(validation), rounds=epochs, rounds_of="epochs")

    def _predict(self, data: Dataset) -> Doubles:
        return self.regressor.predict({"numbers": self._values(data)})

    def _values(self, data: Dataset) -> Floats:
        """(n, d) standardised inputs of posts outside of the train part."""
        return self.numbers.values(data)

    def _arrays(self) -> Arrays:
        return self.numbers.arrays() | self.regressor.arrays()

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        save_file(self._arrays(), folder / FILE)
        return [FILE, *self.numbers.save(folder)]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        self._load_arrays(folder, load_file(folder / FILE))

    def _load_arrays(self, folder: Path, arrays: Arrays) -> None:
        self.numbers = ContentSocial.load(folder, arrays)
        self.regressor = NetworkRegressor(build_network, RECIPE)
        self.regressor.load_arrays(arrays)


class ConSocCNNLiteral(ConSocCNN):
    """The network as published: title- and tag-score of a train post hold its own label."""

    name = "con_soc_cnn_literal"
    title = "CON-SOC network with dictionaries in-sample, as in the paper"
    in_sample = True
    literal = "dictionaries that have seen the label of the post itself"


class ConSocImage(Predictor):
    """The image regressor alone (section 3.3); a post without a picture has the mean picture."""

    name = "con_soc_image"
    title = "CON-SOC image: a dense head on image vectors, nothing else (Meghawat et al. 2018)"
    requires = frozenset({"image"})
    uses = frozenset({"image"})
    code_version = "1"
    library = "pytorch"

    head: ImageHead

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        self.head = ImageHead()
        epochs = self.head.fit(train, validation, self.seed)
        return Training(self._predict(validation), rounds=epochs, rounds_of="epochs")

    def _predict(self, data: Dataset) -> Doubles:
        return self.head.predict(data)

    def _save_files(self, folder: Path) -> list[str]:
        from safetensors.numpy import save_file

        save_file(self.head.arrays(), folder / FILE)
        return [FILE]

    def _load_files(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        self.head = ImageHead.load(load_file(folder / FILE))


class ConSocMultimodal(ConSocCNN):
    """The network on the CON-SOC numbers and the prediction of the image regressor (section 3.4).

    The network learns from out-of-fold predictions; a post without a picture has that of the mean picture.
    """

    name = "con_soc_multimodal"
    title = "CON-SOC multimodal: the network with the image's prediction as one more number (Meghawat et al. 2018)"
    requires = frozenset({"author", "image"})
    uses = ConSocCNN.uses | {"image"}

    head: ImageHead
    scalar: Floats
    """(2,) mean and deviation of the train part's image predictions."""

    def _fit(self, train: Dataset, validation: Dataset) -> Training:
        self.numbers, self.head = ContentSocial(), ImageHead()
        values = self.numbers.fit(train, in_sample=self.in_sample)
        epochs = self.head.fit(train, validation, self.seed)
        self._say(f"{self.name}: image regressor stopped after epoch {epochs}")
        expected = self.head.predict(train) if self.in_sample else self.head.out_of_fold(train, epochs, self.seed)
        self.scalar = np.array([expected.mean(), max(expected.std(), 1e-6)], np.float32)
        return self._train(self._with_image(values, expected), train, self._values(validation), validation)

    def _values(self, data: Dataset) -> Floats:
        return self._with_image(self.numbers.values(data), self.head.predict(data))

    def _with_image(self, values: Floats, expected: npt.NDArray[np.floating[Any]]) -> Floats:
        block = Block(expected.astype(np.float32)[:, None], ("image",), np.ones(len(expected), np.bool_))
        return np.hstack([values, block.standardised(*self.scalar[:, None])])

    def _arrays(self) -> Arrays:
        return super()._arrays() | self.head.arrays() | {"scalar": self.scalar}

    def _load_arrays(self, folder: Path, arrays: Arrays) -> None:
        super()._load_arrays(folder, arrays)
        self.head, self.scalar = ImageHead.load(arrays), arrays["scalar"]


class ConSocMultimodalLiteral(ConSocMultimodal):
    """The multimodal network as published: what it learns from holds the label of the post itself."""

    name = "con_soc_multimodal_literal"
    title = "CON-SOC multimodal with dictionaries and image prediction in-sample, as in the paper"
    in_sample = True
    literal = "dictionaries and an image prediction that have seen the label of the post itself"


def build_network(widths: Mapping[str, int]) -> torch.nn.Module:
    """Conv1D(20) - dropout - Conv1D(50) - dropout - dense 50 - dense 1 over one row of numbers (Figure 1)."""
    import torch
    from torch.nn import Conv1d, Dropout, Flatten, Linear, ReLU, Sequential

    class ConSocNetwork(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = Sequential(
                *(Conv1d(1, FILTERS[0], KERNEL, padding="same"), ReLU(), Dropout(DROPOUT[0])),
                *(Conv1d(*FILTERS, KERNEL, padding="same"), ReLU(), Dropout(DROPOUT[1])),
                *(Flatten(), Linear(FILTERS[1] * widths["numbers"], DENSE), ReLU(), Linear(DENSE, 1)),
            )

        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            popularity: torch.Tensor = self.layers(inputs["numbers"].unsqueeze(1))
            return popularity.squeeze(1)

    return ConSocNetwork()


def build_image_head(widths: Mapping[str, int]) -> torch.nn.Module:
    """The two dense layers that replace the top of the image network (Figure 2)."""
    import torch
    from torch.nn import Linear, ReLU, Sequential

    class Head(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = Sequential(Linear(widths["image"], IMAGE_WIDTH), ReLU(), Linear(IMAGE_WIDTH, 1))

        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            popularity: torch.Tensor = self.layers(inputs["image"])
            return popularity.squeeze(1)

    return Head()


def _numbers(data: Dataset, scores: Mapping[str, Floats]) -> Block:
    """(n, d) fields and scores, not standardised; fields that the data lack are left out."""
    wanted: dict[str, list[str]] = {}
    for block, columns in FIELDS.values():
        known = data.blocks[block].columns if block in data.blocks else ()
        wanted.setdefault(block, []).extend(column for column in columns if column in known)
    fields = side_by_side(data, {block: columns for block, columns in wanted.items() if columns})
    names = {f"{at}.{column}": f"{name}.{column}" for name, (at, columns) in FIELDS.items() for column in columns}
    return Block(
        np.hstack([fields.values, scores["title"][:, None], scores["tags"][:, None]]),
        (*(names[column] for column in fields.columns), "title-score", "tag-score"),
        fields.present,
    )


def _captions(data: Dataset) -> tuple[str, ...]:
    return data.captions or ("",) * len(data)


def _tokens(data: Dataset) -> dict[str, list[list[str]]]:
    """The words of each title without its tags, and its tags with what the author declared."""
    found = caption_tokens(_captions(data))
    titles = [
        [token for token in tokens if token not in tags] for tokens, tags in zip(found.tokens, found.tags, strict=True)
    ]
    flags = data.blocks.get("flags")
    declared = [flag for flag in DECLARED if flags is not None and flag in flags.columns]
    tags = [list(tags) for tags in found.tags]
    if flags is not None and declared:
        for row, at in np.argwhere(flags.pick(tuple(declared)).values > 0):
            tags[row].append(declared[at])
    return {"title": titles, "tags": tags}


def _copied(caption: str) -> str | None:
    """The group of copies that a caption belongs to."""
    return caption.casefold() if len(caption.split()) >= WORDS_OF_A_COPY else None


def _folds(train: Dataset, groups: list[Any]) -> npt.NDArray[np.int64]:
    """Blocks of time, copies together; where all posts are copies of one another, blocks of time alone."""
    folds = time_folds(train.created_at, groups)
    return folds if len(np.unique(folds)) > 1 else time_folds(train.created_at, [None] * len(groups))


def _against_the_others(scores: Floats, labels: Floats, folds: npt.NDArray[np.int64]) -> Floats:
    """Out-of-fold scores (n,) less the mean label of the other folds.

    That mean is low where the fold's own labels are high: as it stands it would tell of them.
    """
    others = {fold: float(labels[folds != fold].mean(dtype=np.float64)) for fold in set(folds.tolist())}
    return np.asarray(scores - np.array([others[fold] for fold in folds.tolist()]), dtype=np.float32)
