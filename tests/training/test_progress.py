"""What fit prints, where someone watches and where nobody does."""

import io

import numpy as np

import miniframe as mf

X, Y = np.zeros((20, 2), np.float32), np.zeros((20, 1), np.float32)


def fit(epochs, verbose):
    model = mf.Sequential(mf.Linear(2, 1))
    model.fit(X, Y, loss="mse", optimizer=mf.SGD(model, lr=0.1), epochs=epochs, batch_size=10, verbose=verbose,
              compile=False)  # fmt: skip


def test_a_log_file_gets_some_twenty_lines_however_many_epochs(capsys):
    fit(200, verbose=1)
    out, err = capsys.readouterr()
    assert err == "" and 10 <= len(out.splitlines()) <= 21
    assert out.splitlines()[-1].startswith("epoch 200/200: loss ")


def test_verbose_2_gives_a_line_for_every_epoch_and_0_none(capsys):
    fit(7, verbose=2)
    assert len(capsys.readouterr().out.splitlines()) == 7
    fit(7, verbose=0)
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    """A screen that somebody looks at."""

    def isatty(self):
        return True


def test_a_terminal_gets_one_bar_with_epoch_and_loss(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    fit(3, verbose=1)
    last = terminal.getvalue().split("\r")[-1]
    assert "epoch 3/3" in last and "6/6" in last and "loss=" in last and terminal.getvalue().endswith("\n")


def test_a_stream_of_unknown_length_is_counted(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    model = mf.Sequential(mf.Linear(2, 1))
    model.fit(lambda: iter([(X, Y)] * 3), loss="mse", optimizer=mf.SGD(model, lr=0.1), epochs=2, compile=False)
    assert "6batch" in terminal.getvalue().split("\r")[-1]
