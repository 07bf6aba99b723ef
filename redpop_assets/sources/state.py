"""What the raw tables know already of a community, whichever source filled them: where a harvest goes on."""

from datetime import datetime
from typing import Any, Final

from redpop_assets.sources.listings import COMPLETE
from redpop_assets.sources.services import REDDIT
from redpop_assets.storage.warehouse import Warehouse

ASKABLE: Final = "s.subreddit = $subreddit AND (NOT starts_with(s.origin, 'archive:') OR $archives)"
"""Condition on raw.submissions `s`: those of a community that the source can be asked for. See `asked_of`."""

# Of a community that was empty, everything since is new.
_FRONTIER: Final = """
SELECT arg_max(coalesce(newest_created_at, read_at), read_at) FROM raw.listing_reads
WHERE subreddit = $subreddit AND listing = $listing AND ended IN (SELECT unnest($endings))
"""


def asked_of(reddit: str) -> dict[str, Any]:
    """The parameter of `ASKABLE`: files hold posts of the real Reddit, and nobody of another one knows them."""
    return {"archives": reddit == REDDIT}


def frontier(warehouse: Warehouse, subreddit: str, listing: str = "new") -> datetime | None:
    """Up to when the last complete reading of a listing knew all posts (UTC, without zone); None without one."""
    params = {"subreddit": subreddit, "listing": listing, "endings": list(COMPLETE)}
    found: datetime | None = warehouse.scalar(_FRONTIER, params)
    return found
