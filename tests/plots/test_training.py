"""Pictures of trainings: curves, schedules, gradients."""

import mlx.core as mx
import numpy as np
import pytest
from harness import close, normal

import miniframe as mf
from miniframe import plots, schedules


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


def test_a_plot_shows_the_rates():
    (line,) = schedules.cosine(0.3, 20).plot(40).axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), [schedules.cosine(0.3, 20)(step) for step in range(40)])
