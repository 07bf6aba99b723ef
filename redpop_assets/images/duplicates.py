"""Which posts show the same picture: groups with a canonical post, from crossposts, URLs, bytes, pixels and hashes.

Four kinds of evidence are exact and carry over from post to post: a crosspost and its original, two spellings of one
URL, equal files, equal pixels. Perceptual hashes are not: A is like B and B like C, but A and C may be two scenes. So a
picture joins a group by its hashes only if it is like the canonical picture itself.

The posts of a group are linked and never dropped: a repost has a score of its own, but must not be learnt from when the
original is tested on.
"""

import re
from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redpop_assets.storage.arrow import arrow_table

if TYPE_CHECKING:
    from redpop_assets.images.decode import Look

MAX_PHASH_DISTANCE: Final = 6
"""Re-encoding, resizing and greying move a 64-bit pHash by at most 5 bits; unrelated photographs differ in 20."""

MAX_DHASH_DISTANCE: Final = 8
"""Asked in addition: chance pairs grow with the square of the number of pictures, but two hashes rarely err at once."""

MIN_CONTRAST: Final = 5.0
"""Standard deviation of the 32x32 grey version below which hashes are of noise (0..255)."""

# What flat pictures hash to, whatever they show; all would be alike.
_FLAT_PHASHES = np.array([0, 1 << 63], dtype=np.uint64)
_FLAT_DHASHES = np.array([0, (1 << 64) - 1], dtype=np.uint64)
_BLOCK = 2048  # pictures compared at a time
_MAX_PAIRS = 4_000_000  # candidate pairs in memory at a time

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

POSTS = """
SELECT p.post_id, p.subreddit, p.created_at, p.crosspost_parent, p.image_urls[1] AS url,
    f.image_sha256, i.pixel_sha256, i.phash, i.dhash, i.contrast
FROM core.posts AS p
LEFT JOIN core.primary_images AS f USING (post_id)
LEFT JOIN core.images AS i USING (image_sha256)
"""
"""All posts as `duplicate_groups` wants them. The primary image of a gallery stands for it, as in the features."""


def duplicate_groups(posts: pa.Table) -> pa.Table:
    """Group posts by picture.

    The canonical post of a group is its earliest by (created_at, post_id). Groups of exact evidence are formed first.
    Then, in the order of their canonical posts, each is compared by the hashes of its earliest usable picture with the
    groups that are canonical so far, and joins the earliest of those that are like it. The result does not depend on
    the order of the rows.

    Args:
        posts: One row per post, columns as in `POSTS`. All but post_id, subreddit, created_at and url may be NULL;
            pictures without contrast (not measured) take part unless their hashes are those of a flat picture.

    Returns:
        Rows of core.duplicates, ordered by post_id.
    """
    posts = posts.sort_by([("created_at", "ascending"), ("post_id", "ascending")])
    n = posts.num_rows
    levels = ("post", "url", "bytes", "pixels")
    sets: list[Ints] = []  # per level: number of the set that each post is in by this and all stronger levels
    joined: Ints = np.arange(n)
    for keys in _exact_keys(posts):
        joined = _join(joined, keys)
        sets.append(joined)
    first = _first_members(joined)
    like, distance = _perceptual_groups(posts, first)
    # Groups that were joined: the canonical post is that of the group they joined.
    canonical = like[first]
    level = np.full(n, "perceptual", dtype=object)
    for name, members in reversed(list(zip(levels, sets, strict=True))):
        level[members == members[canonical]] = name
    alone = canonical == np.arange(n)
    level[alone] = None
    post_ids = posts.column("post_id").to_numpy(zero_copy_only=False)
    distances = np.where(level == "perceptual", distance[first], -1)
    rows = arrow_table(
        {
            "post_id": post_ids.tolist(),
            "subreddit": posts.column("subreddit").to_pylist(),
            "duplicate_group": post_ids[canonical].tolist(),
            "canonical": alone.tolist(),
        }
    )
    rows = rows.append_column("level", pa.array(level.tolist(), pa.string()))
    rows = rows.append_column("distance", pa.array(distances, pa.int32(), mask=distances < 0))
    return rows.sort_by("post_id")


def canonical_url(url: str) -> str:
    """Return what all spellings of an image URL have in common; equal results mean the same picture.

    Scheme, letter case of the host, `www.` and `m.`, default ports and fragments never matter. Query and extension are
    dropped where the host is known to name a picture by its path: Reddit's hosts, imgur, flickr and Twitter; elsewhere
    `image.php?id=1` and `?id=2` are two pictures. The result is a URL whose canonical form is itself.
    """
    text = url.strip()
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return text
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in ("http", "https") or not host:
        return text
    known = _picture_name(host, parts)
    if known is not None:
        return f"https://{known}"
    while (shorter := re.sub(r"^(?:www|m)\.(?=[^.]+\.)", "", host)) != host:
        host = shorter
    netloc = f"[{host}]" if ":" in host else host
    netloc += "" if port in (None, 80, 443) else f":{port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"https://{netloc}{parts.path or '/'}{query}"


_REDDIT_HOSTS = re.compile(r"(?:i|preview|external-preview)\.redd\.it|i\.redditmedia\.com|i\.reddituploads\.com")
_PREVIEW_NAME = re.compile(r"/(?:[^/]*-v\d+-)?([a-z0-9]+)", re.IGNORECASE)
_EXTENSION = re.compile(r"(?:\.(?:jpe?g|png|gif|webp))+$", re.IGNORECASE)
_IMGUR_HOST = re.compile(r"(?:(?:www|m|i)\.)*imgur\.(?:com|io)")
# Ids have 5 or 7 characters; a 6th or 8th that is one of these asks for a thumbnail.
_IMGUR_NAME = re.compile(r"/(?:download/)?(?:([A-Za-z0-9]{5}|[A-Za-z0-9]{7})(?:[sbtmlh]|_d)?|(\w+))")
_FLICKR_HOST = re.compile(r"(?:farm\d+|live|c\d+)\.static\.?flickr\.com")
_FLICKR_NAME = re.compile(r"/(?:\d+/)?(?:\d+/)?(\d+)_[0-9a-f]+(?:_[a-z0-9]+)?", re.IGNORECASE)
_TWITTER_NAME = re.compile(r"(/(?:media|tweet_video_thumb|ext_tw_video_thumb)/[A-Za-z0-9_-]+)")


def _picture_name(host: str, parts: SplitResult) -> str | None:
    """Host and path that name the picture, where the host is one whose naming is known."""
    path = parts.path
    bare = _EXTENSION.sub("", path)
    if _REDDIT_HOSTS.fullmatch(host):
        # preview.redd.it/<words>-v0-<id>.jpg and i.redd.it/<id>.jpg show the same upload.
        upload = host in ("i.redd.it", "preview.redd.it")
        name = _PREVIEW_NAME.fullmatch(bare) if upload else None
        return f"i.redd.it/{name[1]}" if name else f"{host}{bare or '/'}"
    if _IMGUR_HOST.fullmatch(host):
        name = _IMGUR_NAME.fullmatch(bare)
        return f"i.imgur.com/{name[1] or name[2]}" if name else None
    if _FLICKR_HOST.fullmatch(host):
        name = _FLICKR_NAME.fullmatch(bare)
        return f"live.staticflickr.com/{name[1]}_0" if name else None
    if host == "pbs.twimg.com":
        name = _TWITTER_NAME.fullmatch(_EXTENSION.sub("", path.partition(":")[0]))
        return f"{host}{name[1]}" if name else None
    return None


def _exact_keys(posts: pa.Table) -> Iterator[tuple[Ints, ...]]:
    """Per level of exact evidence: arrays (n,) of keys, equal where two posts belong together, -1 for no evidence."""
    ids, parents = posts.column("post_id"), posts.column("crosspost_parent")
    both = _codes(pa.chunked_array([*ids.chunks, *parents.cast(pa.string()).chunks], pa.string()))
    yield both[: len(ids)], both[len(ids) :]  # crossposts of one post belong together even where it is not known
    urls = [None if url is None else canonical_url(url) for url in posts.column("url").to_pylist()]
    yield (_codes(pa.chunked_array([urls], pa.string())),)
    yield (_codes(posts.column("image_sha256")),)
    yield (_codes(posts.column("pixel_sha256")),)


def _codes(values: pa.ChunkedArray) -> Ints:
    """Number equal values alike, from 0; -1 for NULL."""
    if values.null_count == len(values):
        return np.full(len(values), -1)
    encoded = values.combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _join(sets: Ints, keys: tuple[Ints, ...]) -> Ints:
    """Unite the sets whose members share a key; (n,) numbers of sets in, (n,) numbers of larger sets out."""
    # scipy is paid for by the step that groups, not by every process that loads the definitions.
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(sets)
    if n == 0:
        return sets
    rows = np.concatenate([sets[key >= 0] for key in keys])
    columns = np.concatenate([key[key >= 0] for key in keys])
    size = int(sets.max()) + 1
    nodes = size + (int(columns.max()) + 1 if len(columns) else 0)
    edges = coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, size + columns)), shape=(nodes, nodes))
    united: Ints = connected_components(edges, directed=False)[1].astype(np.int64)[sets]
    return united


def _first_members(sets: Ints) -> Ints:
    """Index of the first member of the set that each element is in."""
    _, first, inverse = np.unique(sets, return_index=True, return_inverse=True)
    members: Ints = first[inverse]
    return members


def _perceptual_groups(posts: pa.Table, first: Ints) -> tuple[Ints, Ints]:
    """Compare the groups of exact evidence by their pictures.

    Args:
        posts: In order of time.
        first: (n,) index of the first post of each post's group.

    Returns:
        Two arrays (n,), of which the entries at first posts count: index of the canonical post, and pHash distance
        between the two pictures.
    """
    n = posts.num_rows
    like, distance = np.arange(n), np.zeros(n, dtype=np.int64)
    contrast = posts.column("contrast").cast(pa.float64()).fill_null(MIN_CONTRAST).to_numpy()
    known = np.flatnonzero((contrast >= MIN_CONTRAST) & posts.column("phash").is_valid().to_numpy())
    phash, dhash = (_hashes(posts.column(name).take(pa.array(known))) for name in ("phash", "dhash"))
    usable = ~(np.isin(phash, _FLAT_PHASHES) | np.isin(dhash, _FLAT_DHASHES))
    known, phash, dhash = known[usable], phash[usable], dhash[usable]
    # The earliest usable picture of each group, in the order of the groups.
    groups, earliest = np.unique(first[known], return_index=True)
    phash, dhash = phash[earliest], dhash[earliest]
    # Equal hashes meet equal fates, so each combination is compared once.
    pictures, inverse = np.unique(np.stack([phash, dhash], axis=1), axis=0, return_inverse=True)
    begin = np.full(len(pictures), len(groups))
    np.minimum.at(begin, inverse.ravel(), np.arange(len(groups)))
    order = np.argsort(begin)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    heads = first_alike(pictures[order, 0], pictures[order, 1])[rank[inverse.ravel()]]
    canonical = begin[order][heads]
    like[groups] = groups[canonical]
    distance[groups] = np.bitwise_count(phash ^ phash[canonical])
    return like, distance


def _hashes(texts: pa.ChunkedArray) -> Hashes:
    """64-bit hashes of 16 hexadecimal digits as numbers."""
    return np.frombuffer(bytes.fromhex("".join(texts.to_pylist())), dtype=">u8").astype(np.uint64)


def first_alike(phash: Hashes, dhash: Hashes) -> Ints:
    """Greedy groups of pictures around their first members.

    In order, each picture joins the earliest first member that is within `MAX_PHASH_DISTANCE` and `MAX_DHASH_DISTANCE`
    of it, or becomes a first member itself; it is never compared with others.

    Candidates are found without comparing all pairs: of the 8 bytes of two hashes that differ in at most 6 bits, at
    least 2 are equal, so pictures are looked up by each of the 28 pairs of bytes.

    Args:
        phash: (n,) 64-bit hashes.
        dhash: (n,) likewise.

    Returns:
        (n,) indices of the first members; of a first member its own.
    """
    n = len(phash)
    group = np.arange(n)
    indices = [_ByteIndex(phash, pair) for pair in combinations(range(8), 2)]
    for start in range(0, n, _BLOCK):
        block = np.arange(start, min(start + _BLOCK, n))
        found = [
            pairs
            for index in indices
            for later, earlier in index.candidates(block)
            # Within the block it is not known yet who will be a first member.
            if len(pairs := _alike(later, earlier, (group[earlier] == earlier) | (earlier >= start), phash, dhash))
        ]
        if not found:
            continue
        pairs = np.unique(np.concatenate(found), axis=0)
        for later, earlier in pairs.tolist():
            if group[later] == later and group[earlier] == earlier:
                group[later] = earlier
    return group


class Lookalikes:
    """Pictures among which the one is found that shows the same as a new one.

    Args:
        phashes: n hashes of 16 hexadecimal digits.
        dhashes: likewise.
    """

    def __init__(self, phashes: pa.ChunkedArray, dhashes: pa.ChunkedArray) -> None:
        self._phash, self._dhash = _hashes(phashes), _hashes(dhashes)

    def most_alike(self, picture: "Look") -> int | None:
        """The nearest by pHash, as near as members of a group must be.

        Returns:
            Index of the first of the nearest; None if none is alike, or the picture has too little contrast to tell.
        """
        phash, dhash = (_hashes(pa.chunked_array([[text]])) for text in (picture.phash, picture.dhash))
        flat = np.isin(phash, _FLAT_PHASHES).any() or np.isin(dhash, _FLAT_DHASHES).any()
        if flat or picture.contrast < MIN_CONTRAST:
            return None
        distance = np.bitwise_count(self._phash ^ phash)
        alike = (distance <= MAX_PHASH_DISTANCE) & (np.bitwise_count(self._dhash ^ dhash) <= MAX_DHASH_DISTANCE)
        found = np.flatnonzero(alike)
        return int(found[distance[found].argmin()]) if len(found) else None


class _ByteIndex:
    """Pictures by two bytes of their hash."""

    def __init__(self, hashes: Hashes, positions: tuple[int, int]) -> None:
        high, low = (hashes >> np.uint64(8 * position) & np.uint64(0xFF) for position in positions)
        self._keys = (high << np.uint64(8) | low).astype(np.uint16)
        self._sorted = np.argsort(self._keys, kind="stable").astype(np.int32)
        self._place = np.empty(len(hashes), dtype=np.int32)
        self._place[self._sorted] = np.arange(len(hashes))
        self._starts = np.searchsorted(self._keys[self._sorted], np.arange(1 << 16))

    def candidates(self, block: Ints) -> Iterator[tuple[Ints, Ints]]:
        """All pairs (later, earlier) of a picture of the block and an earlier one with the same bytes, in pieces."""
        # The order within equal bytes is that of time: what is earlier stands before.
        starts = self._starts[self._keys[block]]
        counts = self._place[block] - starts
        ends = np.cumsum(counts)
        begin = 0
        while begin < len(block):
            done = ends[begin - 1] if begin else 0
            end = max(int(np.searchsorted(ends, done + _MAX_PAIRS, side="right")), begin + 1)
            some = counts[begin:end]
            if total := int(some.sum()):
                offsets = np.arange(total) - np.repeat(ends[begin:end] - some - done, some)
                earlier = self._sorted[np.repeat(starts[begin:end], some) + offsets]
                yield np.repeat(block[begin:end], some), earlier
            begin = end


def _alike(later: Ints, earlier: Ints, eligible: npt.NDArray[np.bool_], phash: Hashes, dhash: Hashes) -> Ints:
    """The eligible pairs within both distances, shape (k, 2): (later, earlier)."""
    later, earlier = later[eligible], earlier[eligible]
    near = np.bitwise_count(phash[later] ^ phash[earlier]) <= MAX_PHASH_DISTANCE
    later, earlier = later[near], earlier[near]
    near = np.bitwise_count(dhash[later] ^ dhash[earlier]) <= MAX_DHASH_DISTANCE
    return np.stack([later[near], earlier[near]], axis=1)
