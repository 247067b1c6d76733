"""Texts that a model continues: one token after the other, each drawn from the probabilities that the model gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import mlx.core as mx

from ..core.arrays import as_array, is_floating
from ..core.module import Module
from ..core.untouched import evaluating
from ..layers.memory import Memories, remembering

FEW = 16  # tokens, for which compiling a step is not worth it


class Writer(Module):
    """A model that says, at every place of a text, what may come next: which of ``vocabulary`` many tokens.

    It has to see no more than ``context`` places at once.
    """

    vocabulary: int
    context: int

    def generate(
        self,
        prompt: Any,
        count: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int | None = None,
        cache: bool = True,
    ) -> mx.array:
        """Continue a text by ``count`` tokens, each drawn from softmax(logits / temperature) and put behind the rest.

        Args:
            prompt: the tokens to begin with, at least one: (T,), or (N, T) for several texts of the same length.
            count: how many tokens to add.
            temperature: below 1 the likely ones become likelier; 0 takes the likeliest.
            top_k: draw from the k likeliest only.
            seed: makes the draws repeatable, and leaves miniframe's random numbers alone.
            cache: whether attention's keys and values of all places, and the states of recurrent layers, are kept, so
                that each new token costs one place instead of the whole text. The tokens are the same without it.

        Returns:
            The prompt and what was added, (T + count,) or (N, T + count). A text longer than ``context`` is continued
            from its last part: when the window is full, its older half is left behind.

        Raises:
            ValueError: for an empty prompt, or settings outside their range.
        """
        _check(self, count, temperature, top_k)
        given = as_array(prompt, where="generate")
        text = given[None] if given.ndim == 1 else given
        if text.ndim != 2 or text.size == 0 or is_floating(text):
            got = f"{given.shape} of {given.dtype}"
            raise ValueError(f"generate: expected tokens (T,) or (N, T), at least one, got {got}")
        keys = [None] * count if seed is None else list(mx.random.split(mx.random.key(seed), count)) if count else []
        draw = partial(_drawn, temperature=temperature, top_k=top_k)
        with evaluating(self), remembering(self) if cache else nullcontext() as memories:
            text = _continued(self, text, keys, draw, memories)
        return text[0] if given.ndim == 1 else text


def _continued(
    model: Writer, text: mx.array, keys: list[Any], draw: Callable[..., mx.array], memories: Memories | None
) -> mx.array:
    """The text with one more token for each key."""
    begin = max(0, text.shape[1] - model.context)  # of the window that the model sees
    quick = _one_token(model, memories) if memories is not None and len(keys) > FEW and _only_computes(model) else None
    for key in keys:
        length = text.shape[1]
        if length - begin > model.context:  # full: only the newer half stays, so that this is not done every time
            begin = length - max(1, model.context // 2)
            if memories is not None:
                memories.forget()
        if quick is not None and memories is not None and memories.length:
            if memories.length < model.context:
                memories.make_room(model.context)
            logits = quick(text[:, -1:])
        else:
            known = begin if memories is None else begin + memories.length
            logits = model(text[:, known:], mx.arange(known - begin, length - begin))[:, -1]
        text = mx.concatenate([text, draw(logits, key=key)[:, None].astype(text.dtype)], axis=1)
        mx.async_eval(text)  # while it is computed, the next step is got ready
    return text


def _one_token(model: Any, memories: Memories) -> Callable[[mx.array], mx.array]:
    """The logits behind one more token, compiled: the memories have room, so all of it keeps its shapes."""

    @mx.compile
    def step(token: mx.array, cells: list[mx.array]) -> tuple[mx.array, list[mx.array]]:
        memories.put(cells)
        logits = model(token, cells[0])[:, -1]
        place, *others = memories.cells
        return logits, [place + 1, *others]

    def run(token: mx.array) -> mx.array:
        logits, cells = step(token, memories.cells)
        memories.put(cells)
        return logits

    return run


def _only_computes(model: Any) -> bool:
    """Whether all layers are of classes that vouch for it; of others, a compiled call might miss what they do."""
    return all("samples_apart" in vars(type(module)) for module in model.modules())


def _drawn(logits: mx.array, *, temperature: float, top_k: int | None, key: mx.array | None) -> mx.array:
    """One token for each row of logits."""
    if temperature == 0:
        return logits.argmax(axis=-1)
    if top_k is not None:
        least = mx.sort(logits, axis=-1)[:, -top_k, None]
        logits = mx.where(logits < least, -math.inf, logits)
    return mx.random.categorical(logits / temperature, key=key)


def _check(model: Writer, count: int, temperature: float, top_k: int | None) -> None:
    if not isinstance(count, int) or count < 0:
        raise ValueError(f"generate: expected a count >= 0, got {count!r}")
    if not 0 <= temperature < math.inf:
        raise ValueError(f"generate: expected a temperature >= 0, got {temperature}")
    if top_k is not None and not (isinstance(top_k, int) and 1 <= top_k <= model.vocabulary):
        raise ValueError(f"generate: expected top_k from 1 to {model.vocabulary}, the vocabulary, got {top_k!r}")
