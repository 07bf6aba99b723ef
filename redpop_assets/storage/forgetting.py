"""Forgetting: what Reddit or a person wants gone leaves every table and every file; only a tombstone stays.

Data flows from left to right, but forgetting reaches every layer at once: what waited for the layers to be computed
again would be content that nobody may keep any more. The tables to search are those of the schema, found by the names
of their columns (`post_id`, `image_sha256`, `caption_sha256`, `author`, …), so that a new table cannot be overlooked;
a column `figure` names a file that shows the post. What counts as deletion is for `redpop_assets.removals` to say.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import pyarrow as pa

from redpop_assets.removals import DELETIONS, MISSES_UNTIL_GONE, MISSING_UNTIL_GONE
from redpop_assets.storage.arrow import utc_now
from redpop_assets.storage.figures import FigureStore
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.made_posts import distrust_known, forget_known
from redpop_assets.storage.rows import Reader, Writer
from redpop_assets.storage.schema import Schema
from redpop_assets.storage.warehouse import Warehouse

TOMBSTONES: Final = "raw.tombstones"

_ACCOUNTS_AT_ONCE = 500
_SUBMISSIONS_AT_ONCE = 2000
_DIGEST = re.compile(r"[0-9a-f]{32}")
_DIGEST_IN_TEXT = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
# Learnt from pictures that many people posted, and needed to recognise the next one.
_NOT_CONTENT = frozenset({"core.placeholder_images"})
_OF_ACCOUNT = ("author_flair_text", "author_flair_richtext", "author_flair_css_class", "author_premium")

_DUE = """
WITH latest AS (
    SELECT post_id, arg_max_null(removed_by_category, observed_at) AS removal
    FROM raw.observations WHERE list_contains($subreddits, subreddit) GROUP BY post_id
)
SELECT post_id, 'removed_by_' || removal AS reason FROM latest WHERE list_contains($deletions, removal)
UNION ALL
SELECT post_id, 'missing' AS reason FROM raw.presence
WHERE list_contains($subreddits, subreddit) AND misses >= $misses AND checked_at - missing_since >= $missing
"""
# The media of a crosspost is that of its parent.
_CROSSPOSTS = """
SELECT post_id FROM raw.submissions
WHERE replace(json->>'crosspost_parent', 't3_', '') IN (SELECT unnest($ids))
    OR len(list_intersect(json->>'$.crosspost_parent_list[*].id', $ids)) > 0
"""
_POSTS_OF = """
SELECT post_id FROM raw.submissions
WHERE $author IN ((json->>'author'), (json->>'author_fullname'))
    OR list_contains(json->>'$.crosspost_parent_list[*].author', $author)
    OR contains(json->>'url', $author) OR contains(json->>'url_overridden_by_dest', $author)
ORDER BY post_id
"""
# Where privacy.submissions puts a hash: it is a whole value, or follows one of these marks.
_MARKS = r"(?i:u/|user/|u_|t2_|self\.)"
_ALL_DIGESTS = f"""
SELECT DISTINCT digest FROM (
    SELECT unnest(regexp_extract_all(json::VARCHAR, '(?:"|{_MARKS})([0-9a-f]{{32}})\\b', 1)) AS digest
    FROM raw.submissions
) ORDER BY digest
"""
# Posts whose newest reading names no author, by Reddit's own answer: a file may lack a name for many reasons.
_NAMELESS = """
    SELECT post_id FROM raw.observations WHERE list_contains($subreddits, subreddit) GROUP BY post_id
    HAVING NOT arg_max_null(author_present, observed_at)
        AND NOT arg_max_null(author_present, observed_at) FILTER (endpoint NOT IN ('archive', 'arctic_shift'))
"""
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "core.posts": ("post_id", "caption", "flair", "image_urls", "image_captions", "preview_url"),
    "core.rejected_posts": ("post_id", "detail"),
    "core.image_fetches": ("url", "url", "canonical_url"),
}
"""Table -> its key, and its columns that may hold an account: what people wrote, and where they linked to."""

# Under a post that stands, only a closed account has no name; who deletes a post loses it under that one alone.
_CLOSED_ACCOUNTS = f"""
SELECT DISTINCT unnest([json->>'author', json->>'author_fullname']) AS digest
FROM raw.submissions WHERE post_id IN ({_NAMELESS}
        AND arg_max_null(removed_by_category, observed_at) IS NULL)
"""


@dataclass
class Forgotten:
    """What went: tombstones made, rows per table, files.

    Attributes:
        posts: Tombstones made.
        rows: Rows erased, by table.
        files: Files removed: images, and figures that showed the posts.
    """

    posts: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0

    def count(self, table: str, rows: int) -> None:
        """Add erased rows of a table."""
        if rows:
            self.rows[table] = self.rows.get(table, 0) + rows


def due(warehouse: Warehouse, *subreddits: str) -> dict[str, str]:
    """Post id -> reason, for every kept post of some subreddits that is deleted, taken down or gone on Reddit."""
    rows = warehouse.query(
        _DUE,
        {
            "subreddits": list(subreddits),
            "deletions": list(DELETIONS),
            "misses": MISSES_UNTIL_GONE,
            "missing": MISSING_UNTIL_GONE,
        },
    )
    return dict(zip(rows.column("post_id").to_pylist(), rows.column("reason").to_pylist(), strict=True))


def posts_of(warehouse: Warehouse, author: str) -> list[str]:
    """Ids of all posts by an author (keyed hash of name or of account id), and of crossposts of them.

    A crosspost whose original Reddit left out tells by its address alone that this was a post of a profile.
    """
    rows = warehouse.query(_POSTS_OF, {"author": author})
    ids: list[str] = rows.column("post_id").to_pylist()
    return ids


def never_seen(warehouse: Warehouse, posts: Sequence[str]) -> list[str]:
    """Those of the posts of which nothing is stored, not even a tombstone, in their order."""
    rows = warehouse.query(
        f"SELECT post_id FROM raw.submissions WHERE post_id IN (SELECT unnest($ids)) "
        f"UNION SELECT post_id FROM {TOMBSTONES} WHERE post_id IN (SELECT unnest($ids))",
        {"ids": list(posts)},
    )
    known = set(rows.column("post_id").to_pylist())
    return [post_id for post_id in dict.fromkeys(posts) if post_id not in known]


def forget(warehouse: Warehouse, images: ImageStore, posts: Mapping[str, str]) -> Forgotten:
    """Erase posts, all their crossposts, and whatever content no other post uses; afterwards nothing stores them again.

    One transaction. Files go before it is committed: a run that is killed in between leaves rows whose file is missing,
    and the next one starts over. The free blocks of the warehouse's files are cleaned by the next `publish`.

    Args:
        warehouse: all its tables are searched.
        images: where the files of pictures lie.
        posts: post id -> reason. A post that was never seen gets its tombstone, too.
    """
    done = Forgotten()
    if not posts:
        return done
    figures = FigureStore.beside(images)
    with warehouse.write() as writer:
        reasons = _with_crossposts(writer, posts)
        ids = list(reasons)
        done.posts = writer.append(TOMBSTONES, _tombstones(writer, reasons))
        done.files += _remove_figures(writer, figures, "post_id IN (SELECT unnest($ids))", {"ids": ids})
        forget_known(writer, ids)
        for table in _tables_with(warehouse.schema, "post_id"):
            if table != TOMBSTONES:
                done.count(
                    table,
                    writer.erase(f"DELETE FROM {table} WHERE post_id IN (SELECT unnest($ids))", {"ids": ids}),
                )
        for table in _tables_with(warehouse.schema, "duplicate_group"):
            _found_anew(writer, table, ids)
        _erase_unused_content(writer, images, done)
    return done


def erase_unused_content(warehouse: Warehouse, images: ImageStore) -> Forgotten:
    """Erase pictures and what was computed from pictures and captions, as far as no post of core.posts uses them.

    Figures and analyses that show a post go with it. Where there is nothing of the kind, that is one query over the
    keys of these tables, and nobody has to wait for the file.
    """
    done = Forgotten()
    gone = "post_id NOT IN (SELECT post_id FROM core.posts)"
    unused = [f"FROM {table} AS t WHERE {condition}" for table, condition in _unused_content(warehouse.schema)]
    unused += [f"FROM {table} WHERE {gone}" for table in _tables_with(warehouse.schema, "figure")]
    if not warehouse.scalar(f"SELECT {' OR '.join(f'EXISTS ({rows})' for rows in unused)}"):
        return done
    figures = FigureStore.beside(images)
    with warehouse.write() as writer:
        done.files += _remove_figures(writer, figures, gone)
        for table in _tables_with(warehouse.schema, "figure"):
            done.count(table, writer.erase(f"DELETE FROM {table} WHERE {gone}"))
        _erase_unused_content(writer, images, done)
    return done


def lift(warehouse: Warehouse, posts: Collection[str]) -> set[str]:
    """Take posts off the list of forgotten ones, so that a harvest or an import may store them again.

    One transaction. What was erased does not come back by itself, and a crosspost that was forgotten with its original
    has a tombstone of its own.

    Args:
        warehouse: whose tombstones they are.
        posts: ids.

    Returns:
        Those that had no tombstone. If there is one, nothing is lifted.
    """
    ids = {"ids": sorted(posts)}
    with warehouse.write() as writer:
        buried = writer.query(f"SELECT post_id FROM {TOMBSTONES} WHERE post_id IN (SELECT unnest($ids))", ids)
        unknown = set(posts) - set(buried.column("post_id").to_pylist())
        if not unknown:
            writer.erase(f"DELETE FROM {TOMBSTONES} WHERE post_id IN (SELECT unnest($ids))", ids)
    return unknown


def closed_accounts(warehouse: Warehouse, *subreddits: str) -> list[str]:
    """Keyed hashes of names and account ids, of authors whom Reddit does not name any more under posts that stand."""
    digests = warehouse.query(_CLOSED_ACCOUNTS, {"subreddits": list(subreddits)}).column("digest").to_pylist()
    return sorted(digest for digest in digests if digest is not None and _DIGEST.fullmatch(digest))


def erase_accounts(warehouse: Warehouse, digests: Sequence[str]) -> int:
    """Take every trace of accounts out of the posts that stay; returns the number of submissions that held one.

    Their posts are left without an author, as on Reddit. What depends on the author is computed again by its assets.
    """
    changed = 0
    for start in range(0, len(digests), _ACCOUNTS_AT_ONCE):
        chunk = {"digests": list(digests[start : start + _ACCOUNTS_AT_ONCE])}
        pattern = {"pattern": "|".join(map(re.escape, chunk["digests"]))}
        with warehouse.write() as writer:
            distrust_known(writer, "author IN (SELECT unnest($digests))", chunk)
            patch = "{" + ", ".join(f'"{name}": null' for name in _OF_ACCOUNT) + "}"
            writer.erase(
                "UPDATE raw.submissions SET json = json_merge_patch(json, $patch::JSON) "
                "WHERE json->>'author' IN (SELECT unnest($digests))",
                {**chunk, "patch": patch},
            )
            changed += writer.erase(
                "UPDATE raw.submissions SET json = regexp_replace(json::VARCHAR, $pattern, '[deleted]', 'g') "
                "WHERE regexp_matches(json::VARCHAR, $pattern)",
                pattern,
            )
            _rewrite_texts(writer, partial(re.compile(pattern["pattern"]).sub, "[deleted]"))
            for table in _tables_with(warehouse.schema, "author"):
                writer.erase(f"UPDATE {table} SET author = NULL WHERE author IN (SELECT unnest($digests))", chunk)
            for table in _tables_with(warehouse.schema, "cluster"):
                writer.erase(f"UPDATE {table} SET cluster = post_id WHERE cluster IN (SELECT unnest($digests))", chunk)
    return changed


def erase_missing_authors(warehouse: Warehouse, *subreddits: str) -> int:
    """Take the author out of posts under which Reddit names none any more, and out of no other post.

    That is all that is known of a post that was taken down: its account may well be there. Returns the posts changed.
    """
    with warehouse.write() as writer:
        found = writer.query(
            f"SELECT post_id FROM raw.submissions WHERE post_id IN ({_NAMELESS}) "
            f"AND regexp_full_match(json->>'author', '{_DIGEST.pattern}')",
            {"subreddits": list(subreddits)},
        )
        ids = {"ids": found.column("post_id").to_pylist()}
        if not ids["ids"]:
            return 0
        chosen = "post_id IN (SELECT unnest($ids))"
        distrust_known(writer, chosen, ids)
        blank = {**dict.fromkeys(("author_fullname", *_OF_ACCOUNT)), "author": "[deleted]"}
        writer.erase(
            f"UPDATE raw.submissions SET json = json_merge_patch(json, $blank::JSON) WHERE {chosen}",
            {**ids, "blank": json.dumps(blank)},
        )
        for table in _tables_with(warehouse.schema, "author"):
            if "post_id" in warehouse.schema[table].column_names:
                writer.erase(f"UPDATE {table} SET author = NULL WHERE author IS NOT NULL AND {chosen}", ids)
        for table in _tables_with(warehouse.schema, "cluster"):
            writer.erase(f"UPDATE {table} SET cluster = post_id WHERE cluster <> post_id AND {chosen}", ids)
    return len(ids["ids"])


def unlink_authors(warehouse: Warehouse) -> int:
    """Give every stored author another hash, which no key leads to; returns the number of authors.

    For a key that is to be replaced: afterwards not even its owner can tell whose hash it is. Posts of one author stay
    together. One transaction; nothing remembers the key that was used.
    """
    throwaway = secrets.token_bytes(32)
    with warehouse.write() as writer:
        distrust_known(writer)
        digests = writer.query(_ALL_DIGESTS).column("digest").to_pylist()
        new = {old: hmac.new(throwaway, old.encode(), hashlib.sha256).hexdigest()[:32] for old in digests}
        ids = writer.query("SELECT post_id FROM raw.submissions ORDER BY post_id").column("post_id")
        for start in range(0, len(ids), _SUBMISSIONS_AT_ONCE):
            chunk = writer.query(
                "SELECT post_id, json FROM raw.submissions WHERE post_id IN (SELECT unnest($ids))",
                {"ids": ids.slice(start, _SUBMISSIONS_AT_ONCE).to_pylist()},
            )
            texts = [
                _DIGEST_IN_TEXT.sub(lambda match: new.get(match[0], match[0]), text)
                for text in chunk.column("json").to_pylist()
            ]
            writer.erase(
                "UPDATE raw.submissions AS s SET json = m.json FROM "
                "(SELECT unnest($ids) AS post_id, unnest($texts) AS json) AS m WHERE s.post_id = m.post_id",
                {"ids": chunk.column("post_id").to_pylist(), "texts": texts},
            )
        _rewrite_texts(writer, lambda text: _DIGEST_IN_TEXT.sub(lambda match: new.get(match[0], match[0]), text))
        for column in ("author", "cluster"):
            for table in _tables_with(warehouse.schema, column):
                writer.erase(
                    f"UPDATE {table} AS t SET {column} = m.new FROM "
                    f"(SELECT unnest($old) AS old, unnest($new) AS new) AS m WHERE t.{column} = m.old",
                    {"old": list(new), "new": list(new.values())},
                )
    return len(new)


def trace_query(schema: Schema) -> str:
    """SQL that counts what is left of forgotten posts: rows, references, crossposts, and content that no post uses."""
    parts = [
        f"SELECT count(*) AS traces FROM {table} SEMI JOIN {TOMBSTONES} USING (post_id)"
        for table in _tables_with(schema, "post_id")
        if table != TOMBSTONES
    ]
    parts += [
        f"SELECT count(*) FROM {table} AS t SEMI JOIN {TOMBSTONES} AS f ON f.post_id = t.{column}"
        for column in ("crosspost_parent", "duplicate_group")
        for table in _tables_with(schema, column)
    ]
    parts.append(
        # Hardly any post is a crosspost, and to look for a word is much quicker than to parse.
        "SELECT count(*) FROM (SELECT unnest(json->>'$.crosspost_parent_list[*].id') AS post_id FROM raw.submissions "
        "WHERE contains(json::VARCHAR, 'crosspost_parent_list')) "
        f"SEMI JOIN {TOMBSTONES} USING (post_id)"
    )
    parts += [f"SELECT count(*) FROM {table} AS t WHERE {unused}" for table, unused in _unused_content(schema)]
    return f"SELECT sum(traces)::BIGINT FROM ({' UNION ALL '.join(parts)})"


ACCOUNT_TRACES: Final = f"""
SELECT
    (SELECT count(*) FROM raw.submissions WHERE regexp_full_match(json->>'author', '{_DIGEST.pattern}')
        AND post_id IN ({_NAMELESS}))
    + (SELECT count(*) FROM core.posts WHERE author IS NOT NULL
        AND post_id IN ({_NAMELESS}))
"""
"""SQL that counts the posts of `$subreddits` that still name an author whom Reddit does not name any more."""


def _rewrite_texts(writer: Writer, change: Callable[[str], str]) -> None:
    """Change the hashes of accounts in the texts of core, which follow a mark there."""
    for table, (key, *columns) in _TEXTS.items():
        found = writer.query(
            f"SELECT {key} AS key, * FROM {table} "
            f"WHERE regexp_matches(concat_ws(' ', {', '.join(columns)}), '{_MARKS}[0-9a-f]{{32}}')"
        )
        for row in found.to_pylist():
            new = {column: _changed(row[column], change) for column in columns}
            if "caption" in new:
                new["caption_sha256"] = hashlib.sha256(new["caption"].encode()).hexdigest()
            if any(new[column] != row[column] for column in columns):
                if table == "core.posts":
                    distrust_known(writer, "post_id = $key", {"key": row["key"]})
                values = ", ".join(f"{column} = ${column}" for column in new)
                writer.erase(f"UPDATE {table} SET {values} WHERE {key} = $key", {**new, "key": row["key"]})


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def _with_crossposts(reader: Reader, posts: Mapping[str, str]) -> dict[str, str]:
    reasons = dict(posts)
    new = list(reasons)
    while new:
        found = reader.query(_CROSSPOSTS, {"ids": new}).column("post_id").to_pylist()
        new = [post_id for post_id in found if post_id not in reasons]
        reasons.update(dict.fromkeys(new, "parent_forgotten"))
    return reasons


def _tombstones(reader: Reader, reasons: Mapping[str, str]) -> pa.Table:
    forgotten = pa.table(
        {
            "post_id": pa.array(reasons.keys(), pa.string()),
            "reason": pa.array(reasons.values(), pa.string()),
            "forgotten_at": pa.array([utc_now()] * len(reasons), pa.timestamp("us")),
        }
    )
    seen = reader.query(
        """
        WITH seen AS (
            SELECT post_id, discovered_at AS seen_at FROM raw.submissions WHERE post_id IN (SELECT unnest($ids))
            UNION ALL
            SELECT post_id, observed_at FROM raw.observations WHERE post_id IN (SELECT unnest($ids))
        )
        SELECT wanted.post_id, min(seen_at) AS first_seen_at, max(seen_at) AS last_seen_at
        FROM (SELECT unnest($ids) AS post_id) AS wanted LEFT JOIN seen USING (post_id) GROUP BY ALL
        """,
        {"ids": list(reasons)},
    )
    return forgotten.join(seen, "post_id")


def _found_anew(writer: Writer, table: str, ids: list[str]) -> None:
    """A group of duplicates is named after one of its posts; if that one is gone, after the first of the others."""
    columns = writer.schema[table].column_names
    canonical = ", canonical = (t.post_id = heirs.heir)" if "canonical" in columns else ""
    writer.erase(
        f"""
        UPDATE {table} AS t SET duplicate_group = heirs.heir{canonical}
        FROM (SELECT duplicate_group, min(post_id) AS heir FROM {table} GROUP BY ALL) AS heirs
        WHERE t.duplicate_group = heirs.duplicate_group AND t.duplicate_group IN (SELECT unnest($ids))
        """,
        {"ids": ids},
    )


def _remove_figures(
    writer: Writer, figures: FigureStore, condition: str, params: Mapping[str, object] | None = None
) -> int:
    """Delete the figures that show a post of `condition`, and say so in the rows of the other posts they showed."""
    removed = 0
    for table in _tables_with(writer.schema, "figure"):
        found = writer.query(f"SELECT DISTINCT figure FROM {table} WHERE figure IS NOT NULL AND {condition}", params)
        shown = found.column("figure").to_pylist()
        removed += figures.remove(*shown)
        writer.erase(f"UPDATE {table} SET figure = NULL WHERE figure IN (SELECT unnest($shown))", {"shown": shown})
    return removed


def _erase_unused_content(writer: Writer, images: ImageStore, done: Forgotten) -> None:
    for table, unused in _unused_content(writer.schema):
        if table == "core.images":
            paths = writer.query(
                f"SELECT DISTINCT path FROM core.images AS t WHERE {unused} "
                f"EXCEPT SELECT path FROM core.images AS t WHERE NOT ({unused})"
            )
            done.files += images.remove(*paths.column("path").to_pylist())
        done.count(table, writer.erase(f"DELETE FROM {table} AS t WHERE {unused}"))


def _unused_content(schema: Schema) -> Iterator[tuple[str, str]]:
    """Tables keyed by content, after what they depend on, with the condition (for alias `t`) that no post uses it."""
    yield "core.image_fetches", "NOT EXISTS (FROM core.image_urls AS p WHERE p.url = t.url)"
    for table in _tables_with(schema, "image_sha256"):
        if table not in ("core.image_fetches", *_NOT_CONTENT):
            yield table, "NOT EXISTS (FROM core.image_fetches AS f WHERE f.image_sha256 = t.image_sha256)"
    for table in _tables_with(schema, "caption_sha256"):
        if table != "core.posts":
            yield table, "NOT EXISTS (FROM core.posts AS p WHERE p.caption_sha256 = t.caption_sha256)"


def _tables_with(schema: Schema, column: str) -> Iterable[str]:
    return [name for name, table in schema.items() if not table.is_view and column in table.column_names]
