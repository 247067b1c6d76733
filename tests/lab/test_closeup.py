"""Products add up to the gradient that they explain, angles and tangents are what they claim to be."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.lab import closeup, images, singles
from miniframe.lab.pictures import View


@pytest.fixture
def view():
    mf.seed(2)
    x, y = mf.datasets.moons(40)
    model = mf.Sequential(mf.Linear(2, 4), mf.BatchNorm(4), mf.Tanh(), mf.Dropout(0.3), mf.Linear(4, 2))
    return View(model, mf.CrossEntropyLoss(), x, y)


@pytest.mark.parametrize(
    ("name", "of", "index"),
    [
        ("0", "weight", [1, 1]),
        ("0", "bias", [2]),
        ("0", "input", [3, 1]),
        ("1", "weight", [3]),
        ("1", "input", [2, 1]),
        ("2", "input", [5, 0]),
        ("3", "input", [0, 2]),
        ("4", "weight", [0, 3]),
    ],
)
def test_products_add_up_to_the_gradient(view, name, of, index):
    header, _ = closeup.products(view, name, of, index)
    total = sum(row["product"] for row in header["products"]) + header["rest"]
    assert total == pytest.approx(header["total"], abs=1e-12)
    assert header["more"] or abs(header["rest"]) < 1e-6
    for row in header["products"]:
        assert row["product"] == pytest.approx(row["a"] * row["b"])


def test_products_of_a_convolution_add_up():
    mf.seed(0)
    x, y = mf.datasets.shapes(4)
    model = mf.Sequential(mf.Conv2d(3, 2, 3), mf.GlobalAvgPool2d(), mf.Linear(2, 3))
    view = View(model, mf.CrossEntropyLoss(), x[:, :6, :6], y)
    header, _ = closeup.products(view, "0", "weight", [1, 0, 2, 1])
    assert header["more"] > 0
    assert sum(r["product"] for r in header["products"]) + header["rest"] == pytest.approx(header["total"], abs=1e-9)


def test_steps_are_those_of_backward_steps_and_leave_no_trace(view):
    header, arrays = closeup.steps(view)
    directions = [step["direction"] for step in header["steps"]]
    assert directions == ["forward"] * 5 + ["loss"] + ["backward"] * 6
    assert header["steps"][-1]["name"] == "0" and "dW = dYᵀ X" in header["steps"][-1]["formula"]
    assert arrays["11.dweight"].shape == (4, 2) and all(p.grad is None for p in view.model.parameters())


def test_a_layer_has_its_weights_norms_and_source(view):
    header, arrays = closeup.layer(view, "4")
    weight = np.array(view.model[4].weight.value)
    assert (arrays["parameter.0"] == weight).all()
    assert header["parameters"][0]["norm"] == pytest.approx(np.linalg.norm(weight), rel=1e-6)
    assert header["parameters"][0]["name"] == "4.weight" and "def backward" in header["backward"]
    assert {card["name"] for card in header["exhibits"]} == {"Forgetful", "SumForMean", "NoBias"}


def test_a_samples_gradient_and_its_angle(view):
    view.model.eval()
    header, _ = singles.sample(view, 7)
    x, y = view.x, view.y
    own = mf.trace(view.model, x[7:8], view.loss, y[7:8])["4"].parameter_grads["weight"]
    all_of_them = mf.trace(view.model, x, view.loss, y)["4"].parameter_grads["weight"]
    a, b = np.array(own).ravel(), np.array(all_of_them).ravel()
    row = next(row for row in header["layers"] if row["name"] == "4.weight")
    assert row["norm"] == pytest.approx(np.linalg.norm(a), rel=1e-4)
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert row["degrees"] == pytest.approx(np.degrees(np.arccos(cosine)), abs=0.1)


def test_along_a_weight_tangent_and_secant_agree_and_nothing_moves(view):
    before = view.model[4].weight.value
    header, arrays = singles.weight(view, "4.weight", [1, 2])
    assert header["gradient"] == pytest.approx(header["difference"], rel=1e-5, abs=1e-9)
    middle = len(arrays["places"]) // 2
    assert arrays["losses"][middle] == pytest.approx(header["loss"], rel=1e-5)
    pulls = [pull["pull"] for pull in header["pulls"]]
    assert pulls == sorted(pulls, key=lambda pull: -abs(pull)) and view.model[4].weight.value is before


@pytest.mark.parametrize("index", [[0], [0, 2, 0], [4, 0], [-1, 0], ["0", 0], [True, 0], None, "ab", [0.0, 0]])
def test_places_outside_are_refused(view, index):
    with pytest.raises(ValueError, match="is no place in it"):
        singles.weight(view, "0.weight", index)


def test_an_image_says_what_it_is_only_where_the_model_tells_classes_apart():
    """Of a regression and of a model that makes images there are maps, and nothing is said to be sure."""
    x = mx.random.uniform(shape=(4, 8, 8, 1))
    conv = mf.Conv2d(1, 1, 3, padding=1)
    inner = mf.Sequential(conv, mf.ReLU(), conv)
    answers = mf.Sequential(*inner.layers.values(), mf.Flatten(), mf.Linear(64, 2))
    numbers = mf.Sequential(*inner.layers.values(), mf.Flatten(), mf.Linear(64, 1))
    for model, y, said, drawn in [
        (answers, mx.array([0, 1, 0, 1]), True, {"saliency", "cam"}),
        (numbers, mx.zeros((4, 1)), False, {"saliency", "cam"}),
        (inner, x, False, set()),
    ]:
        seen = View(model, mf.CrossEntropyLoss() if said else mf.MSELoss(), x, y)
        header, arrays = images.picture(seen, 1, "0")
        assert (header["said"] is not None) is said and arrays.keys() == {"image", "maps"} | drawn
    first, second = (images.picture(seen, 1, name)[1]["maps"][0] for name in ("0", "0#2"))
    value = np.array(conv(x[1:2]))[0, :, :, 0]
    assert np.abs((first.astype(float) - 128) / 127 * np.abs(value).max() - value).max() < np.abs(value).max() / 100
    assert (first != second).any(), "each call of a layer has its own maps"
    with pytest.raises(ValueError, match="there is no layer '9'"):
        images.picture(seen, 1, "9")
