"""`redpop predict`: what the predictors expect of a post that is not made yet."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from redpop_assets.cli.arguments import moment
from redpop_assets.cli.console import console, warn
from redpop_assets.cli.programs import compute_as_told
from redpop_assets.errors import SettingsError
from redpop_assets.spellings import parse_account, parse_community


def predict(
    subreddit: Annotated[str, typer.Option("--subreddit", "-r", help="Where it would be posted.")],
    title: Annotated[list[str], typer.Option("--title", "-t", help="Its title; several, each with -t, are compared.")],
    image: Annotated[Path | None, typer.Option("--image", "-i", help="The picture: JPEG, PNG, WebP or GIF.")] = None,
    at: Annotated[
        str, typer.Option(help="When it would be posted (UTC), such as 2026-12-24T18:00. Default: now.")
    ] = "",
    author: Annotated[str, typer.Option(help="Who would post it; a known author's past counts.")] = "",
    predictor: Annotated[
        list[str] | None,
        typer.Option(
            "--predictor",
            "-p",
            help="Whom to ask, each with -p, or all. Default: all about one title, the champion about several.",
        ),
    ] = None,
    to_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object.")] = False,
) -> None:
    """Expected score of a picture and a title that are not posted yet, its range, and where that stands.

    Of several titles: which is best, how far the others are from it, and whether that can be told at all. And how
    likely it is that moderators take it down.
    """
    from redpop_assets.captions import parse_title
    from redpop_assets.cli.pages import forecast as page
    from redpop_assets.cli.pages.titles import comparisons_json, print_comparisons
    from redpop_assets.images.decode import ImageRejected, open_rgb
    from redpop_assets.refresh.counted import counted_posts
    from redpop_assets.refresh.draft import answers
    from redpop_assets.refresh.new_post import NewPost
    from redpop_assets.refresh.removal_risk import RemovalOracle
    from redpop_assets.refresh.titles import compare_titles
    from redpop_assets.resources import author_key, judges_of, open_models
    from redpop_assets.settings import load_settings
    from redpop_assets.storage.edition import Edition

    settings = load_settings()
    compute_as_told(settings)
    subreddit = parse_community(subreddit)
    if image is not None and not image.is_file():
        raise SettingsError(f"There is no picture {image}.")
    titles = tuple(map(parse_title, title))
    posted_at = moment(at) if at else datetime.now(UTC)
    try:
        picture = open_rgb(image) if image else None
    except ImageRejected as error:
        raise SettingsError(f"{image} is no picture that can be used: {error}") from error
    edition = Edition(settings.home)
    digest = None
    if author.strip():
        name = parse_account(author)
        digest = author_key(settings).digest(name)
        if not edition.scalar("SELECT count(*) FROM core.posts WHERE author = $author", {"author": digest}):
            warn(f"No stored post is by u/{name}, who counts as a newcomer here. Is the name spelt as on Reddit?")
    post = NewPost(
        edition,
        subreddit.lower(),
        titles,
        picture,
        posted_at=posted_at,
        author=digest,
        matured_after=settings.label_rule.final_age,
        device=settings.network_device,
        judges=judges_of(settings, edition.query),
    )
    models = open_models(settings)
    asked = frozenset() if predictor is None or "all" in predictor else frozenset(predictor)
    place = subreddit.lower(), settings.label_age_days
    risks = RemovalOracle(edition, models, subreddit.lower()).risks(post)
    if len(titles) == 1:
        answered = list(answers(edition, models, post, asked))
        forecasts = [answer.forecasts[0] for answer in answered]
        counted = counted_posts(edition, answered[0].speaker, post)
        if to_json:
            typer.echo(page.as_json(forecasts, *place, risks[0], counted))
        else:
            page.print_forecasts(forecasts, subreddit, titles[0], settings.label_age_days, risks[0], counted, console())
        return
    by_title = dict(zip(titles, risks, strict=True))
    found = compare_titles(edition, models, post, asked)
    comparisons = list(found if predictor else islice(found, 1))
    if to_json:
        typer.echo(comparisons_json(comparisons, *place, by_title))
    else:
        print_comparisons(comparisons, subreddit, settings.label_age_days, by_title, console())
