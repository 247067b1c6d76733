"""Frames hold what the model computes, leave it as it was, and stay small."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.lab import wire
from miniframe.lab.pictures import GRID, View, class_numbers, decided, signed_bytes


def view(model=None, n=50):
    x, y = mf.datasets.disk(n)
    model = model or mf.Sequential(mf.Linear(2, 5), mf.ReLU(), mf.Dropout(0.5), mf.Linear(5, 2))
    return View(model, mf.CrossEntropyLoss(), x, y, *mf.datasets.disk(n, seed=1))


def back(array, scale):
    return (array.astype(float) - 128) / 127 * scale


def test_strips_are_the_values_and_gradients_of_a_trace():
    seen = view(mf.Sequential(mf.Linear(2, 5), mf.Tanh(), mf.Linear(5, 2)))
    header, arrays = seen.frame()
    x, y = seen.batch()
    for place, call in enumerate(mf.trace(seen.model, x, seen.loss, y)):
        about = header["layers"][place]
        value, gradient = np.array(call.output), np.array(call.grad_output)
        assert np.abs(back(arrays[f"{place}.value"], about["value_scale"]) - value).max() <= about["value_scale"] / 250
        assert (
            np.abs(back(arrays[f"{place}.gradient"], about["gradient_scale"]) - gradient).max()
            <= about["gradient_scale"] / 250
        )
        assert about["mean_value"] == pytest.approx(np.abs(value).mean(), rel=1e-6)


def test_regions_and_errors_are_the_models_answers():
    seen = view()
    _, arrays = seen.frame()
    left, bottom, right, top = seen.plane
    corner = mx.array([[left + (right - left) / GRID / 2, top - (top - bottom) / GRID / 2]])
    assert arrays["regions"][0] == seen.model.predict(corner).argmax(axis=1).item()
    said = np.array(seen.model.predict(seen.x)).argmax(axis=1)
    assert (arrays["train.wrong"] == (said != np.array(seen.y))).all()


def test_a_frame_leaves_no_trace():
    seen = view(mf.Sequential(mf.Linear(2, 4), mf.BatchNorm(4), mf.Dropout(0.5), mf.Linear(4, 2)))
    seen.model.eval()
    cells = [cell.value for cell in (*seen.model.parameters(), *seen.model.buffers())]
    state = mf.random.get_state()
    seen.frame()
    assert all(a is b.value for a, b in zip(cells, (*seen.model.parameters(), *seen.model.buffers())))
    assert state == mf.random.get_state() and not seen.model.training
    assert all(p.grad is None for p in seen.model.parameters())


def test_a_frame_of_the_disk_model_takes_at_most_30_kilobytes():
    layers = [mf.Linear(2, 25), mf.ReLU(), mf.Linear(25, 25), mf.ReLU(), mf.Linear(25, 25), mf.ReLU(), mf.Linear(25, 2)]
    assert len(wire.pack(*view(mf.Sequential(*layers), n=1000).frame())) <= 30_000


def test_the_focus_comes_first_in_every_strip():
    seen = view()
    seen.focus = 30
    x, _ = seen.batch()
    assert mx.array_equal(x[0], seen.x[30]) and mx.array_equal(x[1], seen.x[0]) and len(x) == 12
    seen.focus = 3
    assert len(np.unique(np.array(seen.batch()[0]), axis=0)) == 12


def test_nan_and_infinity_are_drawn_as_nothing():
    pixels, scale = signed_bytes(np.array([np.nan, np.inf, -2.0, 1.0]))
    assert pixels.tolist() == [128, 128, 1, 192] and scale == 2.0
    classes, sure = decided(np.array([[np.nan, 1.0], [np.inf, -np.inf]], dtype=np.float32))
    assert classes.tolist() == [1, 0] and np.isfinite(sure).all()


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (np.array([0, 2, 1]), [0, 2, 1]),
        (np.eye(3, dtype=np.float32)[[2, 0]], [2, 0]),
        (np.array([0.5, 1.0]), None),
        (np.ones((3, 1)), None),
    ],
)
def test_classes_are_recognised(y, expected):
    found = class_numbers(mx.array(y))
    assert expected is None if found is None else found.tolist() == expected


def test_data_of_any_shape_can_be_looked_at():
    lone = View(mf.Linear(3, 1), mf.MSELoss(), mx.ones((1, 3)), mx.ones((1, 1)))
    header, arrays = lone.frame()
    assert "regions" not in arrays and header["layers"][0]["of"] == 1 and lone.plane is None
    same = View(mf.Linear(2, 2), mf.CrossEntropyLoss(), mx.ones((4, 2)), mx.zeros((4,), mx.int32))
    assert "regions" in same.frame()[1], "all points in one place still have a plane"
    assert same.plane == (-1.16, -1.16, 1.16, 1.16)
