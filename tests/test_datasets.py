"""Data made from a seed: right labels, right boxes, the same numbers for the same seed."""

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from harness import close

import miniframe as mf
from miniframe import datasets

MAKERS = {"disk": datasets.disk, "moons": datasets.moons, "spirals": datasets.spirals, "shapes": datasets.shapes}


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


def test_the_committed_disk_is_what_the_seed_makes():
    x, labels = datasets.read_csv(Path(__file__).parents[1] / "datasets" / "disk.csv")
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


def test_shapes_are_images_of_balanced_classes():
    x, labels = datasets.shapes(601)
    assert x.shape == (601, 32, 32, 3) and 0 <= x.min().item() and x.max().item() <= 1
    assert sorted(np.bincount(np.array(labels)).tolist()) == [200, 200, 201]


def test_boxes_hold_the_object_and_nothing_less():
    images, _, boxes = map(np.array, datasets.shapes(100, noise=0, boxes=True))
    for image, (top, left, bottom, right) in zip(images, boxes):
        different = (abs(image - image[0, 0]) > 1e-6).any(axis=-1)  # the corner is always ground
        rows, columns = np.where(different.any(1))[0], np.where(different.any(0))[0]
        assert (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1) == (top, left, bottom, right)
        assert 0 < top and 0 < left and bottom < 32 and right < 32


def test_the_three_shapes_fill_their_boxes_as_their_geometry_says():
    images, labels, boxes = map(np.array, datasets.shapes(300, noise=0, boxes=True))
    filled = [[], [], []]
    for image, label, (top, left, bottom, right) in zip(images, labels, boxes):
        different = abs(image - image[0, 0]).sum(-1)
        filled[label].append((different / different.max()).sum() / ((bottom - top) * (right - left)))
    circle, square, triangle = map(np.mean, filled)
    assert triangle < square < circle < 0.79  # a circle covers π/4 of its box, a turned square less, a triangle half
    assert abs(circle - np.pi / 4) < 0.12


class TestAugmentation:
    images = mx.arange(4 * 3 * 5 * 2).reshape(4, 3, 5, 2).astype(mx.float32) + 1

    def test_flip_mirrors_columns_of_about_half_the_images(self):
        x = mx.broadcast_to(self.images[:1], (400, 3, 5, 2))
        flipped = datasets.random_flip(x)
        same = np.array((flipped == x).all(axis=(1, 2, 3)))
        mirrored = np.array((flipped == x[:, :, ::-1]).all(axis=(1, 2, 3)))
        assert (same ^ mirrored).all() and 150 < same.sum() < 250

    def test_crop_cuts_the_same_window_from_all_channels(self):
        for image, whole in zip(datasets.random_crop(self.images, (2, 3)), self.images):
            windows = [whole[i : i + 2, j : j + 3] for i in range(2) for j in range(3)]
            assert sum(mx.array_equal(image, window).item() for window in windows) == 1

    def test_shift_moves_every_image_its_own_way_and_fills_with_zeros(self):
        x = mx.broadcast_to(self.images[:1], (300, 3, 5, 2))
        padded = mx.pad(x[0], [(1, 1), (1, 1), (0, 0)])
        expected = {np.array(padded[i : i + 3, j : j + 5]).tobytes() for i in range(3) for j in range(3)}
        assert {np.array(image).tobytes() for image in datasets.random_shift(x, 1)} == expected

    def test_the_seed_makes_changes_repeatable(self):
        results = []
        for seed in (1, 1, 2):
            mf.seed(seed)
            results.append(datasets.random_shift(datasets.random_flip(self.images), 2))
        assert mx.array_equal(results[0], results[1]) and not mx.array_equal(results[0], results[2])

    def test_every_epoch_of_fit_sees_every_image_changed_anew(self):
        seen = []

        def note(images):
            seen.append(np.array(images))
            return datasets.random_shift(images, 1)

        model = mf.Sequential(mf.Flatten(), mf.Linear(30, 2))
        data = datasets.augmented(self.images / 100, mx.array([0, 1, 0, 1]), 3, note)
        history = model.fit(data, loss="cross_entropy", optimizer="sgd", epochs=2, verbose=0, compile=False)
        assert len(history.history["loss"]) == 2 and [len(batch) for batch in seen] == [3, 1, 3, 1]
        for epoch in (seen[:2], seen[2:]):
            close(np.sort(np.concatenate(epoch)[:, 0, 0, 0]), np.array(self.images)[:, 0, 0, 0] / 100)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda x: datasets.random_flip(x[0]), r"random_flip: expected images \(batch, .*, got \(3, 5, 2\)"),
            (lambda x: datasets.random_crop(x, 4), "random_crop: expected a window within 3x5 padded by 0, got 4x4"),
            (lambda x: datasets.random_shift(x, -1), "random_crop: expected a window within 3x5 padded by -1"),
        ],
    )
    def test_unsuitable_input_is_an_error(self, call, message):
        with pytest.raises(ValueError, match=message):
            call(self.images)
