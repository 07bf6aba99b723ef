"""`redpop sql` as people type it."""

import pytest


@pytest.mark.end_to_end
class TestOnAPipeline:
    def test_sql_prints_rows_and_cannot_write(self, redpop, pipeline):
        home = pipeline.deployment.variables
        answer = redpop("sql", "SELECT count(*) AS posts, 'x' || 'y' AS text FROM marts.posts", **home)
        posts = pipeline.deployment.scalar("SELECT count(*) FROM core.posts")
        assert answer.code == 0
        assert "posts" in answer.output
        assert str(posts) in answer.output
        assert "xy" in answer.output
        answer = redpop("sql", stdin="SELECT 40 + 2;", **home)
        assert answer.code == 0
        assert "42" in answer.output
        answer = redpop("sql", "DELETE FROM core.posts", **home)
        assert answer.code != 0
        assert "read-only" in answer.output

    def test_sql_of_a_file(self, redpop, pipeline, tmp_path):
        (tmp_path / "question.sql").write_text("SELECT 'the answer';", encoding="utf-8")
        home = pipeline.deployment.variables
        assert "the answer" in redpop("sql", "-f", "question.sql", **home).output
        answer = redpop("sql", "-f", "missing.sql", **home)
        assert answer.code == 1
        assert "missing.sql" in answer.output

    def test_a_mistake_in_sql_is_an_error(self, redpop, pipeline):
        home = pipeline.deployment.variables
        answer = redpop("sql", "SELECT * FROM marts.nothing", **home)
        assert answer.code != 0
        assert "nothing" in answer.output
