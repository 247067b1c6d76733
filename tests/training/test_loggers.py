"""Logs of a training in files."""

import csv

import numpy as np
import pytest
from harness import normal

import miniframe as mf

X, Y = normal(40, 3).astype(np.float32), normal(40, 2, seed=1).astype(np.float32)


def fit(*callbacks, epochs=5, model=None, **options):
    model = mf.Linear(3, 2) if model is None else model
    options = {"optimizer": mf.SGD(model, lr=0.1, momentum=0.9), "loss": "mse", "compile": False, **options}
    history = model.fit(
        X,
        Y,
        epochs=epochs,
        batch_size=10,
        callbacks=callbacks,
        validation_data=(X, Y),
        verbose=0,
        **options,
    )
    return model, history


def test_the_log_has_a_line_for_every_epoch(tmp_path):
    path = tmp_path / "log.csv"
    _, history = fit(mf.CSVLogger(path, separator=";"), epochs=3)
    rows = list(csv.DictReader(open(path), delimiter=";"))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert [float(row["val_loss"]) for row in rows] == history.history["val_loss"]


@pytest.mark.parametrize("append, lines", [(False, 1 + 2), (True, 1 + 2 + 2)])
def test_a_second_training_replaces_or_continues_the_log(tmp_path, append, lines):
    path = tmp_path / "log.csv"
    for _ in range(2):
        fit(mf.CSVLogger(path, append=append), epochs=2)
    assert len(path.read_text().splitlines()) == lines


def test_a_log_without_a_folder_is_refused_before_training(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"CSVLogger: there is no folder .*nowhere for log.csv"):
        fit(mf.CSVLogger(tmp_path / "nowhere" / "log.csv"))
    with pytest.raises(ValueError, match=r"CSVLogger: expected one character as separator, got ''"):
        mf.CSVLogger("log.csv", separator="")
