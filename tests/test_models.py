"""The models: their sizes, their gradients, and a toy of which every weight is proven."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf
from miniframe import models


def channels_first(a):
    return a.transpose(0, 3, 1, 2).copy() if a.ndim == 4 else a


def channels_last(a):
    return a.transpose(0, 2, 3, 1).copy() if a.ndim == 4 else a


def same_numbers(model, module):
    """Copy the model's numbers to a PyTorch module with the same names; where its gradients are found."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    with torch.no_grad():
        for path, cell in (*model.named_parameters(), *model.named_buffers()):
            tensors[path].copy_(torch.tensor(channels_first(np.array(cell.value))))
    return {path: (tensors[path], channels_last) for path, _ in model.named_parameters()}


PARAMETERS = {
    "lenet": 61_706,
    "toy_classifier": 4_381,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
    "resnet18": 11_689_512,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_models_have_as_many_parameters_as_in_the_literature(name):
    assert sum(p.size for p in getattr(models, name)().parameters()) == PARAMETERS[name]


def test_vgg16_maps_an_image_to_1000_classes_through_the_shapes_of_the_figure():
    summary = models.vgg16().summary((224, 224, 3))
    pooled = [row.output_shape for row in summary.rows if "MaxPool" in row.layer]
    assert pooled == [(112, 112, 64), (56, 56, 128), (28, 28, 256), (14, 14, 512), (7, 7, 512)]
    assert summary.rows[-1].output_shape == (1000,)
    assert summary.multiply_adds == 15_470_264_320


def test_resnet18_shrinks_the_image_stage_by_stage():
    summary = models.resnet18().summary((224, 224, 3))
    shapes = [row.output_shape for row in summary.rows if row.name.startswith("layer") and row.name.endswith("bn2")]
    assert shapes == [(56, 56, 64)] * 2 + [(28, 28, 128)] * 2 + [(14, 14, 256)] * 2 + [(7, 7, 512)] * 2
    assert summary.multiply_adds == 1_814_073_344


def test_models_take_the_number_of_classes():
    assert models.lenet(7, in_channels=3)(mx.zeros((2, 28, 28, 3))).shape == (2, 7)
    assert models.toy_classifier(3)(mx.zeros((2, 9, 11, 3))).shape == (2, 3)
    for make in (models.vgg11, models.vgg19_bn, models.resnet18):
        assert make(num_classes=7).summary((64, 96, 3)).rows[-1].output_shape == (7,)


def test_all_8762_perturbed_losses_of_the_toy_agree_with_its_backward():
    model = models.toy_classifier()
    x, y = normal(2, 8, 8, 3, seed=1), np.array([0, 4])
    report = mf.check_gradients(model, x, loss=mf.CrossEntropyLoss(), target=y)
    assert report.passed, report
    weights = [row for row in report.rows if row.name != "input"]
    assert 2 * sum(row.numeric.size for row in weights) == 8762
    assert sum(row.kinks for row in report.rows) <= 2


@pytest.mark.parametrize("sizes", [(3, 3, 1), (2, 4, 2)])
def test_the_basic_block_agrees_with_three_witnesses(sizes):
    block, x = models.BasicBlock(*sizes), normal(2, 5, 4, sizes[0], seed=3)
    reference = TorchBasicBlock(*sizes)
    weights = same_numbers(block, reference)
    by_differences(block, x)
    by_mx_grad(block, x)
    by_torch(block, reference, x, weights=weights, layout=channels_first, back=channels_last)


class TorchBasicBlock(torch.nn.Module):
    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(out_channels)
        self.conv2 = torch.nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(out_channels)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = torch.nn.Sequential(
                torch.nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), torch.nn.BatchNorm2d(out_channels)
            )

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


def test_a_small_vgg_sends_gradients_from_the_logits_to_the_image():
    model = models.vgg([(4, 4), (8,)], num_classes=5, batch_norm=True)
    x = mx.array(normal(2, 32, 48, 3, seed=3).astype(np.float32))
    y = model(x)
    grad = model.backward(mx.ones_like(y))
    assert grad.shape == x.shape and mx.abs(grad).max().item() > 0
    assert all(p.grad is not None and mx.isfinite(p.grad).all().item() for p in model.parameters())
    names = [path for path, _ in model.named_parameters()]
    assert names[:2] == ["features.0.weight", "features.0.bias"] and names[-1] == "classifier.6.bias"


def test_resnet18_evaluates_one_image_like_any_batch():
    model = models.resnet18(num_classes=5).eval()
    x = mx.array(normal(2, 64, 64, 3, seed=3).astype(np.float32))
    close(model(x[:1]), np.array(model(x))[:1], 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgg16", "vgg16_bn", "resnet18"])
def test_large_models_run_forward_and_backward_on_an_image_of_imagenet_size(name):
    model = getattr(models, name)().eval()
    x = mx.array(normal(1, 224, 224, 3, seed=3).astype(np.float32))
    y = model(x)
    assert y.shape == (1, 1000) and mx.isfinite(y).all().item()
    grad = model.backward(mx.ones_like(y))
    assert grad.shape == x.shape and mx.abs(grad).max().item() > 0
    for path, p in model.named_parameters():
        assert p.grad.shape == p.shape and mx.isfinite(p.grad).all().item(), path


@pytest.mark.parametrize("name", ["vgg11", "resnet18"])
def test_activations_keep_their_size_through_all_layers(name):
    model = getattr(models, name)(num_classes=5)
    x = mx.array(normal(2, 64, 64, 3, seed=3).astype(np.float32))
    features = model["features"] if name == "vgg11" else model[:8]
    assert 0.3 < mx.sqrt((features(x) ** 2).mean()).item() < 30


@pytest.mark.parametrize(
    "name, size", [("lenet", (28, 28, 1)), ("toy_classifier", (9, 8, 3)), ("resnet18", (32, 32, 3))]
)
def test_models_survive_a_file_with_their_running_statistics(name, size, tmp_path):
    model = getattr(models, name)()
    x = mx.array(normal(2, *size, seed=3).astype(np.float32))
    model(x)  # moves the running statistics
    model.save(tmp_path / "model.safetensors")
    again = mf.load(tmp_path / "model.safetensors")
    assert mx.array_equal(again.eval()(x), model.eval()(x))


def test_lenet_learns_a_batch_by_heart_compiled_or_not():
    x, y = mx.array(normal(20, 28, 28, 1).astype(np.float32)), mx.arange(20) % 10
    losses = []
    for compile in (False, True):
        mf.seed(0)
        model = models.lenet()
        optimizer = mf.SGD(model, lr=0.05, momentum=0.9)
        options = dict(loss="cross_entropy", epochs=30, batch_size=20, shuffle=False, verbose=0)
        losses.append(model.fit(x, y, optimizer=optimizer, compile=compile, **options).history["loss"])
    assert losses[0][-1] < 0.5 * losses[0][0]
    close(losses[1][:10], losses[0][:10], 1e-3)
