"""Pictures: each shows the numbers it was given, stays inside its sheet, and says what is wrong with its input."""

import io
import subprocess
import sys

import matplotlib.image
import mlx.core as mx
import numpy as np
import pytest
from harness import close, normal

import miniframe as mf
from miniframe import plots


@pytest.fixture(scope="module")
def disk():
    x, labels = mf.datasets.disk(200)
    return np.array(x), np.array(labels)


def truth(x):
    """A classifier that is always right about the disk."""
    return mf.one_hot((((np.array(x) - 0.5) ** 2).sum(1) < 1 / (2 * np.pi)).astype(int), 2)


def rendered(figure) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(figure._repr_png_()))[..., :3]


def all_figures(disk):
    x, labels = disk
    model = mf.Sequential(mf.Linear(2, 4), mf.ReLU(), mf.Linear(4, 2))
    model.backward(mx.ones_like(model(mx.array(x))))
    history = {"loss": [1.0, 0.1], "val_loss": [1.1, 0.3], "accuracy": [0.5, 0.9]}
    return {
        "decision regions": plots.decision_regions({"model": model, "truth": truth}, x, labels, resolution=40),
        "errors": plots.errors({"model": model, "truth": truth}, x, labels),
        "curves": plots.curves({"one": history, "another one": history}),
        "schedules": plots.schedules({"one cycle": mf.schedules.one_cycle(0.1, 50), "none": lambda step: 0.02}, 60),
        "gradient flow": plots.gradient_flow(model),
        "activations": plots.activations(),
        "filters": plots.filters(normal(6, 3, 3, 1)),
        "colour filters": plots.filters(normal(6, 3, 3, 3)),
        "deep filters": plots.filters(normal(4, 3, 3, 5)),
        "feature maps": plots.feature_maps(normal(8, 7, 5)),
        "images": plots.images(np.random.default_rng(0).random((5, 8, 8, 3)), titles="abcde"),
        "confusion": plots.confusion_matrix([0, 1, 1], [0, 1, 2], names=["circle", "square", "triangle"]),
    }


def test_nothing_is_clipped_at_the_edge_of_any_figure(disk):
    for name, figure in all_figures(disk).items():
        picture = rendered(figure)
        assert picture.std() > 0.01, name
        for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
            assert (edge == 1).all(), f"{name}: ink at the edge"


def test_decision_regions_show_the_predicted_class(disk):
    x, labels = disk
    figure = plots.decision_regions(truth, x, labels, resolution=50)
    tints = figure.axes[0].images[0].get_array()
    assert not np.array_equal(tints[25, 25], tints[0, 0])
    assert np.array_equal(tints[0, 0], tints[-1, -1])


def test_a_single_output_is_compared_with_the_threshold(disk):
    x, labels = disk
    logit = lambda points: truth(points)[:, 1:] * 2 - 1.2  # noqa: E731
    assert plots.errors(logit, x, labels, threshold=0).axes[0].get_title() == "0 of 200 wrong (0.00%)"
    assert plots.errors(logit, x, labels, threshold=2).axes[0].get_title().startswith(f"{labels.sum()} of 200")


def test_errors_counts_and_marks_the_wrong_points(disk):
    x, labels = disk
    wrong = labels.copy()
    wrong[:7] = 1 - wrong[:7]
    ax = plots.errors({"truth": truth}, x, mf.one_hot(wrong, 2)).axes[0]
    assert ax.get_title() == "truth\n7 of 200 wrong (3.50%)"
    close(ax.collections[1].get_offsets(), x[:7])


def test_the_circle_is_drawn_for_the_disk_alone(disk):
    assert len(plots.errors(truth, *disk).axes[0].lines) == 1
    assert not plots.errors(lambda x: [0, 1, 1, 0], *mf.datasets.gate("xor")).axes[0].lines


def test_a_model_is_asked_in_evaluation_mode(disk):
    x, labels = disk
    model = mf.Sequential(mf.Linear(2, 2), mf.Dropout(0.9))
    counts = {plots.errors(model, x, labels).axes[0].get_title() for _ in range(3)}
    assert len(counts) == 1 and model.training


def test_curves_draw_the_history_of_fit():
    model = mf.Linear(2, 1)
    x, y = normal(20, 2), normal(20, 1)
    history = model.fit(
        x, y, loss="mse", optimizer="sgd", epochs=3, validation_split=0.2, metrics=["mae"], verbose=0, compile=False
    )
    loss, mae = plots.curves(history).axes
    close(loss.lines[0].get_ydata(), history.history["loss"])
    close(loss.lines[1].get_ydata(), history.history["val_loss"])
    assert list(loss.lines[0].get_xdata()) == [1, 2, 3] and mae.get_ylabel() == "mae"


def test_curves_use_a_logarithm_when_the_loss_falls_far():
    assert plots.curves({"loss": [1.0, 0.01]}).axes[0].get_yscale() == "log"
    assert plots.curves({"loss": [1.0, 0.5]}).axes[0].get_yscale() == "linear"
    assert plots.curves({"loss": [1.0, 0.01]}, log=False).axes[0].get_yscale() == "linear"


def test_curves_of_an_unknown_quantity_name_the_known_ones():
    with pytest.raises(ValueError, match=r"curves: no 'acuracy' in the history; it has loss, accuracy"):
        plots.curves({"loss": [1.0], "accuracy": [0.5]}, "acuracy")
    with pytest.raises(ValueError, match="curves: an empty history"):
        plots.curves({})


def test_activations_draw_forward_and_the_layers_own_backward():
    ax = plots.activations([mf.Tanh()]).axes[0]
    x = ax.lines[2].get_xdata()
    close(ax.lines[2].get_ydata(), np.tanh(x))
    close(ax.lines[3].get_ydata(), 1 - np.tanh(x) ** 2)


def test_gradient_flow_shows_the_root_mean_square_of_each_parameter():
    model = mf.Sequential({"first": mf.Linear(3, 2, bias=False), "last": mf.Linear(2, 1)})
    model.backward(mx.ones_like(model(mx.array(normal(4, 3).astype(np.float32)))))
    ax = plots.gradient_flow(model).axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["first", "last"]
    expected = [np.sqrt(np.mean(np.array(p.grad) ** 2)) for p in model.parameters()]
    close([bar.get_height() for bar in ax.patches], expected)


def test_gradient_flow_needs_a_backward():
    with pytest.raises(ValueError, match="gradient_flow: no parameter has a gradient; run a backward first"):
        plots.gradient_flow(mf.Linear(2, 2))


def test_confusion_matrix_counts_true_against_predicted():
    ax = plots.confusion_matrix(mf.one_hot([1, 1, 0, 0, 1], 3), [1, 1, 1, 1, 0]).axes[0]
    texts = {tuple(text.get_position()): text.get_text() for text in ax.texts}
    assert texts == {(1, 1): "2", (0, 1): "2", (1, 0): "1"}  # (column, row)
    assert len(ax.get_xticks()) == 3 and ax.get_title() == "40.00% right"


def test_filters_are_signed_around_white():
    weight = np.zeros((2, 3, 3, 1))
    weight[0, 1, 1], weight[1, 0, 0] = 2.0, -1.0
    first, second = (ax.images[0] for ax in plots.filters(weight).axes[:2])
    assert (first.norm.vmin, first.norm.vmax) == (-2, 2) == (second.norm.vmin, second.norm.vmax)


def test_feature_maps_draw_one_picture_for_each_channel():
    maps = np.abs(normal(1, 4, 6, 3))
    axes = plots.feature_maps(maps).axes
    for channel in range(3):
        close(axes[channel].images[0].get_array(), maps[0, :, :, channel])
    assert not axes[3].images


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.decision_regions(truth, normal(3, 3), [0, 1, 0]), r"expected x of shape \(N, 2\), got \(3, 3\)"),
        (lambda: plots.errors(truth, normal(3, 2), [0, 1]), "expected one label for each of 3 points"),
        (lambda: plots.errors(lambda x: [1.0], normal(3, 2), [0, 1, 1]), "expected one output, or a row of scores"),
        (lambda: plots.confusion_matrix([0, 1], [0]), "expected one label for each prediction"),
        (lambda: plots.confusion_matrix([0, 1], [0, 1], names=["a"]), "expected 2 names"),
        (lambda: plots.filters(normal(3, 3)), r"expected weights \(out, kernel_h, kernel_w, in\), got \(3, 3\)"),
        (lambda: plots.feature_maps(normal(2, 4, 4, 3)), r"expected \(H, W, channels\)"),
        (lambda: plots.images(normal(2, 4, 4, 2)), r"images: expected \(N, H, W\)"),
        (lambda: plots.images(normal(2, 4, 4), titles=["one"]), "expected 2 titles, got 1"),
        (lambda: plots.activations([]), "expected at least one layer"),
    ],
)
def test_unsuitable_input_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_without_matplotlib_the_error_names_the_extra():
    code = (
        "import sys; sys.modules['matplotlib'] = None; sys.modules['matplotlib.figure'] = None\n"
        "import miniframe as mf\n"
        "try: mf.plots.activations()\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "plots need matplotlib: pip install miniframe[figures]"
