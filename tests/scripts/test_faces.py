"""The script that asks a trained network for faces why: it is PyTorch's network, gradients and all, and it looks where
it says."""

import importlib.util
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import close
from vision import torchvision

from miniframe.core.cells import put_values, values_of
from miniframe.interop.layouts import from_torch_layout

FILE = Path(__file__).parents[2] / "tutorials" / "scripts" / "faces.py"


@pytest.fixture(scope="module")
def script():
    torchvision()
    pytest.importorskip("facenet_pytorch")
    spec = importlib.util.spec_from_file_location("faces", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def networks(script):
    return script.imported()


@pytest.fixture(scope="module")
def pixels(script):
    picture = script.Image.open(script.get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    return script.cut(picture, 170, 136, 204)


def test_the_trained_network_gives_pytorchs_outputs_and_gradients_element_by_element(script, networks, pixels):
    theirs, net = networks
    x = np.array(script.scaled(pixels[None]))
    tensor = torch.tensor(x.transpose(0, 3, 1, 2)).double().requires_grad_()
    module = theirs.double()
    cells = [*net.parameters(), *net.buffers()]
    before = values_of(cells)
    expected = module(tensor)
    upstream = [np.random.default_rng(k).normal(size=tuple(y.shape)) for k, y in enumerate(expected)]
    torch.autograd.backward(expected, [torch.tensor(u) for u in upstream])
    with mx.stream(mx.cpu):  # the only one that knows double precision
        put_values(cells, [value.astype(mx.float64) for value in before])
        found = net(mx.array(x.astype(np.float64), dtype=mx.float64))
        net.zero_grad()
        received = net.backward(tuple(mx.array(u, dtype=mx.float64) for u in upstream))
        mx.eval(received, [p.grad for p in net.parameters()])
    for a, b in zip(found, expected, strict=True):
        close(a, b, 1e-9)
    close(received, tensor.grad.numpy().transpose(0, 2, 3, 1), 1e-9)
    owners = dict(net.named_modules())
    for name, p in net.named_parameters():
        theirs_grad = module.get_parameter(name).grad.numpy()
        grad = from_torch_layout(owners[name.rpartition(".")[0]], theirs_grad, 1)
        close(p.grad, grad.reshape(p.shape), 1e-9)
    put_values(cells, before)
    net.zero_grad()
    module.float()


def test_eyes_nose_and_mouth_are_where_they_are(script, networks, pixels):
    left, right, nose, mouth, corner = script.places(networks[1], pixels)
    assert left[0] < nose[0] < right[0] and mouth[0] < nose[0] < corner[0]
    assert max(left[1], right[1]) < nose[1] < min(mouth[1], corner[1])
    scores = np.array(script.answers(networks[1])[0](script.scaled(pixels[None])))[0]
    ground = np.full_like(pixels, 127)
    none = np.array(script.answers(networks[1])[0](script.scaled(ground[None])))[0]
    assert scores[1] > scores[0] and none[1] < none[0]


def test_slopes_gather_where_the_answers_point_and_covering_that_place_moves_them_most(script, networks, pixels):
    net = networks[1]
    maps = script.slopes(net, pixels)
    assert all(part > 2 * script.PATCH**2 / script.SIZE**2 for part in
               script.shares(maps, script.places(net, pixels)).values())  # fmt: skip
    moved = script.covered(net, pixels)
    assert np.array_equal(moved.argmax(axis=0), range(5)) and np.array_equal(moved.argmax(axis=1), range(5))


def test_a_slope_is_what_a_small_change_does(script, networks, pixels):
    net, step = networks[1], 0.5
    maps = script.slopes(net, pixels)
    y, x = np.unravel_index(maps["nose"].argmax(), maps["nose"].shape)
    jacobian = []
    for channel in range(3):
        up, down = pixels.copy(), pixels.copy()
        up[y, x, channel] += step
        down[y, x, channel] -= step
        jacobian.append((script.places(net, up)[2] - script.places(net, down)[2]) / (2 * step / 128))
    assert np.linalg.norm(jacobian) == pytest.approx(maps["nose"][y, x], rel=0.02)
