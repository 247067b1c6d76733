"""torchvision, for its networks alone."""

import sys
from importlib.util import find_spec

import pytest
import torch


def torchvision():
    """The package; its compiled operators, which no network here calls, may be missing for this build of PyTorch.

    torchvision describes two of them to PyTorch while it is imported, and cannot be imported where they are not known:
    a wheel that was built for GPUs beside a PyTorch for CPUs.
    """
    if find_spec("torchvision") is None:
        pytest.skip("could not import 'torchvision'")
    try:
        import torchvision
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for name in ("nms", "qnms"):
            operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    return torchvision


operators = torch.library.Library("torchvision", "FRAGMENT")  # kept, because its operators go when it goes
