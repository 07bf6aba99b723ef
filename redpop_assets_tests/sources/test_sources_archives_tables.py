"""Tables of posts in every dialect, and what a stray quote may not do to the posts around it."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.errors import ArchiveError
from redpop_assets.sources.archives import tables
from redpop_assets.sources.archives.posts import read
from redpop_assets.sources.archives.tables import LONGEST_LINE, MOST_COLUMNS, MOST_LINES, Reading, Table

HEADER = "id,title,created_utc,score,url"
SEEN_LATER = "a9,last,1546300800,3,x"


def rows_of(text, **options):
    """Cells of the good rows, and the broken ones as (line, reason)."""
    good, broken = [], []
    for number, record in Table("t.csv", io.StringIO(text, newline="")).records(options.get("skip", 0)):
        if isinstance(record, dict):
            good.append(tuple(record.values()))
        elif isinstance(record, str):
            broken.append((number, record))
    return good, broken


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_delimiters_and_line_ends(delimiter, end, bom):
    lines = [HEADER.replace(",", delimiter), "", f'a1,"one{end}two",1,2,x'.replace(",", delimiter), ""]
    assert rows_of(bom + end.join(lines)) == ([("a1", f"one{end}two", "1", "2", "x")], [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt"])
def test_encodings(tmp_path, encoding, name):
    path = tmp_path / name
    path.write_bytes("Id\tTitle\tCreated_UTC\tScore\tURL\na1\tKönig 🐈\t1546300800\t5\tx\n".encode(encoding))
    (chunk,) = read(path)
    assert chunk.rows[0].submission == {
        **{"id": "a1", "title": "König 🐈", "created_utc": 1546300800, "score": 5, "url": "x"}
    }


def test_a_line_that_names_the_separator():
    assert rows_of(f"sep=;\n{HEADER.replace(',', ';')}\na1;t;1;2;x\n") == ([("a1", "t", "1", "2", "x")], [])


def test_quotes_behind_a_backslash():
    titles = ['"He said \\"hi\\", twice"', '"5\\" of snow\\""', '"c:\\dir"', "\\N"]
    good, broken = rows_of("\n".join([HEADER, *(f"a1,{title},1,2,x" for title in titles)]))
    assert [row[1] for row in good] == ['He said "hi", twice', '5" of snow"', "c:\\dir", "\\N"]
    assert broken == []


def test_json_in_a_cell_keeps_its_backslashes():
    text = f'{HEADER}\na1,"{{""a"": ""b\\""c\\""""}}",1,2,x\n'
    assert rows_of(text)[0][0][1] == '{"a": "b\\"c\\""}'


@pytest.mark.parametrize("swallowed", [1, 5, 500])
def test_an_unclosed_quote_takes_no_post_with_it(swallowed):
    between = [f"b{n},post {n},1,2,x" for n in range(swallowed)]
    text = "\n".join([HEADER, 'a1,"never closed,1,2,x', *between, ""])
    good, broken = rows_of(text)
    assert len(good) == swallowed
    assert [number for number, _ in broken] == [2]
    assert f"the {swallowed:,} lines that it would have swallowed were read without it" in broken[0][1]


@pytest.mark.parametrize("closing", ['a9,"quoted",1,2,x', 'a9,"two\nlines",1,2,x', 'a9,"a ""b""",1,2,x'])
def test_an_unclosed_quote_that_another_row_closes(closing):
    text = "\n".join([HEADER, 'a1,"never closed,1,2,x', "a2,fine,1,2,x", closing, "a3,fine,1,2,x", ""])
    good, broken = rows_of(text)
    assert [row[0] for row in good] == ["a2", "a9", "a3"]
    assert len(broken) == 1
    assert "2 lines" in broken[0][1] or "3 lines" in broken[0][1]


def test_a_record_has_an_end(monkeypatch):
    monkeypatch.setattr(tables, "MOST_LINES", 50)
    text = "\n".join([HEADER, *['a,"b,1,2,x'] + ["c,d,1,2,x"] * 200 + ['e,"f,1,2,x', SEEN_LATER], ""])
    good, broken = rows_of(text)
    assert len(good) == 201
    assert [number for number, _ in broken] == [2, 203]
    assert MOST_LINES >= 10_000


def test_a_line_that_is_too_long(monkeypatch):
    monkeypatch.setattr(tables, "LONGEST_LINE", 100_000)
    good, broken = rows_of(f"{HEADER}\na1,{'x' * 300_000},1,2,x\n{SEEN_LATER}\n")
    assert ([row[0] for row in good], [number for number, _ in broken]) == (["a9"], [2])
    assert "longer than" in broken[0][1]


def test_a_cell_of_any_size():
    text = "x" * (LONGEST_LINE // 2)
    assert rows_of(f'{HEADER}\na1,"{text}",1,2,x\n') == ([("a1", text, "1", "2", "x")], [])


def test_too_many_columns_are_one_sentence():
    with pytest.raises(ArchiveError, match=f"300,005 columns; a table of posts has at most {MOST_COLUMNS:,}"):
        Table("t.csv", io.StringIO(HEADER + "," + ",".join(map(str, range(300_000))) + "\n"))


def test_stretches_of_empty_lines_are_passed_as_one():
    text = f"{HEADER}\n" + "\n" * 500_000 + "\r\n" * 500_000 + SEEN_LATER
    found = list(Table("t.csv", io.StringIO(text, newline="")).records(0))
    assert len(found) < 100
    assert found[-1][0] == 1_000_002
    assert {record for _, record in found[:-1]} == {Reading.NOTHING}


CELL = st.text(st.sampled_from('ab,"\\\n\r \t'), max_size=6)


@given(text=st.lists(st.lists(CELL, min_size=1, max_size=6).map(",".join), max_size=8).map("\n".join))
def test_whatever_a_table_holds_reading_ends_and_goes_on_anywhere(text):
    whole = f"{HEADER}\n{text}\n{SEEN_LATER}\n"
    found = list(Table("t.csv", io.StringIO(whole, newline="")).records(0))
    numbers = [number for number, _ in found]
    assert numbers == sorted(set(numbers))
    for place, (number, _) in enumerate(found):
        rest = Table("t.csv", io.StringIO(whole, newline="")).records(number)
        assert list(rest) == found[place + 1 :]
