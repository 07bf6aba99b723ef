"""The posts of a published warehouse as other tools take them: which columns, what they mean, and rows by batches."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa

from redpop_assets.encoders.base import CODE_VERSION as ENCODING_VERSION
from redpop_assets.errors import WarehouseError
from redpop_assets.features.family import Encoders, Family
from redpop_assets.features.registry import BLOCKS
from redpop_assets.predictors.dataset import EMBEDDINGS
from redpop_assets.storage.live_file import usual_memory_mb
from redpop_assets.storage.published import of_another_version, open_published, published_file
from redpop_assets.storage.schema import load_schema

_LEAST_MEMORY_MB = 2_048
_FROM = """
FROM core.posts AS p
LEFT JOIN core.labels AS l USING (post_id)
LEFT JOIN marts.posts AS m USING (post_id)
LEFT JOIN core.images AS i ON i.image_sha256 = m.image_sha256
"""
_REACHED: Mapping[str, str] = {
    "post_id": "p.post_id",
    "caption_sha256": "p.caption_sha256",
    "image_sha256": "i.image_sha256",
}
"""Key of a feature table -> the same in the tables that every export reads."""
_EMBEDDINGS: Mapping[str, tuple[str, str]] = {
    "image": ("features.image_embeddings", "image_e.image_sha256 = i.image_sha256"),
    "caption": ("features.caption_embeddings", "caption_e.caption_sha256 = p.caption_sha256"),
}


@dataclass(frozen=True)
class Column:
    """A column of an export: where it comes from, what it means, and when it was knowable (`at_post`, …).

    `sql` is its value, over the aliases of the query and that of its `join`, which is empty for the tables that every
    export reads.
    """

    name: str
    source: str
    description: str
    known_at: str | None
    sql: str
    join: str = ""


@dataclass(frozen=True)
class Selection:
    """Which posts and columns an export has.

    `labelled_only` leaves out posts without a label. `encoders` are those whose vectors are wanted, by modality
    (`image`, `caption`); `networks` those whose other outputs are: what one that is not named gives is NULL.
    """

    labelled_only: bool = False
    features: bool = True
    encoders: Mapping[str, str] = field(default_factory=dict)
    networks: Encoders = field(default_factory=lambda: Encoders("", ""))


class PublishedPosts:
    """The posts that a home has published, opened read-only; a newer file that is published meanwhile changes nothing.

    Raises:
        WarehouseError: nothing is published there, or it is of another version of RedPop.
    """

    def __init__(self, home: Path) -> None:
        self.path = published_file(home)
        found = self.path.stat()
        self.bytes = found.st_size
        self.published_at = datetime.fromtimestamp(found.st_mtime, UTC)
        with ExitStack() as stack:
            spill = stack.enter_context(tempfile.TemporaryDirectory(prefix="redpop-export-"))
            self._connection = open_published(home, {"memory_limit": _memory(), "temp_directory": spill})
            stack.callback(self._connection.close)
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    @property
    def source(self) -> str:
        """The service that filled the warehouse."""
        return str(self._rows("SELECT source FROM raw.source")[0][0])

    def subreddits(self) -> dict[str, int]:
        """Communities in lower case, and how many posts each has."""
        return dict(self._rows("SELECT subreddit, count(*) FROM core.posts GROUP BY ALL ORDER BY ALL"))

    def columns(self, selection: Selection) -> tuple[Column, ...]:
        """What an export with this selection has of each post."""
        columns = list(_posts_columns())
        if selection.features:
            columns += _feature_columns(selection)
        for modality, encoder in selection.encoders.items():
            columns.append(self._embedding(modality, encoder))
        return tuple(columns)

    def count(self, subreddit: str, selection: Selection) -> int:
        """Posts of a community that are in the selection."""
        return int(self._rows(f"SELECT count(*) {_FROM} {_where(selection)}", {"subreddit": subreddit})[0][0])

    def read(self, subreddit: str, selection: Selection, *, batch_size: int = 1000) -> pa.RecordBatchReader:
        """The selected posts of a community, oldest first, in batches; times are aware, in UTC.

        One reader at a time: the next one ends it.
        """
        columns = self.columns(selection)
        joins = "\n".join(dict.fromkeys(column.join for column in columns if column.join))
        values = ", ".join(f'{column.sql} AS "{column.name}"' for column in columns)
        query = f"SELECT {values} {_FROM} {joins} {_where(selection)} ORDER BY p.created_at, p.post_id"
        return self._execute(self._connection, query, {"subreddit": subreddit}).to_arrow_reader(batch_size)

    def _embedding(self, modality: str, encoder: str) -> Column:
        table, condition = _EMBEDDINGS[modality]
        known = dict(
            self._rows(
                "SELECT encoder, dimension FROM features.encoders WHERE modality = $modality", {"modality": modality}
            )
        )
        if encoder not in known:
            had = ", ".join(known) or "none"
            raise WarehouseError(
                f"{self.path} has no {modality} embeddings of {encoder}; it has those of: {had}. Set "
                f"REDPOP_{modality.upper()}_ENCODER to one of them, or leave the embeddings out."
            )
        alias = f"{modality}_e"
        return Column(
            name=f"{modality}_embedding",
            source=f"{table}.embedding",
            description=f"Vector of the {modality} by {encoder}, {known[encoder]} numbers.",
            known_at="at_post",
            sql=f"{alias}.embedding",
            join=f"LEFT JOIN {table} AS {alias} ON {condition} AND {alias}.encoder = {_literal(encoder)} "
            f"AND {alias}.code_version = '{ENCODING_VERSION}'",
        )

    def _rows(self, query: str, params: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        # A connection has one result at a time, and that may be the posts that are being read.
        with self._connection.cursor() as cursor:
            return self._execute(cursor, query, params).fetchall()

    def _execute(
        self, connection: duckdb.DuckDBPyConnection, query: str, params: Mapping[str, Any] | None
    ) -> duckdb.DuckDBPyConnection:
        try:
            return connection.execute(query, dict(params) if params else None)
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise of_another_version(self.path, error) from error
        except duckdb.Error as error:
            raise WarehouseError(f"{self.path} cannot be exported: {str(error).splitlines()[0]}") from error


def _where(selection: Selection) -> str:
    return "WHERE p.subreddit = $subreddit" + (" AND l.post_id IS NOT NULL" if selection.labelled_only else "")


def _posts_columns() -> Iterator[Column]:
    """What every export has: the post, its label, and its primary picture."""
    picked = {
        "p": (
            "core.posts",
            "post_id subreddit created_at author caption flair kind image_urls image_captions crosspost_parent "
            "is_original_content over_18 spoiler",
        ),
        "l": (
            "core.labels",
            "score log_score percentile observed_at readings score_spread age_at_label_hours score_scale source",
        ),
        "i": ("core.images", "image_sha256 path format width height phash dhash"),
    }
    renamed = {
        "observed_at": "score_observed_at",
        "readings": "score_readings",
        "source": "score_source",
        **{name: f"image_{name}" for name in ("path", "format", "width", "height", "phash", "dhash")},
    }
    for alias, (table, names) in picked.items():
        described = {column.name: column for column in load_schema()[table].columns}
        for name in names.split():
            column = described[name]
            value = f"{alias}.{name}"
            yield Column(
                name=renamed.get(name, name),
                source=f"{table}.{name}",
                description=column.description,
                known_at="after_post" if table == "core.labels" else "at_post",
                sql=f"{value} AT TIME ZONE 'UTC'" if column.type == "TIMESTAMP" else value,
            )


def _feature_columns(selection: Selection) -> Iterator[Column]:
    """What predictors can look at, and what is kept for analysis; vectors of networks only where these are wanted."""
    for family in BLOCKS.values():
        if family.name in selection.encoders or family.name in EMBEDDINGS:
            continue  # a column of its own
        prefix = family.export or family.name
        alias = f"{family.name}_f"
        wanted = all(network in selection.encoders for _, network in family.networks)
        for column in load_schema()[family.table].columns:
            is_vector = column.type == "FLOAT[]" and any(network in EMBEDDINGS for _, network in family.networks)
            if column.is_feature and (wanted or not is_vector):
                yield Column(
                    name=f"{prefix}_{column.name}",
                    source=f"{family.table}.{column.name}",
                    description=column.description,
                    known_at=column.known_at,
                    sql=f'{alias}."{column.name}"',
                    join=f"LEFT JOIN {family.table} AS {alias} ON {_current_rows(family, alias, selection.networks)}",
                )


def _current_rows(family: Family, alias: str, networks: Encoders) -> str:
    """Condition for the row of a post that the present code and networks made."""
    conditions = [f"{alias}.{key} = {_REACHED[key]}" for key in family.keys]
    same = family.named(networks)
    if "code_version" in load_schema()[family.table].column_names:
        same["code_version"] = family.version
    return " AND ".join([*conditions, *(f"{alias}.{name} = {_literal(value)}" for name, value in same.items())])


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _memory() -> str:
    """What does not fit into this goes to the disk: rows as wide as all features need more than others."""
    return f"{max(_LEAST_MEMORY_MB, 2 * usual_memory_mb())}MB"
