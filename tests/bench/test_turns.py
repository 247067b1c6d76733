"""Two sides take turns: the same number of times, in alternating order, after a round that does not count."""

import pytest

from miniframe.bench.turns import take_turns


def test_all_have_their_turns_in_alternating_order_and_the_median_counts():
    now, done = [0.0], []
    costs = {"one": iter([9, 9, 1, 1, 2, 2, 5, 5]), "two": iter([9, 9, 4, 4, 4, 4, 4, 4])}

    def run(name):
        done.append(name)
        now[0] += next(costs[name])

    runs = {name: lambda name=name: run(name) for name in costs}
    found = take_turns(runs, rounds=3, steps=2, rest=0, clock=lambda: now[0])
    assert done[::2] == ["two", "one", "one", "two", "two", "one", "one", "two"]
    assert found == pytest.approx({"one": 1000.0, "two": 2000.0, "ratio": 0.5})
