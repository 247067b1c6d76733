"""Frames hold what the model computes, leave it as it was, and stay small."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.lab import wire
from miniframe.lab.pictures import GRID, View, decided, image_bytes, signed_bytes


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


def test_data_of_any_shape_can_be_looked_at():
    lone = View(mf.Linear(3, 1), mf.MSELoss(), mx.ones((1, 3)), mx.ones((1, 1)))
    header, arrays = lone.frame()
    assert "regions" not in arrays and header["layers"][0]["of"] == 1 and lone.plane is None
    same = View(mf.Linear(2, 2), mf.CrossEntropyLoss(), mx.ones((4, 2)), mx.zeros((4,), mx.int32))
    assert "regions" in same.frame()[1], "all points in one place still have a plane"
    assert same.plane == (-1.16, -1.16, 1.16, 1.16)


def test_each_direction_of_the_plane_has_its_own_margin():
    """Ages beside incomes: with one margin for both, all points would lie on one line."""
    x = mx.array([[20.0 + i, 1000.0 * i] for i in range(40)])
    left, bottom, right, top = View(mf.Linear(2, 2), mf.CrossEntropyLoss(), x, mx.array([0, 1] * 20)).plane
    assert (left, right) == pytest.approx((20 - 0.08 * 39, 59 + 0.08 * 39))
    assert (bottom, top) == pytest.approx((-0.08 * 39_000, 1.08 * 39_000))


@pytest.mark.parametrize(
    ("y", "outputs", "classes"),
    [
        (mx.arange(40) % 3, 3, 3),
        (mx.arange(40) % 3, 4, 4),
        (mx.arange(40) - 1, 40, 0),
        (mx.arange(40), 3, 0),
        (mx.arange(40) % 2, 1, 0),
        (mf.one_hot(mx.arange(40) % 3, 3), 3, 3),
        (mx.ones((40, 3)), 3, 0),
        (mx.zeros((40, 1), mx.int32), 1, 0),
        (mf.one_hot(mx.arange(40) % 3, 3).astype(mx.bfloat16), 3, 3),
    ],
)
def test_targets_are_classes_where_the_model_has_a_score_for_each(y, outputs, classes):
    """Counts, labels such as -1, and several labels for one sample are none."""
    assert View(mf.Linear(2, outputs), mf.MSELoss(), mx.zeros((40, 2)), y).classes == classes


def test_more_classes_than_a_byte_holds_arrive():
    model, y = mf.Linear(2, 300), mx.arange(300)
    scene = View(model, mf.CrossEntropyLoss(), mx.random.normal((300, 2)), y)
    assert scene.scene()[1]["train.labels"].tolist() == list(range(300))
    model.bias.value = 1e6 * mx.array([float(k == 299) for k in range(300)])
    assert set(scene.frame()[1]["regions"].tolist()) == {299}


def test_inputs_of_bfloat16_are_drawn():
    x, y = mf.datasets.disk(30)
    seen = View(mf.Linear(2, 2), mf.CrossEntropyLoss(), x.astype(mx.bfloat16), y)
    assert seen.scene()[1]["train.points"].shape == (30, 2) and "regions" in seen.frame()[1]


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_images_of_any_number_of_channels_have_three_colours(channels):
    assert image_bytes(mx.random.uniform(shape=(2, 4, 5, channels))).shape == (2, 4, 5, 3)


def test_a_strip_has_as_many_rows_as_samples_and_no_more():
    """Inside a model that joins samples and places into one axis, there are many more rows."""

    class Joined(mf.Module):
        def __init__(self):
            self.inner, self.head = mf.Linear(2, 4), mf.Linear(4, 3)

        def forward(self, x):
            return self.head(self.inner(x).reshape(-1, 4)).reshape(-1, 30, 3)

    x = mx.random.normal((14, 30, 2))
    header, arrays = View(Joined(), mf.MSELoss(), x, mx.zeros((14, 30, 3))).strips()
    assert {arrays[f"{place}.value"].shape[0] for place in range(len(header["layers"]))} == {12}
