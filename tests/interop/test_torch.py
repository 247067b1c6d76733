"""PyTorch models in and out: the same outputs and gradients, element by element; the way back loses nothing."""

import subprocess
import sys
import warnings
from collections import OrderedDict

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import close, normal
from torch import nn
from torch_nets import without_dropout

import miniframe as mf
from miniframe import interop
from miniframe.core.cells import put_values, values_of

torch.set_num_threads(1)


def first(array: np.ndarray) -> np.ndarray:
    """Channels first, for images."""
    return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if array.ndim == 4 else array


def last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


def shuffle_statistics(module: nn.Module) -> nn.Module:
    """Random weights and running statistics, so that nothing is equal by being 0 or 1."""
    generator = torch.Generator().manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.running_mean.normal_(generator=generator)
            norm.running_var.uniform_(0.5, 2, generator=generator)
            if norm.affine:
                norm.weight.data.uniform_(0.5, 1.5, generator=generator)
                norm.bias.data.normal_(generator=generator)
    return module


def same(model: mf.Module, module: nn.Module, shape: tuple[int, ...], tolerance: float = 1e-5) -> None:
    """Outputs, input gradients and the gradient of the first weights agree."""
    x = normal(*shape).astype(np.float32)
    tensor = torch.tensor(first(x), requires_grad=True)
    output, expected = model(mx.array(x)), module(tensor)
    close(output, last(expected.detach().numpy()), tolerance)
    upstream = normal(*output.shape, seed=1).astype(np.float32)
    received = model.backward(mx.array(upstream))
    expected.backward(torch.tensor(first(upstream)))
    close(received, last(tensor.grad.numpy()), 10 * tolerance)
    theirs = dict(module.named_parameters())
    path, parameter = next(iter(model.named_parameters()), (None, None))
    if path is not None:
        grad = theirs[path].grad.numpy()
        if type(model) is mf.ConvTranspose2d:
            grad = grad.swapaxes(0, 1)
        close(parameter.grad, grad if grad.ndim < 3 else np.moveaxis(grad, -3, -1), 10 * tolerance)


def round_trip(model: mf.Module, module: nn.Module) -> None:
    """To PyTorch and back: not a bit is lost."""
    theirs = interop.to_torch(model)
    state = module.state_dict()
    converted = {n: v for n, v in theirs.state_dict().items() if not n.endswith("num_batches_tracked")}
    assert set(converted) == {name for name in state if not name.endswith("num_batches_tracked")}
    assert all(torch.equal(value, state[name]) for name, value in converted.items())
    back = interop.from_torch(theirs)
    ours = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    again = {**dict(back.named_parameters()), **dict(back.named_buffers())}
    assert set(ours) == set(again) and ours
    assert all(mx.array_equal(ours[name].value, again[name].value) for name in ours)


def torch_lenet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def torch_vgg(stages, batch_norm: bool, num_classes: int = 10, hidden: int = 4096) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for stage in stages:
        for width in stage:
            layers += [nn.Conv2d(channels, width, 3, padding=1)]
            layers += [nn.BatchNorm2d(width)] if batch_norm else []
            layers += [nn.ReLU()]
            channels = width
        layers += [nn.MaxPool2d(2)]
    classifier = nn.Sequential(
        nn.Linear(channels * 49, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(),
        nn.Linear(hidden, num_classes),
    )  # fmt: skip
    parts = {"features": nn.Sequential(*layers), "avgpool": nn.AdaptiveAvgPool2d(7), "flatten": nn.Flatten()}
    return nn.Sequential(OrderedDict(**parts, classifier=classifier))


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        for index, (inputs, outputs) in enumerate([(64, 64), (64, 128), (128, 256), (256, 512)], start=1):
            blocks = Block(inputs, outputs, 1 if index == 1 else 2), Block(outputs, outputs, 1)
            setattr(self, f"layer{index}", nn.Sequential(*blocks))
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def test_lenet_gives_the_same_logits_and_gradients():
    torch.manual_seed(0)
    module = torch_lenet()
    model = interop.from_torch(module)
    same(model, module, (3, 28, 28, 1))
    round_trip(model, module)
    assert isinstance(model[7], mf.Linear) and model.training


@pytest.mark.parametrize("training", [True, False])
def test_a_vgg_with_batch_norm_gives_the_same_logits_and_gradients(training):
    torch.manual_seed(0)
    module = shuffle_statistics(torch_vgg([(8,), (12, 12), (16,)], True, hidden=32))
    without_dropout(module)
    model = interop.from_torch(module.train(training))
    round_trip(model, module)
    same(model, module, (4, 64, 56, 3), 1e-5)
    for name, buffer in model.named_buffers():  # the running statistics moved alike
        close(buffer.value, module.state_dict()[name])


def test_resnet18_gives_the_same_logits_and_gradients():
    torch.manual_seed(0)
    module = shuffle_statistics(ResNet18(10)).eval()
    model = mf.models.resnet18(10).eval()
    report = interop.load_torch_weights(model, module.state_dict())
    assert report.complete and len(report.loaded) == 102
    same(model, module, (2, 64, 64, 3))
    round_trip(model, module)
    x = normal(1, 32, 32, 3).astype(np.float32)
    close(interop.to_torch(model)(torch.tensor(first(x))), model(mx.array(x)))


@pytest.mark.slow
def test_vgg16_gives_the_same_logits_and_gradients_at_full_size():
    """Gradients in float64: in float32, of millions of ReLUs and maxima near a tie some fall either way."""
    torch.manual_seed(0)
    module = torch_vgg([(64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3], False, 1000).eval()
    model = mf.models.vgg16().eval()
    interop.load_torch_weights(model, module.state_dict())
    x, upstream = normal(1, 224, 224, 3), normal(1, 1000, seed=1)
    with torch.no_grad():
        close(model(mx.array(x.astype(np.float32))), module(torch.tensor(first(x).astype(np.float32))))
    parameters = list(model.parameters())
    put_values(parameters, [value.astype(mx.float64) for value in values_of(parameters)])
    with mx.stream(mx.cpu):
        model(mx.array(x, dtype=mx.float64))
        received = model.backward(mx.array(upstream, dtype=mx.float64))
        mx.eval(received, model["features"][0].weight.grad)
    tensor = torch.tensor(first(x), requires_grad=True)
    module.double()(tensor).backward(torch.tensor(upstream))
    close(received, last(tensor.grad.numpy()), 1e-9)
    close(model["features"][0].weight.grad, last(module.features[0].weight.grad.numpy()), 1e-9)


LAYERS = {
    "linear without bias": (nn.Linear(4, 3, bias=False), (2, 4)),
    "strided, dilated, grouped convolution": (nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 2), 2, 2, bias=False), (2, 9, 8, 4)),
    "same convolution": (nn.Conv2d(2, 3, (3, 4), padding="same"), (2, 5, 6, 2)),
    "transposed convolution": (nn.ConvTranspose2d(3, 2, 3, 2, 1, 1), (2, 4, 5, 3)),
    "transposed convolution, widened": (nn.ConvTranspose2d(3, 2, 2, 1, 1, 2, dilation=3), (2, 4, 5, 3)),
    "batch norm on vectors": (nn.BatchNorm1d(5), (6, 5)),
    "batch norm on images": (nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5, affine=False)), (2, 3, 3, 3)),
    "layer norm": (nn.LayerNorm(5, eps=1e-3), (6, 5)),
    "layer norm on images": (nn.LayerNorm((3, 4, 5)), (2, 4, 5, 3)),
    "group norm": (nn.Sequential(nn.Conv2d(3, 6, 1), nn.GroupNorm(2, 6)), (2, 4, 5, 3)),
    "instance norm": (nn.Sequential(nn.Conv2d(3, 6, 1), nn.InstanceNorm2d(6, 1e-3, affine=True)), (2, 4, 5, 3)),
    "instance norm first, not affine": (nn.Sequential(nn.InstanceNorm2d(3), nn.Conv2d(3, 2, 1)), (2, 4, 5, 3)),
    "root mean square": (nn.RMSNorm(5), (6, 5)),
    "root mean square, other settings": (nn.Sequential(nn.RMSNorm(5, 0.1, False), nn.Linear(5, 2)), (6, 5)),
    "learned slopes": (nn.Sequential(nn.Conv2d(3, 4, 1), nn.PReLU(4), nn.PReLU()), (2, 4, 5, 3)),
    "max pooling": (nn.MaxPool2d(3, 2, 1), (2, 7, 8, 3)),
    "mean pooling": (nn.AvgPool2d((2, 3), padding=1), (2, 7, 8, 3)),
    "adaptive pooling": (nn.AdaptiveAvgPool2d((3, 2)), (2, 7, 8, 3)),
    "upsampling": (nn.Upsample(scale_factor=2, mode="bilinear"), (2, 3, 4, 2)),
    "zero padding": (nn.ZeroPad2d((1, 0, 2, 3)), (2, 3, 4, 2)),
    "softmax over channels": (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Softmax(dim=1)), (2, 3, 4, 3)),
    "pooling that reaches over the edge": (nn.MaxPool2d(3, 2, ceil_mode=True), (2, 6, 8, 3)),
    "means that reach over the edge": (nn.AvgPool2d(3, 2, 1, True, False), (2, 6, 8, 3)),
    "shuffled channels": (nn.Sequential(nn.Conv2d(3, 6, 1), nn.ChannelShuffle(3)), (2, 3, 4, 3)),
    "hard activations": (nn.Sequential(nn.ReLU6(), nn.Hardswish(), nn.Hardsigmoid()), (3, 4)),
    "activations": (
        nn.Sequential(
            nn.LeakyReLU(0.2), nn.ELU(0.7), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.SiLU(), nn.GELU(),
            nn.Identity(), nn.Dropout(0.0), nn.LogSoftmax(-1),
        ),
        (3, 4),
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # PyTorch's word on its own speed
@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_every_layer_goes_both_ways(case):
    module, shape = LAYERS[case]
    module = shuffle_statistics(module)
    model = interop.from_torch(module)
    same(model, module, shape)
    back = interop.to_torch(model)
    assert [type(m) for m in back.modules()] == [type(m) for m in module.modules()]
    x = torch.tensor(first(normal(*shape, seed=3).astype(np.float32)))
    assert torch.equal(back(x), module(x))


def test_images_that_go_straight_into_a_linear_layer_need_their_channels():
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 5, 2))
    model = interop.from_torch(module, channels=3)
    same_model = interop.from_torch(interop.to_torch(model, channels=3), channels=3)
    x = normal(2, 4, 5, 3).astype(np.float32)
    close(model(mx.array(x)), module(torch.tensor(first(x))))
    assert mx.array_equal(same_model[1].weight.value, model[1].weight.value)


def test_a_global_mean_and_a_residual_go_to_pytorch():
    block = mf.Residual(mf.Sequential(mf.Conv2d(3, 3, 3, padding=1), mf.Tanh()))
    model = mf.Sequential(block, mf.GlobalAvgPool2d(), mf.Linear(3, 2))
    x = normal(2, 5, 6, 3).astype(np.float32)
    close(interop.to_torch(model)(torch.tensor(first(x))), model(mx.array(x)))


def test_a_shared_layer_stays_shared():
    shared = nn.Linear(3, 3)
    model = interop.from_torch(nn.Sequential(shared, nn.ReLU(), shared))
    assert model[0] is model[2] and len(list(model.parameters())) == 2
    back = interop.to_torch(model)
    assert back[0] is back[2]
    x = normal(2, 3).astype(np.float32)
    close(back(torch.tensor(x)), model(mx.array(x)))


def test_mode_and_frozen_parameters_come_along():
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).eval()
    module[0].bias.requires_grad_(False)
    model = interop.from_torch(module)
    assert not model.training and [p.trainable for p in model.parameters()] == [True, False]
    back = interop.to_torch(model)
    assert not back.training and [p.requires_grad for p in back.parameters()] == [True, False]


def test_weights_of_a_class_with_other_names_are_paired_in_order():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.out = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4 * 6, 2)

        def forward(self, x):
            return self.out(torch.flatten(torch.relu(self.norm(self.conv(x))), 1))

    module = shuffle_statistics(Net()).eval()
    model = mf.Sequential(mf.Conv2d(3, 4, 3), mf.BatchNorm(4), mf.ReLU(), mf.Flatten(), mf.Linear(24, 2)).eval()
    interop.load_torch_weights(model, module.state_dict())
    x = normal(2, 4, 5, 3).astype(np.float32)
    close(model(mx.array(x)), module(torch.tensor(first(x))))


def test_half_precision_weights_are_read():
    module = nn.Linear(2, 2).bfloat16()
    layer = mf.Linear(2, 2)
    interop.load_torch_weights(layer, module.state_dict())
    close(layer.weight.value, module.weight.detach().float().numpy())


def test_everything_that_does_not_fit_is_listed_and_nothing_is_changed():
    module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4), nn.Linear(1, 1))
    model = mf.Sequential(mf.Linear(2, 3), mf.ReLU(), mf.Linear(3, 5), mf.Identity(), mf.Linear(5, 1, bias=False))
    before = np.array(model[0].weight.value)
    with pytest.raises(ValueError) as raised:
        interop.load_torch_weights(model, module.state_dict())
    words = str(raised.value)
    assert "missing in the file: 4.weight" in words and "unexpected in the file: 3.weight, 3.bias" in words
    assert "mismatched: 2.weight expects (5, 3) float32, the file holds (4, 3) float32" in words
    assert np.array_equal(np.array(model[0].weight.value), before)
    report = interop.load_torch_weights(model, module.state_dict(), strict=False)
    assert report.loaded == ["0.weight", "0.bias"]
    close(model[0].weight.value, module[0].weight.detach().numpy())


def test_a_safetensors_state_dict_loads_without_torch(tmp_path):
    torch.manual_seed(0)
    module = torch_lenet()
    path = tmp_path / "lenet.safetensors"
    mx.save_safetensors(str(path), {name: mx.array(value.numpy()) for name, value in module.state_dict().items()})
    x = normal(2, 28, 28, 1).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np, miniframe as mf, mlx.core as mx\n"
        "model = mf.models.lenet()\n"
        f"print(mf.interop.load_torch_weights(model, {str(path)!r}))\n"
        f"np.save({str(tmp_path / 'y.npy')!r}, np.array(model(mx.array(np.load({str(tmp_path / 'x.npy')!r})))))\n"
        "try: mf.interop.to_torch(model)\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["10 loaded", "to_torch needs PyTorch: pip install miniframe[torch]"], (
        done.stderr
    )
    close(np.load(tmp_path / "y.npy"), module(torch.tensor(first(x))))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: interop.from_torch(nn.Sequential(nn.Linear(1, 1), nn.RReLU())), TypeError,
         r"from_torch: no counterpart for '1', a RReLU; mf.interop.supported\(\) prints what has one"),
        (lambda: interop.from_torch(nn.MaxPool2d(2, dilation=2)), ValueError, "has dilation=2; only 1"),
        (lambda: interop.from_torch(nn.InstanceNorm2d(3, track_running_stats=True)), ValueError, "track_running_stats"),
        (lambda: interop.from_torch(nn.BatchNorm1d(3, momentum=None)), ValueError, "momentum=None, a cumulative mean"),
        (lambda: interop.from_torch(nn.BatchNorm1d(3, bias=False)), ValueError, "has a weight without a bias"),
        (lambda: interop.from_torch(nn.Upsample(scale_factor=1.5)), ValueError, "enlarges by a fraction"),
        (lambda: interop.from_torch(nn.Softmax(dim=0)), ValueError, "dim=0; only 1 and -1"),
        (lambda: interop.from_torch(3), TypeError, "expected a torch.nn.Module, got int"),
        (lambda: interop.to_torch(mf.Sequential(mf.Reshape(2, 2))), TypeError,
         r"to_torch: Sequential\.0, Reshape\(2, 2\), has no counterpart in PyTorch"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


# -------------------------------------------------------------------- images without convolutions


def images(shape, seed=0):
    """The same images for PyTorch, channels first, and for miniframe, channels last."""
    x = normal(*shape, seed=seed).astype(np.float32)
    return torch.tensor(x), mx.array(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [mf.MaxPool2d(2), mf.BatchNorm(3), mf.Flatten(), mf.Linear(12, 2)],
        lambda: [mf.BatchNorm(3), mf.ReLU(), mf.AvgPool2d(2), mf.Flatten(), mf.BatchNorm(12), mf.Linear(12, 2)],
        lambda: [mf.LayerNorm((4, 4, 3)), mf.BatchNorm(3), mf.Flatten(), mf.Linear(48, 2)],
    ],
)
def test_batch_norm_sees_images_where_any_layer_says_so(layers):
    model = mf.Sequential(*layers()).eval()
    module = interop.to_torch(model)
    flat = [m for m in model.modules() if isinstance(m, mf.BatchNorm) and m.num_features == 12]
    names = [type(m).__name__ for m in module.modules() if "BatchNorm" in type(m).__name__]
    assert names == ["BatchNorm2d"] + ["BatchNorm1d"] * len(flat)
    theirs, ours = images((5, 3, 4, 4))
    if not flat:  # whose features are in another order
        np.testing.assert_allclose(module(theirs).detach().numpy(), np.array(model(ours)), atol=1e-5)


def test_batch_norm_that_may_see_either_is_asked_about():
    model = mf.Sequential(mf.BatchNorm(3), mf.Flatten(), mf.Linear(48, 2)).eval()
    with pytest.raises(ValueError, match=r"^to_torch: Sequential.0, BatchNorm\(3\), may see .* give channels=3$"):
        interop.to_torch(model)
    theirs, ours = images((5, 3, 4, 4))
    module = interop.to_torch(model, channels=3)
    np.testing.assert_allclose(module(theirs).detach().numpy(), np.array(model(ours)), atol=1e-5)
    rows = mf.Sequential(mf.BatchNorm(3), mf.Linear(3, 2))
    assert type(interop.to_torch(rows)[0]) is torch.nn.BatchNorm1d


COLOURED = {
    "flatten": (lambda: [torch.nn.Flatten(), torch.nn.Linear(48, 2)], True),
    "pooling": (lambda: [torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 2)], True),
    "batch norm": (lambda: [torch.nn.BatchNorm2d(3), torch.nn.Flatten(), torch.nn.Linear(48, 2)], False),
}


@pytest.mark.parametrize("name", COLOURED)
def test_colour_images_without_convolutions_come_right_or_with_a_warning(name):
    layers, silent = COLOURED[name]
    module = torch.nn.Sequential(*layers()).eval()
    theirs, ours = images((5, 3, 4, 4))
    expected = module(theirs).detach().numpy()
    if silent:
        words = r"from_torch and .*: Linear\(.*\) sees flattened images, .* 1 is taken, .* give channels=3"
        with pytest.warns(UserWarning, match=words):
            interop.from_torch(module)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for channels in [3, None][: 1 if silent else 2]:
            model = interop.from_torch(module, channels=channels)
            np.testing.assert_allclose(np.array(model(ours)), expected, atol=1e-5)
            back = interop.to_torch(model, channels=3)
            np.testing.assert_allclose(back(theirs).detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("sizes", [(784, 10), (4, 2)])
def test_models_that_see_no_colours_import_without_a_word(sizes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        interop.from_torch(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(*sizes)))
        interop.from_torch(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2)), channels=1)
        interop.from_torch(torch.nn.Sequential(torch.nn.Linear(48, 6), torch.nn.Flatten(), torch.nn.Linear(6, 2)))


def test_bfloat16_goes_both_ways(tmp_path):
    module = torch.nn.Linear(3, 2).bfloat16()
    model = interop.from_torch(module)
    assert np.array_equal(np.array(model.weight.value), module.weight.detach().float().numpy())
    cells = {name: p.value.astype(mx.bfloat16) for name, p in model.named_parameters()}
    mx.save_safetensors(str(tmp_path / "half.safetensors"), cells)
    other = mf.Linear(3, 2)
    interop.load_torch_weights(other, tmp_path / "half.safetensors")
    assert mx.array_equal(other.weight.value, model.weight.value)
    half = mf.Linear(3, 2)
    half.weight, half.bias = (mf.Parameter(cells[name]) for name in ("weight", "bias"))
    back = interop.to_torch(half)
    assert back.weight.dtype == torch.bfloat16 and torch.equal(back.weight, module.weight)
