"""What the rows of posts were made from, and so which of them can come out differently now.

A row about the past of a post depends on the post itself and on what had become known when it was made: another post
from its creation on, a score from its maturity on. So whatever differs from when the rows were made has a first moment
at which it acts, and rows of posts made before that moment stay as they are, bit for bit.

`features.known_posts` keeps, per post, a hash of each kind of fact that families read. `note` compares it with what is
there now and, for every table in `features.made_posts` that reads such a fact of such a community, keeps the earliest
moment at which anything that came, went or changed acts: `due_from`. Of what went or changed the old moment counts,
too.

Who makes rows claims them: `claim` takes over what is due, and only the latest claim may write (`holds`) and say that
all is written (`settle`). So a killed run leaves what it had claimed to the next one, changes that are noted meanwhile
stay due, and a run that was overtaken cannot put older rows over newer ones. All of it happens inside the transaction
that reads or writes the rows themselves.

Which families there are belongs in `redpop_assets.features`; how their rows are computed, in
`redpop_assets.refresh.features`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from redpop_assets.storage.arrow import arrow_table
from redpop_assets.storage.history import SCALES
from redpop_assets.storage.rows import Reader, Writer

KNOWN: Final = "features.known_posts"
MADE: Final = "features.made_posts"

FACTS: Final = ("post", "declared", "score", "picture", "image_vector", "caption_vector")
"""Kinds of facts, the columns of `KNOWN`. A score acts from its maturity on, all others from the creation of the post.
Every table reads `post`."""

ALWAYS: Final = datetime(1, 1, 1)
"""A moment before all posts."""

# Nothing here is wider than a hash: a scan of 200,000 posts takes a fraction of a second.
_FACTS_NOW = f"""
WITH {SCALES}
SELECT
    p.post_id,
    p.subreddit,
    p.created_at,
    hash(p.created_at, p.author, p.caption_sha256, p.revised_at) AS post,
    hash(p.kind, len(p.image_urls), p.crosspost_parent, p.is_original_content, p.flair, p.over_18, p.spoiler)
        AS declared,
    hash(l.log_score) AS score,
    -- A post that nobody has compared yet counts as one that is alone.
    hash(coalesce(d.duplicate_group, p.post_id)) AS picture,
    hash($image_encoder, v.image_sha256) AS image_vector,
    hash($caption_encoder, w.caption_sha256) AS caption_vector
FROM core.posts AS p
LEFT JOIN core.duplicates AS d USING (post_id)
LEFT JOIN scales AS s ON s.subreddit = p.subreddit
LEFT JOIN core.labels AS l ON l.post_id = p.post_id AND l.score_scale = s.score_scale
LEFT JOIN core.primary_images AS i ON i.post_id = p.post_id
LEFT JOIN (
    SELECT image_sha256 FROM features.image_embeddings
    WHERE encoder = $image_encoder AND code_version = $encoding_version
) AS v ON v.image_sha256 = i.image_sha256
LEFT JOIN (
    SELECT caption_sha256 FROM features.caption_embeddings
    WHERE encoder = $caption_encoder AND code_version = $encoding_version
) AS w ON w.caption_sha256 = p.caption_sha256
WHERE $subreddit IS NULL OR p.subreddit = $subreddit
"""
_CHANGED = " OR ".join(f"n.{fact} <> o.{fact}" for fact in FACTS)
# Per post that came, went or changed: both its sides, and the kinds of facts that differ.
_DIFFERENT = f"""
SELECT
    coalesce(n.post_id, o.post_id) AS post_id, n.subreddit, n.created_at, {", ".join(f"n.{f}" for f in FACTS)},
    o.subreddit AS old_subreddit, o.created_at AS old_created_at,
    CASE WHEN n.post_id IS NULL OR o.post_id IS NULL OR n.subreddit <> o.subreddit OR n.post <> o.post THEN ['post']
        ELSE [f FOR f IN [{", ".join(f"CASE WHEN n.{f} <> o.{f} THEN '{f}' END" for f in FACTS)}] IF f IS NOT NULL]
    END AS facts
FROM ({_FACTS_NOW}) AS n
FULL JOIN (
    FROM {KNOWN} WHERE $subreddit IS NULL OR subreddit = $subreddit
        OR post_id IN (SELECT post_id FROM core.posts WHERE subreddit = $subreddit)
) AS o ON o.post_id = n.post_id
WHERE n.post_id IS NULL OR o.post_id IS NULL OR n.subreddit <> o.subreddit OR {_CHANGED}
"""
# Moments are whole seconds, as families see them.
_ACTS = """
SELECT subreddit, fact, min(date_trunc('second', created_at + CASE fact WHEN 'score' THEN $matured_after
    ELSE INTERVAL 0 SECOND END)) AS acts_from
FROM (
    SELECT subreddit, created_at, unnest(facts) AS fact FROM different_posts
    UNION ALL
    SELECT old_subreddit, old_created_at, unnest(facts) FROM different_posts
) WHERE subreddit IS NOT NULL GROUP BY ALL
"""
_DUE_FROM = f"""
UPDATE {MADE} AS m SET due_from = least(m.due_from, c.acts_from)
FROM (
    SELECT m.table_name, m.subreddit, min(a.acts_from) AS acts_from
    FROM {MADE} AS m JOIN ({{acts}}) AS a
        ON (m.everybody OR m.subreddit = a.subreddit) AND list_contains(m.facts, a.fact)
    GROUP BY ALL
) AS c
WHERE m.table_name = c.table_name AND m.subreddit = c.subreddit
"""
_ERASED = f"""
SELECT subreddit, 'post' AS fact, min(date_trunc('day', created_at)) AS acts_from
FROM {KNOWN} WHERE {{chosen}} GROUP BY ALL
"""


@dataclass(frozen=True)
class Look:
    """How facts are looked at: the same for all tables of a deployment.

    Attributes:
        image_encoder: whose vectors of pictures count; "" for none.
        caption_encoder: likewise of captions.
        encoding_version: code version of the vectors that count.
        matured_after: age at which a label is final, of `LabelRule`.
    """

    image_encoder: str
    caption_encoder: str
    encoding_version: str
    matured_after: timedelta

    def _of(self, subreddit: str | None) -> dict[str, Any]:
        return {
            "subreddit": subreddit,
            "image_encoder": self.image_encoder,
            "caption_encoder": self.caption_encoder,
            "encoding_version": self.encoding_version,
        }

    def differs(self, reader: Reader, subreddit: str | None) -> bool:
        """Whether any post of a community, None for all, came, went or changed since the last `note`."""
        return reader.scalar(f"SELECT 1 FROM ({_DIFFERENT}) LIMIT 1", self._of(subreddit)) is not None

    def note(self, writer: Writer, subreddit: str | None) -> None:
        """Keep the facts of a community, None for all, as they are now; what they change is due from then on."""
        if writer.execute(f"CREATE OR REPLACE TEMP TABLE different_posts AS {_DIFFERENT}", self._of(subreddit)):
            writer.execute(_DUE_FROM.format(acts=_ACTS), {"matured_after": self.matured_after})
            writer.execute(f"DELETE FROM {KNOWN} WHERE post_id IN (SELECT post_id FROM different_posts)")
            writer.execute(
                f"INSERT INTO {KNOWN} BY NAME SELECT post_id, subreddit, created_at, {', '.join(FACTS)} "
                "FROM different_posts WHERE subreddit IS NOT NULL"
            )
        writer.execute("DROP TABLE different_posts")


@dataclass(frozen=True)
class Rows:
    """The rows of one table about posts of one community, and what they depend on.

    Attributes:
        table: whose key begins with `post_id`.
        subreddit: in lower case.
        made_with: digest of all that makes them, besides facts; other rows count for nothing.
        facts: of `FACTS`.
        everybody: whether they depend on posts of all communities.
        same: columns, and the value that they have in the rows that count.
    """

    table: str
    subreddit: str
    made_with: str
    facts: Sequence[str]
    everybody: bool
    same: Mapping[str, str]

    @property
    def looked_at(self) -> str | None:
        """The community whose facts are read; None for those of all."""
        return None if self.everybody else self.subreddit

    def any_due(self, reader: Reader) -> bool:
        """Whether a post of the community lacks its row, or has one that is to be made again."""
        row = self._kept(reader)
        return (
            row is None
            or not self._is_of(row)
            or row["claimed_from"] is not None
            or reader.scalar(f"SELECT 1 FROM ({self._due}) LIMIT 1", self._params(self._due_from(row))) is not None
        )

    def due(self, reader: Reader, since: datetime | None) -> pa.Table:
        """The posts that lack their row or were made from `since` on: `post_id`, ascending, and `created_at`."""
        return reader.query(f"{self._due} ORDER BY p.post_id", self._params(since))

    def claim(self, writer: Writer) -> "Claim":
        """Take over all that is due: what was noted, and what a killed run had claimed.

        Of a table whose rows name their code version, rows that were made with something else are told by that, and
        those of a killed run need not be made again.
        """
        row = self._kept(writer)
        since = self._due_from(row)
        claim = 1 if row is None else row["claim"] + 1
        columns: dict[str, Sequence[object]] = {
            "table_name": [self.table],
            "subreddit": [self.subreddit],
            "made_with": [self.made_with],
            "facts": [list(self.facts)],
            "everybody": [self.everybody],
            "due_from": [None],
            "claimed_from": [since],
            "claim": [claim],
        }
        writer.merge(MADE, arrow_table(columns))
        return Claim(self, claim, since)

    def any_stale(self, reader: Reader) -> bool:
        """Whether there are rows of posts that are none of core.posts any more, or of other networks."""
        return reader.scalar(f"SELECT 1 FROM {self.table} AS t WHERE {self._stale} LIMIT 1", self._of) is not None

    def drop_stale(self, writer: Writer) -> int:
        """Remove rows of posts that were rejected since, as when a moderator removes them, and those of other networks.

        Rows of another code version stay until others take their place.
        """
        return writer.execute(f"DELETE FROM {self.table} AS t WHERE {self._stale}", self._of)

    @property
    def _stale(self) -> str:
        other = "".join(f"t.{column} <> $same_{column} OR " for column in self.same if column != "code_version")
        return (
            f"t.subreddit = $subreddit AND ({other}NOT EXISTS "
            "(FROM core.posts AS p WHERE p.post_id = t.post_id AND p.subreddit = t.subreddit))"
        )

    @property
    def _of(self) -> dict[str, Any]:
        same = {f"same_{column}": value for column, value in self.same.items() if column != "code_version"}
        return {"subreddit": self.subreddit, **same}

    @property
    def _due(self) -> str:
        same = "".join(f" AND t.{column} = $same_{column}" for column in self.same)
        return (
            "SELECT p.post_id, p.created_at FROM core.posts AS p "
            "WHERE p.subreddit = $subreddit AND (p.created_at >= $since "
            f"OR NOT EXISTS (FROM {self.table} AS t WHERE t.post_id = p.post_id{same}))"
        )

    def _params(self, since: datetime | None) -> dict[str, Any]:
        # Not all of what is noted is of the past: a score that will be seen from next week on changes no row yet.
        never = datetime(9999, 1, 1)
        same = {f"same_{column}": value for column, value in self.same.items()}
        return {"subreddit": self.subreddit, "since": since or never, **same}

    def _kept(self, reader: Reader) -> dict[str, Any] | None:
        found: list[dict[str, Any]] = reader.query(
            f"FROM {MADE} WHERE table_name = $table AND subreddit = $subreddit",
            {"table": self.table, "subreddit": self.subreddit},
        ).to_pylist()
        return found[0] if found else None

    def _due_from(self, row: Mapping[str, Any] | None) -> datetime | None:
        if row is None or not self._is_of(row):
            return None if "code_version" in self.same else ALWAYS
        return min((row[name] for name in ("due_from", "claimed_from") if row[name] is not None), default=None)

    def _is_of(self, row: Mapping[str, Any]) -> bool:
        return (row["made_with"], row["facts"], row["everybody"]) == (self.made_with, list(self.facts), self.everybody)


@dataclass(frozen=True)
class Claim:
    """Rows that one run makes.

    Attributes:
        rows: which.
        number: of the claim.
        since: rows of posts made from then on are made; None for those alone that are missing.
    """

    rows: Rows
    number: int
    since: datetime | None

    def holds(self, reader: Reader) -> bool:
        """Whether no other run has claimed the rows since."""
        kept = self.rows._kept(reader)
        return kept is not None and kept["claim"] == self.number

    def settle(self, writer: Writer) -> None:
        """All claimed rows are written."""
        writer.execute(
            f"UPDATE {MADE} SET claimed_from = NULL "
            "WHERE table_name = $table AND subreddit = $subreddit AND claim = $claim",
            {"table": self.rows.table, "subreddit": self.rows.subreddit, "claim": self.number},
        )


def forget_known(writer: Writer, ids: Collection[str]) -> None:
    """Before posts are erased: rows that knew of them are due, by the day, which names no post."""
    chosen = "post_id IN (SELECT unnest($ids))"
    writer.execute(_DUE_FROM.format(acts=_ERASED.format(chosen=chosen)), {"ids": list(ids)})


def distrust_known(writer: Writer, condition: str = "TRUE", params: Mapping[str, Any] | None = None) -> None:
    """Before the authors of some posts are erased: no hash of what is known of these posts is kept.

    Rows that knew of them are due at once: a post may be gone, too, before anybody looks again.

    Args:
        condition: SQL for the posts, rows of core.posts.
    """
    chosen = f"post_id IN (SELECT post_id FROM core.posts WHERE {condition})"
    writer.execute(_DUE_FROM.format(acts=_ERASED.format(chosen=chosen)), params)
    writer.erase(f"DELETE FROM {KNOWN} WHERE {chosen}", params)
