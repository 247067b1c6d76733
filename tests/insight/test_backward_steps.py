"""backward_steps: the backward one layer at a time, as readable as a lesson."""

import inspect
import re

import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf
from miniframe import Linear, MSELoss, ReLU, Sequential
from miniframe.insight.backward_steps import formula
from miniframe.saving.description import known_classes


def array(*shape, seed=0):
    return mx.array(normal(*shape, seed=seed).astype(np.float32))


def test_steps_run_from_the_loss_to_the_input_and_each_gradient_out_is_the_next_gradient_in():
    model = Sequential(Linear(3, 4), ReLU(), Linear(4, 2))
    steps = list(mf.backward_steps(model, MSELoss(), array(5, 3), array(5, 2)))
    assert [step.name for step in steps] == ["loss", "2", "1", "0"]
    for before, after in zip(steps, steps[1:]):
        assert mx.array_equal(before.grad_inputs[0], after.grad_output)
    assert set(steps[1].parameter_grads) == {"weight", "bias"} and steps[2].parameter_grads == {}


def test_after_the_last_step_the_gradients_are_those_of_a_whole_backward():
    model = Sequential(Linear(3, 4), ReLU(), Linear(4, 2))
    loss = MSELoss(model)
    loss(model(array(5, 3)), array(5, 2))
    model.zero_grad()
    dx = loss.backward()
    expected = [p.grad for p in model.parameters()]
    steps = mf.backward_steps(model, MSELoss(), array(5, 3), array(5, 2))
    assert next(steps).name == "loss" and all(p.grad is None for p in model.parameters())
    next(steps)
    assert model[2].weight.grad is not None and model[0].weight.grad is None
    last = list(steps)[-1]
    assert mx.array_equal(last.grad_inputs[0], dx)
    assert all(mx.array_equal(p.grad, grad) for p, grad in zip(model.parameters(), expected))


def test_branches_join_before_their_common_layer_steps():
    x = mf.Input((3,))
    h = Linear(3, 3)(x).named("trunk")
    model = mf.Graph(x, (ReLU()(h) + h).named("sum"))
    steps = {s.name: s for s in mf.backward_steps(model, MSELoss(), array(5, 3), array(5, 3))}
    assert list(steps) == ["loss", "sum", "relu", "trunk"]
    assert mx.array_equal(steps["trunk"].grad_output, steps["sum"].grad_inputs[1] + steps["relu"].grad_inputs[0])


def test_printing_a_step_is_readable():
    model = Sequential(Linear(2, 1))
    model[0].weight.value, model[0].bias.value = mx.array([[0.5, -1.0]]), mx.array([0.25])
    loss, step = mf.backward_steps(model, MSELoss(), mx.array([[1.0, 2.0]]), mx.array([[0.0]]))
    assert repr(loss).splitlines() == [
        "loss: MSELoss()",
        "    Derivative 2 (p - t)",
        "    gradient in   1",
        "    gradient out  (1, 1) [[-2.5]]",
    ]
    assert repr(step).splitlines() == [
        "0: Linear(2 -> 1)",
        "    dW = dYᵀ X and db = Σ dY, over all samples",
        "    dX = dY W",
        "    gradient in   (1, 1) [[-2.5]]",
        "    gradient out  (1, 2) [[-1.25, 2.5]]",
        "    weight  gradient (1, 2) [[-2.5, -5]]",
        "    bias    gradient (1,) [-2.5]",
    ]
    assert "grad_output @ self.weight.value" in step.code and "prediction - target" in loss.code


def test_large_arrays_are_summed_up():
    steps = list(mf.backward_steps(Sequential(Linear(30, 2)), MSELoss(), array(5, 30), array(5, 2)))
    assert "(5, 30), mean |grad| " in repr(steps[1])


@pytest.mark.parametrize("name", sorted(n for n in known_classes() if not n.startswith("_")))
def test_every_layer_has_a_formula_or_a_sentence(name):
    cls = known_classes()[name]
    words = formula(object.__new__(cls))
    sentence = inspect.getdoc(cls).splitlines()[0]
    assert re.search(r"\bd\w+ = .|Derivative:? .", words) or (words == sentence and " " in sentence), words


def test_a_layer_without_words_or_source_still_steps():
    space = {"mf": mf}
    lines = ["def forward(self, x):", " self.saved = ()", " return x", "def backward(self, grad):", " return grad"]
    exec("class Silent(mf.Module):\n " + "\n ".join(lines), space)
    steps = list(mf.backward_steps(space["Silent"](), MSELoss(), array(2, 2), array(2, 2)))
    assert steps[1].code == "(the source is not at hand)" and "silent" in repr(steps[1])


def test_under_no_grad_there_is_nothing_to_step_through():
    with mf.no_grad(), pytest.raises(RuntimeError, match="backward_steps: nothing is recorded under no_grad"):
        next(mf.backward_steps(Linear(3, 2), MSELoss(), array(5, 3), array(5, 2)))
