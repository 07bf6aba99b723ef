"""Whether the features of a subreddit still look as they did when they were last accepted, and accepting them.

What is compared is what predictors look at: of the content of the subreddit's posts, the rows that the present networks
and the present code made. A new version of the code, or another network, may move every number; that is reported like
any other drift, and a person accepts it. Only the vectors of embeddings are another column with each network, because
several networks fill one table.

Distances and verdicts belong into `redpop_assets.evaluation.drift`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redpop_assets.errors import SettingsError
from redpop_assets.evaluation.drift import Drift, FeatureCheck, Profile, Values, check_features, profile
from redpop_assets.features.family import Encoders, Family
from redpop_assets.features.registry import COMPARED
from redpop_assets.storage.arrow import utc_now
from redpop_assets.storage.rows import Reader
from redpop_assets.storage.schema import Column
from redpop_assets.storage.warehouse import Warehouse

TABLE: Final = "features.profiles"
"""Where accepted profiles are filed, by community, table and column."""

MOST_ROWS: Final = 20_000
"""Rows of a table that are looked at: those with the smallest hashes of their keys, so always the same ones."""

MOST_VECTORS: Final = 5_000
"""The same for a table that holds vectors: 50 MB for two of 1,280 numbers each."""

_MINE = "SELECT DISTINCT {keys} FROM core.posts AS p {pictures} WHERE p.subreddit = $subreddit"
_COUNT = f"SELECT count(*) FROM {{table}} JOIN ({_MINE}) USING ({{keys}}) WHERE {{current}}"
_ROWS = f"""
WITH chosen AS (
    SELECT {{keys}} FROM {{table}} JOIN ({_MINE}) USING ({{keys}}) WHERE {{current}}
    ORDER BY hash({{keys}}), {{keys}} LIMIT {{most}}
)
SELECT {{columns}} FROM {{table}} JOIN chosen USING ({{keys}}) WHERE {{current}} ORDER BY {{keys}}
"""


@dataclass(frozen=True)
class Sample:
    """Current features of a subreddit.

    Attributes:
        table: Table or view that they are columns of; what their profiles are filed under.
        columns: Column -> (n,) or (n, k) float32, NaN where unknown or not finite. One that has no value at all and no
            accepted profile is left out.
        unit_vectors: The columns that are embeddings of trained networks.
        accepted: Column -> accepted profile.
        rows: Rows that there are.
        compared: Rows that were read, at most `MOST_ROWS`, or `MOST_VECTORS` per network.
    """

    table: str
    columns: Mapping[str, npt.NDArray[np.float32]]
    unit_vectors: frozenset[str]
    accepted: Mapping[str, Profile]
    rows: int
    compared: int

    def check(self) -> FeatureCheck:
        """Compare the columns with their accepted profiles."""
        return check_features(self.columns, self.accepted, unit_vectors=self.unit_vectors)


def read_sample(reader: Reader | Warehouse, subreddit: str, filled_table: str, encoders: Encoders) -> Sample:
    """The features of a table as they are, and as they were accepted.

    Args:
        reader: open warehouse.
        subreddit: community in lower case.
        filled_table: one of `COMPARED`.
        encoders: networks whose rows count.
    """
    family = COMPARED[filled_table]
    present = {tuple(names.values()): names for names in _names(family, encoders)}
    features = reader.schema[family.table].features
    columns: dict[str, npt.NDArray[np.float32]] = {}
    embeddings = set()
    rows = compared = 0
    for networks, names in present.items():
        if not all(networks):
            continue  # the deployment names none
        sql, params = _statement(reader, family, names, features)
        found = reader.query(_ROWS.format(**sql), {"subreddit": subreddit, **params})
        rows += reader.scalar(_COUNT.format(**sql), {"subreddit": subreddit, **params})
        compared += found.num_rows
        for column in features:
            name = f"{column.name} ({networks[0]})" if family.also_compared else column.name
            columns[name] = _finite(found.column(column.name))
            # Vectors of untrained networks lie close together, and nobody expects anything of them.
            if family.table.endswith("_embeddings") and not networks[0].endswith("/random"):
                embeddings.add(name)
    table = family.table
    accepted = read_accepted(reader, subreddit, table)
    columns = {name: values for name, values in columns.items() if name in accepted or not np.isnan(values).all()}
    return Sample(table, columns, frozenset(embeddings & set(columns)), accepted, rows, compared)


def accept_renewed(warehouse: Warehouse, looks: Mapping[str, tuple[Sample, FeatureCheck]]) -> None:
    """Accept what needs no person to do so: new features, and those that look as before and have grown.

    Args:
        warehouse: where profiles are filed.
        looks: community -> its features, and how they compare.
    """
    for subreddit, (sample, check) in looks.items():
        if check.renewed:
            warehouse.merge(TABLE, profile_rows(subreddit, sample.table, check.renewed, utc_now()))


def accept_drift(
    warehouse: Warehouse, subreddit: str, encoders: Encoders, filled_tables: Sequence[str]
) -> dict[str, list[Drift]]:
    """Accept the features of tables that have drifted as they are now; the others stay as they are.

    Args:
        warehouse: where the features and their profiles are.
        subreddit: community in lower case.
        encoders: networks whose rows count.
        filled_tables: some of `COMPARED`.

    Returns:
        Table or view -> its columns that had drifted, the worst first.
    """
    done: dict[str, list[Drift]] = {}
    with warehouse.kept():
        for filled_table in filled_tables:
            with warehouse.read() as reader:
                sample = read_sample(reader, subreddit, filled_table, encoders)
            drifted = [drift for drift in sample.check().drifts if drift.drifted]
            if drifted and accept(warehouse, subreddit, sample.table, sample.columns, utc_now()):
                done[sample.table] = drifted
    return done


def profile_rows(subreddit: str, table: str, profiles: Mapping[str, Profile], accepted_at: datetime) -> pa.Table:
    """Rows of features.profiles.

    Args:
        subreddit: community in lower case.
        table: qualified name of the table that has the columns.
        profiles: column -> profile that is accepted now.
        accepted_at: UTC, without a zone.
    """
    return pa.table(
        {
            "subreddit": pa.array([subreddit] * len(profiles), pa.string()),
            "table_name": pa.array([table] * len(profiles), pa.string()),
            "column_name": pa.array(profiles, pa.string()),
            "accepted_at": pa.array([accepted_at] * len(profiles), pa.timestamp("us")),
            "n": pa.array([found.rows for found in profiles.values()], pa.int32()),
            "profile": pa.array([found.to_json() for found in profiles.values()], pa.string()),
        }
    )


def read_accepted(reader: Reader | Warehouse, subreddit: str, table: str) -> dict[str, Profile]:
    """The accepted profiles of a table: column -> profile; empty if there are none."""
    rows = reader.query(
        f"SELECT column_name, profile FROM {TABLE} WHERE subreddit = $subreddit AND table_name = $table ORDER BY 1",
        {"subreddit": subreddit, "table": table},
    ).to_pylist()
    profiles = {row["column_name"]: Profile.from_json(row["profile"]) for row in rows}
    return {name: found for name, found in profiles.items() if found is not None}


def accept(
    warehouse: Warehouse, subreddit: str, table: str, columns: Mapping[str, Values], accepted_at: datetime
) -> int:
    """Agree to a table as it is: its present profiles become the accepted ones, whatever the old ones said.

    Args:
        warehouse: where features.profiles is.
        subreddit: community in lower case.
        table: qualified name.
        columns: its columns, as for `evaluation.drift.check_features`.
        accepted_at: UTC, without a zone.

    Returns:
        Number of columns. Profiles of columns that the table does not have any more are removed; without rows nothing
        is agreed to, and nothing changes.

    Raises:
        ValueError: as for `evaluation.drift.profile`.
    """
    profiles = {name: profile(values) for name, values in columns.items() if len(values)}
    if not profiles:
        return 0
    warehouse.replace(
        TABLE,
        profile_rows(subreddit, table, profiles, accepted_at),
        "subreddit = $subreddit AND table_name = $table",
        {"subreddit": subreddit, "table": table},
    )
    return len(profiles)


def compared_table(name: str) -> str:
    """The table of `COMPARED` that a person means: with its layer or without it, or a view of it.

    Raises:
        SettingsError: it is none of them.
    """
    qualified = name if "." in name else f"features.{name}"
    for filled_table, family in COMPARED.items():
        if qualified in {filled_table, family.table}:
            return filled_table
    known = ", ".join(sorted(table.removeprefix("features.") for table in COMPARED))
    raise SettingsError(f"There is no table {name} whose features are compared. Name one of {known}; or none, for all.")


def _names(family: Family, encoders: Encoders) -> list[dict[str, str]]:
    """Column -> network whose rows count; several where several networks fill one table."""
    others = [{column: getattr(encoders, other) for column, _ in family.networks} for other in family.also_compared]
    return [family.named(encoders), *others]


def _statement(
    reader: Reader | Warehouse, family: Family, names: Mapping[str, str], features: Sequence[Column]
) -> tuple[dict[str, str], dict[str, str]]:
    """What to put into `_ROWS` and `_COUNT`, and the parameters besides the subreddit."""
    current = dict(names)
    if "code_version" in reader.schema[family.table].column_names:
        current["code_version"] = family.version
    return {
        "table": family.table,
        "keys": ", ".join(family.keys),
        "pictures": "JOIN core.primary_images USING (post_id)" if family.needs_picture else "",
        "current": " AND ".join(f"{column} = ${column}" for column in current) or "TRUE",
        "columns": ", ".join(column.name for column in features),
        "most": str(MOST_ROWS if all(column.type == "FLOAT" for column in features) else MOST_VECTORS),
    }, current


def _finite(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    """(n,) or (n, k) float32 of a FLOAT, FLOAT[k] or FLOAT[] column.

    What is not finite is NaN, and so are vectors of another length than most: other checks speak of those.
    """
    array = column.combine_chunks()
    if pa.types.is_floating(array.type):
        values = np.array(array.to_numpy(zero_copy_only=False), dtype=np.float32)
    else:
        lengths = pc.fill_null(pc.list_value_length(array), -1).to_numpy(zero_copy_only=False)
        width = int(np.bincount(lengths[lengths >= 0]).argmax()) if (lengths >= 0).any() else 0
        values = np.full((len(array), width), np.nan, dtype=np.float32)
        whole = lengths == width
        flat = array.filter(pa.array(whole)).flatten().to_numpy(zero_copy_only=False)
        values[whole] = np.asarray(flat, dtype=np.float32).reshape(int(whole.sum()), width)
    values[~np.isfinite(values)] = np.nan
    return values
