"""Memory-mapped arrays: every sample once, in a new order, in little memory."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import miniframe as mf
from miniframe.data.mapped import MappedData


def fit(source, **options):
    model = mf.Linear(1, 1)
    options = {"loss": "mse", "optimizer": mf.SGD(model, 0.001), "verbose": 0, "compile": False, **options}
    return model, model.fit(source, **options)


# -------------------------------------------------------------------- memory-mapped arrays


def mapped(tmp_path, array, name="x"):
    np.save(tmp_path / name, array)
    return np.load(tmp_path / f"{name}.npy", mmap_mode="r")


@pytest.mark.parametrize("samples, batch_size", [(1000, 10), (1003, 10), (7, 10), (331, 2)])
def test_mapped_batches_hold_every_sample_once_in_a_new_order(tmp_path, samples, batch_size):
    x = np.arange(samples, dtype=np.float32)
    data = MappedData(mapped(tmp_path, x), 2 * x)
    rng = np.random.default_rng(0)
    for _ in range(2):
        batches = [(np.array(a), np.array(b)) for a, b in data.epoch(batch_size, rng)]
        assert len(batches) == data.steps(batch_size)
        order = np.concatenate([a for a, _ in batches])
        assert np.array_equal(np.sort(order), x) and not np.array_equal(order, x)
        assert all(np.array_equal(2 * a, b) for a, b in batches)
    assert np.array_equal(np.concatenate([np.array(a) for a, _ in data.epoch(batch_size)]), x)


def test_mapped_arrays_train_like_arrays_in_memory(tmp_path):
    x = np.random.default_rng(0).normal(size=(45, 3)).astype(np.float32)
    results = []
    for inputs in (x, mapped(tmp_path, x)):
        mf.seed(0)
        model = mf.Linear(3, 1)
        history = model.fit(
            inputs, x[:, :1], loss="mse", optimizer=mf.SGD(model, 0.1), batch_size=10, epochs=2, shuffle=False,
            sample_weight=np.arange(45) / 45, validation_data=(inputs, x[:, :1]), verbose=0, compile=False,
        )  # fmt: skip
        results.append((np.array(model.weight.value), history.history, model.evaluate(inputs, x[:, :1])))
    assert np.array_equal(results[0][0], results[1][0])
    assert results[0][1:] == results[1][1:]


def test_several_mapped_inputs_travel_together(tmp_path):
    x = mapped(tmp_path, np.arange(6, dtype=np.float32)), np.arange(6)
    ((a, b), y), *_ = MappedData(x, np.arange(6)).epoch(6, np.random.default_rng(0))
    assert np.array_equal(np.array(a), np.array(b)) and np.array_equal(np.array(b), np.array(y))


def test_the_order_of_mapped_samples_follows_the_seed(tmp_path):
    def order(seed):
        data = MappedData(mapped(tmp_path, np.arange(200)), np.arange(200))
        return [a.tolist() for a, _ in data.epoch(8, np.random.default_rng(seed))]

    assert order(1) == order(1) != order(2)


def test_mapped_arrays_of_different_lengths_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"fit: expected the same number of samples everywhere, got x 5, y 4"):
        fit(mapped(tmp_path, np.ones((5, 1))), y=np.ones((4, 1)))


# -------------------------------------------------------------------- memory


# Trains on a memory-mapped file of 192 MB with 64 MB of memory beyond what importing and the first step take.
SCRIPT = """
import resource, sys
import numpy as np
import miniframe as mf

x = np.memmap(sys.argv[1], dtype=np.float32, mode="r").reshape(-1, 768)
allowed = 64 * 2**20


def read(rows):
    def batches():
        for start in range(0, rows, 128):
            batch = np.array(x[start : start + 128])
            yield batch, batch[:, :4]
    return batches


def private():
    status = dict(line.split(":") for line in open("/proc/self/status"))
    return int(status["VmData"].split()[0]) * 1024


model = mf.Linear(768, 4)
options = dict(loss="mse", optimizer=mf.SGD(model, 1e-3), verbose=0, compile=False)
model.fit(read(2560), **options)
resource.setrlimit(resource.RLIMIT_DATA, (private() + allowed,) * 2)
try:
    np.ones(allowed // 4, np.float64)  # 128 MB
    sys.exit("the limit does not work")
except MemoryError:
    pass
for data in ((read(len(x)),), (x, x[:, :4])):
    history = model.fit(*data, batch_size=128, **options)
    print(history.history["loss"][0])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory with Linux's RLIMIT_DATA")
def test_training_on_a_file_three_times_larger_than_the_memory_allowed(tmp_path):
    path = tmp_path / "x.f32"
    x = np.memmap(path, dtype=np.float32, mode="w+", shape=(65536, 768))
    x[:, ::16] = 0.5
    del x
    environment = {**os.environ, "PYTHONPATH": str(Path(mf.__file__).parents[1])}
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert all(0 < float(loss) < 1 for loss in result.stdout.split())
