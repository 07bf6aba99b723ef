"""The feature catalogue as a table."""

from redpop_assets.pages.catalogue import catalogue_by_subreddit, catalogue_markdown


def row(feature, spearman, **more):
    return {
        **{"subreddit": "pics", "block": "plain", "feature": feature, "known_at": "at_post", "spearman": spearman},
        **{"spearman_low": None if spearman is None else spearman - 0.1, "spearman_high": 0.95},
        **{"labelled_posts": 500, "missing_share": 0.0, "leakage": "none"},
        **more,
    }


def test_the_table_begins_with_what_is_suspicious_and_goes_on_with_what_is_large():
    rows = [
        row("small", 0.1),
        row("unknown", None, missing_share=None, known_at=None),
        row("large", -0.4),
        row("leaky", 0.9, leakage="suspicious"),
        row("uncertain", 0.2, spearman_low=None, spearman_high=None, missing_share=0.254),
        row("left_out", None),
    ]
    assert catalogue_markdown(rows, most=5).splitlines() == [
        "| block | feature | known | Spearman (95 %) | posts | missing | leakage |",
        "|---|---|---|---|---|---|---|",
        "| plain | leaky | at_post | +0.90 [+0.80, +0.95] | 500 | 0% | suspicious |",
        "| plain | large | at_post | -0.40 [-0.50, +0.95] | 500 | 0% | none |",
        "| plain | uncertain | at_post | +0.20 | 500 | 25% | none |",
        "| plain | small | at_post | +0.10 [+0.00, +0.95] | 500 | 0% | none |",
        "| plain | left_out | at_post | – | 500 | 0% | none |",
    ]
    assert "| plain | unknown |  | – | 500 | – | none |" in catalogue_markdown(rows)


def test_every_community_has_a_table_under_its_name():
    text = catalogue_by_subreddit([row("a", 0.1), row("b", 0.2, subreddit="aww")])
    pics, aww = text.split("\n\n### r/aww\n\n")
    assert pics.startswith("### r/pics\n\n| block |")
    assert ("| a |" in pics, "| b |" in pics, "| b |" in aww) == (True, False, True)
