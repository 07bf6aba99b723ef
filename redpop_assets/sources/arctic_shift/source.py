"""Arctic Shift as a source: what a harvest of it reads, in which order, and what people are told of it."""

from collections.abc import Callable
from datetime import timedelta

from redpop_assets.errors import RedditError, SettingsError
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.sources.arctic_shift.client import ArcticShiftClient
from redpop_assets.sources.arctic_shift.harvest import ArcticShiftHarvest
from redpop_assets.sources.communities import KeptCommunity
from redpop_assets.sources.services import ARCTIC_SHIFT, SERVICES
from redpop_assets.sources.source import Asked, Harvested, Listener
from redpop_assets.storage.warehouse import Warehouse


class ArcticShiftSource:
    """Reads the posts that are new, and the second readings of the others; knows nothing of what still stands.

    Args:
        client: asks the archive; who made it closes it.
        warehouse, look_back, give_up, requests: as for `ArcticShiftHarvest`.
        key: loads what hides the names of people.
        address: of the service, for people.
    """

    def __init__(
        self,
        client: ArcticShiftClient,
        warehouse: Warehouse,
        key: Callable[[], AuthorKey],
        *,
        look_back: timedelta,
        give_up: timedelta,
        requests: int,
        address: str,
    ) -> None:
        self._client = client
        self._warehouse = warehouse
        self._key = key
        self._look_back = look_back
        self._give_up = give_up
        self._requests = requests
        self._address = address

    def answer(self) -> str:
        """See `Source.answer`."""
        limits = SERVICES[ARCTIC_SHIFT].limits
        return f"{self._address} answers, its time is {self._client.now():%Y-%m-%d %H:%M} UTC; {limits}"

    def harvest(self, subreddit: str, asked: Asked, listener: Listener) -> Harvested:
        """See `Source.harvest`."""
        if asked.listings:
            raise SettingsError(
                f"Arctic Shift has no listings such as {asked.listings[0]}, only posts by time: leave `listings` "
                "empty, or set REDPOP_SOURCE=reddit, which needs a key."
            )
        run = ArcticShiftHarvest(
            subreddit,
            self._client,
            self._warehouse,
            self._key(),
            look_back=self._look_back,
            give_up=self._give_up,
            requests=self._requests,
        )
        begins_a_day = run.begins_a_day()
        unwalked = run.walk()
        scores, scores_left = (0, 0) if unwalked or not asked.reobserve else run.ask_for_the_rest()
        facts = _facts(run, listener) if begins_a_day and not unwalked else KeptCommunity(0, 0)
        for reading in run.readings:
            listener.progress(
                f"{reading.listing}: {reading.posts} posts, {reading.new_posts} new, up to "
                f"{reading.newest_created_at:%Y-%m-%d %H:%M} UTC, {reading.requests} requests"
            )
        listener.progress(f"{scores} posts asked for by id, whose second reading is late")
        self._warn(run, unwalked, scores_left, listener)
        return Harvested(
            new_posts=run.done.new_posts,
            new_observations=run.done.new_observations,
            forgotten=run.done.forgotten,
            requests=run.requests_made,
            scores_read=scores,
            scores_left_over=scores_left,
            readings=run.readings,
            listings_left_over=unwalked,
            community_answers=facts.readings,
            community_days=facts.days,
        )

    def _warn(self, run: ArcticShiftHarvest, unwalked: int, scores_left: int, listener: Listener) -> None:
        if unwalked or scores_left:
            listener.warn(
                f"{run.requests_made} requests are spent; the next harvest goes on where this one ended"
                + (f", and asks for {scores_left} late scores" if scores_left else "")
                + ". If this lasts, raise REDPOP_REQUESTS_PER_HARVEST."
            )
        for problems, what in (
            (run.done.refused, "records of the archive are no posts that can be used and were left out"),
            (run.done.emptied, "values of posts cannot be meant and were left out"),
        ):
            if problems:
                listener.warn(f"{len(problems)} {what}; the first: {problems[0]}")


def _facts(run: ArcticShiftHarvest, listener: Listener) -> KeptCommunity:
    """What the archive says of the community; posts do not wait for it."""
    try:
        return run.keep_facts()
    except RedditError as error:
        listener.warn(
            f"What is known of r/{run.subreddit} itself was not read; tomorrow it is asked for again. {error}"
        )
        return KeptCommunity(0, 0)
