from redpop_assets.refresh.chunks import GROWTH, Progress, chunks_by_seconds


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def sizes(total, first, seconds_per_row):
    clock = Clock()
    found = []
    for chunk in chunks_by_seconds(total, first, seconds=5, clock=clock):
        assert chunk.start == sum(found)
        found.append(chunk.stop - chunk.start)
        clock.now += found[-1] * seconds_per_row(len(found))
    assert sum(found) == total
    return found


def test_chunks_grow_until_one_takes_some_seconds():
    assert sizes(4000, 256, lambda _: 0.004) == [256, 512, 1024, 1024, 1024, 160]


def test_they_do_not_grow_beyond_a_bound():
    assert max(sizes(100_000, 100, lambda _: 0.0)) == GROWTH * 100


def test_they_shrink_where_the_work_turns_out_slow():
    assert sizes(300, 64, lambda _: 1.0) == [64, 32, 16, *[8] * 23, 4]


def test_nothing_to_do_is_no_chunk():
    assert sizes(0, 256, lambda _: 1.0) == []


def test_progress_is_told_of_the_first_then_once_a_second_and_at_the_end():
    clock, told = Clock(), []
    progress = Progress(told.append, 100, "rows", clock=clock)
    for done in range(1, 101):
        clock.now += 0.1
        progress.at(done)
    assert len(told) in (11, 12)
    assert told[0] == "1 of 100 rows"
    assert told[-1] == "100 of 100 rows"
