"""A small world behind a real server, with whatever chaos a test switches on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from redpop_assets.sandbox.chaos import Chaos
from redpop_assets.sandbox.clock import Clock
from redpop_assets.sandbox.server import running
from redpop_assets.sandbox.world import Post, World
from redpop_assets.sources.reddit.budget import RequestBudget
from redpop_assets.sources.reddit.client import RedditClient


class Waits(list[float]):
    """Stands in for sleeping: notes how long it would have taken, and is a clock that only sleeping moves."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)

    def clock(self) -> float:
        return 1_000.0 + sum(self)


@dataclass
class Place:
    """A running sandbox and ways to ask it. `url` with a port of its own; `waits` moves the time of storms."""

    world: World
    clock: Clock
    chaos: Chaos
    waits: Waits
    url: str
    _token: dict[str, str] = field(default_factory=dict)

    @property
    def now(self) -> float:
        return self.clock.seconds()

    def get(self, path: str, **options: Any) -> requests.Response:
        """One request as a client without any skill makes it; redirects are answers."""
        if path.startswith(("/api/", "/r/")) and not self._token:
            answer = self.post("/api/v1/access_token", data={"grant_type": "client_credentials"}, auth=("a", "sandbox"))
            self._token = {"authorization": f"Bearer {answer.json()['access_token']}"}
        headers = {**self._token, **options.pop("headers", {})}
        return requests.get(self.url + path, headers=headers, timeout=10, allow_redirects=False, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return requests.post(self.url + path, timeout=10, **options)

    def listed(self, path: str = "/r/pics/new?limit=100") -> list[dict[str, Any]]:
        return [child["data"] for child in self.get(path).json()["data"]["children"]]

    def info(self, *posts: Post) -> list[dict[str, Any]]:
        return self.listed("/api/info?id=" + ",".join(f"t3_{post.id}" for post in posts))

    def client(self, **options: Any) -> RedditClient:
        """The platform's own client, whose waiting takes no time."""
        budget = RequestBudget(sleep=self.waits, clock=self.waits.clock)
        agent = "linux:redpop-tests:0 (by /u/nobody)"
        return RedditClient(
            *("sandbox", "sandbox", agent),
            reddit_url=self.url,
            oauth_url=self.url,
            budget=budget,
            sleep=self.waits,
            **options,
        )

    def picture(self, post: Post, item: int = 0) -> str:
        return f"/i/{self.world.media_id(post, item)}.jpg"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """Starts a sandbox of a seed and with these situations; `kept=True` keeps its state in the test's folder."""
    with ExitStack() as stack:

        def start(
            *on: str, posts: int = 200, seed: int = 5, days: int = 60, kept: bool = False, **options: Any
        ) -> Place:
            world = World(seed=seed, posts_per_subreddit=posts, history=timedelta(days=days))
            waits = Waits()
            chaos = Chaos(seed, on, monotonic=waits.clock)
            folder = tmp_path / "state" if kept else None
            clock = Clock(world.epoch, directory=folder)
            options = {"budget": 100_000, **options}
            url = stack.enter_context(running(world, clock, chaos=chaos, directory=folder, **options))
            return Place(world, clock, chaos, waits, url)

        yield start
