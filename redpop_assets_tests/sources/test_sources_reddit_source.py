"""Reddit as a source: that it remembers whether the key works, and says what came of a harvest."""

from datetime import timedelta

import pytest

from redpop_assets.errors import CredentialsRefused
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.sources.reddit.logins import Logins
from redpop_assets.sources.reddit.plan import HarvestPlan, Maturation
from redpop_assets.sources.reddit.source import RedditSource
from redpop_assets.sources.source import Asked
from redpop_assets.storage.warehouse import Warehouse
from redpop_assets.testing.warehouses import blank_warehouse

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)


class Quiet:
    def progress(self, message):
        pass

    def warn(self, message):
        pass


@pytest.fixture
def logins(tmp_path):
    return Logins(tmp_path, "id", "secret")


@pytest.fixture
def source(connect, tmp_path, logins):
    """Makes a source whose client logs in anew."""
    warehouse = blank_warehouse(tmp_path / "home")

    def make():
        return RedditSource(
            connect(),
            logins,
            warehouse,
            lambda: AuthorKey(bytes(32)),
            plan_of=lambda _: HarvestPlan.parse("new"),
            maturation=Maturation((), 7 * DAY, 30 * DAY),
            recheck=DAY,
            requests=10,
            address="http://reddit",
        )

    return make


def test_a_login_that_works_is_remembered(source, logins):
    assert source().answer().startswith("http://reddit answers, its time is")
    assert logins.last().worked_at is not None
    assert logins.last().refused_at is None


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_revoked_is_told_apart_from_one_that_never_worked(server, source, logins, status):
    server.login = lambda _: server.reply({"error": status}, status)
    with pytest.raises(CredentialsRefused, match="This key has never worked here"):
        source().harvest("pics", Asked(), Quiet())
    server.login = lambda _: server.reply({"access_token": "x", "token_type": "bearer", "expires_in": 1, "scope": "*"})
    done = source().harvest("pics", Asked(), Quiet())
    assert (done.new_posts, done.left_over, len(done.readings)) == (0, 0, 1)
    server.login = lambda _: server.reply({"error": status}, status)
    with pytest.raises(CredentialsRefused, match=r"refuses the key since .* it last worked at"):
        source().harvest("pics", Asked(), Quiet())
    assert logins.last().refused_since == logins.last().refused_at


def test_a_key_that_is_revoked_in_the_middle_is_remembered_too(server, source, logins):
    answered = [server.reply({"kind": "Listing", "data": {"children": []}})]
    server.says(*answered, server.reply({"error": 401}, 401))
    with pytest.raises(CredentialsRefused, match="it last worked at"):
        source().harvest("pics", Asked(), Quiet())
    assert logins.last().refused_at is not None


LISTING = {"kind": "Listing", "data": {"children": []}}
FACTS = {
    "/r/pics/about": {"kind": "t5", "data": {"display_name": "pics", "subscribers": 31, "submission_type": "link"}},
    "/r/pics/about/rules": {"rules": [{"short_name": "Be kind", "kind": "all", "priority": 0}], "site_rules": []},
    "/api/v1/pics/post_requirements": {"title_text_min_length": 5, "is_flair_required": True},
}


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(tmp_path / "home", source="test", lock_timeout=30)


def facts(warehouse):
    return (
        warehouse.query("SELECT answer FROM raw.communities ORDER BY 1").column(0).to_pylist(),
        warehouse.scalar("SELECT max(subscribers) FROM raw.community_sizes"),
    )


def test_what_a_community_asks_of_posts_is_read_once_a_day(server, source, warehouse):
    server.answer = lambda request: server.reply(FACTS.get(request.path, LISTING))
    done = source().harvest("pics", Asked(), Quiet())
    assert (done.community_answers, done.community_days) == (3, 1)
    assert facts(warehouse) == (["about", "post_requirements", "rules"], 31)
    rows = warehouse.query("SELECT title_min_length, flair_required FROM core.communities").to_pylist()
    assert rows == [{"title_min_length": 5, "flair_required": True}]
    assert warehouse.query("SELECT short_name FROM core.community_rules").column(0).to_pylist() == ["Be kind"]
    asked = len(server.api_requests)
    assert source().harvest("pics", Asked(), Quiet()).community_answers == 0
    assert not {request.path for request in server.api_requests[asked:]} & set(FACTS)


@pytest.mark.parametrize("status", [403, 404])
def test_what_an_app_may_not_read_of_a_community_is_left_out(server, source, warehouse, logins, status):
    """Requirements of posts may want an account; that says nothing of the key."""
    answers = dict(list(FACTS.items())[:2])
    server.answer = lambda request: (
        server.reply({"message": "no", "error": status}, status)
        if request.path.endswith("post_requirements")
        else server.reply(answers.get(request.path, LISTING))
    )
    assert source().harvest("pics", Asked(), Quiet()).community_answers == 2
    assert facts(warehouse) == (["about", "rules"], 31)
    assert logins.last().refused_at is None


def test_answers_of_another_shape_are_not_kept(server, source, warehouse):
    server.answer = lambda request: server.reply([] if request.path in FACTS else LISTING)
    assert source().harvest("pics", Asked(), Quiet()).community_answers == 0
    assert facts(warehouse) == ([], None)
