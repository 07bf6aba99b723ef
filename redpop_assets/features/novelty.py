"""How much the caption of a post repeats what its subreddit was told just before.

A title that was there yesterday, word for word, and a title of words that nobody used all month are both rare, and both
tell something. A post sees the captions of strictly earlier seconds only, so nothing here changes when posts are added
later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, overload

from redpop_assets.arrays import np, npt
from redpop_assets.features.family import Encoders, Family, Features, Past, Subjects
from redpop_assets.features.past import Flags, Floats, Ints, moments_of, places
from redpop_assets.features.tokens import caption_tokens

if TYPE_CHECKING:
    from scipy.sparse import csr_array

CODE_VERSION: Final = "2"
"""Raise it whenever a post would get other numbers than before."""

COLUMNS: Final[tuple[str, ...]] = (
    "has_earlier_captions",
    "window_posts",
    "max_similarity",
    "mean_similarity",
    "unseen_word_share",
    "days_since_similar",
)
"""Order of the columns of `caption_novelty`; all are scalars."""

MOST_POSTS: Final = 500
"""Most posts in the window of a post: a day or so of r/pics, weeks of a small subreddit."""

LONGEST_AGE_DAYS: Final = 30
"""Age at which a post leaves the window; also the cap of `days_since_similar`, and its value for "none"."""

SIMILAR: Final = 0.5
"""Cosine from which on two captions count as similar."""

_SECONDS_PER_DAY: Final = 86_400
_ROUNDING: Final = 1e-9  # a cosine of one half, as of captions that share one word of two, is similar however it rounds
_KEPT: Final = 4096  # captions whose tokens are kept: some MB
_REACH: Final = 1024  # places between the first and the last post of a block
_BLOCK: Final = 128  # posts compared at a time: more share no more of their windows, and their matrices leave the cache


def caption_novelty(
    post_ids: Sequence[str],
    created_at: npt.NDArray[np.datetime64],
    tokens: Sequence[Sequence[str]],
    *,
    due: Flags | None = None,
) -> dict[str, Floats]:
    """Compare the caption of each post with those before it.

    The window of a post p are the `MOST_POSTS` most recent posts created in an earlier second, none of them more than
    `LONGEST_AGE_DAYS` older than p; of posts of one second those with the greater id are the more recent. A caption is
    the set of its tokens, each with the weight idf(t) = 1 + ln((1 + W) / (1 + f)), where W is the size of the window of
    p and f the number of its captions with t: of p's window, for p and for whatever p is compared with. Two captions
    are as similar as the cosine of their vectors; a caption without tokens is similar to none.

    Rows never change when later posts are added, to the bit, and do not depend on the order of the input or on which
    rows are due. Takes time and memory for the due posts and their windows alone, besides O(n log n) for their order.

    Args:
        post_ids: n ids of the posts of one subreddit.
        created_at: (n,) datetime64, UTC.
        tokens: n captions as `redpop_assets.features.tokens.caption_tokens` gives them; each that a due post or its
            window has is asked for, and no other.
        due: (n,) posts that are wanted; None for all.

    Returns:
        The columns of `COLUMNS`, each (m,) float32 for the m due posts in the order of the input, always finite:

        * `has_earlier_captions` (0 or 1): the window holds a post; else the similarities and the share are 0;
        * `window_posts`: W, 0 to `MOST_POSTS`;
        * `max_similarity`, `mean_similarity`: over the window, 0 to 1;
        * `unseen_word_share`: share of the different tokens of the caption that nobody in the window used; 0 for a
          caption without tokens;
        * `days_since_similar`: days since the latest post in the window with a similarity of `SIMILAR` or more,
          `LONGEST_AGE_DAYS` if there is none.

    Raises:
        ValueError: lengths differ, or a time is missing.
    """
    created = moments_of(created_at)
    wanted = np.ones(len(created), dtype=np.bool_) if due is None else np.asarray(due, dtype=np.bool_)
    if not len(post_ids) == len(created) == len(tokens) == len(wanted):
        raise ValueError("post_ids, created_at, tokens and due must have one entry per post")
    asked = np.flatnonzero(wanted)
    return CaptionPast(post_ids, created, tokens).features(created[asked], [tokens[row] for row in asked.tolist()])


class CaptionPast:
    """The captions of a subreddit, prepared for questions about what is new. Arguments as of `caption_novelty`."""

    def __init__(self, post_ids: Sequence[str], created: Ints, tokens: Sequence[Sequence[str]]) -> None:
        order = np.argsort(places(post_ids, created))
        self._seconds = created[order]
        self._captions = _Captions(order, tokens)

    def features(self, now: Ints, tokens: Sequence[Sequence[str]]) -> dict[str, Floats]:
        """The columns of `COLUMNS` of m captions at these moments (epoch seconds)."""
        order = np.argsort(now, kind="stable")
        asking = now[order]
        # Windows [first, last) in the order of time; `last` stops before the post's own second.
        last = np.searchsorted(self._seconds, asking, side="left")
        oldest = np.searchsorted(self._seconds, asking - LONGEST_AGE_DAYS * _SECONDS_PER_DAY)
        first = np.maximum(last - MOST_POSTS, oldest)
        table = np.zeros((len(order), len(COLUMNS)), dtype=np.float32)
        for rows in _blocks(first, last):
            block = _Block.of(first[rows], last[rows], [tokens[row] for row in order[rows]], self._captions)
            table[order[rows]] = _compare(block, asking[rows], self._seconds)
        return {name: table[:, column] for column, name in enumerate(COLUMNS)}


class _Captions:
    """The different tokens of captions in the order of time; those of the windows that were asked for last are kept."""

    def __init__(self, order: Ints, tokens: Sequence[Sequence[str]]) -> None:
        self._order = order
        self._tokens = tokens
        self._known: dict[int, list[str]] = {}

    def between(self, first: int, last: int) -> list[list[str]]:
        """Those at some places."""
        known = self._known
        found = [known.get(place) or sorted(set(self._tokens[self._order[place]])) for place in range(first, last)]
        # Put in its place as a whole: another thread goes on with what it has.
        kept = known if len(known) + len(found) <= _KEPT else {}
        self._known = {**kept, **dict(zip(range(first, last), found, strict=True))}
        return found


def _blocks(first: Ints, last: Ints) -> Iterator[slice]:
    """Cut posts that ask, in the order of time, into blocks that share most of their windows."""
    start = 0
    while start < len(first):
        # Posts that lie far apart share no window, and what is between them need not be read.
        end = min(start + _BLOCK, int(np.searchsorted(last, last[start] + _REACH, side="right")))
        yield slice(start, end)
        start = end


@dataclass(frozen=True, slots=True)
class _Block:
    """Some posts that ask, and their windows.

    Args:
        origin: place of the earliest post in any of the windows; `captions` begins with it.
        first, last: (b,) windows, counted from `origin`.
        posts: (b, v) of 0 and 1, which token the caption of each post has; v different tokens.
        captions: (w, v) likewise, of the posts in the windows.
    """

    origin: int
    first: Ints
    last: Ints
    posts: csr_array
    captions: csr_array

    @classmethod
    def of(cls, first: Ints, last: Ints, tokens: Sequence[Sequence[str]], captions: _Captions) -> Self:
        """Of windows in the order of time, and of the tokens of the b posts."""
        origin, until = int(first[0]), int(last[-1])
        asking = [sorted(set(own)) for own in tokens]
        known = captions.between(origin, until)
        # Tokens in the order of the alphabet, so that sums over them run in an order that nothing else changes.
        number = {token: place for place, token in enumerate(sorted(set().union(*asking, *known)))}
        return cls(origin, first - origin, last - origin, _matrix(asking, number), _matrix(known, number))


def _matrix(captions: Sequence[Sequence[str]], number: Mapping[str, int]) -> csr_array:
    """(n, v) of 0 and 1, which token each caption has."""
    from scipy.sparse import csr_array

    flat = np.array([number[token] for caption in captions for token in caption], dtype=np.int64)
    ends = np.cumsum([0, *map(len, captions)])
    return csr_array((np.ones(len(flat)), flat, ends), shape=(len(captions), max(len(number), 1)))


def _compare(block: _Block, now: Ints, seconds: Ints) -> npt.NDArray[np.float64]:
    """The rows of the posts of a block, (b, columns); `seconds` of all posts in the order of time."""
    posts = block.posts
    sizes = block.last - block.first
    frequency = _frequencies(block)
    weights = _squared_idf(sizes, frequency)

    of_post = posts.tocoo()
    owner, token = of_post.row, of_post.col
    own_weights = posts.copy()
    own_weights.data = weights[token, owner]
    # Sums over tokens of idf²: those that two captions share, and those of each alone.
    shared = (own_weights @ block.captions.T).toarray()
    own = np.bincount(owner, own_weights.data, minlength=posts.shape[0])
    others = (block.captions @ weights).T
    norms = np.sqrt(own[:, None] * others)
    similarity = np.minimum(np.divide(shared, norms, out=np.zeros_like(shared), where=norms > 0), 1.0)

    unseen = np.bincount(owner, frequency[token, owner] == 0, minlength=posts.shape[0])
    different = np.maximum(np.diff(posts.indptr), 1)
    rows = np.zeros((len(now), len(COLUMNS)))
    rows[:, -1] = LONGEST_AGE_DAYS
    for row in np.flatnonzero(sizes):
        window = similarity[row, block.first[row] : block.last[row]]
        similar = np.flatnonzero(window >= SIMILAR - _ROUNDING)
        days: float = LONGEST_AGE_DAYS
        if similar.size:
            latest = block.origin + block.first[row] + similar[-1]
            days = (now[row] - seconds[latest]) / _SECONDS_PER_DAY
        rows[row] = (1, sizes[row], window.max(), window.sum() / sizes[row], unseen[row] / different[row], days)
    return rows


def _frequencies(block: _Block) -> npt.NDArray[np.int64]:
    """How many captions of each post's window have each token, (v, b)."""
    place = np.arange(block.captions.shape[0])[:, None]
    in_window = ((place >= block.first) & (place < block.last)).astype(np.float64)
    frequencies: npt.NDArray[np.int64] = (block.captions.T.tocsr() @ in_window).astype(np.int64)
    return frequencies


def _squared_idf(sizes: npt.NDArray[np.int64], frequency: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """idf² of each token in each post's window, (v, b)."""
    logarithms = np.log(np.arange(1, MOST_POSTS + 2, dtype=np.float64))
    weights: npt.NDArray[np.float64] = logarithms.take(frequency)
    np.subtract(1.0 + logarithms[sizes], weights, out=weights)
    return np.square(weights, out=weights)


class _Tokens(Sequence[Sequence[str]]):
    """The tokens of captions, each taken apart when it is asked for."""

    def __init__(self, captions: Sequence[str]) -> None:
        self._captions = captions

    def __len__(self) -> int:
        return len(self._captions)

    @overload
    def __getitem__(self, index: int) -> Sequence[str]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sequence[str]]: ...
    def __getitem__(self, index: int | slice) -> Sequence[str] | Sequence[Sequence[str]]:
        if isinstance(index, slice):
            return caption_tokens(self._captions[index]).tokens
        return caption_tokens([self._captions[index]]).tokens[0]


def _here(past: Past) -> CaptionPast:
    posts = past.posts
    return CaptionPast(posts.post_ids, moments_of(posts.created_at), _Tokens(posts.captions))


def _of_posts(subjects: Subjects, _: Encoders) -> Features:
    asked = subjects.asked
    return subjects.past.kept(_here).features(moments_of(asked.created_at), _Tokens(asked.captions))


FAMILY: Final = Family(
    "novelty",
    "features.caption_novelty",
    "post",
    CODE_VERSION,
    _of_posts,
    past="community",
    step="post_history",
    content={"caption": ""},
)
