"""Curves while fit runs: characters in a terminal, a picture in a notebook, one plot at the end in a file."""

import io
import re
import sys

import numpy as np
import pytest

import miniframe as mf
from miniframe.plots.live import LiveCurve, text_curve

X, Y = np.linspace(-1, 1, 20).reshape(-1, 1), np.linspace(1, 3, 20).reshape(-1, 1)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def trained(curve, monkeypatch=None, page=None, **settings):
    if page is not None:
        monkeypatch.setattr(sys, "stdout", page)
    mf.seed(0)
    given = {"epochs": 4, "verbose": 0, **settings}
    return mf.Linear(1, 1).fit(X, Y, loss="mse", optimizer="sgd", callbacks=[curve], **given)


def test_a_file_gets_one_plot_at_the_end(monkeypatch):
    page = io.StringIO()
    history = trained(LiveCurve(every=0), monkeypatch, page, validation_split=0.2)
    assert page.getvalue().count("└") == 1 and "\x1b" not in page.getvalue()
    numbers = {name: f"{values[-1]:.4g}" for name, values in history.history.items()}
    last = page.getvalue().splitlines()[-1]
    assert last == f"loss {numbers['loss']}, val_loss {numbers['val_loss']} (epoch 4)"


def test_a_terminal_gets_a_plot_after_every_epoch_over_the_one_before(monkeypatch):
    page = Terminal()
    trained(LiveCurve(["loss", "mae"], every=0), monkeypatch, page, metrics=["mae"])
    plots = page.getvalue().split("\x1b[")
    lines = {part.count("\n") for part in plots}
    assert page.getvalue().count("└") == 2 * 4
    ups = re.findall(r"\x1b\[(\d+)A\x1b\[J", page.getvalue())
    assert len(ups) == 3 and set(map(int, ups)) <= lines  # as many lines up as the plot before has


def test_pictures_are_as_far_apart_as_asked(monkeypatch):
    page = Terminal()
    trained(LiveCurve(every=1e6), monkeypatch, page, epochs=30)
    assert page.getvalue().count("└") == 2  # the first and the last


def test_a_training_that_ends_early_is_shown_whole(monkeypatch):
    class Stop(mf.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 2

    page = Terminal()
    monkeypatch.setattr(sys, "stdout", page)
    mf.Linear(1, 1).fit(
        *(X, Y), loss="mse", optimizer="sgd", epochs=9, verbose=0, callbacks=[LiveCurve(every=1e6), Stop()]
    )
    assert page.getvalue().count("└") == 2 and page.getvalue().rstrip().endswith("(epoch 3)")


def test_a_notebook_gets_one_picture_that_is_renewed(monkeypatch):
    pictures = []

    class Handle:
        def update(self, figure):
            pictures.append(("again", figure))

    def display(figure, display_id):
        pictures.append(("new", figure))
        return Handle()

    shown = type(sys)("IPython.display")
    shown.display = display
    monkeypatch.setitem(sys.modules, "ipykernel", type(sys)("ipykernel"))
    python = type(sys)("IPython")
    python.version_info, python.get_ipython = (9,), lambda: None  # what matplotlib asks for
    monkeypatch.setitem(sys.modules, "IPython", python)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    history = trained(LiveCurve(every=0))
    assert [how for how, _ in pictures] == ["new"] + ["again"] * 3
    drawn = pictures[-1][1].axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(drawn, history.history["loss"], rtol=0)


def test_what_is_not_measured_is_named_before_the_first_step():
    model = mf.Linear(1, 1)
    before = np.array(model.weight)
    with pytest.raises(ValueError, match="no 'accuracy' is measured in this training; there is loss, mae"):
        model.fit(X, Y, loss="mse", optimizer="sgd", metrics=["mae"], verbose=0, callbacks=[LiveCurve("accuracy")])
    np.testing.assert_array_equal(before, np.array(model.weight))
    with pytest.raises(ValueError, match="seconds of at least 0"):
        LiveCurve(every=float("nan"))


def test_a_resumed_training_shows_the_whole_curve(tmp_path):
    first, second = LiveCurve(every=1e6), LiveCurve(every=1e6)
    trained(first, epochs=2, checkpoint=tmp_path, seed=1)
    history = trained(second, epochs=5, checkpoint=tmp_path, resume=True, seed=1)
    assert second.history == history.history and len(second.history["loss"]) == 5


@pytest.mark.parametrize(
    "values, marks",
    [([1.0], 1), ([1.0, float("nan"), 3.0], 2), ([float("nan")], 0), ([2.0] * 300, 60), (list(range(1, 500)), 60)],
)
def test_any_numbers_are_drawn(values, marks):
    lines = text_curve({"loss": values}, "loss").splitlines()
    assert sum(line.count("●") for line in lines) == marks
    assert len(lines) == 11 and max(map(len, lines)) <= 72


def test_heights_are_logarithmic_where_numbers_fall_far():
    rows = [line.index("●") for line in text_curve({"loss": [100.0, 10.0, 1.0]}, "loss", 5, 3).splitlines()[:3]]
    assert rows == [11, 13, 15]


def test_training_and_validation_have_their_own_marks():
    text = text_curve({"loss": [3.0, 1.0], "val_loss": [2.0, 2.0]}, "loss")
    assert text.count("●") == 2 and text.count("○") == 2
