"""What must be rewritten for any batch size, and what cannot be."""

from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import numpy as np
import pytest
from harness import close, normal

import miniframe as mf


def array(*shape, seed=0):
    return mx.array(normal(*shape, seed=seed).astype(np.float32))


def test_a_model_that_fixes_the_batch_size_is_refused_and_leaves_no_file(tmp_path):
    class Fixed(mf.Module):
        def forward(self, x):
            return x + mx.ones(x.shape) @ mx.ones((3, 3))

    with pytest.raises(ValueError, match="export: Fixed cannot be exported for any batch size"):
        Fixed().export(tmp_path / "model.mlxfn", array(2, 3))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x - x.mean(axis=0),
        lambda x: x / x.sum(),
        lambda x: mx.softmax(x, axis=0),
        lambda x: x.reshape(-1).max() + x,
    ],
)
def test_a_model_that_mixes_samples_is_refused(operation, tmp_path):
    class Mixing(mf.Module):
        def forward(self, x):
            return operation(x)

    with pytest.raises(ValueError, match="runs over the batch, so a sample's output depends on the others"):
        Mixing().export(tmp_path / "model.mlxfn", array(2, 3))


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "var", "std", "any", "all", "logsumexp"])
def test_reductions_over_axes_of_length_1(name, tmp_path):
    class Reducing(mf.Module):
        def forward(self, x):
            kept = getattr(mx, name)(x, axis=(1, 2), keepdims=True) + x * 0
            return getattr(mx, name)(x, axis=1).astype(mx.float32).reshape(-1, 3), kept, mx.softmax(x, axis=1)

    model, path = Reducing(), str(tmp_path / "model.mlxfn")
    model.export(path, array(2, 1, 1, 3))
    x = array(4, 1, 1, 3)
    for a, b in zip(mx.import_function(path)(x), model.forward(x)):
        close(a, b)


def test_other_threads_may_mix_samples_while_a_model_is_exported(tmp_path):
    x = array(4, 3)

    class Slow(mf.Module):
        def forward(self, x):
            here = pool.submit(lambda: mx.softmax(array(4, 3), axis=0)[1:3].reshape(6).tolist()).result()
            assert here == expected
            return x * 2

    expected = mx.softmax(x, axis=0)[1:3].reshape(6).tolist()
    with ThreadPoolExecutor(1) as pool:
        Slow().export(tmp_path / "model.mlxfn", array(2, 3))
