"""Random optimizers and whole trainings against PyTorch: any options, settings changed midway, schedules, clipping."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import torch
from attacks import attack
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import miniframe as mf

STEPS = 12
switch = st.booleans()
rates = st.sampled_from([1e-3, 0.01, 0.1])
decays = st.sampled_from([0.0, 0.01, 0.3])
SHAPES = [(3, 2), (4,), (1, 2, 2)]


@st.composite
def choices(draw):
    """(name, options in PyTorch's words, schedule or None, clipping)."""
    name = draw(st.sampled_from(["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"]))
    options = {"lr": draw(rates), "weight_decay": draw(decays), "maximize": draw(switch)}
    if name in ("SGD", "RMSprop"):
        options["momentum"] = draw(st.sampled_from([0.0, 0.5, 0.9]))
    if name == "SGD" and options["momentum"]:
        options["nesterov"] = draw(switch)
    if name == "RMSprop":
        options |= {
            "alpha": draw(st.sampled_from([0.5, 0.99])),
            "centered": draw(switch),
            "eps": draw(st.sampled_from([1e-8, 1e-2])),
        }
    if name in ("Adam", "AdamW"):
        options |= {"betas": draw(st.sampled_from([(0.9, 0.999), (0.0, 0.5)])), "amsgrad": draw(switch)}
        options["eps"] = draw(st.sampled_from([1e-8, 1e-2]))
    if name == "Adagrad":
        options |= {"lr_decay": draw(decays), "initial_accumulator_value": draw(st.sampled_from([0.0, 0.3]))}
    gamma = draw(st.sampled_from([None, 0.9]))
    clip = draw(st.sampled_from([None, ("value", 0.3), ("norm", 0.5)]))
    return name, options, gamma, clip


def ours(name, options, gamma, clip, parameters):
    options = {("decay" if key == "lr_decay" else key): value for key, value in options.items()}
    if gamma is not None:
        lr = options.pop("lr")
        options["lr"] = mf.schedules.Schedule(lambda step: lr * gamma**step)
    if clip is not None:
        options[f"clip_{clip[0]}"] = clip[1]
    return getattr(mf, name)(parameters, **options)


def clipped(clip, parameters):
    if clip is not None and clip[0] == "value":
        nn.utils.clip_grad_value_(parameters, clip[1])
    elif clip is not None:
        nn.utils.clip_grad_norm_(parameters, clip[1])


@attack(80)
@given(choice=choices(), change=st.sampled_from([None, "lr", "weight_decay", "still"]), seed=st.integers(0, 99))
def test_an_optimizer_takes_pytorchs_steps(choice, change, seed):
    """Also when a setting changes in the middle, or a parameter gets no gradient for a while."""
    name, options, gamma, clip = choice
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=shape) for shape in SHAPES]
    here = [mf.Parameter(mx.array(value.astype(np.float32))) for value in values]
    there = [nn.Parameter(torch.tensor(value.astype(np.float32), dtype=torch.float64)) for value in values]
    optimizer = ours(name, options, gamma, clip, here)
    other = getattr(torch.optim, name)(there, **options)
    schedule = torch.optim.lr_scheduler.ExponentialLR(other, gamma) if gamma is not None else None
    for step in range(STEPS):
        if step == STEPS // 2 and change == "lr" and gamma is None:
            optimizer.lr = 0.02
            other.param_groups[0]["lr"] = 0.02
        if step == STEPS // 2 and change == "weight_decay":
            optimizer.groups[0].weight_decay = other.param_groups[0]["weight_decay"] = 0.2
        counts = name in ("Adam", "AdamW") or options.get("lr_decay")  # for all together here, each its own there
        still = change == "still" and 3 <= step < 6 and not counts
        for place, (mine, theirs) in enumerate(zip(here, there)):
            grad = rng.normal(size=mine.shape).astype(np.float32)
            mine.grad = None if still and place == 1 else mx.array(grad)
            theirs.grad = None if still and place == 1 else torch.tensor(grad, dtype=torch.float64)
        clipped(clip, there)
        optimizer.step()
        other.step()
        if schedule is not None:
            schedule.step()
        for mine, theirs in zip(here, there):
            expected = theirs.detach().numpy()
            np.testing.assert_allclose(np.array(mine.value), expected, rtol=2e-4, atol=2e-5 * np.abs(expected).max())


@attack(20)
@given(
    choice=choices(), batch_size=st.integers(1, 9), hidden=st.integers(1, 6), epochs=st.integers(1, 3), classes=switch,
    compile=switch, weighted=switch, accumulate=st.integers(1, 2), seed=st.integers(0, 99),
)  # fmt: skip
def test_fit_trains_as_the_loop_that_one_writes_in_pytorch(
    choice, batch_size, hidden, epochs, classes, compile, weighted, accumulate, seed
):
    name, options, gamma, clip = choice
    if options["maximize"]:  # a loss without an end: at larger rates any float32 runs away from float64
        options = options | {"lr": 1e-3}
    if options.get("centered") and clip is not None:  # a gradient that stays the same has no variance but its rounding
        options = options | {"eps": 1e-2}
    accumulate = 1 if gamma is not None or clip is not None else accumulate
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(17, 3)).astype(np.float32)
    y = rng.integers(0, 2, 17) if classes else rng.normal(size=(17, 2)).astype(np.float32)
    weights = rng.uniform(0.5, 2, 17).astype(np.float32) if weighted else None
    module = nn.Sequential(nn.Linear(3, hidden), nn.Tanh(), nn.Linear(hidden, 2))
    for parameter in module.parameters():
        parameter.data = torch.tensor(rng.normal(size=parameter.shape).astype(np.float32))
    model = mf.interop.from_torch(module)
    module.double()
    optimizer = ours(name, options, gamma, clip, model)
    optimizer.accumulate = accumulate
    optimizer.fit_state()
    other = getattr(torch.optim, name)(module.parameters(), **options)
    schedule = torch.optim.lr_scheduler.ExponentialLR(other, gamma) if gamma is not None else None
    losses, calls = [], 0
    for _ in range(epochs):
        total = 0.0
        for start in range(0, 17, batch_size):
            rows = slice(start, start + batch_size)
            output, goal = module(torch.tensor(x[rows]).double()), torch.tensor(y[rows])
            if classes:
                each = nn.functional.cross_entropy(output, goal, reduction="none")
            else:
                each = ((output - goal) ** 2).mean(dim=1)
            if weights is not None:
                each = each * torch.tensor(weights[rows])
            loss = each.mean()
            (loss / accumulate).backward()
            calls += 1
            if calls % accumulate == 0:
                clipped(clip, module.parameters())
                other.step()
                other.zero_grad()
                if schedule is not None:
                    schedule.step()
            total += loss.item() * len(each)
        losses.append(total / 17)
    history = model.fit(
        x, y, loss="cross_entropy" if classes else "mse", optimizer=optimizer, epochs=epochs, batch_size=batch_size,
        shuffle=False, sample_weight=weights, compile=compile, verbose=0,
    )  # fmt: skip
    np.testing.assert_allclose(history.history["loss"], losses, rtol=5e-4, atol=1e-5)
    for (path, mine), theirs in zip(model.named_parameters(), module.parameters()):
        expected = theirs.detach().numpy()
        np.testing.assert_allclose(np.array(mine.value), expected, atol=1e-3 * np.abs(expected).max(), err_msg=path)
