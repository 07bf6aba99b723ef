"""Text of strangers as it is shown: titles, file names and words are data wherever people read them.

A title may hold what a terminal obeys, what turns the direction of a line round, or what ends it. `visible` writes such
characters out. What a markup makes of the rest belongs to who writes that markup: `redpop_assets.markdown` for pages,
`redpop_assets.cli.console` for the terminal, `redpop_assets.analyses.drawings` for figures.
"""

import re

# C0 and C1 controls, DEL, what breaks lines, bidirectional marks, overrides and isolates, and halves of
# characters, which no file and no terminal can be given. A joiner stays: emoji and many scripts need it.
_ACTS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_BLANKS = "\t\n\v\f\r\x85\u2028\u2029"


def visible(text: str, *, keep: str = "") -> str:
    r"""A text in which nothing acts: line ends and tabs become blanks, other control characters their codes, as `\x1b`.

    Args:
        text: of anybody.
        keep: characters that are left as they are, such as a newline in what RedPop itself says.
    """

    def written(match: re.Match[str]) -> str:
        character = match[0]
        if character in keep:
            return character
        if character in _BLANKS:
            return " "
        code = ord(character)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

    return _ACTS.sub(written, text)
