"""The training set of a community: its labelled posts in the one split that all predictors share, with all features."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets import versions
from redpop_assets.errors import NotTrainable
from redpop_assets.evaluation.splits import time_split
from redpop_assets.features.family import Encoders
from redpop_assets.features.registry import BLOCKS
from redpop_assets.predictors.dataset import BLOCK_NAMES, Dataset
from redpop_assets.refresh.blocks import block_columns, block_digests, hashed_posts, read_dataset
from redpop_assets.refresh.snapshot import digest
from redpop_assets.storage.rows import Reader
from redpop_assets.storage.warehouse import Warehouse

# Labels of one score scale only, that of most labels: scores before and after December 2016 never meet.
_LABELLED = """
WITH newest AS (
    SELECT p.post_id, p.created_at, p.author, l.log_score, l.source AS label_source, l.age_at_label_hours
    FROM core.posts AS p
    JOIN core.labels AS l USING (post_id)
    WHERE p.subreddit = $subreddit AND l.score_scale = (
        SELECT score_scale FROM core.labels WHERE subreddit = $subreddit GROUP BY ALL ORDER BY count(*) DESC, 1 LIMIT 1
    )
    AND NOT ($leave_out_anomalies AND p.post_id IN (
        SELECT post_id FROM core.doubtful_labels WHERE subreddit = $subreddit
    ))
    ORDER BY p.created_at DESC, p.post_id DESC
    LIMIT $most
)
SELECT
    p.post_id,
    p.created_at,
    coalesce(p.author, p.post_id) AS cluster,
    -- Named after its first post in this subreddit: another community must not rename it.
    min(p.post_id) OVER (PARTITION BY coalesce(d.duplicate_group, p.post_id)) AS duplicate_group,
    p.log_score,
    p.label_source,
    p.age_at_label_hours
FROM newest AS p
LEFT JOIN core.duplicates AS d USING (post_id)
ORDER BY p.post_id
"""
# What it is built from, as the number and the sum of hashes of rows; the parts of the split follow from it.
_MADE_OF = f"""
WITH labelled AS MATERIALIZED ({_LABELLED}), {{looks}}
SELECT
    (SELECT count(*) || '-' || coalesce(sum(hash(l)::HUGEINT), 0) FROM labelled AS l),
    (SELECT count(*) || '-' || coalesce(sum(hash(l.post_id, l.hash)::HUGEINT), 0) FROM looks AS l)
"""
_STORED = """
SELECT
    (SELECT count(*) || '-' || coalesce(sum(hash(t)::HUGEINT), 0)
    FROM models.training_set AS t WHERE subreddit = $subreddit),
    (SELECT count(*) || '-' || coalesce(sum(hash(block, column_name, source_table, known_at, present_rows)::HUGEINT), 0)
    FROM models.training_columns WHERE subreddit = $subreddit)
"""
_COUNT = "SELECT count(*) FROM models.training_set WHERE subreddit = $subreddit"
_ROWS = "FROM models.training_set WHERE subreddit = $subreddit ORDER BY post_id"
_COLUMNS = "SELECT * EXCLUDE made_from FROM models.training_columns WHERE subreddit = $subreddit ORDER BY ALL"
_OTHERS = "FROM models.predictors WHERE subreddit = $subreddit AND NOT list_contains($predictors, predictor)"
# Those that would be in it otherwise: where only the newest posts are, none from before the oldest of them.
_LEFT_OUT = """
SELECT count(*) FROM core.doubtful_labels
WHERE subreddit = $subreddit AND $leave_out_anomalies AND created_at >= coalesce($oldest, created_at)
"""
# What was known elsewhere when the newest post to learn from was made, on the same score scale.
_ELSEWHERE = """
SELECT t.log_score
FROM models.training_set AS t
JOIN core.labels AS l USING (post_id)
WHERE t.subreddit <> $subreddit
    AND t.split = 'train'
    AND t.created_at <= (
        SELECT max(own.created_at) FROM models.training_set AS own
        WHERE own.subreddit = $subreddit AND own.split = 'train'
    )
    AND l.score_scale = (
        SELECT any_value(score_scale)
        FROM models.training_set AS own JOIN core.labels USING (post_id)
        WHERE own.subreddit = $subreddit
    )
ORDER BY t.post_id
"""


@dataclass(frozen=True)
class TrainingSet:
    """Rows for models.training_set and models.training_columns, the snapshot they share, and what their labels are.

    `labels` counts the posts by the source of their label and whether it was read on time: by the age at which it
    should have been final. `left_out` is the number of labels that are in no training set, being first readings.
    """

    rows: pa.Table
    columns: pa.Table
    snapshot: str
    labels: Mapping[tuple[str, bool], int]
    left_out: int

    @property
    def sizes(self) -> dict[str, int]:
        """Part of the split -> its posts."""
        split = self.rows.column("split").to_pylist()
        return {part: split.count(part) for part in ("train", "validation", "test", "embargo", "seen_before")}

    @property
    def mixed(self) -> tuple[str, ...]:
        """In what the labels differ from each other: sources, ages, both or nothing."""
        sources = {source for source, _ in self.labels}
        ages = {on_time for _, on_time in self.labels}
        return tuple(name for name, found in (("sources", sources), ("ages", ages)) if len(found) > 1)


def refresh_training_set(
    warehouse: Warehouse,
    subreddit: str,
    encoders: Encoders,
    *,
    matured_after: timedelta,
    test_share: float,
    validation_share: float,
    most: int,
    predictors: Sequence[str],
    leave_out_anomalies: bool = True,
) -> TrainingSet:
    """Build the training set of a community and store it; rows that come out equal are left alone.

    Whether anything changed is told by hashes of all labels and features of its posts, made inside DuckDB: some 0.5 s a
    gigabyte. Only then it is built, which reads the features block by block, and grows with the labelled posts up to
    `most`. Predictors other than these lose their state: they would be compared on posts that they never saw.

    Args:
        warehouse, subreddit, encoders, matured_after, test_share, validation_share, most, leave_out_anomalies: as for
            `build_training_set`.
        predictors: names of those in use.
    """
    scope = {"subreddit": subreddit}
    settings = (versions.TRAINING_SET, test_share, validation_share, most, leave_out_anomalies)
    with warehouse.read() as reader:
        inputs = _inputs(reader, subreddit, encoders, most=most, leave_out_anomalies=leave_out_anomalies)
        left_out = _left_out(reader, subreddit, leave_out_anomalies, None)
        asked = digest(inputs, left_out, encoders, matured_after, settings)
        stored = reader.scalar(
            "SELECT any_value(made_from) FROM models.training_columns WHERE subreddit = $subreddit", scope
        )
        # An empty set has no row to tell its snapshot by, and costs nothing.
        is_new = stored is None or not reader.scalar(_COUNT, scope) or stored != _made_from(reader, subreddit, asked)
        stored_set = None if is_new else (reader.query(_ROWS, scope), reader.query(_COLUMNS, scope))
        others = {**scope, "predictors": list(predictors)}
        unused = reader.scalar(f"SELECT count(*) FROM ({_OTHERS})", others)
    built = (
        build_training_set(
            warehouse,
            subreddit,
            encoders,
            matured_after=matured_after,
            test_share=test_share,
            validation_share=validation_share,
            most=most,
            leave_out_anomalies=leave_out_anomalies,
        )
        if stored_set is None
        else _of_stored(*stored_set, matured_after)
    )
    if stored_set is None or unused:
        with warehouse.write() as writer:
            if stored_set is None:
                columns = built.columns.append_column("made_from", pa.nulls(built.columns.num_rows, pa.string()))
                for table, found in (("models.training_set", built.rows), ("models.training_columns", columns)):
                    writer.replace(table, found, "subreddit = $subreddit", scope)
                made_from = {**scope, "made_from": _made_from(writer, subreddit, asked)}
                writer.execute(
                    "UPDATE models.training_columns SET made_from = $made_from WHERE subreddit = $subreddit", made_from
                )
            writer.execute(f"DELETE {_OTHERS}", others)
    return built


def _inputs(
    reader: Reader, subreddit: str, encoders: Encoders, *, most: int, leave_out_anomalies: bool
) -> tuple[object, ...]:
    """Hashes of the labels of a community, and of all features of the posts that have them."""
    chosen = "p.post_id IN (SELECT post_id FROM labelled)"
    looks, params = hashed_posts(reader.schema, [(encoders, BLOCK_NAMES)], chosen)
    scope = {"subreddit": subreddit, "leave_out_anomalies": leave_out_anomalies, "most": most}
    hashes = reader.query(_MADE_OF.format(looks=looks), {**scope, **params}).to_pylist()[0]
    widths = reader.query("SELECT encoder, modality, dimension FROM features.encoders ORDER BY ALL").to_pylist()
    columns = [(block, *(column.name for column in block_columns(block))) for block in BLOCK_NAMES]
    return (*hashes.values(), widths, columns)


def _made_from(reader: Reader, subreddit: str, asked: str) -> str:
    """Digest of what a training set is asked to be made from, and of the stored one, which may have been changed."""
    return digest(asked, *reader.query(_STORED, {"subreddit": subreddit}).to_pylist()[0].values())


def _left_out(reader: Reader | Warehouse, subreddit: str, leave_out_anomalies: bool, oldest: datetime | None) -> int:
    params = {"subreddit": subreddit, "leave_out_anomalies": leave_out_anomalies, "oldest": oldest}
    found: int = reader.scalar(_LEFT_OUT, params)
    return found


def _of_stored(rows: pa.Table, columns: pa.Table, matured_after: timedelta) -> TrainingSet:
    """A set that is stored, as it was built."""
    snapshot, left_out = (rows.column(name)[0].as_py() for name in ("snapshot", "left_out_posts"))
    return TrainingSet(rows, columns, snapshot, _labels(rows, matured_after), left_out)


def build_training_set(
    warehouse: Warehouse,
    subreddit: str,
    encoders: Encoders,
    *,
    matured_after: timedelta,
    test_share: float,
    validation_share: float,
    most: int,
    leave_out_anomalies: bool = True,
) -> TrainingSet:
    """Split the labelled posts by time, of many the newest `most`, and digest them with all their features.

    Posts of one picture never straddle the parts. A label counts as known once its post has the age `matured_after`, at
    which it is final if it is read on time: when it was read really, as from an archive, does not matter.

    Args:
        warehouse: with core.posts, core.labels, core.duplicates and the features.
        subreddit: in lower case.
        encoders: networks whose outputs are features.
        matured_after: age at which a label is final, of `LabelRule`: posts younger than it at the first test post
            teach nobody.
        test_share, validation_share: of the posts, as for `time_split`.
        most: labelled posts.
        leave_out_anomalies: whether labels of core.doubtful_labels are left out: whole periods, before they are split.
    """
    scope = {"subreddit": subreddit, "leave_out_anomalies": leave_out_anomalies}
    labelled = warehouse.query(_LABELLED, {**scope, "most": most})
    created_at = labelled.column("created_at").to_numpy().astype("datetime64[s]")
    post_ids = labelled.column("post_id").to_pylist()
    try:
        split = time_split(
            created_at,
            created_at + np.timedelta64(matured_after),
            labelled.column("duplicate_group").to_pylist(),
            test_share=test_share,
            validation_share=validation_share,
        )
    except NotTrainable:
        # No past to learn from yet: the predictors then find no validation part and say so.
        split = np.full(len(post_ids), "train")
    columns: list[dict[str, Any]] = []

    with warehouse.read() as reader:
        data = _read_labelled(reader, subreddit, encoders, [], labelled)
        digests = []
        for block in block_digests(reader, data, encoders, BLOCK_NAMES):
            digests.append(block.digest)
            columns.extend(_column_rows(subreddit, block.name, block.present))
    snapshot = _content(digests, encoders, labelled, split)
    n = len(post_ids)
    rows = labelled.append_column("subreddit", pa.array([subreddit] * n, pa.string()))
    rows = rows.append_column("split", pa.array(split.tolist(), pa.string()))
    rows = rows.append_column("snapshot", pa.array([snapshot] * n, pa.string()))
    oldest = min(labelled.column("created_at").to_pylist()) if n == most else None
    left_out = _left_out(warehouse, subreddit, leave_out_anomalies, oldest)
    rows = rows.append_column("left_out_posts", pa.array([left_out] * n, pa.int32()))
    kinds = _labels(labelled, matured_after)
    return TrainingSet(rows, pa.Table.from_pylist(columns), snapshot, kinds, left_out)


def _labels(labelled: pa.Table, matured_after: timedelta) -> Counter[tuple[str, bool]]:
    """Posts by the source of their label, and whether it was read on time."""
    latest = matured_after / timedelta(hours=1)
    found = zip(*(labelled.column(name).to_pylist() for name in ("label_source", "age_at_label_hours")), strict=True)
    return Counter((source or "unknown", age <= latest) for source, age in found)


def _read_labelled(
    warehouse: Reader | Warehouse, subreddit: str, encoders: Encoders, blocks: Iterable[str], labelled: pa.Table
) -> Dataset:
    """Some blocks of the posts of a table with post_id and log_score, ordered by post id, and these labels."""
    data = read_dataset(warehouse, subreddit, encoders, blocks, labelled.column("post_id").to_pylist())
    return replace(data, log_score=labelled.column("log_score").to_numpy().astype(np.float32))


def training_sets(warehouse: Warehouse) -> dict[str, str]:
    """Community -> snapshot of its training set, of all that have one, by name."""
    found = warehouse.query(
        "SELECT subreddit, any_value(snapshot) AS snapshot FROM models.training_set GROUP BY ALL ORDER BY subreddit"
    ).to_pydict()
    return dict(zip(found["subreddit"], found["snapshot"], strict=True))


def read_parts(
    warehouse: Warehouse, subreddit: str, encoders: Encoders, blocks: Iterable[str] = BLOCK_NAMES
) -> tuple[Dataset, Dataset]:
    """The train and the validation part of the stored training set, with some of the blocks."""
    data, split = read_split(warehouse, subreddit, encoders, blocks)
    return data.select(split == "train"), data.select(split == "validation")


def read_split(
    warehouse: Warehouse, subreddit: str, encoders: Encoders, blocks: Iterable[str] = BLOCK_NAMES
) -> tuple[Dataset, npt.NDArray[np.str_]]:
    """The whole stored training set with some of the blocks, ordered by post id, and the (n,) part of each post."""
    with warehouse.read() as reader:
        stored = reader.query(
            "SELECT post_id, log_score, split FROM models.training_set WHERE subreddit = $subreddit ORDER BY post_id",
            {"subreddit": subreddit},
        )
        elsewhere = reader.query(_ELSEWHERE, {"subreddit": subreddit}).column("log_score").to_numpy()
        data = _read_labelled(warehouse, subreddit, encoders, blocks, stored)
    data = replace(data, elsewhere=elsewhere.astype(np.float32))
    return data, np.array(stored.column("split").to_pylist(), dtype=np.str_)


def _content(digests: list[str], encoders: Encoders, labelled: pa.Table, split: npt.NDArray[np.str_]) -> str:
    """Digest of all that is learnt from and judged by; the code that made it does not count, only what it made."""
    parts = [*digests, *astuple(encoders), *split.tolist()]
    # The intervals of the leaderboard depend on them.
    parts += [*labelled.column("cluster").to_pylist(), *labelled.column("duplicate_group").to_pylist()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _column_rows(subreddit: str, block: str, present_rows: int) -> list[dict[str, Any]]:
    return [
        {
            "subreddit": subreddit,
            "block": block,
            "column_name": column.name,
            "source_table": BLOCKS[block].table,
            "known_at": column.known_at,
            "present_rows": present_rows,
        }
        for column in block_columns(block)
    ]
