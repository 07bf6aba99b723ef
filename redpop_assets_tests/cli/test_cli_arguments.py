"""What people write in options."""

import pytest

from redpop_assets.cli.arguments import moment


@pytest.mark.parametrize("text", ["2026-12-24T18:00", "2026-12-24T18:00Z", "2026-12-24T20:00+02:00"])
def test_moments_are_utc_unless_they_say_otherwise(text):
    assert moment(text).isoformat() == "2026-12-24T18:00:00+00:00"
