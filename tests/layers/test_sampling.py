"""A sample whose gradient is that for the same noise, and codes whose gradient goes straight through: witnesses.

Straight-through gradients are not those of the forward: there the witnesses see the forward with all that counts as a
constant held in place.
"""

import copy
import pickle

import mlx.core as mx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf

SHAPES = [(3, 2), (1, 1), (2, 3, 2), (5, 7)]


# -------------------------------------------------------------------- a sample


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sample_agrees_with_three_witnesses(shape):
    layer, mean, log_variance = mf.GaussianSample(), normal(*shape), normal(*shape, seed=1)
    by_differences(layer, mean, log_variance)
    by_mx_grad(layer, mean, log_variance)
    mf.seed(4)
    noise = torch.tensor(np.array(mx.random.normal(shape)))
    mf.seed(4)
    by_torch(layer, lambda m, l: m + torch.exp(l / 2) * noise, mean, log_variance)


def test_evaluation_gives_the_mean_and_no_gradient_to_the_variance():
    layer, mean, log_variance = mf.GaussianSample().eval(), normal(3, 2), normal(3, 2, seed=1)
    assert mf.check_gradients(layer, mean, log_variance).passed
    by_mx_grad(layer, mean, log_variance)
    by_torch(layer, lambda m, l: m + 0 * l, mean, log_variance)


def test_samples_have_the_mean_and_the_variance_that_were_asked_for():
    mf.seed(0)
    mean, variance = mx.array([-1.0, 0.0, 5.0]), mx.array([0.01, 1.0, 9.0])
    z = np.array(mf.GaussianSample()(*(mx.broadcast_to(p, (20_000, 3)) for p in (mean, mx.log(variance)))))
    np.testing.assert_allclose(z.mean(axis=0), mean, atol=0.1)
    np.testing.assert_allclose(z.var(axis=0), variance, rtol=0.05)
    first, second = (mf.GaussianSample()(mx.zeros((2, 3)), mx.zeros((2, 3))) for _ in range(2))
    assert not mx.array_equal(first, second)


def test_a_sample_used_twice_keeps_both_noises_apart():
    class Twice(mf.Module):
        def __init__(self):
            self.sample = mf.GaussianSample()

        def forward(self, mean, log_variance):
            return self.sample(self.sample(mean, log_variance), log_variance)

    by_differences(Twice(), normal(2, 3), normal(2, 3, seed=1))


def test_a_sample_of_views_is_that_of_copies():
    layer, base = mf.GaussianSample(), mx.array(normal(6, 8).astype(np.float32))
    views = base.T[::2, ::-1], mx.broadcast_to(base[:1, :6], (4, 6))
    results = []
    for inputs in (views, [mx.array(np.array(view)) for view in views]):
        mf.seed(0)
        y = layer(*inputs)
        results.append([y, *layer.backward(mx.broadcast_to(y[:1], y.shape))])
    for a, b in zip(*results, strict=True):
        close(a, b, 1e-6)


@pytest.mark.parametrize("compile", [True, False])
def test_an_encoder_learns_to_be_sure_where_noise_hurts(compile):
    class Autoencoder(mf.Module):
        def __init__(self):
            self.mean, self.log_variance, self.sample = mf.Linear(2, 1), mf.Linear(2, 1), mf.GaussianSample()
            self.decoder = mf.Linear(1, 2)

        def forward(self, x):
            return self.decoder(self.sample(self.mean(x), self.log_variance(x)))

    mf.seed(0)
    x = mx.random.normal((100, 1)) * mx.array([[1.0, -2.0]])
    model = Autoencoder()
    options = dict(loss="mse", optimizer=mf.Adam(model, lr=0.05), epochs=30, batch_size=20, seed=0, verbose=0)
    history = model.fit(x, x, compile=compile, **options)
    assert history.history["loss"][-1] < 0.1 * history.history["loss"][0]
    assert model.log_variance(x).mean().item() < -1


# -------------------------------------------------------------------- codes


def quantizer(codes=4, dim=2, **options):
    mf.seed(1)
    layer = mf.VectorQuantizer(codes, dim, **options)
    layer.weight.value = mx.random.normal((codes, dim))
    return layer


def backward_of(layer, x, seed=7):
    """Outputs, upstream gradients, and the gradients of input and codes."""
    z, loss = layer(x)
    grad, grad_loss = (mx.array(normal(*y.shape, seed=seed + k).astype(np.float32)) for k, y in enumerate((z, loss)))
    layer.zero_grad()
    return z, loss, grad, grad_loss, layer.backward((grad, grad_loss)), layer.weight.grad


def held(constant, moving, beta, x, mean):
    """z and the loss with ``constant`` around all that counts as one: what PyTorch users write."""
    z = x + constant(moving - x)
    return z, mean((moving - constant(x)) ** 2) + beta * mean((x - constant(moving)) ** 2)


@pytest.mark.parametrize("beta", [0.25, 0.0, 2.0])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("shape", [(5, 2), (1, 2), (3, 4, 2), (2, 3, 5, 2)])
def test_codes_agree_with_pytorch_and_mx_grad(shape, beta, training):
    layer, x = quantizer(beta=beta).train(training), normal(*shape).astype(np.float32)
    z, loss, grad, grad_loss, dx, dw = backward_of(layer, mx.array(x))
    assert loss.shape == (shape[0],)

    tensor, weight = torch.tensor(x, requires_grad=True), torch.tensor(np.array(layer.weight.value), requires_grad=True)
    k = torch.cdist(tensor.reshape(-1, 2), weight).argmin(dim=1).reshape(shape[:-1])
    theirs = held(lambda t: t.detach(), weight[k], beta, tensor, lambda t: t.flatten(1).mean(dim=1))
    (theirs[0] * torch.tensor(np.array(grad))).sum().backward(retain_graph=True)
    (theirs[1] * torch.tensor(np.array(grad_loss))).sum().backward()
    for ours, expected in ((z, theirs[0]), (loss, theirs[1]), (dx, tensor.grad), (dw, weight.grad)):
        close(ours, expected)
    assert layer.codes(mx.array(x)).tolist() == k.tolist()

    def scalar(x, codes):
        chosen = codes[mx.array(k.numpy())]
        z, loss = held(mx.stop_gradient, chosen, beta, x, lambda t: t.reshape(shape[0], -1).mean(axis=1))
        return (z * grad).sum() + (loss * grad_loss).sum()

    expected = mx.grad(scalar, argnums=(0, 1))(mx.array(x), layer.weight.value)
    close(dx, expected[0])
    close(dw, expected[1])


def test_differences_agree_where_all_that_counts_as_constant_is_held():
    layer, x = quantizer(), mx.array(normal(3, 4, 2))
    with mx.stream(mx.cpu):
        x, codes = x.astype(mx.float64), layer.weight.value.astype(mx.float64)
        layer.weight.value = codes
        _, _, grad, grad_loss, dx, dw = backward_of(layer, x)
        k = layer.codes(x)

        def value(moved, moved_codes):
            loss = ((moved_codes[k] - x) ** 2).reshape(3, -1).mean(axis=1)
            loss = loss + layer.beta * ((moved - codes[k]) ** 2).reshape(3, -1).mean(axis=1)
            return ((moved * grad).sum() + (loss * grad_loss).sum()).item()

        for array, found, at in ((x, dx, 0), (codes, dw, 1)):
            numeric = np.zeros(array.shape)
            for place in np.ndindex(*array.shape):
                step = np.zeros(array.shape)
                step[place] = 1e-6
                sides = []
                for sign in (1, -1):
                    moved = [x, codes]
                    moved[at] = array + sign * mx.array(step, dtype=mx.float64)
                    sides.append(value(*moved))
                numeric[place] = (sides[0] - sides[1]) / 2e-6
            close(found, numeric, 1e-7)


def test_the_check_objects_to_a_gradient_that_goes_straight_through():
    report = mf.check_gradients(quantizer(), normal(5, 2))
    assert not report.passed and [row.name for row in report.rows if not row.passed] == ["weight", "input"]


def test_it_is_written_with_other_codes_only_where_they_are_nearer():
    layer = mf.VectorQuantizer(3, 2)
    layer.weight.value = mx.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    assert layer.codes(mx.array([[0.4, 0.4], [0.6, 0.6], [0.5, 0.5]])).tolist() == [0, 1, 0]


def test_codes_move_to_the_vectors_that_chose_them():
    layer = quantizer(2, 1)
    layer.weight.value = mx.array([[-0.1], [0.1]])
    x = mx.array([[-3.0], [-2.0], [2.0], [4.0]])
    optimizer = mf.SGD(layer, lr=0.1)
    for _ in range(100):
        layer.zero_grad()
        z, loss = layer(x)
        layer.backward((mx.zeros_like(z), mx.ones_like(loss) / 4))
        optimizer.step()
    close(layer.weight.value, [[-2.5], [3.0]], 1e-3)


def test_a_quantizer_used_twice_adds_both_gradients():
    layer, x = quantizer(), mf.Variable(mx.array(normal(3, 2).astype(np.float32)))
    first, one = layer(x)
    second, two = layer(first * 2)
    (second.sum() + one.sum() + two.sum()).backward()
    total = mx.zeros_like(layer.weight.value)
    gradient = mx.ones((3, 2))
    for vectors in (first.value * 2, x.value):
        alone = copy.deepcopy(layer)
        alone.zero_grad()
        alone(vectors)
        gradient = alone.backward((gradient, mx.ones((3,))))
        total = total + alone.weight.grad
        gradient = gradient * 2 if vectors is not x.value else gradient
    close(layer.weight.grad, total)
    close(x.grad, gradient)


def test_codes_of_views_are_those_of_copies():
    layer, view = quantizer(), mx.array(normal(4, 6).astype(np.float32)).T[::-1, ::2]
    close(backward_of(layer, view)[4], backward_of(layer, mx.array(np.array(view)))[4], 1e-6)
    close(backward_of(layer, view)[5], backward_of(layer, mx.array(np.array(view)))[5], 1e-6)


def test_files_and_copies_and_the_summary(tmp_path):
    layer, x = quantizer(5, 2, beta=0.5), mx.array(normal(3, 2).astype(np.float32))
    layer.save(tmp_path / "layer")
    for twin in (mf.load(tmp_path / "layer"), copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert repr(twin) == repr(layer) == "VectorQuantizer(5 codes of 2, beta=0.5)"
        for a, b in zip(twin(x), layer(x), strict=True):
            assert mx.array_equal(a, b)
    (row,) = layer.summary((4, 2)).rows
    assert (row.output_shape, row.parameters, row.multiply_adds) == (((4, 2), ()), 10, 40)


def test_pytorch_chooses_the_same_among_many():
    layer, x = quantizer(50, 8), normal(200, 8).astype(np.float32)
    distances = torch.cdist(torch.tensor(x), torch.tensor(np.array(layer.weight.value)))
    z, _ = layer(mx.array(x))
    close(z, F.embedding(distances.argmin(dim=1), torch.tensor(np.array(layer.weight.value))))


@pytest.mark.parametrize(
    "use, error, message",
    [
        (
            lambda: mf.GaussianSample()(mx.zeros((2, 3)), mx.zeros((2, 1))),
            ValueError,
            r"GaussianSample\(\): expected a mean and a log-variance of the same shape, got \(\(2, 3\), \(2, 1\)\)",
        ),
        (lambda: mf.GaussianSample()(mx.zeros((2,), mx.int32), mx.zeros((2,))), TypeError, "expected real numbers"),
        (lambda: mf.VectorQuantizer(0, 2), ValueError, "VectorQuantizer: expected positive sizes and beta >= 0, got 0"),
        (lambda: mf.VectorQuantizer(4, 2)(mx.zeros((3, 5))), ValueError, r"expected input \(batch, ..., 2\), got"),
        (lambda: mf.VectorQuantizer(4, 2)(mx.zeros((3, 2), mx.int32)), TypeError, "expected real numbers, got mlx"),
    ],
)  # fmt: skip
def test_unsuitable_inputs_are_refused(use, error, message):
    with pytest.raises(error, match=message):
        use()
