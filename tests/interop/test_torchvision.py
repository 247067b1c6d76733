"""torchvision's own networks with random weights: the same logits, and in double precision the same first gradients."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import close, normal
from vision import torchvision

from miniframe import interop
from miniframe.core.cells import put_values, values_of

torch.set_num_threads(1)
SIZES = {"vit_b_16": 224, "shufflenet_v2_x1_0": 224, "googlenet": 96}  # of the images; 64 for all others
QUICK = [
    "resnet18", "squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small",
    "mobilenet_v3_large", "efficientnet_b0", "shufflenet_v2_x1_0",
]  # fmt: skip
SLOW = [
    "resnet50",
    "densenet121",
    "alexnet",
    "vgg11",
    "vgg16_bn",
    "convnext_tiny",
    "vit_b_16",
    "googlenet",
    "regnet_y_400mf",
    "mnasnet1_0",
]


def marked(quick, slow):
    return pytest.mark.parametrize("name", [*quick, *(pytest.param(name, marks=pytest.mark.slow) for name in slow)])


def network(name):
    torch.manual_seed(0)
    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    module = getattr(torchvision().models, name)(weights=None, **options).eval()
    for kind, parameter in module.named_parameters():
        if parameter.ndim < 2 or not parameter.abs().max():  # nothing equal by being 0 or 1
            parameter.data = parameter.data + 0.05 * torch.randn_like(parameter) * (kind != "fc.bias")
    return module


@marked(QUICK, SLOW)
def test_the_network_gives_the_same_logits_and_first_gradients(name):
    module = network(name)
    model = interop.from_torch(module)
    size = SIZES.get(name, 64)
    x = normal(1, 3, size, size)
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    with torch.no_grad():
        close(model(mx.array(last.astype(np.float32))), module(torch.tensor(x.astype(np.float32))))
    cells = [*model.parameters(), *model.buffers()]
    with mx.stream(mx.cpu):  # the only one that knows double precision
        put_values(cells, [value.astype(mx.float64) for value in values_of(cells)])
    module, tensor = module.double(), torch.tensor(x, requires_grad=True)
    upstream = normal(1, 1000, seed=1)
    module(tensor).backward(torch.tensor(upstream))
    with mx.stream(mx.cpu):
        model(mx.array(last, dtype=mx.float64))
        received = model.backward(mx.array(upstream, dtype=mx.float64))
        path, first = next(iter(model.named_parameters()))
        if path == "class_token":
            path, first = "conv_proj.weight", model["conv_proj"].module.weight
        mx.eval(received, first.grad)
    close(received, tensor.grad.numpy().transpose(0, 2, 3, 1), 1e-6)
    close(first.grad, module.get_parameter(path).grad.numpy().transpose(0, 2, 3, 1), 1e-6)


@marked(["mobilenet_v3_small", "squeezenet1_1"], ["resnet18", "efficientnet_b0", "convnext_tiny"])
def test_the_network_comes_back_to_pytorch(name):
    module = network(name)
    back = interop.to_torch(interop.from_torch(module))
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        close(back(x), module(x))
