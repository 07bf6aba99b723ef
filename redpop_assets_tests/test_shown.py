"""Text of strangers in terminals, pages, figures and logs: rendered as people see it, nothing of it acts."""

import io
import logging
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image
from rich.table import Table as Grid

from redpop_assets import markdown
from redpop_assets.analyses import drawings
from redpop_assets.cli.console import Terminal, quoted
from redpop_assets.pages.analyses import rows_markdown
from redpop_assets.shown import visible
from redpop_assets.terminal import terminal_logger

HOSTILE = (
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;https://evil.example\x07click\x1b]8;;\x07",
    "\x9b31mC1",
    "over\rwritten",
    "two\nlines\u2028three",
    "\u202egnp.exe",
    "\u2066isolated",
    "[red]rich[/red]",
    "[link=https://evil.example]click[/link]",
    "[/]",
    "trailing\\",
    ":smile:",
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "<img src=x onerror=alert(1)>",
    "<https://evil.example>",
    "https://evil.example",
    "www.evil.example",
    "me@evil.example",
    "**bold** _em_ ~~gone~~ `code` ``more``",
    "# head",
    "- item",
    "1. item",
    "a | b || c \\| d",
    "&lt;b&gt; &amp;",
    "$\\frac{1}{2$ $\\evil$ 5$ and 6$",
    "[ref]: https://evil.example",
    "`",
    "half \ud83d of one",
    "",
    "  ",
)
TEXT = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(), max_size=30))
WRITTEN = {"Cc", "Cs", "Zl", "Zp"}


@given(TEXT)
def test_what_is_visible_is_one_line_without_controls(text):
    shown = visible(text)
    assert not {unicodedata.category(letter) for letter in shown} & WRITTEN
    assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", shown)
    assert visible(shown) == shown
    shown.encode()


def test_what_people_write_stays_as_it_is():
    for text in ("Naïve café – “quotes”, 日本語 ½", "👨‍👩‍👧 family 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "می‌خواهم", "5$ [OC] (a_b)"):
        assert visible(text) == text


@given(TEXT)
def test_nothing_acts_on_a_terminal(text):
    page = io.StringIO()
    terminal = Terminal(file=page, width=500, force_terminal=True, color_system="truecolor", record=True, emoji=False)
    terminal.print(f"a {quoted(text)} z", soft_wrap=True, highlight=False)
    grid = Grid("title", box=None, show_header=False)
    grid.add_row(quoted(text))
    terminal.print(grid)
    assert "\x1b" not in page.getvalue()
    first = page.getvalue().splitlines()[0]
    # A backslash at the end comes out twice, unless markup follows.
    assert first.replace("\\", "") == f"a {visible(text)} z".replace("\\", "")
    assert "href" not in terminal.export_html(code_format="{code}")


@given(st.text(st.characters(), max_size=20))
def test_a_terminal_writes_controls_out_even_of_what_was_not_quoted(text):
    page = io.StringIO()
    Terminal(file=page, width=500, emoji=False).print(text, markup=False, soft_wrap=True, highlight=False)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page.getvalue())


@pytest.mark.parametrize("flavour", ["commonmark", "gfm"])
@given(cells=st.tuples(TEXT, TEXT))
def test_a_page_shows_titles_as_they_are(flavour, cells):
    renderer = MarkdownIt("commonmark" if flavour == "commonmark" else "js-default", {"html": True}).enable("table")
    rows = [{"title": text, "words": [text], "count": 3} for text in cells]
    html = renderer.render(rows_markdown(rows, {"title": "title", "words": "words", "count": "n"}))
    tags = set(re.findall(r"</?([a-z]+)", html))
    assert tags <= {"table", "thead", "tbody", "tr", "th", "td", "code"}
    assert html.count("<tr>") == 3
    found = [re.sub(r"</?code>", "", cell) for cell in re.findall(r"<td>(.*?)</td>", html)]
    assert len(found) == 6
    for text, cell in zip(cells, found[::3], strict=True):
        bare = cell.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
        assert bare.split() == visible(text).split()


@given(TEXT)
def test_no_renderer_finds_an_address_outside_of_code(text):
    """Some make links of bare addresses in what they have parsed, whatever was escaped; in code none does."""
    outside = re.sub(r"(`+).*?\1(?!`)", "", markdown.quoted(text))
    assert not re.search(r"[:@./<&\[\]*#$\\|]", outside)


def test_figures_draw_titles_as_they_are():
    picture = Image.new("RGB", (8, 8))
    words = [(text, 0.5) for text in HOSTILE]
    title = "".join(HOSTILE)[:120]
    for png in (
        drawings.gallery([(text, [picture]) for text in HOSTILE], title=title),
        *(
            drawings.attention_chart([(words[part][0], picture, None, words[part:])], title=title)
            for part in (0, 12, 24)
        ),
        drawings.interval_chart({text: {"value": 1.0} for text in HOSTILE}, "value", title=title, axis="lift"),
    ):
        assert Image.open(io.BytesIO(png)).size > (0, 0)


def test_a_line_of_a_log_is_one_line():
    logger = terminal_logger.logger_fn(None)
    record = logging.LogRecord("redpop", logging.INFO, "", 0, "title: \x1b[2J\nforged line", (), None)
    line = logger.handlers[0].format(record)
    assert line.endswith("title: \\x1b[2J forged line")
    assert "\n" not in line
