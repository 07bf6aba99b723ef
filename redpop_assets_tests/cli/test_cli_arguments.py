"""What people write in options."""

import pytest

from redpop_assets.cli.arguments import chosen, moment
from redpop_assets.errors import SettingsError
from redpop_assets.settings import Settings


@pytest.mark.parametrize("text", ["2026-12-24T18:00", "2026-12-24T18:00Z", "2026-12-24T20:00+02:00"])
def test_moments_are_utc_unless_they_say_otherwise(text):
    assert moment(text).isoformat() == "2026-12-24T18:00:00+00:00"


def test_communities_as_people_paste_them():
    settings = Settings(subreddits=("r/pics", "https://www.reddit.com/r/EarthPorn/", "reddit.com", "u_a-b"))
    assert settings.partitions == ("pics", "earthporn", "reddit.com", "u_a-b")
    assert chosen(settings, ["/r/Pics/", "u/A-B", "pics"]) == ("pics", "u_a-b")
    assert chosen(settings, ()) == settings.partitions
    with pytest.raises(SettingsError, match="r/aww is not configured"):
        chosen(settings, ["https://reddit.com/r/aww"])
    with pytest.raises(SettingsError, match="'all' is no community"):
        chosen(settings, ["all"])
