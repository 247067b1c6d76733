"""Views of images (a channel, every other column, a stretched, turned or mirrored image) are images like others."""

import mlx.core as mx
import numpy as np
import pytest
from catalogue import CASES
from harness import close

import miniframe as mf


def from_larger(index, grow):
    """A view of the wanted shape: ``index`` into an array whose axes are longer, as ``grow`` says."""
    return lambda shape: array(*(a(n) for a, n in zip(grow, shape)))[index]


def array(*shape):
    return mx.random.normal(shape)


def same(n):
    return n


def more(n):
    return n + 3


def twice(n):
    return 2 * n


ALL = slice(None)
VIEWS = {
    "the first channels": lambda s: array(*s[:3], s[3] + 5)[..., : s[3]],
    "the last channels": lambda s: array(*s[:3], s[3] + 2)[..., 2:],
    "every other channel": from_larger((..., slice(None, None, 2)), (same, same, same, twice)),
    "every other column": from_larger((ALL, ALL, slice(None, None, 2)), (same, same, twice, same)),
    "every other row": from_larger((ALL, slice(1, None, 2)), (same, twice, same, same)),
    "every other image": from_larger((slice(None, None, 2),), (twice, same, same, same)),
    "a part of a batch": from_larger((slice(3, None),), (more, same, same, same)),
    "a crop": from_larger((ALL, slice(2, -1), slice(1, -2)), (same, more, more, same)),
    "mirrored": from_larger((ALL, ALL, slice(None, None, -1)), (same,) * 4),
    "upside down": from_larger((ALL, slice(None, None, -1)), (same,) * 4),
    "channels backwards": from_larger((..., slice(None, None, -1)), (same,) * 4),
    "every other channel backwards": from_larger((..., slice(None, None, -2)), (same, same, same, twice)),
    "all backwards": from_larger((slice(None, None, -1),) * 4, (same,) * 4),
    "one image for all": lambda s: mx.broadcast_to(array(1, *s[1:]), s),
    "one row for all": lambda s: mx.broadcast_to(array(s[0], 1, *s[2:]), s),
    "one channel for all": lambda s: mx.broadcast_to(array(*s[:3], 1), s),
    "one number for all": lambda s: mx.broadcast_to(mx.array(0.5), s),
    "transposed": lambda s: array(s[0], s[2], s[1], s[3]).transpose(0, 2, 1, 3),
    "from channels first": lambda s: array(s[0], s[3], *s[1:3]).transpose(0, 2, 3, 1),
    "the batch last": lambda s: array(*s[1:], s[0]).transpose(3, 0, 1, 2),
    "the second piece of a split": lambda s: mx.split(array(*s[:3], 2 * s[3]), 2, axis=-1)[1],
    "from a table": lambda s: array(s[0], s[1] * s[2] * s[3] + 4)[:, 4:].reshape(s),
}

LAYERS = {
    **{name: case.make for name, case in CASES.items() if len(np.shape(case.inputs(np.random.default_rng(0))[0])) == 4},
    "Conv2d, one channel": lambda: mf.Conv2d(1, 3, 3),
    "Conv2d, joined windows": lambda: mf.Conv2d(2, 2, 2),
    "Conv2d, stride, dilation": lambda: mf.Conv2d(2, 3, 2, stride=2, dilation=2),
    "Conv2d, groups": lambda: mf.Conv2d(4, 2, 3, groups=2),
    "Conv2d, one pixel": lambda: mf.Conv2d(2, 3, 1),
    "Conv2d, many channels": lambda: mf.Conv2d(32, 4, 3),
    "ConvTranspose2d, overlapping": lambda: mf.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1),
    "ConvTranspose2d, one filter": lambda: mf.ConvTranspose2d(2, 1, 2, stride=2),
    "MaxPool2d, overlapping": lambda: mf.MaxPool2d(3, stride=2, padding=1),
    "MaxPool2d, many channels": lambda: mf.MaxPool2d(2),
    "AvgPool2d, overlapping": lambda: mf.AvgPool2d(3, stride=1, padding=1),
    "Upsample2d, nearest": lambda: mf.Upsample2d(3),
    "AdaptiveAvgPool2d, larger": lambda: mf.AdaptiveAvgPool2d((5, 7)),
}
CHANNELS = {"Conv2d, one channel": 1, "Conv2d, groups": 4, "Conv2d, many channels": 32, "MaxPool2d, many channels": 16}
CHANNELS["GroupNorm"] = 4


def copied(x):
    """The same numbers through NumPy."""
    return mx.array(np.array(x), dtype=x.dtype)


def forward_and_backward(layer, x, grad):
    """The output, the gradient of the input, and those of the parameters."""
    layer.zero_grad()
    y = layer(x)
    dx = layer.backward(grad)
    grads = [p.grad for p in layer.parameters()]
    mx.eval(y, dx, grads)
    return [y, dx, *grads]


def test_the_catalogue_gave_its_layers_for_images():
    assert {"Conv2d", "ConvTranspose2d", "MaxPool2d", "AvgPool2d", "Upsample2d", "ZeroPad2d", "GroupNorm"} <= set(
        LAYERS
    )


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_view_as_input_and_as_gradient_gives_what_a_copy_gives(name, dtype):
    layer = LAYERS[name]()
    channels = CHANNELS.get(name, 2)
    tolerance = 1e-5 if dtype == mx.float32 else 1e-12
    with mx.stream(mx.cpu):
        for p in layer.parameters():
            p.value = p.value.astype(dtype)
        for view, make in VIEWS.items():
            x, shape = make((2, 6, 8, channels)).astype(dtype), layer(mx.zeros((2, 6, 8, channels))).shape
            grad = make((shape[0], *(1,) * (4 - len(shape)), *shape[1:])).astype(dtype).reshape(shape)
            expected = forward_and_backward(layer, copied(x), copied(grad))
            actual = forward_and_backward(layer, x, grad)
            for a, b in zip(actual, expected, strict=True):
                assert a.dtype == b.dtype and (np.array(b).any() or view == "one number for all"), view
                close(a, b, tolerance)


@pytest.mark.parametrize("view", VIEWS)
def test_a_compiled_step_takes_views_too(view):
    layer = mf.Sequential(mf.Conv2d(2, 3, 3), mf.MaxPool2d(2), mf.ConvTranspose2d(3, 2, 2, stride=2))
    x, grad = VIEWS[view]((2, 6, 8, 2)), VIEWS[view]((2, 4, 6, 2))
    mx.eval(x, grad)

    @mx.compile
    def run(x, grad):
        layer.zero_grad()
        y = layer(x)
        return [y, layer.backward(grad), *[p.grad for p in layer.parameters()]]

    compiled = run(x, grad)
    for a, b in zip(compiled, forward_and_backward(layer, copied(x), copied(grad)), strict=True):
        close(a, b)


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("view", ["the first channels", "every other column", "mirrored", "from channels first"])
def test_fit_learns_the_same_from_a_view_as_from_a_copy(view, compile):
    x, y = VIEWS[view]((40, 6, 8, 1)), mx.arange(40) % 3

    def learned(x):
        mf.seed(1)
        model = mf.Sequential(mf.Conv2d(1, 2, 3), mf.ReLU(), mf.Flatten(), mf.Linear(48, 3))
        optimizer = mf.SGD(model, lr=0.1)
        options = dict(loss=mf.CrossEntropyLoss(), optimizer=optimizer, epochs=2, verbose=0, compile=compile)
        model.fit(x, y, batch_size=8, shuffle=False, **options)
        model.fit([(x[k : k + 8], y[k : k + 8]) for k in range(0, 40, 8)], **options)
        return [*(p.value for p in model.parameters()), model.predict(x), model.backward(model(x))]

    for a, b in zip(learned(x), learned(copied(x)), strict=True):
        close(a, b)


def test_convolutions_of_the_pieces_that_a_model_splits_its_channels_into():
    class Two(mf.Module):
        def __init__(self):
            self.one, self.other = mf.Conv2d(1, 2, 3), mf.Conv2d(3, 2, 3)

        def forward(self, x):
            first, rest = mf.split(x, [1], axis=-1)
            return self.one(first) + self.other(rest)

    model, x = Two(), array(2, 5, 6, 4)
    close(model(x), model.one(copied(x[..., :1])) + model.other(copied(x[..., 1:])))
    assert mf.check_gradients(model, np.array(x, np.float64)).passed
