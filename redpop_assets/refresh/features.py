"""Brings feature tables up to date for a community: finds what lacks its features, computes it, writes it by chunks.

Features of content are keyed by that content and by the version (code, network) that made them: an anti-join finds what
is due, each chunk is written as soon as it is ready, and a run that was killed goes on where it was. Features of posts
look at other posts: what is due there says `redpop_assets.storage.made_posts`, from what changed since they were made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redpop_assets.captions import LONGEST_CAPTION
from redpop_assets.encoders.base import CODE_VERSION as ENCODING_VERSION
from redpop_assets.errors import RedPopError, StoreError
from redpop_assets.features.community import SUBSCRIBERS_LAST_DAYS
from redpop_assets.features.family import (
    Asked,
    Content,
    Encoders,
    Everybody,
    Family,
    Features,
    Floats,
    Grain,
    Networks,
    Past,
    PostFacts,
    Subjects,
)
from redpop_assets.features.registry import FAMILIES
from redpop_assets.features.vectors import Vectors
from redpop_assets.images.decode import open_rgb
from redpop_assets.refresh.chunks import Progress, chunks_by_seconds
from redpop_assets.refresh.engine import Engine, Local
from redpop_assets.refresh.snapshot import digest
from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.history import History, positions, read_subscribers
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.made_posts import Claim, Look, Rows
from redpop_assets.storage.rows import Reader
from redpop_assets.storage.warehouse import Warehouse

if TYPE_CHECKING:
    from PIL.Image import Image

_HEADER = 64  # edge to which a picture is decoded to learn whether it can be (pixels)

SUBJECTS: Mapping[Grain, str] = {
    "picture": "SELECT DISTINCT i.image_sha256, i.path, i.width, i.height FROM core.posts AS p "
    "JOIN core.primary_images USING (post_id) JOIN core.images AS i USING (image_sha256)",
    "caption": f"SELECT DISTINCT p.caption_sha256, left(p.caption, {LONGEST_CAPTION}) AS caption FROM core.posts AS p",
    "pair": "SELECT DISTINCT p.caption_sha256, i.image_sha256 FROM core.posts AS p "
    "JOIN core.primary_images AS i USING (post_id)",
    "post": "SELECT p.post_id, p.created_at FROM core.posts AS p",
}
"""SQL that lists the pictures, captions, pairs of both, and posts of communities, by grain; to be filtered by `p`."""

_FACTS = """
SELECT kind, len(image_urls) AS image_count, crosspost_parent, is_original_content, flair, over_18, spoiler
FROM core.posts WHERE post_id IN (SELECT unnest(string_split($post_ids, ','))) ORDER BY post_id
"""
_VECTORS: Mapping[str, str] = {
    "picture": "SELECT {read} FROM asked_posts AS a JOIN core.primary_images AS i USING (post_id) "
    "JOIN features.image_embeddings AS e ON e.image_sha256 = i.image_sha256 "
    "WHERE e.encoder = $encoder AND e.code_version = $version",
    "caption": "SELECT {read} FROM asked_posts AS a JOIN core.posts AS p USING (post_id) "
    "JOIN features.caption_embeddings AS e ON e.caption_sha256 = p.caption_sha256 "
    "WHERE e.encoder = $encoder AND e.code_version = $version",
}
_FACTS_BEHIND: Mapping[str, str] = {
    "core.labels": "score",
    "core.duplicates": "picture",
    "features.image_embeddings": "image_vector",
    "features.caption_embeddings": "caption_vector",
}
"""Table that families are made from -> the fact about each post that comes from it."""
_VERSIONS = {family.filled_table: family.version for family in FAMILIES}


@dataclass(frozen=True)
class Scope:
    """What features are computed for, and with what.

    Attributes:
        subreddit: community in lower case.
        warehouse: where posts are and features go.
        images: where the pictures are.
        encoders: networks whose outputs count.
        networks: the networks themselves, loaded when they are asked.
        matured_after: age at which the labels of earlier posts are final, of `LabelRule`.
        chunk_size: rows between two writes.
        progress: told how far it is.
        warn: told what was left out.
        engine: who runs networks over many pictures or captions.
    """

    subreddit: str
    warehouse: Warehouse
    images: ImageStore
    encoders: Encoders
    networks: Networks
    matured_after: timedelta
    chunk_size: int
    progress: Callable[[str], None]
    warn: Callable[[str], None]
    engine: Engine = field(default_factory=Local)


@dataclass
class Cost:
    """What computing took, told with every table of content.

    Attributes:
        rows: rows that were computed.
        changed: rows that came out other than they were, of tables that look at whole communities.
        seconds: time, without that of finding what is due.
    """

    rows: int = 0
    seconds: float = 0.0
    changed: dict[str, int] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, float]:
        """Under the names that every such asset uses."""
        return {
            "rows_computed": self.rows,
            "compute_seconds": round(self.seconds, 3),
            "rows_per_second": round(self.rows / self.seconds, 1) if self.rows else 0.0,
        }


def refresh_step(families: Sequence[Family], scope: Scope) -> Mapping[str, Mapping[str, float | str]]:
    """Bring the tables of one step up to date for a community.

    Args:
        families: of one step: one grain, the same networks.
        scope: the community.

    Returns:
        Filled table -> what to say of it.

    Raises:
        WeightsUnavailable: a network cannot be loaded.
    """
    first = families[0]
    names = first.named(scope.encoders)
    if first.grain == "post":
        cost = _refresh_posts(families, scope)
    elif all(names.values()):
        cost = _refresh_content(families, scope)
    else:
        cost = Cost()
    shown = {column: name or "none" for column, name in names.items()}
    return {
        # What is made of a whole community is told by what came out other than it was.
        family.filled_table: {**shown, "rows_changed": cost.changed[family.filled_table]}
        if family.filled_table in cost.changed
        else {**shown, **cost.metadata}
        for family in families
    }


def due_content(
    warehouse: Warehouse,
    grain: Grain,
    subreddit: str,
    versions: Mapping[str, str],
    *,
    made_from: Mapping[str, str] | None = None,
    **same: str,
) -> pa.Table:
    """Content of a subreddit that has no row in one of some tables.

    Args:
        warehouse: where to look.
        grain: what the tables are about.
        subreddit: in lower case.
        versions: table -> code version of the rows that count.
        made_from: likewise, tables without whose rows nothing can be computed: content that lacks one is not due yet.
        same: further columns, such as `encoder`, and the value they have in the rows that count, in the tables that
            have such a column.

    Returns:
        The columns of `SUBJECTS[grain]`, in the order of its keys.
    """
    params = {"subreddit": subreddit, **same}
    keys = next(family.keys for family in FAMILIES if family.grain == grain)

    def row_of(table: str, code_version: str) -> str:
        columns = warehouse.schema[table].column_names
        params[version := f"version_{len(params)}"] = code_version
        conditions = [f"t.{key} = s.{key}" for key in keys if key in columns]
        conditions += [f"t.{name} = ${name}" for name in same if name in columns]
        return f"EXISTS (FROM {table} AS t WHERE {' AND '.join(conditions)} AND t.code_version = ${version})"

    missing = " OR ".join(f"NOT {row_of(*table)}" for table in versions.items())
    there = "".join(f" AND {row_of(*table)}" for table in (made_from or {}).items())
    return warehouse.query(
        f"FROM ({SUBJECTS[grain]} WHERE p.subreddit = $subreddit) AS s WHERE ({missing}){there} "
        f"ORDER BY {', '.join(keys)}",
        params,
    )


def compute_due(
    scope: Scope, due: pa.Table, compute: Callable[[pa.Table], Mapping[str, pa.Table]], chunk_size: int
) -> Cost:
    """Compute the due rows chunk by chunk, each written as it is ready.

    `compute` gets some of the rows of `due` and returns rows by the name of their table. The first chunk has
    `chunk_size` rows; see `chunks_by_seconds`.
    """
    began = time.perf_counter()
    progress = Progress(scope.progress, due.num_rows, "rows")
    for chunk in chunks_by_seconds(due.num_rows, chunk_size):
        made = compute(due.slice(chunk.start, chunk.stop - chunk.start))
        with scope.warehouse.write() as writer:
            for table, rows in made.items():
                writer.merge(table, rows)
        progress.at(chunk.stop)
    return Cost(due.num_rows, time.perf_counter() - began)


def without_unreadable(
    scope: Scope, compute: Callable[[pa.Table], Mapping[str, pa.Table]]
) -> Callable[[pa.Table], Mapping[str, pa.Table]]:
    """A `compute` for pictures that leaves out those whose files are missing or damaged, and says so.

    One bad file must not hold up the others: `redpop images verify` finds it and fetches it again.
    """

    def computed(rows: pa.Table) -> Mapping[str, pa.Table]:
        try:
            return compute(rows)
        except (RedPopError, OSError):
            readable = pa.array([_can_be_opened(scope, path) for path in rows.column("path").to_pylist()], pa.bool_())
            kept = rows.filter(readable)
            if kept.num_rows == rows.num_rows:
                raise
            return compute(kept) if kept.num_rows else {}

    return computed


def keyed(rows: pa.Table, keys: Sequence[str], features: Features, **same: str) -> pa.Table:
    """Rows of a feature table: the keys of some content, what all rows have in common, and the features."""
    return arrow_table(
        {
            **{key: rows.column(key).to_pylist() for key in keys},
            **{name: [value] * rows.num_rows for name, value in same.items()},
            **features,
        }
    )


def _refresh_content(families: Sequence[Family], scope: Scope) -> Cost:
    first = families[0]
    names = first.named(scope.encoders)
    due = due_content(
        scope.warehouse,
        first.grain,
        scope.subreddit,
        {family.filled_table: family.version for family in families},
        made_from={table: _VERSIONS[table] for table in first.made_from},
        **names,
    )

    def compute(rows: pa.Table) -> Mapping[str, pa.Table]:
        subjects = StoredContent(scope, rows)
        made = {}
        for family in families:
            features = family.compute(subjects, scope.encoders)
            if features is not None:
                same = {**names, "code_version": family.version}
                made[family.filled_table] = keyed(rows, family.keys, features, **same)
        return made

    bounded = without_unreadable(scope, compute) if first.grain == "picture" else compute
    return compute_due(scope, due, bounded, first.rows_at_once or scope.chunk_size)


def _refresh_posts(families: Sequence[Family], scope: Scope) -> Cost:
    began = time.perf_counter()
    cost = Cost()
    changed = dict.fromkeys((family.filled_table for family in families), 0)
    for family, claim, posts in _claimed_posts(families, scope, changed):
        done = 0
        for part in posts.parts(family.rows_at_once):
            features = family.compute(part, scope.encoders)
            done += len(part)
            with scope.warehouse.write() as writer:
                if not claim.holds(writer):
                    scope.warn(f"{family.filled_table} is being made by another run, which goes on with it")
                    break
                if features is not None:
                    merged = writer.merge(family.filled_table, part.rows_of(family, features))
                    changed[family.filled_table] += merged.changed
                if done == len(posts):
                    claim.settle(writer)
        cost.rows += done
    cost.seconds = time.perf_counter() - began
    if not all(_has_version(family, scope.warehouse) for family in families):
        cost.changed = changed
    return cost


def _claimed_posts(
    families: Sequence[Family], scope: Scope, changed: dict[str, int]
) -> list[tuple[Family, Claim, StoredPosts]]:
    """What the families of a step have to compute, read at one moment; rows of no use are removed, and counted.

    Where nothing is due this takes one query of narrow columns for the community, or for all of them if a family looks
    at everybody, and two small ones per family; nothing is written then.
    """
    everybody = any(family.past == "everybody" for family in families)
    looked_at = None if everybody else scope.subreddit
    look = Look(scope.encoders.image, scope.encoders.caption, ENCODING_VERSION, scope.matured_after)
    with scope.warehouse.read() as reader:
        rows = [_rows_of(family, scope, reader) for family in families]
        if not any(r.any_due(reader) or r.any_stale(reader) for r in rows) and not look.differs(reader, looked_at):
            return []
    due = []
    with scope.warehouse.write() as writer:
        look.note(writer, looked_at)
        for family in families:
            made = _rows_of(family, scope, writer)
            changed[family.filled_table] += made.drop_stale(writer)
            if made.any_due(writer):
                claim = made.claim(writer)
                posts = made.due(writer, claim.since)
                if posts.num_rows:
                    due.append((family, claim, posts))
                else:
                    claim.settle(writer)
        if not due:
            return []
        past = None
        if any(family.past != "nothing" for family in families):
            past = _past(
                writer,
                scope.subreddit,
                scope.encoders,
                scope.matured_after,
                everybody=everybody,
                networks={network for family, _, _ in due for _, network in family.networks},
                since=min(pc.min(posts.column("created_at")).as_py() for _, _, posts in due),
            )
    return [(family, claim, _stored_posts(scope, posts, past)) for family, claim, posts in due]


def _rows_of(family: Family, scope: Scope, reader: Reader) -> Rows:
    """The rows of a family about the posts of the community."""
    names = family.named(scope.encoders)
    widths = [
        reader.scalar(
            "SELECT dimension FROM features.encoders WHERE encoder = $encoder AND modality = $modality",
            {"encoder": getattr(scope.encoders, network), "modality": network},
        )
        for _, network in family.networks
    ]
    facts = {"post", *(_FACTS_BEHIND[table] for table in family.made_from if table in _FACTS_BEHIND)}
    if family.past == "nothing":
        facts.add("declared")
    versioned = {"code_version": family.version} if _has_version(family, scope.warehouse) else {}
    return Rows(
        table=family.filled_table,
        subreddit=scope.subreddit,
        # The vectors of an encoder have a width from its first one on, and so have rows made of them.
        made_with=digest(family.version, sorted(names.items()), widths, scope.matured_after.total_seconds()),
        facts=sorted(facts),
        everybody=family.past == "everybody",
        same={**names, **versioned},
    )


def _stored_posts(scope: Scope, due: pa.Table, past: Past | None) -> StoredPosts:
    ids = due.column("post_id").to_pylist()
    rows = None if past is None else pc.index_in(due.column("post_id"), pa.array(past.posts.post_ids, pa.string()))
    return StoredPosts(
        scope, ids, _seconds(due.column("created_at")), past, None if rows is None else rows.to_numpy().astype(np.int64)
    )


def _has_version(family: Family, warehouse: Warehouse) -> bool:
    return "code_version" in warehouse.schema[family.filled_table].column_names


def _past(
    reader: Reader,
    subreddit: str,
    encoders: Encoders,
    matured_after: timedelta,
    *,
    everybody: bool,
    networks: Collection[str],
    since: datetime,
) -> Past:
    """What a community's posts may see, read at one moment.

    For a single post all of the past is read, some 50 microseconds of CPU for each post that is stored: nothing is kept
    between runs but rows. Memory grows with the posts, by some 300 bytes each, and with those vectors of the community
    that are looked at: d times 4 bytes each.

    Args:
        everybody: whether the posts of all communities are read; without, those of the community stand for them.
        networks: fields of `Encoders`, behind whose vectors of pictures and captions somebody looks.
        since: the creation of the first post that is asked about.
    """
    all_posts = History.read(
        reader, None if everybody else subreddit, matured_after=matured_after, captions_of=subreddit
    )
    known_since = since - timedelta(days=SUBSCRIBERS_LAST_DAYS, seconds=1)
    here = all_posts.only(subreddit) if everybody else all_posts
    behind: Mapping[str, Content] = {"image": "picture", "caption": "caption"}
    asked = [(content, getattr(encoders, network)) for network, content in behind.items() if network in networks]
    with reader.sparing():
        read = {one: read_vectors(reader, *one, here.post_ids) for one in asked}
    none = Vectors.none(len(here))
    return Past(
        subreddit,
        Everybody(all_posts),
        here,
        *read_subscribers(reader, here.post_ids, known_since),
        lambda content, encoder: read.get((content, encoder), none),
    )


def read_vectors(reader: Reader, content: Content, encoder: str, post_ids: Sequence[str]) -> Vectors:
    """Vectors of the pictures or captions of posts.

    Args:
        reader: where they are.
        content: picture or caption.
        encoder: whose vectors they are.
        post_ids: n ids.

    Returns:
        Those that are there; of width 0 where the encoder never wrote a vector.
    """
    width = reader.scalar(
        "SELECT dimension FROM features.encoders WHERE encoder = $encoder AND modality = $modality",
        {"encoder": encoder, "modality": "image" if content == "picture" else "caption"},
    )
    which = {"encoder": encoder, "version": ENCODING_VERSION}
    asked = positions(post_ids)
    found = reader.query(_VECTORS[content].format(read="a.position"), which, asked_posts=asked)
    rows = np.sort(found.column("position").to_numpy())
    values = np.empty((len(rows), width or 0), dtype=np.float32)
    for batch in reader.streamed(_VECTORS[content].format(read="a.position, e.embedding"), which, asked_posts=asked):
        flat = batch.column("embedding").flatten().to_numpy(zero_copy_only=False)
        values[np.searchsorted(rows, batch.column("position").to_numpy())] = flat.reshape(len(batch), values.shape[1])
    return Vectors(rows, values, len(post_ids))


class StoredContent(Subjects):
    """Captions, pictures or pairs that the warehouse knows.

    Args:
        scope: where they are.
        rows: the columns of `SUBJECTS` of their grain.
    """

    def __init__(self, scope: Scope, rows: pa.Table) -> None:
        super().__init__(scope.networks)
        self._scope = scope
        self._rows = rows

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    @property
    def captions(self) -> Sequence[str]:
        """The texts."""
        texts: list[str] = self._rows.column("caption").to_pylist()
        return texts

    def pictures(self, draft_edge: int | None = None) -> StoredPictures:
        """The pictures, each opened when it is asked for."""
        return StoredPictures(self._scope.images, self._rows, draft_edge=draft_edge)

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Widths and heights (pixels)."""
        return list(zip(self._rows.column("width").to_pylist(), self._rows.column("height").to_pylist(), strict=True))

    def vectors(self, content: Content, encoder: str) -> Floats:
        """(n, d) stored vectors."""
        modality = "image" if content == "picture" else "caption"
        return self._said(f"features.{modality}_embeddings", "embedding", encoder, f"{modality}_sha256")

    def probabilities(self, encoder: str) -> Floats | None:
        """(n, c) stored probabilities of the encoder's classes."""
        return self._said("features.image_classes", "probabilities", encoder, "image_sha256")

    def _said(self, table: str, column: str, encoder: str, key: str) -> Floats:
        """What an encoder said of the content, in the order of the rows."""
        found = self._scope.warehouse.query(
            f"SELECT {key} AS key, {column} AS said FROM {table} "
            f"WHERE encoder = $encoder AND code_version = $version AND {key} IN (SELECT unnest($keys))",
            {"encoder": encoder, "version": ENCODING_VERSION, "keys": self._rows.column(key).to_pylist()},
        )
        said = dict(zip(found.column("key").to_pylist(), found.column("said").to_numpy(), strict=True))
        return np.stack([said[content] for content in self._rows.column(key).to_pylist()])


class StoredPosts(Subjects):
    """Posts that the warehouse knows, in the order of their ids.

    Args:
        scope: where they are.
        post_ids: n ids.
        created_at: (n,) datetime64[s], UTC.
        past: what there is to see, these posts among it, for families that look at others.
        rows: (n,) their places in the past.
    """

    def __init__(
        self,
        scope: Scope,
        post_ids: Sequence[str],
        created_at: npt.NDArray[np.datetime64],
        past: Past | None = None,
        rows: npt.NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__(scope.networks)
        self._scope = scope
        self._post_ids = post_ids
        self._created_at = created_at
        self._past = past
        self._rows = rows

    def __len__(self) -> int:
        return len(self._post_ids)

    def parts(self, rows_at_once: int | None) -> Iterator[StoredPosts]:
        """The same posts, at most so many at a time; None for all at once."""
        if rows_at_once is None or len(self) <= rows_at_once:
            yield self
            return
        progress = Progress(self._scope.progress, len(self), "posts")
        for start in range(0, len(self), rows_at_once):
            some = slice(start, start + rows_at_once)
            rows = None if self._rows is None else self._rows[some]
            yield StoredPosts(self._scope, self._post_ids[some], self._created_at[some], self._past, rows)
            progress.at(min(start + rows_at_once, len(self)))

    def rows_of(self, family: Family, features: Features) -> pa.Table:
        """Rows of the family's table."""
        same = {"subreddit": self._scope.subreddit, **family.named(self._scope.encoders)}
        if _has_version(family, self._scope.warehouse):
            same["code_version"] = family.version
        columns = {name: [value] * len(self) for name, value in same.items()}
        return arrow_table({"post_id": self._post_ids, **columns, **features})

    @property
    def created_at(self) -> npt.NDArray[np.datetime64]:
        """When they were made."""
        return self._created_at

    @cached_property
    def facts(self) -> PostFacts:
        """What is known of them by themselves."""
        # DuckDB's Python client takes 0.1 ms for each element of a list that is a parameter.
        rows = self._scope.warehouse.query(_FACTS, {"post_ids": ",".join(self._post_ids)})
        return PostFacts(*(rows.column(name).to_pylist() for name in rows.column_names))

    @property
    def past(self) -> Past:
        """What there is to see."""
        assert self._past is not None
        return self._past

    @cached_property
    def asked(self) -> Asked:
        """These posts as a part of the past."""
        assert self._rows is not None
        return self.past.asked(self._rows)


class StoredPictures(Sequence["Image"]):
    """The pictures of rows with `path`, each opened when it is asked for."""

    def __init__(self, store: ImageStore, rows: pa.Table, *, draft_edge: int | None = None) -> None:
        self._paths = rows.column("path").to_pylist()
        self._ahead = store.ahead(self._paths)
        self._draft_edge = draft_edge

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Image]: ...
    def __getitem__(self, index: int | slice) -> Image | Sequence[Image]:
        """The picture of one row, decoded at a fraction of its size if that keeps twice `draft_edge`."""
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        return open_rgb(self._ahead.read(range(len(self))[index]), draft_edge=self._draft_edge)


def _can_be_opened(scope: Scope, path: str) -> bool:
    try:
        open_rgb(scope.images.read(path), draft_edge=_HEADER)
    except StoreError:
        raise
    except (RedPopError, OSError) as error:
        scope.warn(f"{path} was left out: {error}")
        return False
    return True


def _seconds(column: pa.ChunkedArray) -> npt.NDArray[np.datetime64]:
    found: npt.NDArray[np.datetime64] = column.to_numpy().astype("datetime64[s]")
    return found
