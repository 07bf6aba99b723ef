"""How much text a caption may be: the one rule that cleaning, features, encoders and predictors go by."""

from typing import Final

LONGEST_CAPTION: Final = 1_000
"""Characters of the longest title that is one; Reddit takes 300. Cleaning rejects longer ones, and whatever reads a
caption reads no more of it than this, so that what one costs is bounded whatever it says: the dearest reader, the name
finder, takes half a second for a thousand brackets and minutes for twenty thousand."""
