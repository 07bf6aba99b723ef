"""What is read when: the grammar of harvest plans, when a listing is due, and at which ages a score is read."""

import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.errors import SettingsError
from redpop_assets.sources.listings import ALL_LISTINGS, Listing
from redpop_assets.sources.reddit.plan import (
    DEFAULT_PLAN,
    HarvestPlan,
    HarvestPlans,
    Maturation,
    ObservationAges,
    PlannedListing,
    tolerance,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 5, 1, tzinfo=UTC)

durations = st.builds(lambda count, unit: count * unit, st.integers(1, 9999), st.sampled_from((MINUTE, HOUR, DAY)))
planned = st.builds(PlannedListing, st.sampled_from(ALL_LISTINGS), st.integers(1, 1000), durations)
plans = st.lists(planned, min_size=1, max_size=15, unique_by=lambda entry: entry.listing).map(
    lambda entries: HarvestPlan(tuple(entries))
)


# Grammar


@given(plans)
def test_plans_round_trip(plan):
    assert HarvestPlan.parse(str(plan)) == plan


@given(st.dictionaries(st.from_regex(r"[a-z0-9_]{2,21}", fullmatch=True), plans, max_size=4))
def test_plans_of_single_subreddits_round_trip(by_name):
    assert HarvestPlans.parse(str(HarvestPlans(by_name))) == HarvestPlans(by_name)


@given(st.lists(durations, unique=True, max_size=8).map(sorted))
def test_observation_ages_round_trip(ages):
    assert ObservationAges.parse(str(ObservationAges(tuple(ages)))).ages == tuple(ages)


def test_a_plan_is_written_as_people_would_write_it():
    plan = HarvestPlan.parse(" new@1.5h, Hot:300 @ 6H ,top/day@1d, top/all@168h,controversial/week:50, ")
    assert str(plan) == "new@90m,hot:300@6h,top/day@1d,top/all@7d,controversial/week:50@1d"
    assert list(plan)[1] == PlannedListing(Listing("hot"), 300, 6 * HOUR)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at least one"),
        (" , ", "at least one"),
        ("newest", "no listing 'newest'"),
        ("top", "time filter"),
        ("new/day", "takes no time filter"),
        ("new,hot@1h,NEW@2h", "new is planned twice"),
        ("new:0", "1 to 1000"),
        ("new:1001", "1 to 1000"),
        ("new:-5", "1 to 1000"),
        ("new:ten", "1 to 1000"),
        ("new:٣", "1 to 1000"),
        ("new:", "1 to 1000"),
        ("new@", "no duration"),
        ("new@0h", "'new@0h': Time only goes forward"),
        ("new@5", "no duration"),
        ("new@1w", "no duration"),
        ("new@90s", "new is to be read every 90 seconds: write whole minutes"),
        ("new@99999d", "no duration"),
        ("new@1h:100", "listing[:depth][@every]"),
        ("new:1:2", "listing[:depth][@every]"),
        (":100", "listing[:depth][@every]"),
    ],
)
def test_what_is_no_plan_is_refused_with_a_reason(text, says):
    with pytest.raises(SettingsError) as caught:
        HarvestPlan.parse(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pics", "no JSON"),
        ('{"pics": "new"', "no JSON"),
        ('["pics"]', "JSON object"),
        ("5", "JSON object"),
        ('{"pics": {"new": "1h"}}', "JSON object"),
        ('{"pics": "new", "Pics": "hot"}', "two plans"),
        ('{"pics": "new@1y"}', "r/pics: 'new@1y': '1y' is no duration"),
    ],
)
def test_what_is_no_object_of_plans_is_refused_with_a_reason(text, says):
    with pytest.raises(SettingsError) as caught:
        HarvestPlans.parse(text)
    assert says in str(caught.value)


def test_names_of_subreddits_are_taken_as_people_write_them():
    plans = HarvestPlans.parse(json.dumps({" r/EarthPorn": "new@30m"}))
    assert plans == HarvestPlans({"earthporn": HarvestPlan.parse("new@30m")})
    assert HarvestPlans.parse(" ") == HarvestPlans.parse("{}") == HarvestPlans({})
    assert str(HarvestPlans({})) == ""


@pytest.mark.parametrize("text", ["0h", "3h,1h", "1h,60m", "-1h", "soon", "90s,1h"])
def test_ages_that_do_not_rise_or_are_not_of_whole_minutes_are_refused(text):
    with pytest.raises(SettingsError):
        ObservationAges.parse(text)


def test_the_default_plan_reads_every_listing_and_costs_little():
    assert {entry.listing for entry in DEFAULT_PLAN} == set(ALL_LISTINGS)
    assert DEFAULT_PLAN.entries[0] == PlannedListing(Listing("new"), 1000, HOUR)
    # `new` stops after a page or two in 23 of 24 hours, and goes to the bottom once.
    others = sum(-(-entry.depth // 100) * DAY / entry.every for entry in DEFAULT_PLAN.entries[1:])
    assert 24 + 10 + others < 150


# When a listing is due

instants = st.lists(st.timedeltas(timedelta(seconds=1), timedelta(days=3)), min_size=1, max_size=40).map(
    lambda steps: [START + sum(steps[:end], timedelta(0)) for end in range(1, len(steps) + 1)]
)


@given(planned, instants)
def test_a_listing_is_read_as_soon_as_it_is_due_and_never_before(entry, harvests):
    plan, last = HarvestPlan((entry,)), {}
    readings = []
    for now in harvests:
        if plan.due(last, now):
            last[entry.listing] = now
            readings.append(now)
        else:
            assert now - readings[-1] < entry.every - tolerance(entry.every)
    assert readings[0] == harvests[0]
    for earlier, later in itertools.pairwise(readings):
        assert later - earlier >= entry.every - tolerance(entry.every) > timedelta(0)


@given(st.lists(st.timedeltas(timedelta(0), timedelta(minutes=9)), min_size=2, max_size=30))
def test_an_hourly_harvest_that_starts_minutes_late_now_and_then_misses_no_hour(delays):
    plan, last = HarvestPlan.parse("new@1h,top/day@1d"), {}
    for hour, delay in enumerate(delays):
        now = START + hour * HOUR + delay
        due = plan.due(last, now)
        assert plan.entries[0] in due
        assert (plan.entries[1] in due) == (hour % 24 == 0)
        last |= {entry.listing: now for entry in due}


def test_tolerance_is_minutes():
    assert tolerance(HOUR) == 10 * MINUTE
    assert tolerance(DAY) == tolerance(30 * DAY) == 20 * MINUTE


def test_what_is_next_is_known():
    plan = HarvestPlan.parse("top/all@7d,new@1h,hot@6h")
    last = {Listing("top", "all"): START, Listing("new"): START, Listing("rising"): START - DAY}
    assert plan.due(last, START + MINUTE) == (plan.entries[2],)
    entry, when = plan.next_due(last)
    assert (str(entry.listing), when) == ("new", START + 50 * MINUTE)


# When a score is read

USUAL = Maturation(ObservationAges.parse("1h,3h,6h,12h,24h").ages, 7 * DAY, 30 * DAY)

maturations = st.builds(
    lambda ages, label_age, more: Maturation(tuple(ages), label_age, label_age + more),
    st.lists(st.timedeltas(MINUTE, 3 * DAY), unique=True, max_size=6).map(sorted),
    st.timedeltas(HOUR, 12 * DAY),
    st.timedeltas(MINUTE, 20 * DAY),
)
steps = st.lists(st.timedeltas(timedelta(seconds=1), timedelta(hours=40)), min_size=1, max_size=120)


def test_the_usual_schedule():
    hours = [age / HOUR for age in USUAL.schedule]
    assert hours == [1, 3, 6, 12, 24, *range(48, 7 * 24, 24), 7 * 24, 8 * 24]


def test_dense_ages_past_the_label_age_do_not_count():
    assert Maturation((HOUR, 3 * DAY), 2 * DAY, 30 * DAY).schedule == (HOUR, DAY + HOUR, 2 * DAY, 3 * DAY)
    assert Maturation((), 2 * DAY, 2 * DAY + HOUR).schedule == (DAY, 2 * DAY)


@pytest.mark.parametrize(
    ("last_hours", "labelled", "next_hours"),
    [
        (None, False, 1),
        (0.2, False, 1),
        (1, False, 3),
        (5, False, 6),
        (30, False, 48),
        (7 * 24 - 1, False, 7 * 24),
        (7 * 24, True, 8 * 24),
        (8 * 24, True, None),
        (15 * 24, True, None),
        # Masked at the label age: every night until one is not.
        (8 * 24, False, 9 * 24),
        (9 * 24 + 5, False, 10 * 24),
        (29 * 24 + 1, False, 30 * 24),
        (30 * 24, False, None),
    ],
)
def test_the_next_age(last_hours, labelled, next_hours):
    last = None if last_hours is None else last_hours * HOUR
    found = USUAL.next_age(last, labelled=labelled)
    assert found == (None if next_hours is None else next_hours * HOUR)


@given(maturations, steps, st.lists(st.booleans(), min_size=120, max_size=120))
def test_every_scheduled_age_is_read_once_if_anybody_looks_in_time(maturation, steps, usable):
    """Harvests at any times; each reading at or past the label age is usable or masked."""
    harvests = [sum(steps[:end], timedelta(0)) for end in range(1, len(steps) + 1)]
    readings, labelled_at = [], maturation.give_up + DAY
    for now, is_usable in zip(harvests, usable, strict=False):
        age = maturation.next_age(readings[-1] if readings else None, labelled=labelled_at <= now)
        if age is not None and age <= now <= maturation.give_up:
            readings.append(now)
            if is_usable and now >= maturation.label_age:
                labelled_at = min(labelled_at, now)
    ages = list(maturation.schedule)
    while ages[-1] + DAY <= min(maturation.give_up, labelled_at):  # the nights of a post that has no label yet
        ages.append(ages[-1] + DAY)
    expected = []
    for age, following in itertools.pairwise([*ages, maturation.give_up + timedelta.resolution]):
        expected += [now for now in harvests if age <= now < following][:1]
    assert readings == expected
