"""Small PyTorch networks, each with what is special about one of the known families, written as people write them."""

import mlx.core as mx
import numpy as np
import torch
import torch.nn.functional as F
from harness import close, normal
from torch import nn

from miniframe.core.arrays import as_tuple
from miniframe.interop.layouts import from_torch_layout


class Fire(nn.Module):
    """SqueezeNet: branches that are concatenated, pooling that reaches over the edge, means over images."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.squeeze, self.left, self.right = nn.Conv2d(6, 4, 1), nn.Conv2d(4, 5, 1), nn.Conv2d(4, 5, 3, padding=1)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(10, 4, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1))

    def forward(self, x):
        x = self.pool(F.relu(self.stem(x), inplace=True))
        x = F.relu(self.squeeze(x))
        x = torch.cat([torch.relu(self.left(x)), torch.relu(self.right(x))], 1)
        return torch.flatten(self.head(x), 1)


class Inverted(nn.Module):
    """MobileNet: convolutions channel by channel, hard activations, a gate for each channel, a residual."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish(inplace=True))
        self.wide = nn.Sequential(nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6(inplace=True))
        self.deep = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False), nn.BatchNorm2d(16))
        self.pool, self.fc1, self.fc2 = nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)
        self.gate = nn.Hardsigmoid()
        self.narrow = nn.Conv2d(16, 8, 1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        y = self.deep(self.wide(x))
        y = self.gate(self.fc2(F.relu(self.fc1(self.pool(y))))) * y
        x = x + self.narrow(y)
        return self.fc(x.mean([2, 3]))


class Dense(nn.Module):
    """DenseNet: every layer sees all before it; norms first; functions that work in place."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4 + 2 * k) for k in range(3)])
        self.convs = nn.ModuleList([nn.Conv2d(4 + 2 * k, 2, 3, padding=1, bias=False) for k in range(3)])
        self.last, self.pool, self.fc = nn.BatchNorm2d(10), nn.AvgPool2d(2), nn.Linear(10, 3)

    def forward(self, x):
        seen = [self.stem(x)]
        for norm, conv in zip(self.norms, self.convs):
            seen.append(conv(F.relu(norm(torch.cat(seen, 1)), inplace=True)))
        x = self.pool(F.relu(self.last(torch.cat(seen, 1)), inplace=True))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    """ConvNeXt: linear layers on images whose axes are turned, a scale for each channel that the code itself uses."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 6, 4, 4), LayerNorm2d(6, 1e-6)
        self.deep, self.inner = nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.LayerNorm(6, 1e-6)
        self.up, self.down = nn.Linear(6, 24), nn.Linear(24, 6)
        self.layer_scale = nn.Parameter(torch.ones(6, 1, 1) * 0.3)
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        x = self.norm(self.stem(x))
        y = self.inner(self.deep(x).permute(0, 2, 3, 1))
        y = self.down(F.gelu(self.up(y))).permute(0, 3, 1, 2)
        x = x + self.layer_scale * y
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class ViT(nn.Module):
    """Vision transformer: patches as words, a token and positions that the code uses, shapes that it computes with."""

    def __init__(self):
        super().__init__()
        self.conv_proj = nn.Conv2d(3, 8, 4, 4)
        self.class_token = nn.Parameter(torch.randn(1, 1, 8))
        self.pos_embedding = nn.Parameter(torch.randn(1, 10, 8))
        self.ln_1, self.ln_2, self.ln = nn.LayerNorm(8), nn.LayerNorm(8), nn.LayerNorm(8)
        self.self_attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Dropout(0.0), nn.Linear(16, 8))
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        n, c, h, w = x.shape
        torch._assert(h == 12, "wrong height")
        x = self.conv_proj(x).reshape(n, 8, (h // 4) * (w // 4)).permute(0, 2, 1)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos_embedding
        y = self.ln_1(x)
        y, _ = self.self_attention(y, y, y, need_weights=False)
        x = x + y
        x = x + self.mlp(self.ln_2(x))
        return self.head(self.ln(x)[:, 0])


class Shuffled(nn.Module):
    """ShuffleNet: channels dealt out anew by two reshapes, and cut into halves."""

    def __init__(self):
        super().__init__()
        self.stem, self.branch = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(4, 4, 3, padding=1)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        x = self.stem(x)
        left, right = x.chunk(2, dim=1)
        x = torch.cat((left, self.branch(right)), dim=1)
        n, c, h, w = x.size()
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)
        return self.fc(x.mean(dim=(2, 3)))


class Residual(nn.Module):
    """ResNet: a module that is called twice, additions in place, a way around."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6)
        self.conv2, self.bn2 = nn.Conv2d(6, 6, 3, 1, 1, bias=False), nn.BatchNorm2d(6)
        self.downsample = nn.Sequential(nn.Conv2d(3, 6, 1, 2, bias=False), nn.BatchNorm2d(6))
        self.relu = nn.ReLU(inplace=True)
        self.pool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(6, 4)

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += self.downsample(x)
        return self.fc(torch.flatten(self.pool(self.relu(y)), 1))


class Flattened(nn.Module):
    """AlexNet and VGG: the pixels of all channels in a row before the first linear layer."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 5, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2))
        self.avgpool = nn.AdaptiveAvgPool2d((2, 3))
        self.classifier = nn.Sequential(nn.Linear(30, 8), nn.ReLU(True), nn.Dropout(0.0), nn.Linear(8, 4))

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(x.view(x.size(0), -1))


NETS = {cls.__name__: cls for cls in (Fire, Inverted, Dense, ConvNeXt, ViT, Shuffled, Residual, Flattened)}

# -------------------------------------------------------------------- the same in both


def here(tensor, image=None):
    """PyTorch's numbers with the channels of images last."""
    array = tensor.detach().numpy()
    return np.moveaxis(array, 1, -1) if (array.ndim == 4 if image is None else image) else array


def without_dropout(module):
    """The module, dropping nothing out: what is random cannot be compared."""
    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return module


def settled(module):
    """Weights and statistics that are not equal by being 0 or 1."""
    generator = torch.Generator().manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.running_mean.normal_(generator=generator)
            norm.running_var.uniform_(0.5, 2, generator=generator)
            norm.weight.data.uniform_(0.5, 1.5, generator=generator)
    return module


def same(model, module, *tensors, tolerance=1e-5, images=None):
    """Outputs, and the gradients of every input and every parameter, agree element by element."""
    arrays = [mx.array(np.ascontiguousarray(here(x))) for x in tensors]
    tensors = [x.clone().requires_grad_() if x.is_floating_point() else x for x in tensors]
    found, expected = model(*arrays), as_tuple(module(*tensors))
    upstream = [torch.tensor(np.float32(normal(*y.shape, seed=k))) for k, y in enumerate(expected)]
    for a, b in zip(as_tuple(found), expected, strict=True):
        close(a, here(b, images), tolerance)
    model.zero_grad()
    grads = tuple(mx.array(np.array(here(g, images))) for g in upstream)
    received = as_tuple(model.backward(grads if isinstance(found, tuple) else grads[0]))
    module.zero_grad()
    torch.autograd.backward(expected, upstream)
    for a, x in zip(received, tensors, strict=True):
        if x.is_floating_point():
            close(a, here(x.grad), 10 * tolerance)
    theirs = dict(module.named_parameters(remove_duplicate=False))
    owners = dict(model.named_modules())
    theirs = {name: p for name, p in theirs.items() if p.grad is not None}
    largest = max((p.grad.abs().max().item() for p in theirs.values()), default=0)
    for name, p in model.named_parameters():
        source = name if name in theirs else name.removesuffix(".weight")
        if source in theirs:
            grad = from_torch_layout(owners.get(name.rpartition(".")[0]), theirs[source].grad.numpy(), 1)
            off = np.abs(np.array(p.grad) - grad.reshape(p.shape)).max()
            assert off <= 20 * tolerance * max(np.abs(grad).max(), largest / 30), name
