"""Which rows of a table belong to a community: its own, or those of the content that its posts refer to."""

from collections.abc import Mapping
from typing import Final

from redpop_assets.features.family import Grain
from redpop_assets.features.registry import FAMILIES

_OF_SUBREDDIT: Final = "subreddit = $subreddit"
_IMAGES: Final = """image_sha256 IN (
    SELECT f.image_sha256 FROM core.image_fetches AS f
    SEMI JOIN (SELECT url FROM core.image_urls WHERE subreddit = $subreddit) AS u ON u.url = f.url)"""
_CAPTIONS: Final = "caption_sha256 IN (SELECT caption_sha256 FROM core.posts WHERE subreddit = $subreddit)"

_BY_GRAIN: Final[Mapping[Grain, str]] = {
    "post": _OF_SUBREDDIT,
    "caption": _CAPTIONS,
    "picture": _IMAGES,
    "pair": f"{_CAPTIONS} AND {_IMAGES}",
}
_BY_TABLE: Final[Mapping[str, str]] = {
    "core.image_fetches": "url IN (SELECT url FROM core.image_urls WHERE subreddit = $subreddit)",
    "core.images": _IMAGES,
    **{family.filled_table: _BY_GRAIN[family.grain] for family in FAMILIES},
}


def partition_filter(table: str) -> str:
    """SQL condition for the rows of `table` that belong to the subreddit `$subreddit`."""
    return _BY_TABLE.get(table, _OF_SUBREDDIT)


def partitions_filter(table: str) -> str:
    """The same for all of `$subreddits`, a list."""
    return partition_filter(table).replace("= $subreddit", "IN (SELECT unnest($subreddits))")
