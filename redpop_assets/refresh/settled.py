"""Whether anything changed at all of what features and models are made from: one query for all communities.

A digest that is the same says that no step would find anything to do. One that differs says only that each has to look.
"""

import hashlib
from typing import Final

from redpop_assets.refresh.drift import TABLE as PROFILES
from redpop_assets.storage.warehouse import Warehouse

# Rows whose order does not matter, each with everything of it that a feature or a training set may read. A training set
# also looks at those of other communities, and checks at what was accepted.
_INPUTS: Final = f"""
SELECT list(part ORDER BY name)::VARCHAR FROM (
    SELECT 'posts' AS name, count(*)::VARCHAR || '-' || coalesce(sum(hash(p, l, d, i.image_sha256, i.status,
        s.discovered_at)::HUGEINT), 0)::VARCHAR AS part
    FROM core.posts AS p
    LEFT JOIN core.labels AS l USING (post_id)
    LEFT JOIN core.duplicates AS d USING (post_id)
    LEFT JOIN core.primary_images AS i USING (post_id)
    LEFT JOIN raw.submissions AS s USING (post_id)
    UNION ALL
    SELECT name, count(*)::VARCHAR || '-' || coalesce(sum(digest::HUGEINT), 0)::VARCHAR FROM (
        SELECT 'anomalies' AS name, hash(a) AS digest FROM core.anomalies AS a
        UNION ALL SELECT 'rejected posts', hash(r) FROM core.rejected_posts AS r
        UNION ALL SELECT 'images', hash(i) FROM core.images AS i
        UNION ALL SELECT 'training sets', hash(t) FROM models.training_set AS t
        UNION ALL SELECT 'profiles', hash(f) FROM {PROFILES} AS f
    ) GROUP BY name
)
"""


def inputs_digest(warehouse: Warehouse, *settings: object) -> str:
    """Digest of the posts of all communities as features and models see them, and of what else matters.

    Reads some columns of every post, their labels and their pictures' rows, and no vector: its time grows with the
    posts (a second for some hundred thousand), its memory does not.

    Args:
        warehouse: with the posts.
        settings: what else the results depend on, such as code versions, of types whose `repr` is their value.

    Returns:
        32 hexadecimal digits.
    """
    found: str = warehouse.scalar(_INPUTS)
    return hashlib.sha256(repr((found, settings)).encode()).hexdigest()[:32]
