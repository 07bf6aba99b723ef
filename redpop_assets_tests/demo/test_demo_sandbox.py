"""A sandbox in another process: started with what was asked for, used while it is there, and gone afterwards."""

import socket
from datetime import timedelta

import pytest

from redpop_assets.demo.sandbox import advance_clock, ask_sandbox, listed, sandbox_process, truth
from redpop_assets.errors import RedPopError

pytestmark = pytest.mark.integration


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_it_runs_for_as_long_as_it_is_needed_and_goes_on_where_it_was(only, tmp_path, port):
    state = tmp_path / "state"
    with only({"REDPOP_HOME": str(tmp_path / "home")}, tmp_path):
        with sandbox_process(port, state=state, subreddits=["Cats"], posts=20) as url:
            posts = truth(url)
            assert {row["subreddit"] for row in posts.values()} == {"Cats"}
            assert truth(url, "cats") == posts
            assert set(listed(url, "cats")) <= set(posts)
            with sandbox_process(port, state=tmp_path / "other", subreddits=["dogs"]) as again:  # the one that is there
                assert again == url
            now = advance_clock(url, timedelta(days=8))
        with pytest.raises(RedPopError, match="No sandbox answers"):
            ask_sandbox(f"{url}/sandbox/clock")
        with sandbox_process(port, state=state, subreddits=["cats"], posts=20) as url:
            assert now in ask_sandbox(f"{url}/sandbox/clock")
    assert not (tmp_path / "home").exists()
    assert not (tmp_path / "other").exists()


def test_one_that_cannot_start_says_why(only, tmp_path, port):
    (tmp_path / "file").touch()
    with (
        only({}, tmp_path),
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(RedPopError, match=f"The sandbox did not start. .*{port}.*choose another port"),
        sandbox_process(port, state=tmp_path / "state", subreddits=["cats"], posts=20),
    ):
        pass
