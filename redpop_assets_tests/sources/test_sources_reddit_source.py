"""Reddit as a source: that it remembers whether the key works, and says what came of a harvest."""

from datetime import timedelta

import pytest

from redpop_assets.errors import CredentialsRefused
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.sources.reddit.logins import Logins
from redpop_assets.sources.reddit.plan import HarvestPlan, Maturation
from redpop_assets.sources.reddit.source import RedditSource
from redpop_assets.sources.source import Asked
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
