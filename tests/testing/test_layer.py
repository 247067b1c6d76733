"""check_layer: right layers pass, every planted mistake is found by the check that should, and said in clear words."""

import warnings

import bad_layers
import mlx.core as mx
import numpy as np
import pytest
import torch
from catalogue import CASES, spread

import miniframe as mf
from miniframe.testing import check_layer, layer_checks

X = np.random.default_rng(0).normal(size=(4, 3))
MISTAKES = {
    "WritesIntoItsInput": ("leaves_inputs_alone", "forward changed input 0"),
    "WritesIntoTheGradient": ("leaves_inputs_alone", "backward changed grad_output"),
    "WrongSign": ("training_gradients", "backward says"),
    "ForgetsItsWeight": ("gradients_fit", "backward gave weight no gradient; add it with self.weight.accumulate"),
    "Overwrites": ("accumulates", "the gradient of weight is not twice that of one; use accumulate"),
    "KeepsItElsewhere": ("can_be_shared", "self.saved"),
    "NeedsABatch": ("one_sample", "a batch of one sample fails: ValueError: too few"),
    "MixesSamples": ("samples_are_apart", "the first sample's output depends on the others"),
    "DrawsFromNumPy": ("repeats_itself", "mf.seed does not repeat the numbers"),
    "ForgetsEvaluationMode": ("repeats_itself", "in evaluation mode, a second call gives other numbers"),
    "HoldsAFunction": ("copies_and_pickles", "cannot be pickled"),
    "Unregistered": ("saves_and_loads", "needs @mf.register"),
    "WrongShape": ("gradients_fit", "backward returned (12,) for input 0 of shape (4, 3)"),
    "HalfPrecision": ("keeps_the_type", "inputs of float32 give an output of mlx.core.float16"),
    "ReadsTheMemoryAsItLies": ("takes_views", "a view (transposed) gives another output: number ("),
}


def failures(layer, *inputs, **options):
    with warnings.catch_warnings(), pytest.raises(AssertionError) as caught:
        warnings.simplefilter("ignore")
        check_layer(layer, *inputs, **options)
    return str(caught.value)


@pytest.mark.parametrize("name", MISTAKES)
def test_every_mistake_is_found_by_the_check_that_should(name):
    check, words = MISTAKES[name]
    report = failures(getattr(bad_layers, name)(), X)
    assert f"  BAD {check.replace('_', ' ')}\n" in report and words in report
    assert report.startswith(f"check_layer({getattr(bad_layers, name)().title()}): ")


def test_a_right_layer_passes_every_check_and_is_left_as_it_was():
    layer = bad_layers.Scale()
    layer.backward(layer(mx.array(X.astype(np.float32))))
    grad, value, state = np.array(layer.weight.grad), np.array(layer.weight.value), mf.random.get_state()
    report = check_layer(layer, X, torch=lambda x: x * torch.tensor([1.0, 2.0, 3.0]))
    assert len(report.passed) == 17 and not report.left_out and not report.failed
    np.testing.assert_array_equal(np.array(layer.weight.grad), grad)
    np.testing.assert_array_equal(np.array(layer.weight.value), value)
    assert mf.random.get_state() == state and layer.training


@pytest.mark.parametrize("name", [name for name in CASES if not isinstance(CASES[name].make(), mf.Loss)])
def test_every_layer_of_miniframe_passes(name):
    rng = np.random.default_rng(0)
    mf.seed(0)
    layer, inputs = spread(CASES[name].make(), rng), CASES[name].inputs(rng)
    whole = ("one_sample",) if name in ("MatMul", "ReshapeTo") else ()  # their sizes belong to the whole batch
    check_layer(layer, *inputs, skip=whole)


class TorchScale(torch.nn.Module):
    def __init__(self, factor=1.0):
        super().__init__()
        self.gain, self.factor = torch.nn.Parameter(torch.zeros(3)), factor

    def forward(self, x):
        return x * self.gain * self.factor


def test_a_module_of_pytorch_is_a_witness_of_weights_too():
    check_layer(bad_layers.Scale(), X, torch=TorchScale(), weights={"weight": "gain"})
    report = failures(bad_layers.Scale(), X, torch=TorchScale(1.01), weights={"weight": "gain"})
    assert "1 of 17 checks failed" in report and "forward and PyTorch's differ: " in report


def test_the_checks_can_be_run_one_by_one():
    checks = {str(check): check for check in layer_checks(bad_layers.NeedsABatch(), X, skip=["runs"])}
    assert "runs" not in checks and checks["accumulates"]() is None
    with pytest.raises(AssertionError, match="too few"):
        checks["one_sample"]()


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: check_layer(mf.Tanh, X), TypeError, "expected a layer, such as MyLayer\\(\\), got <class"),
        (lambda: check_layer(mf.Tanh()), ValueError, "expected example inputs: check_layer\\(layer, x\\)"),
        (lambda: check_layer(mf.Tanh(), X, skip=["speed"]), ValueError, "no check 'speed'; there are runs, leaves"),
        (lambda: check_layer(mf.MSELoss(), X, X), TypeError, "a loss is no layer; use check_gradients\\(loss"),
    ],
)
def test_what_cannot_be_checked_is_said(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_layer_without_a_backward_and_one_that_fails_are_reported_not_raised():
    class Half(mf.Module):
        def forward(self, x):
            return mx.exp(x)

    assert "BAD gradients fit" in failures(Half(), X)

    class Fails(mf.Module):
        def forward(self, x):
            raise KeyError("nothing")

    assert "KeyError: 'nothing'" in failures(Fails(), X)


@pytest.mark.parametrize("name", [name for name in CASES if not isinstance(CASES[name].make(), mf.Loss)])
def test_every_layer_has_three_witnesses(name):
    """A new layer without a counterpart in PyTorch's table fails here, until it has one."""
    rng = np.random.default_rng(0)
    layer, inputs = spread(CASES[name].make(), rng), CASES[name].inputs(rng)
    checks = {str(check): check for check in layer_checks(layer, *inputs)}
    for witness in ("training_gradients", "evaluation_gradients", "mlx_agrees", "pytorch_agrees"):
        assert checks[witness]() is None, witness
