"""Optimizers against PyTorch over 50 steps, for every option, by hand and compiled; groups, clipping, accumulation."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import normal

import miniframe as mf
from miniframe.training.step import Step

STEPS = 50
SHAPES = [(4, 3), (4,), (1, 4), (2, 2, 2)]


# name: (miniframe's, PyTorch's) from parameters or groups
CASES = {
    "SGD": (lambda p: mf.SGD(p, 0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "SGD momentum": (lambda p: mf.SGD(p, 0.05, momentum=0.9), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9)),
    "SGD Nesterov": (
        lambda p: mf.SGD(p, 0.05, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    ),
    "SGD weight decay": (
        lambda p: mf.SGD(p, 0.05, momentum=0.5, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.5, weight_decay=0.1),
    ),
    "Adagrad": (lambda p: mf.Adagrad(p, 0.1), lambda p: torch.optim.Adagrad(p, 0.1)),
    "Adagrad options": (
        lambda p: mf.Adagrad(p, 0.1, decay=0.05, weight_decay=0.1, initial_accumulator_value=0.3, eps=1e-3),
        lambda p: torch.optim.Adagrad(p, 0.1, lr_decay=0.05, weight_decay=0.1, initial_accumulator_value=0.3, eps=1e-3),
    ),
    "RMSprop": (lambda p: mf.RMSprop(p, 0.01), lambda p: torch.optim.RMSprop(p, 0.01)),
    "RMSprop options": (
        lambda p: mf.RMSprop(p, 0.01, alpha=0.9, eps=1e-2, weight_decay=0.1),
        lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.9, eps=1e-2, weight_decay=0.1),
    ),
    "RMSprop momentum": (
        lambda p: mf.RMSprop(p, 0.01, momentum=0.7),
        lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.7),
    ),
    "RMSprop centered": (
        lambda p: mf.RMSprop(p, 0.01, centered=True),
        lambda p: torch.optim.RMSprop(p, 0.01, centered=True),
    ),
    "RMSprop centered momentum": (
        lambda p: mf.RMSprop(p, 0.01, centered=True, momentum=0.7),
        lambda p: torch.optim.RMSprop(p, 0.01, centered=True, momentum=0.7),
    ),
    "Adam": (lambda p: mf.Adam(p, 0.01), lambda p: torch.optim.Adam(p, 0.01)),
    "Adam options": (
        lambda p: mf.Adam(p, 0.01, betas=(0.8, 0.95), eps=1e-2, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, 0.01, betas=(0.8, 0.95), eps=1e-2, weight_decay=0.1),
    ),
    "Adam amsgrad": (lambda p: mf.Adam(p, 0.01, amsgrad=True), lambda p: torch.optim.Adam(p, 0.01, amsgrad=True)),
    "AdamW": (lambda p: mf.AdamW(p, 0.01), lambda p: torch.optim.AdamW(p, 0.01)),
    "AdamW options": (
        lambda p: mf.AdamW(p, 0.01, betas=(0.8, 0.95), eps=1e-2, weight_decay=0.3, amsgrad=True),
        lambda p: torch.optim.AdamW(p, 0.01, betas=(0.8, 0.95), eps=1e-2, weight_decay=0.3, amsgrad=True),
    ),
    **{
        f"{name} maximize": (
            lambda p, name=name: getattr(mf, name)(p, lr=0.01, weight_decay=0.1, maximize=True),
            lambda p, name=name: getattr(torch.optim, name)(p, lr=0.01, weight_decay=0.1, maximize=True),
        )
        for name in ("SGD", "Adagrad", "RMSprop", "Adam", "AdamW")
    },
}


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return CASES[request.param]


def pairs():
    """The same parameters for miniframe and for PyTorch."""
    values = [normal(*shape, seed=i).astype(np.float32) for i, shape in enumerate(SHAPES)]
    return [mf.Parameter(v) for v in values], [torch.nn.Parameter(torch.tensor(v)) for v in values]


def gradients(step):
    """Gradients that change from step to step in size and sign."""
    return [normal(*s, seed=100 * step + i, scale=1 + np.sin(step)).astype(np.float32) for i, s in enumerate(SHAPES)]


def agree(parameters, references, tolerance=1e-6):
    for parameter, reference in zip(parameters, references):
        np.testing.assert_allclose(
            np.array(parameter.value), reference.detach().numpy(), rtol=tolerance, atol=tolerance
        )


def test_equals_pytorch_over_50_steps(case):
    parameters, references = pairs()
    ours, theirs = case[0](parameters), case[1](references)
    for step in range(STEPS):
        for parameter, reference, grad in zip(parameters, references, gradients(step)):
            parameter.grad, reference.grad = mx.array(grad), torch.tensor(grad)
        ours.step()
        theirs.step()
    agree(parameters, references)


def linear_pair():
    ours, theirs = mf.Linear(3, 2), torch.nn.Linear(3, 2)
    ours.weight.value = mx.array(theirs.weight.detach().numpy())
    ours.bias.value = mx.array(theirs.bias.detach().numpy())
    return ours, theirs


COMPILED = ("Adam", "SGD maximize", "AdamW options", "RMSprop centered momentum")  # the others take a second each, too


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", [n if n in COMPILED else pytest.param(n, marks=pytest.mark.slow) for n in CASES])
def test_training_steps_equal_pytorch_eager_and_compiled(name, compiled):
    torch.manual_seed(0)
    model, reference = linear_pair()
    ours, theirs = CASES[name][0](model), CASES[name][1](reference.parameters())
    step = Step(model, mf.MSELoss(), ours, compile=compiled)
    for i in range(STEPS):
        x, y = (normal(5, n, seed=7 * i + n).astype(np.float32) for n in (3, 2))
        step(mx.array(x), mx.array(y))
        theirs.zero_grad()
        torch.nn.functional.mse_loss(reference(torch.tensor(x)), torch.tensor(y)).backward()
        theirs.step()
    agree([model.weight, model.bias], [reference.weight, reference.bias], 2e-6)


@pytest.mark.parametrize("option", ["clip_value", "clip_norm"])
@pytest.mark.parametrize("limit", [0.5, 1e3])
def test_clipping_equals_pytorch(option, limit):
    parameters, references = pairs()
    ours, theirs = mf.SGD(parameters, 0.1, momentum=0.9, **{option: limit}), torch.optim.SGD(references, 0.1, 0.9)
    for step in range(STEPS):
        for parameter, reference, grad in zip(parameters, references, gradients(step)):
            parameter.grad, reference.grad = mx.array(grad), torch.tensor(grad)
        ours.step()
        if option == "clip_value":
            torch.nn.utils.clip_grad_value_(references, limit)
        else:
            torch.nn.utils.clip_grad_norm_(references, limit)
        theirs.step()
    agree(parameters, references)
    assert mx.array_equal(parameters[0].grad, mx.array(gradients(STEPS - 1)[0])), "clipping changed parameter.grad"


def test_maximizing_climbs_what_minimizing_descends():
    up, down = mf.Parameter(mx.array([3.0])), mf.Parameter(mx.array([3.0]))
    for parameter, maximize in ((up, True), (down, False)):
        parameter.grad = mx.array([2.0])
        mf.SGD([parameter], lr=0.5, maximize=maximize).step()
    assert (up.value.item(), down.value.item()) == (4.0, 2.0)
    with pytest.raises(ValueError, match="SGD: expected maximize"):
        mf.SGD([up], lr=0.5, maximize=1)


@pytest.mark.parametrize("compiled", [False, True])
def test_accumulating_over_small_batches_equals_one_large_batch(compiled):
    x, y = mx.array(normal(60, 3).astype(np.float32)), mx.array(normal(60, 2, seed=1).astype(np.float32))
    results = []
    for batch_size, accumulate in ((12, 1), (3, 4)):
        mf.seed(3)
        model = mf.Linear(3, 2)
        optimizer = mf.Adam(model, lr=lambda step: 0.05 / (1 + step), decay=0.1, clip_norm=0.1, accumulate=accumulate)
        step = Step(model, mf.MSELoss(), optimizer, compile=compiled)
        for batch in mf.batches(x, y, batch_size=batch_size):
            step(*batch)
        assert optimizer.steps_taken == 5 and optimizer.iterations == 5 * accumulate
        results.append(np.array(model.weight.value))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5, atol=1e-6)


def test_parameters_do_not_move_before_the_accumulated_step_is_due():
    layer = mf.Linear(2, 1)
    before = np.array(layer.weight.value)
    optimizer = mf.SGD(layer, lr=0.1, accumulate=3)
    for moved in (False, False, True):
        layer.zero_grad()
        layer(mx.ones((1, 2)))
        layer.backward(mx.ones((1, 1)))
        optimizer.step()
        assert (not np.array_equal(np.array(layer.weight.value), before)) == moved


def test_the_classical_decay_lowers_the_rate_of_each_step():
    parameter = mf.Parameter(mx.zeros(1))
    optimizer = mf.SGD([parameter], lr=1.0, decay=0.5)
    expected = 0.0
    for step in range(4):
        parameter.grad = mx.ones(1)
        optimizer.step()
        expected -= 1 / (1 + 0.5 * step)
        assert parameter.value.item() == pytest.approx(expected, rel=1e-6)


def test_frozen_parameters_and_those_without_a_gradient_stay(case):
    parameters, _ = pairs()
    parameters[1].trainable = False
    optimizer = case[0](parameters)
    before = [np.array(p.value) for p in parameters]
    for parameter in parameters[:2]:
        parameter.grad = mx.ones(parameter.shape)
    optimizer.step()
    assert not np.array_equal(np.array(parameters[0].value), before[0])
    for parameter, value in zip(parameters[1:], before[1:]):
        assert np.array_equal(np.array(parameter.value), value)


def test_half_precision_parameters_stay_half_precision(case):
    parameter = mf.Parameter(mx.ones(3, dtype=mx.bfloat16))
    parameter.grad = mx.ones(3, dtype=mx.bfloat16)
    case[0]([parameter]).step()
    assert parameter.value.dtype == mx.bfloat16 and parameter.value[0].item() != 1


def test_steps_that_depend_on_the_count_are_traced_once():
    model = mf.Linear(2, 1)
    optimizer = mf.Adam(model, lr=lambda step: 0.1 / (1 + step), decay=0.1)
    step, traces = Step(model, mf.MSELoss(), optimizer), []
    apply = optimizer.apply
    optimizer.apply = lambda: traces.append(optimizer.iterations) or apply()
    for _ in range(6):
        step(mx.ones((4, 2)), mx.zeros((4, 1)))
    assert set(traces) == {1}


def test_a_changed_learning_rate_acts_on_the_compiled_step():
    model = mf.Linear(2, 1)
    optimizer = mf.SGD(model, lr=0.1)
    step = Step(model, mf.MSELoss(), optimizer)
    x, y = mx.ones((4, 2)), mx.zeros((4, 1))
    step(x, y)
    optimizer.lr = 0.0
    before = np.array(model.weight.value)
    step(x, y)
    assert np.array_equal(np.array(model.weight.value), before)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda p: mf.SGD(p, lr=-1.0), r"SGD: expected a learning rate >= 0, got -1.0"),
        (lambda p: mf.SGD(p, lr=float("nan")), r"SGD: expected a learning rate >= 0, got nan"),
        (lambda p: mf.SGD(p, 0.1, momentum=1.0), r"SGD: expected 0 <= momentum < 1, got 1.0"),
        (lambda p: mf.SGD(p, 0.1, nesterov=True), r"SGD: Nesterov looks ahead along the momentum"),
        (lambda p: mf.SGD(p, 0.1, decay=-1), r"SGD: expected decay >= 0, got -1"),
        (lambda p: mf.Adam(p, weight_decay=-1), r"Adam: expected weight_decay >= 0, got -1"),
        (lambda p: mf.Adam(p, betas=(0.9, 1.0)), r"Adam: expected two betas in 0..1 \(without 1\), got \(0.9, 1.0\)"),
        (lambda p: mf.AdamW(p, eps=-1.0), r"AdamW: expected eps >= 0, got -1.0"),
        (lambda p: mf.RMSprop(p, alpha=2.0), r"RMSprop: expected alpha and momentum in 0..1 \(without 1\), got 2.0"),
        (lambda p: mf.Adagrad(p, initial_accumulator_value=-1.0), r"Adagrad: expected initial_accumulator_value >= 0"),
        (lambda p: mf.SGD(p, 0.1, clip_value=1, clip_norm=1), r"SGD: expected clip_value or clip_norm, got both"),
        (lambda p: mf.SGD(p, 0.1, clip_norm=0.0), r"SGD: expected a clipping limit > 0, got 0.0"),
        (lambda p: mf.SGD(p, 0.1, accumulate=0), r"SGD: expected accumulate as a whole number of at least 1"),
        (lambda p: mf.SGD([], 0.1), r"SGD: expected parameters to optimize, got none"),
        (lambda p: mf.SGD([*p, p[0]], 0.1), r"SGD: a parameter of shape \(4, 3\) was given twice"),
        (
            lambda p: mf.SGD([{"params": p, "rate": 1}], 0.1),
            r"SGD: expected groups .* got the keys \['params', 'rate'\]",
        ),
        (lambda p: mf.SGD([{"params": p[:1]}, p[1]], 0.1), r"SGD: expected groups .* got Parameter"),
    ],
)
def test_unsuitable_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(pairs()[0])


def test_what_is_no_parameter_is_refused():
    with pytest.raises(TypeError, match=r"SGD: expected parameters, got int"):
        mf.SGD([3], 0.1)


def test_step_before_backward_says_so():
    with pytest.raises(RuntimeError, match=r"Adam: no parameter has a gradient; call backward before step"):
        mf.Adam(mf.Linear(2, 2)).step()


@pytest.mark.parametrize("name", mf.optimizers.NAMES)
def test_every_optimizer_has_a_name(name):
    assert type(mf.optimizers.get(name, mf.Linear(2, 2))) is mf.optimizers.NAMES[name]


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown optimizer 'sdg'; known: sgd, adagrad, rmsprop, adam, adamw"):
        mf.optimizers.get("sdg", mf.Linear(2, 2))


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: mf.Adam(), r"Adam: missing a required argument: 'model'; write Adam\(model, lr=0.01\)"),
        (lambda: mf.SGD(lr=0.1), r"SGD: missing a required argument: 'model'; write SGD\(model, lr=0.01\)"),
        (lambda: mf.SGD(mf.Linear(2, 1)), r"SGD: missing a required argument: 'lr'; write SGD\(model, lr=0.01\)"),
        (lambda: mf.Adam(0.001), r"Adam: expected a model, whose parameters it will change, got 0.001; write Adam\("),
        (lambda: mf.SGD(mf.Linear(2, 1), learning_rate=0.1), "SGD: learning_rate is called lr here; write SGD"),
        (lambda: mf.AdamW(mf.Linear(2, 1), learning_rate=0.1), "AdamW: learning_rate is called lr here; write AdamW"),
    ],
)
def test_what_keras_users_write_is_answered_with_what_to_write(make, words):
    with pytest.raises(TypeError, match=words):
        make()


def test_an_optimizer_of_ones_own_may_call_its_rate_as_it_likes():
    class Plain(mf.Optimizer):
        def __init__(self, learning_rate, model):
            super().__init__(model, learning_rate)

    assert Plain(learning_rate=0.5, model=mf.Linear(2, 1)).lr == 0.5


@pytest.mark.parametrize("compile", [True, False])
def test_a_momentum_that_was_0_may_be_switched_on_and_off_again(compile):
    x, y = mx.array([[1.0, 2.0], [3.0, -1.0]]), mx.array([[1.0], [0.0]])
    model, twin = mf.Linear(2, 1), mf.Linear(2, 1)
    twin.load_state_dict(model.state_dict())
    optimizer = mf.SGD(model, lr=0.1)
    values = [p.value for p in twin.parameters()]
    velocity, first_used = [mx.zeros_like(v) for v in values], False
    for momentum in (0.0, 0.9, 0.9, 0.0, 0.9):
        optimizer.momentum = momentum
        model.fit(x, y, loss="mse", optimizer=optimizer, batch_size=2, verbose=0, compile=compile)
        loss = mf.MSELoss(twin)
        twin.zero_grad()
        loss(twin(x), y)
        loss.backward()
        grads = [p.grad for p in twin.parameters()]
        first_used = first_used or momentum > 0  # only then there is a velocity to go on with
        velocity = [momentum * v + g for v, g in zip(velocity, grads)]
        values = [p - 0.1 * v for p, v in zip(values, velocity)]
        velocity = velocity if first_used else [v * 0 for v in velocity]
        for p, value in zip(twin.parameters(), values):
            p.value = value
        for mine, expected in zip(model.parameters(), values):
            assert mx.allclose(mine.value, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("first, second", [("centered", "momentum"), ("momentum", "centered")])
def test_rmsprop_keeps_what_each_setting_asked_for_when_they_are_switched_midway(first, second):
    """In either order: each array stays what it was for; switched off again, it is left as it is."""
    on, off = {"centered": True, "momentum": 0.5}, {"centered": False, "momentum": 0.0}
    rng = np.random.default_rng(0)
    value, squares, mean, velocity = np.array([1.0, -2.0]), 0.0, 0.0, 0.0
    parameter = mf.Parameter(mx.array(value.astype(np.float32)))
    optimizer = mf.RMSprop([parameter], lr=0.1, alpha=0.5)
    settings = dict(off)
    changes = [{}, {first: on[first]}, {second: on[second]}, {first: off[first]}, {first: on[first]}]
    for step, change in enumerate(changes):
        settings.update(change)
        for name, setting in change.items():
            setattr(optimizer, name, setting)
        for _ in range(2):
            grad = rng.normal(size=2)
            squares = 0.5 * squares + 0.5 * grad**2
            scale = squares
            if settings["centered"]:
                mean = mean + 0.5 * (grad - mean)
                scale = np.maximum(squares - mean**2, 0)
            move = grad / (np.sqrt(scale) + 1e-8)
            if settings["momentum"]:
                move = velocity = 0.5 * velocity + move
            value = value - 0.1 * move
            parameter.grad = mx.array(grad.astype(np.float32))
            optimizer.step()
            np.testing.assert_allclose(np.array(parameter.value), value, rtol=1e-4, err_msg=f"phase {step}")


def test_accumulation_may_be_switched_on_midway():
    parameter = mf.Parameter(mx.array([1.0]))
    optimizer = mf.SGD([parameter], lr=0.1)
    parameter.grad = mx.array([1.0])
    optimizer.step()
    optimizer.accumulate = 2
    optimizer.iterations = 0
    for grad, expected in ((2.0, 0.9), (4.0, 0.6)):
        parameter.grad = mx.array([grad])
        optimizer.step()
        np.testing.assert_allclose(parameter.value.item(), expected, rtol=1e-6)
