"""`redpop follow` as people type it."""

import json

import pytest

from redpop_assets.cli.follow import _post_id
from redpop_assets.errors import SettingsError


@pytest.mark.parametrize(
    "text",
    [
        "1tqmtz8",
        " t3_1tqmtz8 ",
        "https://www.reddit.com/r/pics/comments/1tqmtz8/a_title/",
        "https://old.reddit.com/r/pics/comments/1tqmtz8/a_title/?utm_source=share",
        "/r/pics/comments/1tqmtz8/",
        "https://redd.it/1tqmtz8",
        "https://www.reddit.com/gallery/1tqmtz8?context=3",
    ],
)
def test_a_post_is_known_by_whatever_was_copied(text):
    assert _post_id(text) == "1tqmtz8"


@pytest.mark.parametrize("text", ["", "https://i.redd.it/a1b2c3.jpg", "my post", "https://www.reddit.com/r/pics/"])
def test_what_is_no_post_is_refused(text):
    with pytest.raises(SettingsError, match="is no post"):
        _post_id(text)


def test_follow_before_anything_is_published(redpop):
    answer = redpop("follow", "1tqmtz8")
    assert answer.code == 1
    assert "materialize" in answer.output


@pytest.mark.end_to_end
class TestOnAPipeline:
    def test_a_post_that_is_not_there(self, here, pipeline):
        answer = here(pipeline.deployment, "follow", "https://redd.it/nowhere")
        assert answer.code == 1
        assert "No post nowhere is published here" in answer.output
        assert "redpop import FILE" in answer.output

    @pytest.mark.parametrize("settled", [True, False])
    def test_a_post_as_text_and_as_json(self, here, pipeline, settled):
        post = pipeline.deployment.scalar(
            f"SELECT p.post_id FROM core.posts AS p {'SEMI' if settled else 'ANTI'} JOIN core.labels USING (post_id) "
            "JOIN raw.observations AS o USING (post_id) ORDER BY o.observed_at DESC, p.post_id LIMIT 1"
        )
        document = json.loads(here(pipeline.deployment, "follow", post, "--json").lines)
        said = here(pipeline.deployment, "follow", post).output
        assert document["post_id"] == post
        assert document["title"] in said
        assert document["readings"]
        assert "●" in said
        if document["standing"] is not None:
            assert f"% of {document['standing']['posts']} other posts" in said
        if settled:
            assert f"Ended {document['label']['score']:,} points" in said
            assert document["ahead"] is None
        else:
            ahead = document["ahead"]
            last = (ahead["curve"] or [None])[-1]
            assert (f"Ends {last['expected']:,.0f} points after" if last else ahead["why_unknown"]) in said
