"""The settings of the demos: of their own where it matters, of the environment elsewhere, and never put into it."""

import os

import pytest

from redpop_assets.demo.settings import chaos_settings, demo_settings


@pytest.mark.parametrize("make", [demo_settings, chaos_settings])
def test_a_demo_keeps_to_its_sandbox_and_its_home(only, tmp_path, make):
    own = {"REDPOP_HOME": "/srv/redpop", "REDDIT_CLIENT_SECRET": "a real one", "REDPOP_SEED": "5"}
    with only(own, tmp_path):
        before = dict(os.environ)
        settings = make(9000)
        assert dict(os.environ) == before
    assert settings.home.parent == tmp_path / "warehouse"
    assert settings.budget_folder.is_relative_to(settings.home)
    assert (settings.source, settings.oauth_url) == ("sandbox", "http://127.0.0.1:9000")
    assert settings.image_hosts_allowed == ("127.0.0.1:9000",)
    assert settings.reddit_client_secret.get_secret_value() == "sandbox"
    assert settings.seed == 5
    assert settings.missing_credentials == ()


def test_the_demos_have_homes_of_their_own(only, tmp_path):
    with only({}, tmp_path):
        assert demo_settings(9000).home != chaos_settings(9000).home
