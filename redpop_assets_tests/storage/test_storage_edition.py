import pyarrow as pa
import pytest

from redpop_assets.errors import WarehouseError
from redpop_assets.storage.edition import Edition, identity_of

pytestmark = pytest.mark.integration


def publish(warehouse, post):
    columns = ("score", "ratio", "vector", "json", "seen")
    warehouse.merge("core.readings", pa.table({"post": [post], "hour": [0], **{name: pa.nulls(1) for name in columns}}))
    warehouse.publish()


def posts(edition):
    return edition.query("SELECT post FROM core.readings ORDER BY post").column("post").to_pylist()


def test_two_editions_are_open_at_once_and_each_has_its_own_rows(warehouse):
    home = warehouse.published.parent
    publish(warehouse, "a")
    old = Edition(home, schema=warehouse.schema)
    assert posts(old) == ["a"]
    publish(warehouse, "b")
    assert identity_of(home) != old.identity
    new = Edition(home, schema=warehouse.schema)
    assert posts(new) == ["a", "b"]
    assert posts(old) == ["a"]
    assert new.identity == identity_of(home)
    old.close()
    assert posts(new) == ["a", "b"]
    new.close()


def test_nothing_published_is_a_sentence(tmp_path):
    with pytest.raises(WarehouseError, match="redpop materialize"):
        Edition(tmp_path)


def test_every_thread_reads_times_in_utc(warehouse):
    publish(warehouse, "a")
    edition = Edition(warehouse.published.parent, schema=warehouse.schema)
    with edition.read() as reader:
        assert reader.scalar("SELECT current_setting('TimeZone')") == "UTC"
    edition.close()
