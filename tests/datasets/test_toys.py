"""Points made from a seed: right labels, the same numbers for the same seed."""

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from harness import close

from miniframe import datasets

MAKERS = {"disk": datasets.disk, "moons": datasets.moons, "spirals": datasets.spirals}
MAKERS |= {"xor": datasets.xor, "shapes": datasets.shapes}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_seed_decides_everything(make):
    (x, labels), again, other = make(50, seed=3), make(50, seed=3), make(50, seed=4)
    assert x.dtype == mx.float32 and labels.dtype == mx.int32 and x.shape[0] == labels.shape[0] == 50
    assert mx.array_equal(x, again[0]) and mx.array_equal(labels, again[1])
    assert not mx.array_equal(x, other[0])


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_no_points_is_an_error(make):
    with pytest.raises(ValueError, match=f"{make.__name__}: expected at least 1 .*, got 0"):
        make(0)


def test_disk_labels_say_whether_a_point_is_inside():
    x, labels = map(np.array, datasets.disk(5000))
    distance = np.hypot(*(x.astype(np.float64) - 0.5).T)
    assert ((distance < 1 / np.sqrt(2 * np.pi)) == labels).all()
    assert 0 <= x.min() and x.max() < 1 and abs(labels.mean() - 0.5) < 0.03


def test_noise_moves_points_that_have_their_labels():
    x, labels = map(np.array, datasets.disk(200, noise=0.1))
    clean, same = map(np.array, datasets.disk(200))
    assert (labels == same).all() and 0.05 < np.std(x - clean) < 0.2


def test_xor_is_class_1_where_exactly_one_coordinate_is_positive():
    x, labels = map(np.array, datasets.xor(500))
    assert (((x > 0).sum(axis=1) == 1) == labels).all() and abs(labels.mean() - 0.5) < 0.1
    with pytest.raises(ValueError, match="xor: expected noise >= 0, got -1"):
        datasets.xor(5, noise=-1)


def test_the_committed_disk_is_what_the_seed_makes():
    x, labels = datasets.read_csv(Path(__file__).parents[2] / "datasets" / "disk.csv")
    expected = datasets.disk(1000, seed=0)
    assert mx.array_equal(x, expected[0]) and mx.array_equal(labels, expected[1])


def test_a_file_that_is_no_table_of_numbers_is_an_error(tmp_path):
    (tmp_path / "words.csv").write_text("a,b\none,two\n")
    with pytest.raises(ValueError, match="read_csv: expected a line of names, then lines of numbers, in .*words.csv"):
        datasets.read_csv(tmp_path / "words.csv")
    (tmp_path / "narrow.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match="expected at least 2 columns"):
        datasets.read_csv(tmp_path / "narrow.csv")


def test_moons_without_noise_lie_on_two_half_circles():
    x, labels = map(np.array, datasets.moons(101, noise=0))
    close(np.hypot(*x[labels == 0].T), np.ones(51))
    close(np.hypot(*(x[labels == 1] - [1, 0.5]).T), np.ones(50))
    assert (x[labels == 0, 1] >= 0).all() and (x[labels == 1, 1] <= 0.5).all()


def test_spirals_without_noise_lie_on_their_arms():
    x, labels = map(np.array, datasets.spirals(90, arms=3, turns=2, noise=0))
    r = np.hypot(*x.T)
    angle = 2 * np.pi * (2 * r + labels / 3)
    close(x, np.stack([r * np.cos(angle), r * np.sin(angle)], 1))
    assert np.bincount(labels).tolist() == [30, 30, 30]


@pytest.mark.parametrize("name", ["and", "or", "xor", "nand", "nor"])
def test_gates_are_python_s_own(name):
    a_gate = {
        "and": lambda a, b: a and b,
        "or": lambda a, b: a or b,
        "xor": lambda a, b: a != b,
        "nand": lambda a, b: not (a and b),
        "nor": lambda a, b: not (a or b),
    }[name]
    x, y = datasets.gate(name)
    assert [bool(value) for value in y.tolist()] == [bool(a_gate(a, b)) for a, b in x.tolist()]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: datasets.gate("nxor"), "gate: unknown gate 'nxor'; known: and, or, xor, nand, nor"),
        (lambda: datasets.moons(3, noise=-1), "moons: expected noise >= 0, got -1"),
        (lambda: datasets.spirals(3, arms=0), "spirals: expected at least 1 arm, got 0"),
    ],
)
def test_unsuitable_settings_are_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
