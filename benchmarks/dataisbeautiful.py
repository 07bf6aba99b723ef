"""A real community from its files to the tables of docs/benchmarks.md: r/dataisbeautiful, 2012 to 2023.

    python benchmarks/dataisbeautiful.py FOLDER [--home HOME] [--split-predictors NAME ...] [--skip AUDIT ...]

FOLDER holds the twelve files `2012.csv.gz` … `2023.csv.gz` of github.com/beautiVis-dataset/beautiVis (`combined_csv/`,
its months joined to years, commit f0144e7). Everything is done by the product: `redpop import`, `redpop materialize`
and `redpop analyse`, each in a process of its own, and what is printed is read from the published warehouse. A second
run in the same home computes only what has changed.

The files do not say when a score was read. The archive read it weeks after the post, so scores of posts before
December 2016 are on the scale of their time, and one `--observed-at` for all would mix the two scales. Hence the rows
are divided at that month into two tables, each imported with the end of its own time; rows are not changed. Rows with a
day instead of a time are left out (`:exact`): nobody knows their hour, nor which posts came before them.

No picture is fetched, so predictors that look at one are not trained. Progress goes to stderr, Markdown to stdout.
"""

import argparse
import csv
import gzip
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from redpop_assets import markdown
from redpop_assets.evaluation.bootstrap import author_clusters, interval, spearman_of

SUBREDDIT = "dataisbeautiful"
RESCALED = date(2016, 12, 1)
"""Reddit changed the scale of all scores then."""
PARTS = {"before.csv": RESCALED - timedelta(days=1), "since.csv": date(2024, 1, 31)}
"""Table of the older and of the newer rows -> when its scores were read at the latest."""
EXACT = ("--columns", "time=created_date:exact")
AUDITS = ("error_slices", "ablation", "shuffled_labels", "split_comparison")
SPLIT_PREDICTORS = ("metadata_boosting", "tfidf_ridge", "past_neighbours", "catboost_fusion")
ENVIRONMENT = {
    "REDPOP_SUBREDDITS": SUBREDDIT,
    "REDPOP_FETCH_IMAGES": "false",
    "REDPOP_IMAGE_ENCODER": "timm:tf_efficientnet_lite0/bundled",
    "REDPOP_CAPTION_ENCODER": "sentence_transformers:all-MiniLM-L6-v2/bundled",
}
ANALYSED = "catboost_fusion"


def divide(folder: Path, home: Path) -> list[Path]:
    """The rows of the yearly files as two tables in `home`, before and since the change of the scale."""
    tables = [home / name for name in PARTS]
    with tables[0].open("w", newline="", encoding="utf-8") as before, tables[1].open("w", newline="") as since:
        writers = csv.writer(before), csv.writer(since)
        for path in sorted(folder.glob("20[0-9][0-9].csv.gz")):
            with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
                rows = csv.reader(file)
                header = next(rows)
                if path.name.startswith("2012"):
                    for writer in writers:
                        writer.writerow(header)
                created = header.index("created_date")
                for row in rows:
                    writers[row[created] >= RESCALED.isoformat()].writerow(row)
    return tables


def redpop(home: Path, *arguments: str, **more: str) -> None:
    """Run a command of the product, and say what it took."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "redpop_assets.cli", *arguments]
    environment = {**os.environ, **ENVIRONMENT, "REDPOP_HOME": str(home), **more}
    done = subprocess.run(command, env=environment, check=False, stdout=sys.stderr)
    if done.returncode:
        sys.exit(f"redpop {' '.join(arguments)} failed ({done.returncode}): what it says is above")
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    seconds = time.perf_counter() - began
    print(f"== redpop {' '.join(arguments)}: {seconds:.0f} s; largest process so far {most:.1f} GB", file=sys.stderr)


def run(folder: Path, home: Path, audits: Sequence[str], split_predictors: Sequence[str]) -> None:
    """From the files to the published warehouse."""
    for table in divide(folder, home):
        when = PARTS[table.name].isoformat()
        redpop(home, "import", str(table), "--subreddit", SUBREDDIT, "--observed-at", when, *EXACT)
    redpop(home, "materialize", "--no-harvest")
    for audit in audits:
        if audit == "split_comparison":
            redpop(home, "analyse", SUBREDDIT, "--only", audit, REDPOP_PREDICTORS=",".join(split_predictors))
        else:
            redpop(home, "analyse", SUBREDDIT, "--only", audit, "--predictor", ANALYSED)


def page(warehouse: Path) -> Iterable[str]:
    """The paragraphs of the section."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:

        def rows(sql: str) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = connection.sql(sql).fetch_arrow_table().to_pylist()
            return found

        yield posts(rows)
        yield leaderboard(rows)
        yield slices(rows)
        yield ladder(rows)
        yield single_features(rows)
        yield split_comparison(rows)


def posts(rows: Any) -> str:
    """How many posts there are, why others are not, and on which scale their scores are."""
    (raw,) = rows("SELECT count(*) AS n FROM raw.submissions")
    rejected = rows("SELECT reason, count(*) AS n FROM core.rejected_posts GROUP BY ALL ORDER BY n DESC LIMIT 6")
    scales = rows("SELECT score_scale, count(*) AS n FROM core.labels GROUP BY ALL ORDER BY 1")
    parts = rows(
        "SELECT split, count(*) AS n, min(created_at)::DATE AS first, max(created_at)::DATE AS last, "
        "avg((log_score <= ln(2) + 1e-6)::INT) AS low FROM models.training_set GROUP BY ALL ORDER BY first, split"
    )
    told = ", ".join(f"{row['reason']} {row['n']:,}" for row in rejected)
    labels = ", ".join(f"{row['score_scale']} {row['n']:,}" for row in scales)
    table = markdown.table(
        ("part", "posts", "from", "to", "scores of 1 or less"),
        [(row["split"], f"{row['n']:,}", row["first"], row["last"], f"{row['low']:.0%}") for row in parts],
    )
    return f"{raw['n']:,} posts were imported. Rejected: {told}. Labels by score scale: {labels}.\n\n{table}"


def leaderboard(rows: Any) -> str:
    """Every trained predictor with intervals and its paired difference from the best."""
    found = rows("FROM marts.leaderboard WHERE status = 'trained' ORDER BY spearman DESC NULLS LAST, mae")
    best = found[0]["predictor"]
    behind = {
        row["second"]: row
        for row in rows(
            f"FROM marts.comparisons WHERE scope = 'subreddit' AND metric = 'spearman' AND first = '{best}'"
        )
    }
    lines = []
    for row in found:
        gap = behind.get(row["predictor"])
        lines.append(
            (
                row["predictor"],
                three(row, "spearman"),
                markdown.interval(-gap["difference"], -gap["high"], -gap["low"]) if gap else "–",
                markdown.number(row["mae"]),
                three(row, "pair_accuracy"),
            )
        )
    return markdown.table(("predictor", "Spearman", "against the best, paired", "MAE", "pair accuracy"), lines)


def slices(rows: Any) -> str:
    """The best predictors by year, and by known and new authors."""
    found = rows(
        "SELECT * FROM marts.error_slices WHERE dimension IN ('year', 'author') AND predictor IN (SELECT predictor "
        "FROM marts.leaderboard WHERE status = 'trained' ORDER BY spearman DESC NULLS LAST LIMIT 5) "
        "ORDER BY dimension DESC, slice, spearman DESC"
    )
    return markdown.table(
        ("slice", "posts", "predictor", "Spearman", "bias"),
        [(row["slice"], row["posts"], row["predictor"], three(row, "spearman"), three(row, "bias")) for row in found],
    )


def ladder(rows: Any) -> str:
    """The steps of the ladder, from chance over single blocks to all that is honest, and what leaks."""
    steps: list[tuple[str, str]] = []
    for row in rows("FROM marts.shuffled_labels"):
        steps.append((f"{row['predictor']}, {row['permutations']} times on shuffled labels", three(row, "spearman")))
    names = ("subreddit_hour_median", "tfidf_ridge", "author_past_mean", "metadata_boosting", "past_neighbours")
    for row in rows(f"FROM marts.leaderboard WHERE predictor IN {names} ORDER BY spearman"):
        steps.append((row["predictor"], three(row, "spearman")))
    for row in rows("FROM marts.ablation WHERE variant = 'alone' AND spearman IS NOT NULL ORDER BY spearman"):
        steps.append((f"{row['predictor']} with the block {row['block']} alone", three(row, "spearman")))
    for row in rows("FROM marts.leaderboard WHERE status = 'trained' ORDER BY spearman DESC NULLS LAST LIMIT 1"):
        steps.append((f"{row['predictor']}, the best", three(row, "spearman")))
    leak = rows(
        "SELECT t.log_score, t.cluster, (s.json->>'num_comments')::DOUBLE AS comments FROM models.training_set AS t "
        "JOIN raw.submissions AS s USING (post_id) WHERE t.split = 'test' AND comments IS NOT NULL"
    )
    found = interval(
        spearman_of([row["log_score"] for row in leak], [row["comments"] for row in leak]),
        author_clusters([row["cluster"] for row in leak]),
    )
    if found:
        told = markdown.interval(found.estimate, found.low, found.high)
        steps.append(("LEAKY: the number of comments by itself", told))
    return markdown.table(("what is looked at", "Spearman on the test part"), steps)


def single_features(rows: Any) -> str:
    """The features that go with the score most, of all that were known in time."""
    found = rows("FROM marts.feature_catalogue WHERE spearman IS NOT NULL ORDER BY abs(spearman) DESC LIMIT 12")
    flagged = rows("SELECT count(*) AS n FROM marts.feature_catalogue WHERE leakage = 'suspicious'")[0]["n"]
    table = markdown.table(
        ("block", "feature", "Spearman", "leakage"),
        [(row["block"], row["feature"], three(row, "spearman"), row["leakage"]) for row in found],
    )
    return f"{table}\n\n{flagged} features are flagged."


def split_comparison(rows: Any) -> str:
    """The same predictors under other splits."""
    found = rows("FROM marts.split_comparison WHERE status = 'trained'")
    cells: dict[str, dict[str, str]] = {}
    for row in found:
        cells.setdefault(row["predictor"], {})[row["split"]] = three(row, "spearman")
    splits = ("time", "random", "author", "one_per_author", "one_author")
    lines = [(name, *(own.get(split, "–") for split in splits)) for name, own in sorted(cells.items())]
    return markdown.table(("predictor", *splits), lines)


def three(row: Mapping[str, Any], name: str) -> str:
    """A metric with its interval."""
    return markdown.interval(row[name], row[f"{name}_low"], row[f"{name}_high"])


def main() -> None:
    """Run what is asked for and print the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with 2012.csv.gz to 2023.csv.gz")
    parser.add_argument("--home", type=Path, default=Path("dataisbeautiful"), help="REDPOP_HOME of the deployment")
    parser.add_argument("--split-predictors", nargs="+", default=list(SPLIT_PREDICTORS))
    parser.add_argument("--skip", nargs="*", choices=AUDITS, default=[])
    options = parser.parse_args()
    options.home.mkdir(parents=True, exist_ok=True)
    audits = [audit for audit in AUDITS if audit not in options.skip]
    run(options.folder, options.home.resolve(), audits, options.split_predictors)
    for paragraph in page(options.home / "redpop.duckdb"):
        print(f"{paragraph}\n")


if __name__ == "__main__":
    main()
