"""The switches and the dice: what strikes follows from the seed, spares those who ask again, and counts."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redpop_assets.errors import SettingsError
from redpop_assets.sandbox.chaos import SITUATIONS, STORM_SECONDS, Chaos

API = [name for name, situation in SITUATIONS.items() if situation.place == "api"]
PICTURES = [name for name, situation in SITUATIONS.items() if situation.place == "pictures"]


class Time:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def strikes(chaos, number, place="api"):
    """Names of what is thrown at so many requests; whoever is told to wait waits."""
    thrown = []
    for _ in range(number):
        strike = chaos.strike(place)
        thrown.append(strike.name if strike else None)
        if strike:
            chaos._monotonic.now += strike.remaining
    return thrown


def test_nothing_is_thrown_unless_it_is_switched_on():
    chaos = Chaos()
    assert not any(strikes(chaos, 500))
    assert not any(chaos.trait("pictures", str(key)) or chaos.absent(str(key)) for key in range(500))
    assert not any(row["on"] or row["thrown"] for row in chaos.report().values())


def test_the_seed_decides_what_is_thrown_when():
    mine, same, other = (strikes(Chaos(seed, ["all"], monotonic=Time()), 400) for seed in (7, 7, 8))
    assert mine == same != other


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    on=st.sets(st.sampled_from(API), min_size=1),
    login=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_two_attempts_after_a_fault_always_get_through(seed, on, login):
    chaos = Chaos(seed, [*on, "token-errors", "token-rate-limits"], monotonic=Time())
    chaos.switch(rates={**dict.fromkeys(on, 0.9), "token-errors": 0.9, "token-rate-limits": 0.9})
    for again in login:  # each time with or without a new login before the call
        for attempt in range(3):
            struck = (again and chaos.strike("token")) or chaos.strike("api")
            if not struck:
                break
            chaos._monotonic.now += struck.remaining
            assert attempt == 0


def test_everything_is_thrown_about_as_often_as_its_rate_says():
    chaos = Chaos(7, ["all"], monotonic=Time())
    strikes(chaos, 20_000)
    for name in API:
        assert chaos.report()[name]["thrown"] == pytest.approx(20_000 * SITUATIONS[name].rate, rel=0.2), name


def test_a_storm_refuses_everybody_until_it_is_over():
    time = Time()
    chaos = Chaos(7, ["rate-limits"], monotonic=time)
    chaos.switch(rates={"rate-limits": 0.5})
    first = next(strike for _ in range(10) if (strike := chaos.strike("api")))
    assert first.remaining == STORM_SECONDS
    time.now += 0.4
    assert chaos.strike("api").remaining == pytest.approx(STORM_SECONDS - 0.4)
    assert chaos.strike("images") is None
    time.now += 0.7
    assert chaos.strike("api") is None
    assert chaos.report()["rate-limits"]["thrown"] == 2


def test_a_rate_of_one_strikes_every_time():
    chaos = Chaos(7, ["server-errors"], monotonic=Time())
    chaos.switch(rates={"server-errors": 1})
    assert strikes(chaos, 20) == ["server-errors"] * 20


def test_situations_of_things_befall_their_share_and_always_the_same_things():
    keys = [str(key) for key in range(5_000)]
    alone, all_of_them = Chaos(7, ["dead-images"]), Chaos(7, ["all"])
    struck = {key for key in keys if alone.befalls("dead-images", key)}
    assert struck == {key for key in keys if all_of_them.befalls("dead-images", key)}
    rate = SITUATIONS["dead-images"].rate
    assert len(struck) == pytest.approx(5_000 * rate, abs=5 * math.sqrt(5_000 * rate))
    traits = {all_of_them.trait("pictures", key) for key in keys}
    assert traits == {*PICTURES, None}


def test_no_id_is_absent_twice_in_a_row():
    chaos = Chaos(7, ["absent-reads"])
    chaos.switch(rates={"absent-reads": 0.9})
    for key in "abcdef":
        readings = [chaos.absent(key) for _ in range(50)]
        assert True in readings
        assert not any(one and other for one, other in itertools.pairwise(readings))


def test_things_are_counted_once():
    chaos = Chaos(7, ["dead-images"])
    for key in ("a", "b", "a"):
        chaos.count("dead-images", key)
    assert chaos.report()["dead-images"]["thrown"] == 2


def test_switching():
    chaos = Chaos(7, ["all"])
    chaos.switch(off=["all"], rates={"resets": 0.5})
    assert not any(row["on"] for row in chaos.report().values())
    chaos.switch(on=["resets"])
    assert [name for name in SITUATIONS if chaos.is_on(name)] == ["resets"]
    assert chaos.rate("resets") == 0.5


@pytest.mark.parametrize(
    "change",
    [
        {"on": ["thunder"]},
        {"off": ["thunder"]},
        {"rates": {"thunder": 0.5}},
        {"rates": {"resets": 0}},
        {"rates": {"resets": 1.1}},
        {"rates": {"resets": "often"}},
        {"rates": {"resets": math.nan}},
    ],
)
def test_a_wrong_switch_changes_nothing(change):
    chaos = Chaos(7, ["resets"])
    before = chaos.report()
    with pytest.raises(SettingsError, match=r"thunder|resets"):
        chaos.switch(**{"on": ["cut-json"], **change})
    assert chaos.report() == before
    with pytest.raises(SettingsError, match="choose from all, token-rate-limits"):
        Chaos(7, ["thunder"])
