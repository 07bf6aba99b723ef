"""How much text a caption may be: the one rule that cleaning, features, encoders and predictors go by."""

from typing import Final

from redpop_assets.errors import SettingsError

LONGEST_CAPTION: Final = 1_000
"""Characters of the longest title that is one; Reddit takes 300. Cleaning rejects longer ones, and whatever reads a
caption reads no more of it than this, so that what one costs is bounded whatever it says: the dearest reader, the name
finder, takes half a second for a thousand brackets and minutes for twenty thousand."""

LONGEST_TITLE: Final = 300
"""Characters of the longest title that Reddit takes of a new post."""


def parse_title(text: str) -> str:
    """The title of a post to be made, as Reddit would show it: without white space around it.

    Raises:
        SettingsError: Reddit would refuse it: nothing can be seen of it, or it is too long.
    """
    title = text.strip()
    if not any(letter.isprintable() and not letter.isspace() for letter in title):
        raise SettingsError("The title is empty; Reddit takes no post without one.")
    if len(title) > LONGEST_TITLE:
        raise SettingsError(
            f"The title has {len(title):,} characters; Reddit takes {LONGEST_TITLE}: shorten {title[:30]!r}…"
        )
    return title
