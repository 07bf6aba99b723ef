"""A walk of drafts through the sandbox, where the better title, hour and community are known.

For each draft a picture is drawn and titles are written that were never posted. Three questions are put to the desk
that the studio asks, and each answer is compared with the process behind the sandbox:

* `titles`: which of two titles is worth more, under this picture, in this community
* `hours`: is the hour that is named best better than a usual one (drawn as people post), and by the desk told apart
  from it
* `communities`: in which of them does the draft stand higher, by the odds of the process

An answer is *right* or *wrong* where the desk tells the two apart, as it would in words; else it is *not told*. What
share of the pairs that were not told the expectation alone would have ranked right is given beside it. Differences of
less than `--least` in log score (or of standing, in tenths) are left out: there, nothing is better.

The home is that of a demo (`redpop demo`). Markdown goes to stdout.

    python benchmarks/drafts.py [--home warehouse/demo] [--drafts 10] [--seed 1]
"""

import argparse
import io
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from PIL import Image

from redpop_assets import markdown
from redpop_assets.demo.settings import demo_settings
from redpop_assets.features.family import Networks
from redpop_assets.refresh.answers import Question
from redpop_assets.refresh.desk import Desk
from redpop_assets.refresh.new_post import Picture
from redpop_assets.resources import judges_of, open_models
from redpop_assets.sandbox import captions, pictures, popularity
from redpop_assets.sandbox.world import World
from redpop_assets.storage.edition import Edition

_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


def look(rng: np.random.Generator, community: str) -> pictures.Look:
    """A picture as people of a community show them."""
    odds = {**popularity.ODDS, "subject": popularity.subject_odds(community)}
    chosen = {
        name: str(rng.choice(values, p=np.asarray(odds[name]) / np.sum(odds[name])))
        for name, values in popularity.IMAGE_PROPERTIES.items()
    }
    return pictures.Look(**chosen, detail=int(rng.integers(2**48)))


def title(rng: np.random.Generator, subject: str) -> captions.Caption:
    """A title as people write them."""
    chosen = {
        name: str(rng.choice(values, p=np.asarray(popularity.ODDS[name]) / np.sum(popularity.ODDS[name])))
        for name, values in popularity.CAPTION_PROPERTIES.items()
    }
    return captions.write(rng, subject=subject, tag=False, **chosen)


def week_hour(moment: datetime) -> float:
    """Hours since Monday 00:00 UTC."""
    return (moment - _MONDAY) / timedelta(hours=1) % 168


class Truth:
    """What the sandbox knows: the worth of titles, hours and pictures, and how scores are spread."""

    def __init__(self, world: World) -> None:
        self.tastes = {name.lower(): world.taste(name) for name in world.subreddits}
        end = world.epoch.timestamp()
        self.scores = {
            name.lower(): np.sort(
                [post.expected_log_score + post.noise for post in world.posts(name, end) if post.kind == "image"]
            )
            for name in world.subreddits
        }

    def standing(self, community: str, shown: pictures.Look, written: captions.Caption, moment: datetime) -> float:
        """Share of the posts of a community that such a post beats in the middle of its luck, from 0 to 1."""
        taste = self.tastes[community]
        log_score = taste.base + taste.of_look(shown) + taste.of_caption(written) + taste.of_time(week_hour(moment))
        scores = self.scores[community]
        return float(np.searchsorted(scores, log_score) / len(scores))


def walk(desk: Desk, truth: Truth, drafts: int, seed: int, least: float) -> dict[str, Counter[str]]:
    """Ask about drafts, in turn for each community; question -> how often the answer was right, wrong, not told."""
    rng = np.random.default_rng(seed)
    found: dict[str, Counter[str]] = {"titles": Counter(), "hours": Counter(), "communities": Counter()}
    now = datetime(2026, 6, 3, 9, tzinfo=UTC)
    names = sorted(truth.tastes)
    rate = popularity.posting_rate(np.arange(168.0))
    for number in range(drafts):
        community = names[number % len(names)]
        taste = truth.tastes[community]
        shown = look(rng, community)
        written = [title(rng, shown.subject) for _ in range(2)]
        with Image.open(io.BytesIO(pictures.render(shown))) as file:
            question = Question(tuple(one.text for one in written), Picture(file.convert("RGB")), now)

        worth = {one.text: taste.of_caption(one) for one in written}
        first, second = desk.answer(community, question).comparison.titles
        gap = worth[first.title] - worth[second.title]
        judge(found["titles"], gap, second.difference.told_apart, least)

        week = desk.hours(community, question, ZoneInfo("UTC"))
        best = week.slots[week.best[0]]
        usual = week.slots[int(rng.choice(168, p=np.roll(rate, -round(week_hour(week.slots[0].at))) / rate.sum()))]
        gap = taste.of_time(week_hour(best.at) + 0.5) - taste.of_time(week_hour(usual.at) + 0.5)
        judge(found["hours"], gap, usual.difference.told_apart, least)

        one, other = desk.places(question)[:2]
        by_title = {written_one.text: written_one for written_one in written}
        assert one.title is not None
        assert other.title is not None
        gap = truth.standing(one.subreddit, shown, by_title[one.title], now) - truth.standing(
            other.subreddit, shown, by_title[other.title], now
        )
        judge(found["communities"], gap, other.told_apart, least / 10)
        sys.stderr.write(f"draft {number + 1} of {drafts}\n")
    return found


def judge(counted: Counter[str], gap: float, told: bool, least: float) -> None:
    """Count one answer: what is said to be better is better by `gap`."""
    if abs(gap) < least:
        counted["no difference"] += 1
        counted["no difference, told apart"] += told
        return
    counted["right" if gap > 0 else "wrong"] += told
    counted["not told"] += not told
    counted["not told, ranked right"] += not told and gap > 0


def main() -> None:
    """Walk, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path("warehouse/demo"))
    parser.add_argument("--drafts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=float, default=0.1, help="log score; a tenth of it for standings")
    options = parser.parse_args()
    settings = demo_settings(8765, home=str(options.home))
    edition = Edition(Path(settings.home))
    desk = Desk(
        edition,
        open_models(settings),
        settings.label_rule,
        Networks(settings.network_device, judges_of(settings, edition.query)),
    )
    found = walk(desk, Truth(World(subreddits=tuple(settings.subreddits))), options.drafts, options.seed, options.least)
    columns = ("right", "wrong", "not told", "not told, ranked right", "no difference", "no difference, told apart")
    print(
        markdown.table(("question", *columns), [(name, *(one[key] for key in columns)) for name, one in found.items()])
    )


if __name__ == "__main__":
    main()
