"""The flight recorder's picture."""

import warnings
from contextlib import contextmanager

import mlx.core as mx
import pytest

import miniframe as mf
from miniframe import Linear, ReLU, Sequential


@contextmanager
def heard():
    """Collects what the recorder says inside."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield messages
    messages += [str(w.message) for w in caught if issubclass(w.category, mf.RecorderWarning)]


def network(*hidden, activation=ReLU, last=2):
    layers = []
    for a, b in zip((2, *hidden), hidden):
        layers += [Linear(a, b), activation()]
    return Sequential(*layers, Linear(hidden[-1], last))


def fly(model, optimizer=None, loss="cross_entropy", epochs=5, n=200, recorder=None, batch_size=20, more=(), **options):
    """Train on the disk with a recorder that looks after every epoch."""
    x, labels = mf.datasets.disk(n, seed=0)
    x = (x - 0.5) * 3.46
    y = labels if loss == "cross_entropy" else mf.one_hot(labels, 2)
    recorder = recorder or mf.FlightRecorder(every=1)
    optimizer = optimizer or mf.SGD(model, lr=0.05, momentum=0.9)
    settings = {"verbose": 0, "compile": False, "seed": 0, **options}
    model.fit(
        x,
        y,
        loss=loss,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        callbacks=[recorder, *more],
        **settings,
    )
    return recorder


# -------------------------------------------------------------------- planted mistakes


def dead(**options):
    model = network(25, 25)
    model[2].bias.value = mx.full((25,), -10.0)
    return fly(model, **options)


# -------------------------------------------------------------------- what is shown


def test_the_plot_has_a_line_for_every_layer_and_marks_findings():
    with heard():
        finding = dead().findings[0]
    recorder = fly(network(25, 25))
    recorder.findings.append(finding)
    figure = recorder.plot()
    activations, gradients, updates = figure.axes
    assert [line.get_label() for line in activations.lines[:5]] == ["0", "1", "2", "3", "4"]
    assert [line.get_label() for line in updates.lines[:3]] == ["0.weight", "2.weight", "4.weight"]
    assert "are dead" in figure.get_suptitle()
    assert str(recorder) == f"flight recorder, 6 readings: {finding}"
    figure.canvas.draw()


def test_a_dead_layer_keeps_its_line_at_zero():
    with heard():
        recorder = dead()
    activations, gradients, _ = recorder.plot().axes
    for ax, name in ((activations, "3"), (gradients, "2")):
        (line,) = [line for line in ax.lines if line.get_label() == name]
        assert (line.get_ydata() == 0).all() and len(line.get_ydata()) == len(recorder.readings)
        low, high = ax.get_ylim()
        assert low < 0 < high, "zero is on the sheet"


def test_a_plot_of_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing is recorded yet"):
        mf.FlightRecorder().plot()
