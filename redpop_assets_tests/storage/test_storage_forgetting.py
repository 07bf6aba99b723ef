"""Forgetting on the real tables: what goes, what stays, and that the searches find what is left on purpose."""

import hashlib
import json
import re
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redpop_assets.removals import DELETIONS, REVERSIBLE
from redpop_assets.storage import forgetting
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.rows import Writer
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

NOW = datetime(2026, 5, 1)
ANNA, BERT = "a" * 32, "b" * 32
DEFAULTS = {"VARCHAR": "x", "TIMESTAMP": NOW, "INTEGER": 0, "DOUBLE": 0.0, "FLOAT": 0.0, "BOOLEAN": False, "JSON": "{}"}


@pytest.fixture
def home(tmp_path, keep):
    return keep(blank_warehouse(tmp_path, source="reddit")), ImageStore(tmp_path / "images")


def add(warehouse: Warehouse, table: str, **values: object) -> None:
    with warehouse.write() as writer:
        insert(writer, table, **values)


def insert(writer: Writer, table: str, **values: object) -> None:
    """A row; what it must have and nobody asked for gets a value of its type."""
    row = {}
    for column in writer.schema[table].columns:
        default = DEFAULTS.get(column.type, [])
        if size := re.fullmatch(r"FLOAT\[(\d+)\]", column.type):
            default = [0.0] * int(size[1])
        row[column.name] = values.pop(column.name, None if column.nullable else default)
    assert not values, f"{table} has no {', '.join(values)}"
    names = ", ".join(f'"{name}"' for name in row)
    writer.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


def add_post(warehouse, images, post_id, *, subreddit="pics", author=ANNA, picture=b"", caption="", parent=None):
    """A post as it lies in every layer."""
    picture, caption = picture or post_id.encode(), caption or f"caption of {post_id}"
    stored = images.put(picture, "jpg")
    url, sha = f"https://i.redd.it/{post_id}.jpg", stored.sha256
    submission = {"id": post_id, "author": author, "author_fullname": author[::-1], "title": caption,
                  "author_flair_text": f"flair of {author}"}  # fmt: skip
    if parent:
        submission |= {"crosspost_parent": f"t3_{parent}", "crosspost_parent_list": [{"id": parent, "author": BERT}]}
    with warehouse.write() as writer:
        scope = {"post_id": post_id, "subreddit": subreddit}
        insert(writer, "raw.submissions", **scope, discovered_at=NOW, json=json.dumps(submission))
        insert(writer, "raw.observations", **scope, observed_at=NOW + timedelta(hours=1), author_present=True)
        insert(writer, "raw.sightings", **scope)
        insert(writer, "raw.presence", **scope)
        insert(writer, "core.posts", **scope, author=author, caption=caption, caption_sha256=caption, image_urls=[url],
            crosspost_parent=parent)  # fmt: skip
        insert(writer, "core.labels", **scope)
        for table, key in (
            ("core.image_fetches", {"url": url, "image_sha256": sha, "status": "stored"}),
            ("core.images", {"image_sha256": sha, "path": stored.path}),
            ("features.image_embeddings", {"image_sha256": sha, "encoder": "e"}),
            ("features.image_features", {"image_sha256": sha}),
            ("features.caption_embeddings", {"caption_sha256": caption, "encoder": "e"}),
            ("features.caption_features", {"caption_sha256": caption}),
        ):
            first = next(iter(key))
            if not writer.scalar(f"SELECT count(*) FROM {table} WHERE {first} = ?", [key[first]]):
                insert(writer, table, **key)
        for table in ("timestamp_features", "author_features", "post_flags"):
            insert(writer, f"features.{table}", **scope)
        insert(writer, "models.training_set", **scope, cluster=author, duplicate_group=post_id)
        insert(writer, "marts.predictions", **scope, predictor="p")


def rows(warehouse: Warehouse) -> dict[str, int]:
    tables = [name for name, table in warehouse.schema.items() if not table.is_view]
    with warehouse.read() as reader:
        return {name: reader.scalar(f"SELECT count(*) FROM {name}") for name in tables}


def files(images: ImageStore) -> set[str]:
    return {path.relative_to(images.place.root).as_posix() for path in images.place.root.rglob("*") if path.is_file()}


def everything(warehouse: Warehouse) -> str:
    """Every value of every table, as text."""
    tables = [name for name, table in warehouse.schema.items() if not table.is_view]
    with warehouse.read() as reader:
        return "\n".join(str(reader.query(f"FROM {name}").to_pylist()) for name in tables)


def traces(warehouse: Warehouse) -> int:
    return warehouse.scalar(forgetting.trace_query(warehouse.schema))


def test_a_post_leaves_every_table_and_its_file_and_others_stay(home):
    warehouse, images = home
    add_post(warehouse, images, "gone1", author=BERT)
    add_post(warehouse, images, "kept1")
    done = forgetting.forget(warehouse, images, {"gone1": "removed_by_deleted"})
    assert (done.posts, done.files) == (1, 1)
    counts = rows(warehouse)
    empty = {"raw.source", "raw.tombstones", "raw.listing_reads"}
    filled = {name for name, count in counts.items() if count and name not in empty}
    assert filled == set(done.rows), "every table that held the post is counted"
    assert all(counts[name] == 1 for name in filled)
    (tombstone,) = warehouse.query("FROM raw.tombstones").to_pylist()
    assert tombstone.pop("forgotten_at") is not None
    assert tombstone == {
        "post_id": "gone1", "reason": "removed_by_deleted",
        "first_seen_at": NOW, "last_seen_at": NOW + timedelta(hours=1),
    }  # fmt: skip
    left = everything(warehouse).replace("'post_id': 'gone1'", "", 1)
    assert "gone1" not in left
    assert BERT not in left
    assert len(files(images)) == 1
    assert traces(warehouse) == 0


def test_forgetting_again_changes_nothing(home):
    warehouse, images = home
    add_post(warehouse, images, "gone1")
    forgetting.forget(warehouse, images, {"gone1": "by_request"})
    before = warehouse.query("FROM raw.tombstones").to_pylist()
    done = forgetting.forget(warehouse, images, {"gone1": "missing"})
    assert (done.posts, done.rows, done.files) == (0, {}, 0)
    assert warehouse.query("FROM raw.tombstones").to_pylist() == before


def test_what_another_post_uses_stays(home):
    warehouse, images = home
    add_post(warehouse, images, "gone1", picture=b"the same", caption="the same")
    add_post(warehouse, images, "kept1", picture=b"the same", caption="the same")
    done = forgetting.forget(warehouse, images, {"gone1": "removed_by_deleted"})
    assert done.files == 0
    assert len(files(images)) == 1
    assert warehouse.scalar("SELECT count(*) FROM features.image_embeddings") == 1
    assert warehouse.scalar("SELECT count(*) FROM features.caption_embeddings") == 1
    assert warehouse.scalar("SELECT count(*) FROM core.image_fetches") == 1
    assert traces(warehouse) == 0
    assert forgetting.forget(warehouse, images, {"kept1": "removed_by_deleted"}).files == 1
    assert files(images) == set()


def test_crossposts_go_with_their_parent_wherever_they_are(home):
    warehouse, images = home
    add_post(warehouse, images, "root1")
    add_post(warehouse, images, "cross1", subreddit="aww", parent="root1")
    add_post(warehouse, images, "cross2", subreddit="cats", parent="cross1")
    add_post(warehouse, images, "kept1", parent="other")
    done = forgetting.forget(warehouse, images, {"root1": "removed_by_deleted"})
    assert done.posts == 3
    reasons = warehouse.query("SELECT post_id, reason FROM raw.tombstones ORDER BY 1").to_pylist()
    assert [(row["post_id"], row["reason"]) for row in reasons] == [
        ("cross1", "parent_forgotten"), ("cross2", "parent_forgotten"), ("root1", "removed_by_deleted"),
    ]  # fmt: skip
    assert warehouse.scalar("SELECT list(post_id) FROM core.posts") == ["kept1"]


def test_a_post_that_was_never_seen_gets_a_tombstone(home):
    warehouse, images = home
    assert forgetting.forget(warehouse, images, {"never1": "by_request"}).posts == 1
    (tombstone,) = warehouse.query("FROM raw.tombstones").to_pylist()
    assert (tombstone["first_seen_at"], tombstone["last_seen_at"]) == (None, None)


def test_a_group_is_named_after_a_post_that_is_left(home):
    warehouse, images = home
    for post_id in ("one1", "two2", "two3"):
        add_post(warehouse, images, post_id)
    with warehouse.write() as writer:
        writer.execute("UPDATE models.training_set SET duplicate_group = 'one1'")
    forgetting.forget(warehouse, images, {"one1": "by_request"})
    assert warehouse.query("SELECT duplicate_group FROM models.training_set").column(0).to_pylist() == ["two2"] * 2


@pytest.mark.parametrize("table", ["raw.observations", "raw.sightings", "features.post_flags", "marts.predictions"])
def test_the_search_finds_what_came_back(home, table):
    warehouse, images = home
    add_post(warehouse, images, "gone1")
    forgetting.forget(warehouse, images, {"gone1": "by_request"})
    assert traces(warehouse) == 0
    add(warehouse, table, post_id="gone1")
    assert traces(warehouse) == 1


def test_the_search_finds_references_and_content_that_nobody_uses(home):
    warehouse, images = home
    forgetting.forget(warehouse, images, {"gone1": "by_request"})
    add_post(warehouse, images, "kept1", parent="gone1")
    with warehouse.write() as writer:
        writer.execute("UPDATE models.training_set SET duplicate_group = 'gone1'")
    assert traces(warehouse) == 3  # core.posts.crosspost_parent, the parent in the JSON, duplicate_group
    add(warehouse, "features.image_features", image_sha256="unused")
    add(warehouse, "features.caption_features", caption_sha256="unused")
    assert traces(warehouse) == 5
    done = forgetting.erase_unused_content(warehouse, images)
    assert done.rows == {"features.image_features": 1, "features.caption_features": 1}
    assert len(files(images)) == 1


def read_again(warehouse, post_id, *, removal=None, author_present=True, hours=48, endpoint="info"):
    add(warehouse, "raw.observations", post_id=post_id, subreddit="pics", observed_at=NOW + timedelta(hours=hours),
        endpoint=endpoint,
        removed_by_category=removal, author_present=author_present)  # fmt: skip


@pytest.mark.parametrize("removal", [*DELETIONS, *REVERSIBLE, "unknown", "a new one", None])
def test_removals_that_are_final_are_due(home, removal):
    warehouse, images = home
    add_post(warehouse, images, "post1")
    read_again(warehouse, "post1", removal=removal)
    expected = {"post1": f"removed_by_{removal}"} if removal in DELETIONS else {}
    assert forgetting.due(warehouse, "pics") == expected
    assert forgetting.due(warehouse, "aww") == {}
    read_again(warehouse, "post1", hours=72)  # and a post that stands again is not
    assert forgetting.due(warehouse, "pics") == {}


@pytest.mark.parametrize(
    ("misses", "hours", "gone"), [(3, 48, True), (4, 500, True), (2, 500, False), (3, 47.9, False), (0, 48, False)]
)
def test_a_missing_post_is_gone_after_several_misses_over_two_days(home, misses, hours, gone):
    warehouse, _ = home
    add(warehouse, "raw.presence", post_id="post1", subreddit="pics", misses=misses, missing_since=NOW,
        checked_at=NOW + timedelta(hours=hours))  # fmt: skip
    assert forgetting.due(warehouse, "pics") == ({"post1": "missing"} if gone else {})


def test_a_closed_account_leaves_no_trace_and_its_posts_stay(home):
    warehouse, images = home
    add_post(warehouse, images, "post1", author=BERT)
    add_post(warehouse, images, "post2", author=BERT)
    add_post(warehouse, images, "cross1", parent="post1")  # Anna's, of Bert's picture
    add_post(warehouse, images, "other1")
    assert forgetting.closed_accounts(warehouse, "pics") == []
    assert warehouse.scalar(forgetting.ACCOUNT_TRACES, {"subreddits": ["pics"]}) == 0
    read_again(warehouse, "post1", author_present=False)
    assert warehouse.scalar(forgetting.ACCOUNT_TRACES, {"subreddits": ["pics"]}) == 2
    closed = forgetting.closed_accounts(warehouse, "pics")
    assert closed == sorted([BERT, BERT[::-1]]) or closed == [BERT]
    assert forgetting.erase_accounts(warehouse, closed) == 3
    assert BERT not in everything(warehouse)
    assert warehouse.scalar(forgetting.ACCOUNT_TRACES, {"subreddits": ["pics"]}) == 0
    assert forgetting.closed_accounts(warehouse, "pics") == []
    assert warehouse.scalar("SELECT count(*) FROM core.posts") == 4
    assert warehouse.scalar("SELECT count(*) FROM core.posts WHERE author = ?", [ANNA]) == 2
    found = json.loads(warehouse.scalar("SELECT json FROM raw.submissions WHERE post_id = 'post1'"))
    assert (found["author"], found["title"]) == ("[deleted]", "caption of post1")
    assert "author_flair_text" not in found
    kept = json.loads(warehouse.scalar("SELECT json FROM raw.submissions WHERE post_id = 'other1'"))
    assert kept["author_flair_text"] == f"flair of {ANNA}"
    assert warehouse.scalar("SELECT cluster FROM models.training_set WHERE post_id = 'post1'") == "post1"


def test_a_file_without_a_name_closes_no_account(home):
    warehouse, images = home
    add_post(warehouse, images, "post1", author=BERT)
    add_post(warehouse, images, "post2", author=BERT)
    read_again(warehouse, "post1", author_present=False, endpoint="archive")
    assert forgetting.closed_accounts(warehouse, "pics") == []
    assert forgetting.erase_missing_authors(warehouse, "pics") == 0
    read_again(warehouse, "post1", author_present=False, hours=47, endpoint="info")
    assert forgetting.closed_accounts(warehouse, "pics") == [BERT]
    read_again(warehouse, "post1", hours=72, endpoint="archive")  # which still names the author
    assert forgetting.closed_accounts(warehouse, "pics") == []


def test_a_post_that_was_taken_down_tells_nothing_of_its_account(home):
    """Who deletes what a moderator removed loses the name under it, and has the account still."""
    warehouse, images = home
    add_post(warehouse, images, "post1", author=BERT)
    add_post(warehouse, images, "post2", author=BERT)
    add_post(warehouse, images, "other1")
    read_again(warehouse, "post1", removal="moderator", author_present=False)
    assert forgetting.closed_accounts(warehouse, "pics") == []
    assert warehouse.scalar(forgetting.ACCOUNT_TRACES, {"subreddits": ["pics"]}) == 2
    assert forgetting.erase_missing_authors(warehouse, "pics") == 1
    assert warehouse.scalar(forgetting.ACCOUNT_TRACES, {"subreddits": ["pics"]}) == 0
    assert forgetting.erase_missing_authors(warehouse, "pics") == 0
    assert forgetting.posts_of(warehouse, BERT) == ["post2"]
    named = {row["post_id"]: row["author"] for row in warehouse.query("FROM core.posts").to_pylist()}
    assert named == {"post1": None, "post2": BERT, "other1": ANNA}
    found = json.loads(warehouse.scalar("SELECT json FROM raw.submissions WHERE post_id = 'post1'"))
    assert found == {"id": "post1", "title": "caption of post1", "author": "[deleted]"}
    assert warehouse.scalar("SELECT cluster FROM models.training_set WHERE post_id = 'post1'") == "post1"
    assert warehouse.scalar("SELECT cluster FROM models.training_set WHERE post_id = 'post2'") == BERT


def test_a_tombstone_is_lifted_by_hand(home):
    warehouse, images = home
    for post_id in ("gone1", "gone2", "kept1"):
        add_post(warehouse, images, post_id)
    forgetting.forget(warehouse, images, {"gone1": "removed_by_reddit", "gone2": "missing"})
    assert forgetting.never_seen(warehouse, ["gone1", "kept1", "new1", "new1"]) == ["new1"]
    assert forgetting.lift(warehouse, ["gone1", "kept1", "new1"]) == {"kept1", "new1"}
    assert rows(warehouse)["raw.tombstones"] == 2, "nothing is lifted where something was mistyped"
    assert forgetting.lift(warehouse, ["gone1", "gone1"]) == set()
    assert warehouse.query("SELECT post_id FROM raw.tombstones").column("post_id").to_pylist() == ["gone2"]
    assert forgetting.lift(warehouse, ["gone1"]) == {"gone1"}


def test_unlinked_authors_keep_their_posts_together_and_lose_their_hash(home, monkeypatch):
    monkeypatch.setattr(forgetting, "_SUBMISSIONS_AT_ONCE", 2)
    warehouse, images = home
    for post_id in ("post1", "post2", "post3"):
        add_post(warehouse, images, post_id, author=BERT)
    add_post(warehouse, images, "other1")
    add_post(warehouse, images, "cross1", parent="post1")
    before = warehouse.query("FROM raw.submissions ORDER BY post_id").to_pylist()
    assert forgetting.unlink_authors(warehouse) == 2
    assert not {ANNA, BERT} & set(re.findall("[0-9a-f]{32}", everything(warehouse)))
    authors = {row["post_id"]: row["author"] for row in warehouse.query("FROM core.posts").to_pylist()}
    assert authors["post1"] == authors["post2"] == authors["post3"] != authors["other1"] == authors["cross1"]
    for old, new in zip(before, warehouse.query("FROM raw.submissions ORDER BY post_id").to_pylist(), strict=True):
        old_json, new_json = json.loads(old.pop("json")), json.loads(new.pop("json"))
        assert new == old
        assert new_json["author"] == authors[new["post_id"]]
        assert (list(new_json), new_json["title"]) == (list(old_json), old_json["title"])
        if "crosspost_parent_list" in new_json:
            assert new_json["crosspost_parent_list"][0]["author"] == authors["post1"]
    clusters = warehouse.query("SELECT post_id, cluster FROM models.training_set").to_pylist()
    assert {row["post_id"]: row["cluster"] for row in clusters} == authors


def test_the_posts_of_an_author_include_crossposts_by_others(home):
    warehouse, images = home
    add_post(warehouse, images, "post1", author=BERT)
    add_post(warehouse, images, "cross1", parent="elsewhere")  # whose parent, by Bert, was never harvested
    add_post(warehouse, images, "other1")
    assert forgetting.posts_of(warehouse, BERT) == ["cross1", "post1"]


def test_the_posts_of_an_author_include_crossposts_that_only_their_address_tells(home):
    warehouse, images = home
    for post_id, link in (
        ("cross1", f"/r/u_{BERT}/comments/par01/my_lake/"),
        ("cross2", f"https://www.reddit.com/user/{BERT}/comments/par02/hill/"),
        ("other1", f"/r/u_{ANNA}/comments/par03/sea/"),
    ):
        add_post(warehouse, images, post_id)
        submission = {"id": post_id, "author": ANNA, "url": link, "crosspost_parent_list": []}
        with warehouse.write() as writer:
            writer.execute("UPDATE raw.submissions SET json = ? WHERE post_id = ?", [json.dumps(submission), post_id])
    assert forgetting.posts_of(warehouse, BERT) == ["cross1", "cross2"]


def mention(warehouse, images):
    """A post by Anna that mentions Bert wherever people write or link."""
    add_post(warehouse, images, "post1")
    json_text = json.dumps({"id": "post1", "author": ANNA, "title": f"Thanks, u/{BERT}!", "selftext": f"t2_{BERT}"})
    link = f"https://a.b/u/{BERT}/c.jpg"
    with warehouse.write() as writer:
        writer.execute("UPDATE raw.submissions SET json = ? WHERE post_id = 'post1'", [json_text])
        writer.execute(
            "UPDATE core.posts SET image_urls = [?, 'x'], image_captions = [NULL, ?], preview_url = ?, flair = ?, "
            "caption = ?", [link, f"by u_{BERT}", link, f"U/{BERT}", f"Thanks, u/{BERT}!"],
        )  # fmt: skip
        writer.execute(
            "UPDATE core.image_fetches SET url = ?, canonical_url = ? WHERE url LIKE '%post1%'", [link, link]
        )
        insert(writer, "core.rejected_posts", post_id="post3", detail=f"self.{BERT}")


def test_an_account_leaves_the_texts_that_mention_it_and_the_posts_stay(home):
    warehouse, images = home
    mention(warehouse, images)
    forgetting.erase_accounts(warehouse, [BERT])
    assert BERT not in everything(warehouse)
    (post,) = warehouse.query("FROM core.posts WHERE post_id = 'post1'").to_pylist()
    assert post["caption"] == "Thanks, u/[deleted]!"
    assert post["caption_sha256"] == hashlib.sha256(b"Thanks, u/[deleted]!").hexdigest()
    assert post["image_captions"] == [None, "by u_[deleted]"]
    assert post["image_urls"][0] == warehouse.scalar("SELECT url FROM core.image_fetches WHERE url LIKE '%c.jpg'")


def test_accounts_that_are_only_mentioned_are_unlinked_too(home):
    warehouse, images = home
    mention(warehouse, images)
    assert forgetting.unlink_authors(warehouse) == 2
    left = everything(warehouse)
    assert BERT not in left
    assert ANNA not in left
    (new,) = set(re.findall("[uU]/([0-9a-f]{32})", left))
    assert left.count(new) > 6


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pictures=st.lists(st.integers(0, 3), min_size=2, max_size=6),
    gone=st.sets(st.integers(0, 5)),
)
def test_what_is_left_is_what_the_others_need(tmp_path_factory, pictures, gone):
    folder = tmp_path_factory.mktemp("forget")
    warehouse, images = blank_warehouse(folder, source="reddit"), ImageStore(folder / "images")
    with warehouse.kept():
        for number, picture in enumerate(pictures):
            add_post(warehouse, images, f"post{number}", picture=f"picture {picture}".encode(), caption=f"{picture}")
        forgetting.forget(warehouse, images, {f"post{number}": "by_request" for number in gone})
        left = {picture for number, picture in enumerate(pictures) if number not in gone}
        assert {images.read(path) for path in files(images)} == {f"picture {picture}".encode() for picture in left}
        paths = warehouse.query("SELECT path FROM core.images").column("path").to_pylist()
        assert sorted(paths) == sorted(files(images))
        assert warehouse.scalar("SELECT count(*) FROM features.caption_features") == len(left)
        assert traces(warehouse) == 0


def test_a_kill_before_the_commit_is_made_up_for(home):
    warehouse, images = home
    add_post(warehouse, images, "gone1")
    with pytest.raises(RuntimeError, match="killed"), warehouse.write() as writer:  # noqa: PT012
        forgetting._erase_unused_content(writer, images, forgetting.Forgotten())
        raise RuntimeError("killed")
    done = forgetting.forget(warehouse, images, {"gone1": "by_request"})
    assert done.rows["core.images"] == 1
    assert files(images) == set()


def test_the_tombstones_table_is_all_that_has_the_id(home):
    warehouse, images = home
    forgetting.forget(warehouse, images, {"gone1": "by_request"})
    assert warehouse.schema["raw.tombstones"].column_names == (
        "post_id", "first_seen_at", "last_seen_at", "forgotten_at", "reason",
    )  # fmt: skip
    assert "gone1" not in everything(warehouse).replace("'post_id': 'gone1'", "", 1)
