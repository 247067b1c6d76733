"""Record writes one small file that opens without a network, with the numbers of the History."""

import base64
import json
import re

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.lab import wire
from miniframe.lab.film import Film
from miniframe.lab.record import html


def trained(path, epochs=5, **options):
    x, y = mf.datasets.disk(100)
    model = mf.Sequential(mf.Linear(2, 5), mf.ReLU(), mf.Linear(5, 2))
    settings = {"loss": "cross_entropy", "optimizer": "adam", "verbose": 0, "metrics": ["error_rate"], **options}
    return model.fit(x, y, epochs=epochs, callbacks=[mf.lab.Record(path)], **settings)


def run_in(path):
    """The run that a file holds: (scene, frames by epoch, curve)."""
    text = path.read_text(encoding="utf-8")
    (data,) = re.findall(r"^startReplay\(document\.getElementById\('lab'\), (.*)\);$", text, flags=re.MULTILINE)
    run = json.loads(data)
    frames = {epoch: wire.unpack(base64.b64decode(frame)) for epoch, frame in run["frames"]}
    return wire.unpack(base64.b64decode(run["scene"])), frames, run["curve"]


def test_its_numbers_are_those_of_the_history(tmp_path):
    history = trained(tmp_path / "run.html", validation_split=0.2, seed=0)
    (scene, arrays), frames, curve = run_in(tmp_path / "run.html")
    assert curve == history.history and scene["replay"] and arrays["train.points"].shape == (80, 2)
    assert min(frames) == 0 and max(frames) == 5
    for epoch, (header, _) in frames.items():
        if epoch:
            assert header["logs"] == {name: values[epoch - 1] for name, values in history.history.items()}


def test_a_long_run_stays_under_3_megabytes(tmp_path):
    x, y = mf.datasets.disk(400)
    model = mf.Sequential(
        *(layer for _ in range(3) for layer in (mf.Linear(2 if _ == 0 else 25, 25), mf.ReLU())), mf.Linear(25, 2)
    )
    model.fit(
        x,
        y,
        loss="cross_entropy",
        optimizer="sgd",
        epochs=400,
        batch_size=400,
        verbose=0,
        callbacks=[mf.lab.Record(tmp_path / "run.html")],
    )
    assert (tmp_path / "run.html").stat().st_size < 3_000_000
    assert max(run_in(tmp_path / "run.html")[1]) == 400


def test_it_asks_nobody_and_says_so(tmp_path):
    trained(tmp_path / "run.html")
    text = (tmp_path / "run.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text and "http://" not in text and "https://" not in text
    assert "import " not in re.sub(r"//.*", "", text).replace("import {", "!")


def test_an_interrupted_training_is_kept_too(tmp_path):
    class Stop(mf.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise RuntimeError("enough")

    x, y = mf.datasets.disk(50)
    model = mf.Linear(2, 2)
    with pytest.raises(RuntimeError, match="enough"):
        model.fit(
            x,
            y,
            loss="cross_entropy",
            optimizer="sgd",
            epochs=5,
            verbose=0,
            callbacks=[mf.lab.Record(tmp_path / "run.html"), Stop()],
        )
    assert len(run_in(tmp_path / "run.html")[2]["loss"]) == 2


def test_a_stream_is_recorded_from_its_latest_batch(tmp_path):
    batches = [(mx.random.normal((8, 3)), mx.random.normal((8, 1))) for _ in range(3)]
    model = mf.Linear(3, 1)
    history = model.fit(
        batches, loss="mse", optimizer="sgd", epochs=2, verbose=0, callbacks=[mf.lab.Record(tmp_path / "run.html")]
    )
    assert run_in(tmp_path / "run.html")[2] == history.history


def test_the_model_trains_as_it_does_without(tmp_path):
    mf.seed(3)
    recorded = trained(tmp_path / "run.html", seed=1)
    mf.seed(3)
    x, y = mf.datasets.disk(100)
    model = mf.Sequential(mf.Linear(2, 5), mf.ReLU(), mf.Linear(5, 2))
    plain = model.fit(x, y, epochs=5, loss="cross_entropy", optimizer="adam", verbose=0, metrics=["error_rate"], seed=1)
    assert recorded.history == plain.history


def test_what_cannot_be_recorded_is_said_before_anything_is_trained(tmp_path):
    with pytest.raises(FileNotFoundError, match="Record: there is no folder .*nowhere to write run.html in"):
        mf.lab.Record(tmp_path / "nowhere" / "run.html")
    with pytest.raises(ValueError, match="Record: expected every as a whole number of at least 1, got 0"):
        mf.lab.Record(tmp_path / "run.html", every=0)


def test_a_title_that_is_no_plain_text_does_no_harm(tmp_path):
    class Strange(mf.Sequential):
        def title(self):
            return "</title><script>alert(1)</script>"

    x, y = mf.datasets.disk(20)
    Strange(mf.Linear(2, 2)).fit(
        x, y, loss="cross_entropy", optimizer="sgd", verbose=0, callbacks=[mf.lab.Record(tmp_path / "run.html")]
    )
    text = (tmp_path / "run.html").read_text(encoding="utf-8")
    assert text.count("<script") == 1 and text.count("</script>") == 1


def test_a_very_long_run_keeps_every_second_number(tmp_path):
    """Its curves would else outgrow the file; the numbers that are there are those of the History."""
    film = Film()
    film.add(0, ({"kind": "frame"}, {}))
    curve = {name: [float(n) for n in range(9_001)] for name in ("loss", "val_loss")}
    (tmp_path / "run.html").write_text(html({}, {"images": np.zeros((9, 9), np.uint8)}, film, curve, ""))
    (_, arrays), _, kept = run_in(tmp_path / "run.html")
    assert kept == {name: values[1::2] for name, values in curve.items()} and arrays == {}
    assert '"apart":2' in (tmp_path / "run.html").read_text()


def test_a_film_ends_with_its_latest_frame_also_where_that_is_not_kept():
    film = Film()
    for epoch in range(300):
        film.add(epoch, ({"epoch": epoch}, {}))
        film.add(epoch, ({"epoch": epoch, "again": True}, {}))
        assert film.frames[-1][0] == epoch and wire.unpack(film.frames[-1][1])[0]["again"]
        assert [e for e, _ in film.frames] == sorted({e for e, _ in film.frames})


def test_a_training_that_ends_in_nan_is_kept_and_says_why(tmp_path):
    x, y = mf.datasets.disk(100)
    model = mf.Sequential(mf.Linear(2, 5), mf.ReLU(), mf.Linear(5, 2))
    record, climbing = mf.lab.Record(tmp_path / "run.html"), mf.SGD(model, lr=1e6)
    with pytest.raises(mf.NonFiniteError, match="loss became"):
        model.fit(x, y, loss=mf.lab.mistakes.WrongSign(), optimizer=climbing, epochs=9, verbose=0, callbacks=[record])
    assert 0 in run_in(tmp_path / "run.html")[1]


def test_a_training_that_goes_on_is_recorded_from_where_it_went_on(tmp_path):
    history = trained(tmp_path / "run.html", epochs=9, initial_epoch=5)
    (_, _), frames, curve = run_in(tmp_path / "run.html")
    assert min(frames) == 5 and max(frames) == 9 and curve == history.history and len(curve["loss"]) == 4
    assert '"first":5' in (tmp_path / "run.html").read_text()
