"""All derivatives instead of one product with them: the Jacobian of a module, and the gradient of every sample.

``backward`` multiplies an upstream gradient with the Jacobian. Given many upstream gradients at once (``mx.vmap``),
the hand-written backward yields every row of the Jacobian; given one sample at a time, every sample's own gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from ..core import random
from ..core.arrays import as_array, as_tuple, is_floating
from ..core.cells import values_of
from ..core.module import Module
from ..core.untouched import untouched
from ..layers.transformable import transformable
from ..losses import get as get_loss
from ..losses.base import Loss

AT_ONCE = 256  # upstream gradients, or samples, in one vectorized call: what bounds the memory


def jacobian(module: Module, *inputs: Any) -> Any:
    """J[i, j] = ∂yᵢ / ∂xⱼ, for all elements of the output and of the input.

    One upstream gradient for each output element, all sent through ``backward`` in one vectorized call. The module is
    left as it was, its gradients included.

    Args:
        module: a layer or a model with one output.
        inputs: its inputs, with the batch in front.

    Returns:
        An array of shape (*output.shape, *input.shape); for several inputs a tuple of them, None for integer inputs.

    >>> from miniframe import Linear
    >>> layer = Linear(2, 3)
    >>> j = jacobian(layer, mx.ones((1, 2)))
    >>> j.shape, bool(mx.array_equal(j.reshape(3, 2), layer.weight.value))
    ((1, 3, 1, 2), True)
    """
    if not inputs:
        raise ValueError(f"jacobian({module.title()}): expected at least one input array")
    arrays = [as_array(x, where=f"jacobian({module.title()})") for x in inputs]
    with untouched(module):
        output = module(*arrays)
        if not isinstance(output, mx.array):
            raise TypeError(f"jacobian({module.title()}): expected one output array, got {type(output).__name__}")
        for parameter in module.parameters():
            parameter.trainable = False  # only the inputs' gradients are wanted
        several = len(arrays) > 1
        wanted = [i for i, x in enumerate(arrays) if is_floating(x)]

        def rows(upstream: mx.array) -> list[mx.array]:
            grads = as_tuple(module.backward(upstream))
            return [grads[i] if grads[i] is not None else mx.zeros_like(arrays[i]) for i in wanted]

        units = mx.eye(output.size, dtype=output.dtype).reshape(output.size, *output.shape)
        found = _for_each(rows, units)
        mx.eval(found)
    full: list[mx.array | None] = [None] * len(arrays)
    for i, rows_of_input in zip(wanted, found):
        full[i] = rows_of_input.reshape(*output.shape, *arrays[i].shape)
    return tuple(full) if several else full[0]


def per_sample_gradients(model: Module, loss: Loss | str, x: Any, y: Any) -> dict[str, mx.array]:
    """The gradient of every sample's own loss, for every parameter: what averages to the batch gradient.

    The batch goes forward once, for the gradient at the output; then each sample goes through forward and
    ``backward`` by itself, all samples in one vectorized call. Where samples cannot be separated, since forward draws
    random numbers (Dropout) or looks at the whole batch (BatchNorm in training mode), the batch goes backward once
    for each sample instead, with the upstream gradient of that sample alone; the result is as exact, the work larger.

    Args:
        model: in the mode that is meant; left as it was.
        loss: a Loss or its name. With reduction "mean" the batch gradient is the mean of all, with "sum" their sum.
        x: a batch of inputs, or a tuple of such arrays.
        y: the targets.

    Returns:
        From the name of each trainable parameter to an array (batch, *parameter.shape).

    >>> from miniframe import Linear, MSELoss
    >>> grads = per_sample_gradients(Linear(2, 3), MSELoss(), mx.ones((5, 2)), mx.ones((5, 3)))
    >>> grads["weight"].shape, grads["bias"].shape
    ((5, 3, 2), (5, 3))
    """
    loss = get_loss(loss)
    inputs = [as_array(a, where="per_sample_gradients") for a in as_tuple(x)]
    batch = inputs[0].shape[0] if inputs[0].ndim else 0
    if batch == 0 or any(a.shape[:1] != (batch,) for a in inputs):
        raise ValueError(
            f"per_sample_gradients: expected inputs with the same number of samples in front, at least one, "
            f"got {', '.join(str(a.shape) for a in inputs)}"
        )
    named = {name: p for name, p in model.named_parameters() if p.trainable}
    with untouched(model, loss):
        whole_batch = _needs_whole_batch(model, inputs)
        prediction = model(*inputs)
        loss(prediction, y)
        upstream = loss.gradient() * (batch if loss.reduction == "mean" else 1)

        def collected(grad: mx.array) -> list[mx.array]:
            model.zero_grad()
            model.backward(grad)
            return [p.value * 0 if p.grad is None else p.grad for p in named.values()]

        def alone(grad: mx.array, *sample: mx.array) -> list[mx.array]:
            model(*[a[None] for a in sample])
            return collected(grad[None])

        if whole_batch:
            mask = mx.eye(batch, dtype=upstream.dtype).reshape(batch, batch, *[1] * (upstream.ndim - 1))
            found = _for_each(lambda one: collected(upstream * one), mask)
        else:
            found = _for_each(alone, upstream, *inputs)
        mx.eval(found)
    return dict(zip(named, found))


def _needs_whole_batch(model: Module, inputs: list[mx.array]) -> bool:
    """Whether a forward draws random numbers or updates buffers: then a sample's result depends on its batch."""
    with untouched(model):
        state, before = random.get_state(), values_of(model.buffers())
        model(*inputs)
        changed = any(new is not old for new, old in zip(values_of(model.buffers()), before))
        return changed or random.get_state() != state


def _for_each(function: Callable[..., list[mx.array]], *arrays: mx.array) -> list[mx.array]:
    """The function of every item along the first axis: in vectorized calls, or one by one where MLX cannot."""
    chunks: list[list[mx.array]] = []
    for start in range(0, arrays[0].shape[0], AT_ONCE):
        items = [a[start : start + AT_ONCE] for a in arrays]
        try:
            with transformable():
                chunks.append(mx.vmap(function)(*items))
        except ValueError:
            singles = [function(*single) for single in zip(*items)]
            chunks.append([mx.stack(list(parts)) for parts in zip(*singles)])
        mx.eval(chunks[-1])
    return [mx.concatenate(list(parts)) for parts in zip(*chunks)]
