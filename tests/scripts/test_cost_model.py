"""The page on many machines and the cost model that it shows."""

import doctest
import re
from pathlib import Path

import pytest
from examples import parsed, run
from loading import load_script

import miniframe as mf

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "tutorials" / "running_on_many_machines.md"


def test_the_examples_of_the_page_print_what_it_shows():
    test = parsed(PAGE)
    assert len(test.examples) >= 10
    assert not run(test)[1]


def test_the_pictures_that_the_page_shows_exist():
    for target in re.findall(r"\]\(([^)#\s]+)", PAGE.read_text()):
        assert target.startswith("http") or (PAGE.parent / target).exists(), target


@pytest.fixture(scope="module")
def costs():
    """figures/cost_model.py as a module."""
    return load_script("figures/cost_model.py")


def test_a_ring_sends_at_most_twice_the_gradients_however_many_ranks(costs):
    sizes = [costs.sent(n, 1.0) for n in costs.RANKS]
    assert sizes[:2] == [0, 1] and sizes == sorted(sizes) and sizes[-1] < 2
    assert [costs.through_one(n, 1) for n in (1, 2, 1024)] == [0, 1, 1023]


def test_a_step_costs_what_the_formula_says(costs):
    link, work = costs.Link("a link", 8e9, 1e-3), costs.Work("a network", 250_000, 1e6, 100)
    assert work.bytes == 1_000_000 and work.arithmetic(100) == 6e8
    assert costs.step_time(work, link, 1) == pytest.approx(6e8 / costs.SPEED)
    assert costs.step_time(work, link, 4) == pytest.approx(1.5e8 / costs.SPEED + 1.5e6 / 1e9 + 6e-3)
    assert costs.speedup(work, link, 1) == costs.efficiency(work, link, 1) == 1


def test_the_works_of_the_cost_model_are_the_networks_they_name(costs):
    model = mf.Sequential(mf.Linear(784, 1024), mf.ReLU(), mf.Linear(1024, 1024), mf.ReLU(), mf.Linear(1024, 10))
    summary = model.summary((784,))
    assert (costs.MLP.weights, costs.MLP.multiply_adds) == (summary.parameters, summary.multiply_adds)


def test_the_cost_model_draws_and_prints_every_work_and_link(costs):
    assert len(costs.draw().axes) == 4
    assert len(costs.table().splitlines()) == 1 + 2 * len(costs.LINKS)
    assert doctest.testmod(costs).failed == 0
