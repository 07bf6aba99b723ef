"""`redpop import` as people type it."""

import csv
import json

import pytest
from dagster import AssetCheckKey, AssetKey, DagsterInstance

from redpop_assets import runs
from redpop_assets.sources.archives import imports

pytestmark = pytest.mark.end_to_end

BORN = 1_600_000_000


def dump(path, *posts):
    path.write_text(
        "".join(
            json.dumps(
                {
                    "id": f"a{number}",
                    "title": f"Post {number}",
                    "created_utc": BORN + number,
                    "score": number,
                    "url": f"https://i.redd.it/a{number}.jpg",
                    "retrieved_on": BORN + 10_000_000,
                }
                | ({"subreddit": subreddit} if subreddit else {})
            )
            + "\n"
            for number, subreddit in enumerate(posts)
        ),
        encoding="utf-8",
    )


def test_all_communities_of_the_settings_are_imported_in_one_pass(redpop, tmp_path):
    dump(tmp_path / "RS.ndjson", "pics", "earthporn", "pics", "cats", "aww")
    answer = redpop("import", "RS.ndjson", REDPOP_SUBREDDITS="pics,EarthPorn,aww,dogs")
    assert answer.code == 0, answer.output
    for words in ("2 posts of r/pics", "1 posts of r/earthporn", "1 posts of r/aww", "1 posts of other communities"):
        assert words in answer.output
    assert "r/dogs" not in answer.output
    assert "redpop materialize --no-harvest --subreddit aww --subreddit earthporn --subreddit pics" in answer.output


def test_some_communities(redpop, tmp_path):
    dump(tmp_path / "RS.ndjson", "pics", "earthporn", "pics", "cats")
    variables = {"REDPOP_SUBREDDITS": "pics,EarthPorn,cats,dogs"}
    answer = redpop("import", "RS.ndjson", "-r", "cats", "-r", "r/EarthPorn", **variables)
    assert answer.code == 0, answer.output
    assert "2 posts of other communities were left out" in answer.output
    answer = redpop("import", "RS.ndjson", "-r", "dogs", **variables)
    assert (answer.code, "No post of r/dogs is in RS.ndjson" in answer.output) == (1, True)
    assert "Next:" not in answer.output


def test_a_file_that_names_no_community(redpop, tmp_path):
    dump(tmp_path / "RS.ndjson", None, None)
    answer = redpop("import", "RS.ndjson")
    assert answer.code == 1
    assert "import the file for that one alone" in answer.output
    answer = redpop("import", "RS.ndjson", "-r", "pics")
    assert (answer.code, "2 posts of r/pics" in answer.output) == (0, True)


def test_an_interrupted_import_says_where_it_goes_on(redpop, tmp_path, monkeypatch):
    dump(tmp_path / "RS.ndjson", *["pics"] * 50)
    monkeypatch.setattr(imports, "_CHUNK_SIZE", 20)
    store = imports._Pass.store
    stored = []

    def stop(self, chunk, warehouse, key):
        if stored:
            raise KeyboardInterrupt
        stored.append(store(self, chunk, warehouse, key))

    with monkeypatch.context() as patch:
        patch.setattr(imports._Pass, "store", stop)
        assert redpop("import", "RS.ndjson").code != 0
    answer = redpop("import", "RS.ndjson")
    assert answer.code == 0, answer.output
    assert "it went on after line 20" in answer.output
    assert "50 posts of r/pics in RS.ndjson: 50 new posts" in answer.output


def test_a_look_at_the_beginning_of_a_file(redpop, tmp_path):
    dump(tmp_path / "RS.ndjson", *["pics"] * 30)
    answer = redpop("import", "RS.ndjson", "--limit", "10")
    assert answer.code == 0, answer.output
    assert "10 posts of r/pics in RS.ndjson: 10 new posts" in answer.output
    assert "The limit was reached after line 10; the next import goes on from there." in answer.output
    answer = redpop("import", "RS.ndjson")
    assert "it went on after line 10" in answer.output
    assert "30 posts of r/pics in RS.ndjson: 30 new posts" in answer.output
    assert "limit" not in answer.output


def test_values_that_were_left_out_are_told(redpop, tmp_path):
    (tmp_path / "t.csv").write_text(
        "id,title,created_utc,score,url,upvote_ratio\na1,one,1600000000,5,https://i.redd.it/a1.jpg,97%\n",
        encoding="utf-8",
    )
    answer = redpop("import", "t.csv", "-r", "pics")
    assert answer.code == 0, answer.output
    assert "1 values that could not be meant were left out of their posts" in answer.output
    assert "line 2: upvote_ratio holds '97%', which is no number" in answer.output


def test_importing_a_file_that_is_not_there(redpop):
    answer = redpop("import", "nothing.csv", "-r", "pics")
    assert answer.code == 1
    assert "nothing.csv" in answer.output


def test_importing_what_is_no_archive(redpop, tmp_path):
    (tmp_path / "letter.csv").write_text("Dear friends,\nall is well.\n", encoding="utf-8")
    answer = redpop("import", "letter.csv", "-r", "pics")
    assert answer.code == 1
    assert "no column for id, title, time, score, url" in answer.output


def test_importing_a_table_twice(redpop, tmp_path):
    with (tmp_path / "posts.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "title", "created_utc", "score", "url"])
        for number in range(5):
            table.writerow(
                [f"a{number}", f"Post {number}", 1_375_000_000 + number, number, f"http://i.imgur.com/{number}.jpg"]
            )
        table.writerow(["", "no id", "x", 1, "http://i.imgur.com/9.jpg"])
    arguments = ("import", "posts.csv", "-r", "Pics", "--observed-at", "2013-09-01")
    answer = redpop(*arguments)
    assert answer.code == 0, answer.output
    assert "5 posts of r/pics in posts.csv: 5 new posts, 5 new readings of scores." in answer.output
    assert "1 broken lines were left out" in answer.output
    assert "redpop materialize --no-harvest --subreddit pics" in answer.output
    again = redpop(*arguments)
    assert again.code == 0
    assert "0 new posts, 0 new readings" in again.output


def table(path, *lines, header="title,created_date,url,full_permalink,score"):
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")


def page(number, community="Maps"):
    return f"https://www.reddit.com/r/{community}/comments/a{number}/some_title/"


def row(number, *, when="2016-01-01 13:37:07", community="Maps"):
    return f"Post {number},{when},http://x.org/{number}.png,{page(number, community)},{number}"


def test_several_tables_whose_posts_are_named_by_their_addresses_alone(redpop, tmp_path):
    for year in (1, 2, 3):
        table(tmp_path / f"{year}.csv", row(year), row(year + 10, community="aww"))
    (tmp_path / "4.csv").write_text("", encoding="utf-8")
    answer = redpop("import", "1.csv", "4.csv", "2.csv", "3.csv", REDPOP_SUBREDDITS="maps,pics")
    assert answer.code == 1, answer.output
    for year in (1, 2, 3):
        assert f"1 posts of r/maps in {year}.csv: 1 new posts, 1 new readings of scores." in answer.output
    assert answer.output.count("1 posts of other communities were left out") == 3
    # Asked once, for all of them.
    assert answer.output.count("--observed-at knows better") == 1
    assert "3 of 3 files do not say when their scores were read" in answer.output
    assert "4.csv holds no post" in answer.output
    assert "1 of 4 files could not be read to their end, see above what to do: 4.csv" in answer.output
    assert "Together: 3 posts, 3 of them new, in 3 files." in answer.output


def test_what_was_understood_is_said_in_one_table_and_a_check_stores_nothing(redpop, tmp_path):
    header = "Title,Created Date,Link,full_link,Upvotes,mood"
    for name in ("1.csv", "2.csv"):
        table(tmp_path / name, f"{row(1)},good", f"{row(2, when='2016-01-02')},bad", header=header)
    answer = redpop("import", "--check", "1.csv", "2.csv", REDPOP_SUBREDDITS="maps,pics")
    assert answer.code == 0, answer.output
    assert answer.output.count("Columns of") == 1
    for words in (
        "│ time │ `Created Date` │ ISO without zone, taken as UTC",
        "│ id │ from `full_link` │",
        "│ `mood` │",
    ):
        assert words in answer.output
    assert "2 posts of r/maps in 2.csv; nothing was stored." in answer.output
    assert "Of 1 posts only the day is known: they count as made at its beginning (00:00 UTC)" in answer.output
    assert "Next:" not in answer.output
    assert {path.name for path in tmp_path.iterdir()} == {"1.csv", "2.csv"}
    answer = redpop("import", "--check", "1.csv", "--columns", "time=Created Date:exact", REDPOP_SUBREDDITS="maps,pics")
    assert "1 posts of r/maps in 1.csv; nothing was stored." in answer.output


def test_what_cannot_be_told_is_asked(redpop, tmp_path):
    table(tmp_path / "t.csv", f"a1,t,{BORN},x,5,6", header="id,title,created_utc,url,upvotes,points")
    answer = redpop("import", "t.csv", "-r", "pics")
    assert answer.code == 1
    assert "--columns score=upvotes or --columns score=points" in answer.output
    answer = redpop("import", "t.csv", "-r", "pics", "--columns", "score=nothing")
    assert (answer.code, "has no column `nothing` for score" in answer.output) == (1, True)
    answer = redpop("import", "t.csv", "-r", "pics", "--check", "--columns", "score=points")
    assert (answer.code, "as told" in answer.output) == (0, True)


def test_many_communities_are_told_in_one_run(redpop, tmp_path):
    names = [f"place_{number:02}" for number in range(30)]
    dump(tmp_path / "RS.ndjson", *names, *names)
    variables = {"REDPOP_SUBREDDITS": ",".join([*names, "empty"]), "REDPOP_HOME": "home"}
    for new in (60, 0):  # again, Dagster is told of every partition again
        answer = redpop("import", "RS.ndjson", **variables)
        assert answer.code == 0, answer.output
        assert f"60 posts of 30 communities in RS.ndjson: {new} new posts" in answer.output
        assert "Next: `redpop materialize --no-harvest` computes" in answer.output
    with DagsterInstance.from_config(str(tmp_path / "home" / ".dagster")) as instance:
        assert len(instance.get_runs()) == 2
        for table_name in ("submissions", "observations"):
            key = AssetKey(["raw", table_name])
            assert instance.get_materialized_partitions(key) == set(names)
            found = instance.fetch_materializations(key, limit=100).records
            assert len(found) == 60
            assert len({record.partition_key for record in found}) == 30
            # What follows waits for checks that passed of what was told last.
            check = AssetCheckKey(key, "unique_keys")
            verdicts = instance.event_log_storage.get_asset_check_partition_info([check])
            assert {verdict.partition_key for verdict in verdicts if verdict.is_current} == set(names)
        # What is about all communities is told once.
        forgotten = AssetKey(["raw", "tombstones"])
        told = instance.fetch_materializations(forgotten, limit=100).records
        assert [record.partition_key for record in told] == [None, None]
        summary = instance.event_log_storage.get_asset_check_summary_records(
            [AssetCheckKey(forgotten, "no_trace_of_forgotten_posts")]
        )
        (record,) = summary.values()
        evaluation = record.last_check_execution_record.evaluation
        assert evaluation.passed
        assert evaluation.target_materialization_data.storage_id == told[0].storage_id


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "Error: Interrupted. What was finished is kept"),
        (ValueError("of Dagster"), 1, "Error: The import is stored, but: checks: ValueError: of Dagster"),
    ],
)
def test_what_goes_wrong_while_dagster_is_told_is_a_sentence(redpop, tmp_path, monkeypatch, error, code, said):
    def fail(*_):
        raise error

    monkeypatch.setattr(runs, "materializations_told", fail)
    dump(tmp_path / "RS.ndjson", "pics")
    answer = redpop("import", "RS.ndjson", REDPOP_SUBREDDITS="pics")
    assert answer.code == code, answer.output
    assert said in " ".join(answer.output.split())
    assert "Traceback" not in answer.output


def test_readings_go_to_posts_that_are_known(redpop, tmp_path):
    readings = ["id,timestamp,score,comments"]
    readings += [f"a{number},{BORN + 3600 * hours},{hours},1" for hours in (1, 2, 3) for number in (0, 7)]
    (tmp_path / "hourly.csv").write_text("\n".join([*readings, "a0,2999-01-01,5,1", ""]), encoding="utf-8")
    answer = redpop("import", "hourly.csv", "-r", "pics")
    assert answer.code == 1
    assert "6 readings are of posts that are not known, and were left out" in answer.output
    dump(tmp_path / "RS.ndjson", "pics")
    answer = redpop("import", "RS.ndjson", "hourly.csv", "-r", "pics")
    assert answer.code == 0, answer.output
    assert "3 readings of posts of r/pics in hourly.csv: 0 new posts, 3 new readings of scores." in answer.output
    assert "3 readings are of posts that are not known" in answer.output
    assert "readings of posts that are known" in answer.output  # in the table of columns
    assert "1 broken lines were left out, the first of them: line 8:" in answer.output
    assert "redpop materialize --no-harvest --subreddit pics" in answer.output
