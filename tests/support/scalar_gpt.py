"""The GPT of tutorials/scripts/microgpt.py with numbers one by one: no arrays, no layers, a derivative for each number.

``Value`` is a number that remembers what it was made of and the slope towards each part. Everything else is lists.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

Row = list["Value"]


class Value:
    """A number in a computation, and afterwards the derivative of the last number with respect to it."""

    def __init__(self, data: float, parts: tuple[Value, ...] = (), slopes: tuple[float, ...] = ()) -> None:
        self.data, self.grad, self.parts, self.slopes = data, 0.0, parts, slopes

    def __add__(self, other: Value | float) -> Value:
        other = lifted(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other: Value | float) -> Value:
        other = lifted(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __sub__(self, other: Value | float) -> Value:
        return self + lifted(other) * -1.0

    def power(self, exponent: float) -> Value:
        return Value(self.data**exponent, (self,), (exponent * self.data ** (exponent - 1),))

    def exp(self) -> Value:
        return Value(math.exp(self.data), (self,), (math.exp(self.data),))

    def log(self) -> Value:
        return Value(math.log(self.data), (self,), (1 / self.data,))

    def relu(self) -> Value:
        return Value(max(self.data, 0.0), (self,), (float(self.data > 0),))

    def backward(self) -> None:
        """Every number's derivative: those that are used last come first."""
        self.grad = 1.0
        for value in reversed(in_order(self)):
            for part, slope in zip(value.parts, value.slopes):
                part.grad += slope * value.grad


def lifted(x: Value | float) -> Value:
    return x if isinstance(x, Value) else Value(x)


def in_order(last: Value) -> list[Value]:
    """All numbers that lead to the last one, each behind its parts."""
    found: list[Value] = []
    seen: set[int] = set()
    waiting: list[tuple[Value, bool]] = [(last, False)]
    while waiting:
        value, ready = waiting.pop()
        if ready:
            found.append(value)
        elif id(value) not in seen:
            seen.add(id(value))
            waiting.append((value, True))
            waiting += [(part, False) for part in value.parts]
    return found


def total(values: Any) -> Value:
    result = Value(0.0)
    for value in values:
        result = result + value
    return result


# -------------------------------------------------------------------- the layers, for one place of a text


def linear(x: Row, weight: list[Row]) -> Row:
    return [total(a * b for a, b in zip(row, x)) for row in weight]


def norm(x: Row, weight: Row, eps: float = 1e-5) -> Row:
    scale = (total(a * a for a in x) * (1 / len(x)) + eps).power(-0.5)
    return [a * scale * w for a, w in zip(x, weight)]


def softmax(x: Row) -> Row:
    largest = max(value.data for value in x)
    powers = [(value - largest).exp() for value in x]
    share = total(powers).power(-1)
    return [power * share for power in powers]


def plus(x: Row, y: Row) -> Row:
    return [a + b for a, b in zip(x, y)]


def attention(x: Row, p: dict[str, Any], path: str, heads: int, before: list[tuple[Row, Row]]) -> Row:
    """What this place makes of itself and of all places before it, whose keys and values are kept in ``before``."""
    query = linear(x, p[f"{path}.query.weight"])
    before.append((linear(x, p[f"{path}.key.weight"]), linear(x, p[f"{path}.value.weight"])))
    size, result = len(query) // heads, []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        scores = [total(a * b for a, b in zip(query[part], key[part])) * size**-0.5 for key, _ in before]
        weights = softmax(scores)
        for k in range(part.start, part.stop):
            result.append(total(w * value[k] for w, (_, value) in zip(weights, before)))
    return linear(result, p[f"{path}.output.weight"])


def logits(token: int, place: int, p: dict[str, Any], heads: int, layers: int, kept: list[list[Any]]) -> Row:
    x = norm(plus(p["letters.weight"][token], p["places.table.weight"][place]), p["norm.weight"])
    for k in range(layers):
        h = norm(x, p[f"blocks.{k}.norm1.weight"])
        x = plus(x, attention(h, p, f"blocks.{k}.attention", heads, kept[k]))
        h = [a.relu() for a in linear(norm(x, p[f"blocks.{k}.norm2.weight"]), p[f"blocks.{k}.up.weight"])]
        x = plus(x, linear(h, p[f"blocks.{k}.down.weight"]))
    return linear(x, p["head.weight"])


# -------------------------------------------------------------------- training


def loss_of(tokens: list[int], p: dict[str, Any], heads: int, layers: int) -> Value:
    kept: list[list[Any]] = [[] for _ in range(layers)]
    losses = []
    for place, (token, following) in enumerate(zip(tokens, tokens[1:])):
        losses.append(softmax(logits(token, place, p, heads, layers, kept))[following].log() * -1.0)
    return total(losses) * (1 / len(losses))


def train(
    weights: dict[str, Any], texts: list[list[int]], steps: int, rate: float, heads: int, layers: int
) -> Iterator[tuple[float, dict[str, Any]]]:
    """The loss and the gradients of every step, with Adam written out, from nested lists of numbers."""
    p = {name: [[Value(x) for x in row] if isinstance(row, list) else Value(row) for row in rows]
         for name, rows in weights.items()}  # fmt: skip
    flat = [v for rows in p.values() for row in rows for v in (row if isinstance(row, list) else [row])]
    m, s = [0.0] * len(flat), [0.0] * len(flat)
    for step in range(steps):
        for value in flat:
            value.grad = 0.0
        loss = loss_of(texts[step], p, heads, layers)
        loss.backward()
        grads = {n: [[v.grad for v in r] if isinstance(r, list) else r.grad for r in rows] for n, rows in p.items()}
        for k, value in enumerate(flat):
            m[k] = 0.85 * m[k] + 0.15 * value.grad
            s[k] = 0.99 * s[k] + 0.01 * value.grad**2
            mean, square = m[k] / (1 - 0.85 ** (step + 1)), s[k] / (1 - 0.99 ** (step + 1))
            value.data -= rate * (1 - step / steps) * mean / (math.sqrt(square) + 1e-8)
        yield loss.data, grads
