"""Reddit's own API as a source: what a harvest of it reads, in which order, and what people are told of it."""

from collections.abc import Callable
from datetime import timedelta

from redpop_assets.errors import CredentialsRefused, RedditError
from redpop_assets.privacy.author_key import AuthorKey
from redpop_assets.sources.communities import KeptCommunity, keep_community
from redpop_assets.sources.listings import ListingRead
from redpop_assets.sources.reddit.client import RedditClient
from redpop_assets.sources.reddit.harvest import Harvest, Reread
from redpop_assets.sources.reddit.logins import Logins
from redpop_assets.sources.reddit.plan import HarvestPlan, Maturation, PlannedListing
from redpop_assets.sources.source import Asked, Harvested, Listener
from redpop_assets.storage.warehouse import Warehouse


class RedditSource:
    """Reads listings that are due, then scores that are due, then asks whether everything else still stands.

    A community that cannot be read is not searched for missing posts.

    Args:
        client: logged-in client; who made it closes it.
        logins: is told whether Reddit lets the key in.
        warehouse: as for `Harvest`.
        key: loads what hides the names of people.
        plan_of: community -> the listings that are read.
        maturation: when scores are read.
        recheck: how often every post is asked for.
        requests: most requests of one harvest.
        address: of the API, for people.
    """

    def __init__(
        self,
        client: RedditClient,
        logins: Logins,
        warehouse: Warehouse,
        key: Callable[[], AuthorKey],
        *,
        plan_of: Callable[[str], HarvestPlan],
        maturation: Maturation,
        recheck: timedelta,
        requests: int,
        address: str,
    ) -> None:
        self._client = client
        self._logins = logins
        self._warehouse = warehouse
        self._key = key
        self._plan_of = plan_of
        self._maturation = maturation
        self._recheck = recheck
        self._requests = requests
        self._address = address

    def answer(self) -> str:
        """See `Source.answer`."""
        try:
            now = self._client.now()
        except CredentialsRefused as error:
            raise self._logins.refused(error) from error
        self._logins.worked()
        return f"{self._address} answers, its time is {now:%Y-%m-%d %H:%M} UTC"

    def harvest(self, subreddit: str, asked: Asked, listener: Listener) -> Harvested:
        """See `Source.harvest`."""
        # Made first: the login and the question for the time count.
        run = Harvest(subreddit, self._client, self._warehouse, self._key(), requests=self._requests)
        self.answer()
        try:
            return self._harvest(run, asked, listener)
        except CredentialsRefused as error:
            raise self._logins.refused(error) from error

    def _harvest(self, run: Harvest, asked: Asked, listener: Listener) -> Harvested:
        subreddit = run.subreddit
        unread = _read_listings(run, asked, self._plan_of(subreddit), listener)
        scores = standing = Reread()
        if asked.reobserve:
            scores = run.mature(self._maturation)
            standing = run.recheck(self._recheck, self._maturation)
        listener.progress(
            f"scores of {scores.asked} posts that were due, {standing.asked} older posts checked, "
            f"{scores.missing + standing.missing} posts missing"
        )
        if doubted := scores.doubted + standing.doubted:
            listener.warn(
                f"Answers of Reddit lacked {doubted} posts, and others of r/{subreddit} that stood before as well. "
                "Nothing was concluded from that: the community may be closed at the moment, or the service disturbed."
            )
        if unread or scores.left_over or standing.left_over:
            listener.warn(
                f"{run.requests_made} requests are spent; {unread} listings, {scores.left_over} scores and "
                f"{standing.left_over} checks come first in the next harvest. If this lasts, raise "
                "REDPOP_REQUESTS_PER_HARVEST."
            )
        facts = self._keep_facts(subreddit, listener) if run.requests_left else KeptCommunity(0, 0)
        return Harvested(
            new_posts=run.new_submissions,
            new_observations=run.new_observations,
            forgotten=run.forgotten,
            requests=run.requests_made,
            new_sightings=run.new_sightings,
            requests_remaining=self._client.requests_remaining,
            scores_read=scores.asked,
            scores_left_over=scores.left_over,
            posts_checked=standing.asked,
            checks_left_over=standing.left_over,
            posts_missing=scores.missing + standing.missing,
            readings=run.readings,
            listings_left_over=unread,
            community_answers=facts.readings,
            community_days=facts.days,
        )

    def _keep_facts(self, subreddit: str, listener: Listener) -> KeptCommunity:
        """What Reddit says of the community itself, once a day; posts do not wait for it."""
        last = self._warehouse.scalar(
            "SELECT max(read_at) FROM raw.communities WHERE subreddit = $subreddit", {"subreddit": subreddit}
        )
        if last is not None and last.date() >= self._client.now().date():
            return KeptCommunity(0, 0)
        try:
            answers, read_at = self._client.community(subreddit)
        except RedditError as error:
            listener.warn(
                f"What is known of r/{subreddit} itself was not read; tomorrow it is asked for again. {error}"
            )
            return KeptCommunity(0, 0)
        with self._warehouse.write() as writer:
            return keep_community(writer, subreddit, read_at=read_at, **answers)


def _read_listings(run: Harvest, asked: Asked, plan: HarvestPlan, listener: Listener) -> int:
    """Read the listings that are asked for; returns how many the budget did not reach."""
    if asked.listings:
        chosen = tuple(PlannedListing.parse(text) for text in asked.listings)
    else:
        chosen = plan.due(run.last_read(), run.now()) if asked.due_only else plan.entries
    if not chosen:
        entry, when = plan.next_due(run.last_read())
        listener.progress(f"no listing is due; the next is {entry.listing}, at {when:%Y-%m-%d %H:%M} UTC")
    for done, planned in enumerate(chosen):
        if not run.requests_left:
            return len(chosen) - done
        reading = run.read_listing(planned)
        listener.progress(
            f"{planned.listing}: {reading.posts} posts, {reading.new_posts} new, {reading.requests} requests, "
            f"ended by {reading.ended}{reading.joined}"
        )
        if reading.overlapped is False:
            listener.warn(_gap(run.subreddit, reading))
    return 0


def _gap(subreddit: str, reading: ListingRead) -> str:
    return (
        f"Posts of r/{subreddit} made between {reading.gap_from:%Y-%m-%d %H:%M} and {reading.gap_to:%Y-%m-%d %H:%M} "
        "UTC may have been missed: `new` ended before it reached what was read the last time. Read it deeper or more "
        "often (REDPOP_HARVEST_PLAN, REDPOP_DISCOVERY_CRON)."
    )
