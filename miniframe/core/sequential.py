"""Sequential: layers one after the other. Its backward is the same list, read from the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, overload

import mlx.core as mx

from .elsewhere import Layers, not_a_layer
from .module import Module, free_name, inside
from .walk import no_gradient

if TYPE_CHECKING:  # for the verb at the end of Sequential
    from ..graph import splitting as _splitting


class Sequential(Module):
    """A chain of modules, each fed with the output of the one before.

        y = fₖ(… f₂(f₁(x)))        dx = f₁'(f₂'(… fₖ'(dy)))

    Args:
        layers: the modules, or one dict from name to module; nesting is fine. Without names they are "0", "1", ....

    Index by position, name or slice (a slice shares its layers): ``model[0]``, ``model["conv1"]``, ``model[:2]``.

    >>> from miniframe import Linear, ReLU
    >>> model = Sequential(Linear(2, 25), ReLU(), Linear(25, 2))
    >>> model(mx.zeros((5, 2))).shape, model.backward(mx.ones((5, 2))).shape
    ((5, 2), (5, 2))
    >>> model[:2]
    Sequential(
      (0) Linear(2 -> 25)
      (1) ReLU()
    )
    """

    flattens = True
    samples_apart = True  # if its layers are

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "forward" in vars(cls) and "backward" not in vars(cls):  # the row's backward is not that of another forward
            cls.backward = Module.backward  # type: ignore[method-assign]

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        named: dict[str, Any] = {}
        for layer in layers:
            if isinstance(layer, Mapping) and not callable(layer):  # mlx.nn's layers are dicts that can be called
                if len(layers) > 1:
                    raise TypeError("Sequential: expected modules or a single dict of named modules, got both")
                named.update(layer)
            else:
                named[str(len(named))] = layer
        self.layers: dict[str, Module] = Layers()
        for name, layer in named.items():
            self._add(name, layer)

    def _add(self, name: str, layer: Any) -> None:
        if not isinstance(layer, Module):
            raise TypeError(f"Sequential: expected a module at {name!r}, got {not_a_layer(layer)}")
        if not name or "." in name:
            raise ValueError(f"Sequential: expected a layer name without dots, got {name!r}")
        self.layers[name] = layer

    def forward(self, x: mx.array) -> mx.array:
        calls = []
        for layer in self.layers.values():
            x = layer(x)
            calls.append((layer, layer._saved))
        self.saved = calls, x.shape
        return x

    def backward(self, grad_output: mx.array) -> mx.array:
        calls, shape = self.saved
        if grad_output.shape != shape:
            raise ValueError(f"Sequential: expected a gradient of the output's shape {shape}, got {grad_output.shape}")
        for layer, saved in reversed(calls):
            layer.saved = saved
            grad_output = layer.backward(grad_output)
            if type(grad_output) is not mx.array and (grad_output is not None or layer is not calls[0][0]):
                raise no_gradient(layer, grad_output)
        return grad_output

    def append(self, layer: Module, name: str | None = None) -> Sequential:
        """Add a module at the end, by default named after its position; returns the model."""
        name = str(len(self.layers)) if name is None else name
        if name in self.layers:
            raise ValueError(f"Sequential: there is already a layer named {name!r}")
        self._add(name, layer)
        return self

    def insert(self, after: int | str | None, layer: Module, name: str | None = None) -> Sequential:
        """Put a module behind the one at ``after``, leaving all other names as they are; returns the model.

        Args:
            after: a position, a name, or a path into an inner Sequential such as "encoder.0"; None for the front.
            layer: the module, for instance a Tap.
            name: of the new module; by default that of its class, with a number where it is taken.
        """
        if isinstance(after, str) and "." in after and after not in self.layers:
            head, rest = after.split(".", 1)
            self._inner(head).insert(rest, layer, name)
            return self
        place = 0 if after is None else list(self.layers).index(self.name_of(after)) + 1
        name = free_name(layer, self.layers) if name is None else name
        if name in self.layers:
            raise ValueError(f"Sequential: there is already a layer named {name!r}")
        before = list(self.layers.items())
        self._add(name, layer)
        self.layers = Layers([*before[:place], (name, layer), *before[place:]])
        return self

    def remove(self, name: int | str) -> Module:
        """Take out the module with this position, name or path, and return it."""
        if isinstance(name, str) and "." in name and name not in self.layers:
            head, rest = name.split(".", 1)
            return self._inner(head).remove(rest)
        return self.layers.pop(self.name_of(name))

    def _inner(self, name: str) -> Any:
        inner = self.layers[self.name_of(name)]
        if not hasattr(inner, "insert"):
            raise TypeError(f"Sequential: expected a Sequential or Graph at {name!r}, got {inner.title()}")
        return inner

    def children(self) -> Iterator[tuple[str, Any]]:
        yield from self.layers.items()
        for name, value in vars(self).items():
            if name != "layers" and not name.startswith("_"):
                yield from inside(name, value)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers.values())

    @overload
    def __getitem__(self, key: int | str) -> Module: ...
    @overload
    def __getitem__(self, key: slice) -> Sequential: ...
    def __getitem__(self, key: int | str | slice) -> Module | Sequential:
        if isinstance(key, slice):
            chosen = list(self.layers.items())[key]
            positional = all(name.isdigit() for name, _ in chosen)
            return Sequential(*[m for _, m in chosen]) if positional else Sequential(dict(chosen))
        return self.layers[self.name_of(key)]

    def __setitem__(self, key: int | str, layer: Module) -> None:
        self._add(self.name_of(key), layer)

    def name_of(self, key: int | str) -> str:
        """The name of the module at a position, or the name itself, if there is such a module."""
        names = list(self.layers)
        if isinstance(key, int) and -len(names) <= key < len(names):
            return names[key]
        if isinstance(key, str) and key in self.layers:
            return key
        error = IndexError if isinstance(key, int) else KeyError
        raise error(f"Sequential: no layer {key!r}; it has {len(names)}: {', '.join(names) or 'none'}")

    if TYPE_CHECKING:  # taught by the file that defines it
        split = _splitting.split_sequential
