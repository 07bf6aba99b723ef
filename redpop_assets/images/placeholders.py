"""What hosts show instead of removed pictures: learnt from files that many addresses of many people lead to.

The one that everybody knows, imgur's, is recognised while it is fetched (`images/fetch.py`). The rule for all others is
the view core.shared_images.
"""

from redpop_assets.storage.arrow import utc_now
from redpop_assets.storage.warehouse import Warehouse

_LEARN = """
SELECT image_sha256, rule, urls::INTEGER AS urls, authors::INTEGER AS authors, stored_at AS first_seen_at,
    $now::TIMESTAMP AS learnt_at
FROM core.shared_images WHERE verdict = 'placeholder'
"""
_DISOWN = """
UPDATE core.image_fetches SET
    status = 'failed', reason = 'placeholder_image', image_sha256 = NULL, next_attempt_at = NULL,
    detail = 'The same file is behind many other addresses.'
WHERE image_sha256 IN (SELECT image_sha256 FROM core.placeholder_images)
"""


def known_placeholders(warehouse: Warehouse) -> frozenset[str]:
    """SHA-256 (hexadecimal, as downloaded) of all placeholders learnt so far."""
    return frozenset(
        warehouse.query("SELECT image_sha256 FROM core.placeholder_images").column("image_sha256").to_pylist()
    )


def learn_placeholders(warehouse: Warehouse) -> int:
    """Enter what core.shared_images calls a placeholder into core.placeholder_images; returns how many were new.

    The fetches that brought it become failures. Its rows and file are then content that nothing uses: see
    `forgetting.erase_unused_content`.
    """
    now = utc_now()
    found = warehouse.query(_LEARN, {"now": now})
    if not found.num_rows:
        return 0
    with warehouse.write() as writer:
        learnt = writer.append("core.placeholder_images", found)
        writer.execute(_DISOWN)
    return learnt
