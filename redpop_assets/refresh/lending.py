"""Posts of other communities that one may learn from: which, how many, and how they are told apart from news.

What holds for a community's own posts holds for those that it borrows:

- **Embargo.** None is newer than the newest post of the own train part, whose label was final when the own test part
  began: so were theirs. It is the bound of `Dataset.elsewhere`, too.
- **Duplicates.** A post of another community that shows a picture of one of the own labelled posts, or crossposts it,
  is not lent: whichever part that is in, the two would be on different sides of something.
- **Scale.** Scores from before and after December 2016 never meet.

Since the own train part bounds them, what happens elsewhere later changes nothing here: a predictor that borrows learns
again when its own training set is another one, or when posts from before that bound come, go or get other scores
(a new community, an import, something forgotten). Their features count as they were then.

Memory: at most `MOST` posts are borrowed, and at most `MOST_OF_EACH` of one community, the newest.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redpop_assets.features.family import Encoders
from redpop_assets.predictors.base import LEAST_LENT
from redpop_assets.predictors.dataset import Dataset
from redpop_assets.refresh.blocks import read_dataset
from redpop_assets.refresh.snapshot import digest
from redpop_assets.storage.rows import Reader
from redpop_assets.storage.warehouse import Warehouse

MOST: Final = 10_000
"""Posts that are borrowed: with vectors of 1,700 numbers some 70 MB."""

MOST_OF_EACH: Final = 2_000
"""Of one community, so that a large one does not speak for all."""


def share_of_each(lenders: int) -> int:
    """Most posts that each of so many communities lends."""
    return min(MOST_OF_EACH, MOST // max(lenders, 1))


def no_newer(others: Iterable[Dataset], train: Dataset) -> list[Dataset]:
    """Of posts of other communities those that are no newer than the newest of a train part, which may be any."""
    newest = train.created_at.max() if len(train) else np.datetime64(0, "s")
    return [other.select(other.created_at <= newest) for other in others]


_LENT: Final = """
WITH own AS (
    SELECT t.post_id, t.created_at, t.split, coalesce(d.duplicate_group, t.post_id) AS duplicate_group
    FROM models.training_set AS t LEFT JOIN core.duplicates AS d USING (post_id)
    WHERE t.subreddit = $subreddit
),
lendable AS (
    SELECT t.subreddit, t.post_id, t.log_score,
        row_number() OVER (PARTITION BY t.subreddit ORDER BY t.created_at DESC, t.post_id DESC) AS place
    FROM models.training_set AS t
    JOIN core.labels AS l USING (post_id)
    LEFT JOIN core.duplicates AS d USING (post_id)
    WHERE t.subreddit <> $subreddit
        AND t.created_at <= (SELECT max(created_at) FROM own WHERE split = 'train')
        AND l.score_scale = (SELECT any_value(score_scale) FROM own JOIN core.labels USING (post_id))
        AND coalesce(d.duplicate_group, t.post_id) NOT IN (SELECT duplicate_group FROM own)
),
lenders AS (SELECT subreddit FROM lendable GROUP BY ALL HAVING count(*) >= $least),
lent AS (
    SELECT * EXCLUDE place FROM lendable SEMI JOIN lenders USING (subreddit)
    WHERE place <= least($most_of_each, $most // greatest((SELECT count(*) FROM lenders), 1))
)
"""
_ROWS: Final = f"{_LENT} FROM lent ORDER BY subreddit, post_id"
_DIGEST: Final = f"""{_LENT}
SELECT count(*) || '-' || coalesce(sum(hash(subreddit, post_id, log_score)::HUGEINT), 0) FROM lent
"""


def lent_digest(warehouse: Warehouse, subreddit: str) -> str:
    """Digest of the posts that a community borrows, and their scores; the same where nobody lends anything.

    Reads no features: its time grows with the labelled posts of all communities.
    """
    return digest(warehouse.scalar(_DIGEST, _params(subreddit)))


def read_lent(warehouse: Warehouse, subreddit: str, encoders: Encoders, blocks: Iterable[str]) -> list[Dataset]:
    """The labelled posts of others that a community borrows, a dataset of each with some of the blocks, by name."""
    names = tuple(blocks)
    with warehouse.read() as reader:
        rows = reader.query(_ROWS, _params(subreddit))
        return [
            _read(reader, lender.as_py(), encoders, names, rows.filter(pc.equal(rows.column("subreddit"), lender)))
            for lender in pc.unique(rows.column("subreddit"))
        ]


def _read(reader: Reader, lender: str, encoders: Encoders, blocks: Iterable[str], rows: pa.Table) -> Dataset:
    data = read_dataset(reader, lender, encoders, blocks, rows.column("post_id").to_pylist())
    return replace(data, log_score=rows.column("log_score").to_numpy().astype(np.float32))


def _params(subreddit: str) -> dict[str, object]:
    return {"subreddit": subreddit, "least": LEAST_LENT, "most": MOST, "most_of_each": MOST_OF_EACH}
