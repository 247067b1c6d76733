"""A project: model, loss, optimizer and data, the recipe they follow, and how one recipe becomes another."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import mlx.core as mx

from ..core import random
from ..core.cells import put_values, values_of
from ..core.module import Module
from ..core.sequential import Sequential
from ..core.untouched import untouched
from ..losses import get as get_loss
from ..losses.base import Loss
from ..optimizers import Optimizer
from ..optimizers import get as get_optimizer
from ..saving.weights import cells_of
from ..training.checkpoints import set_state_of, state_of
from . import museum
from .pictures import View, classes_of
from .recipe import ANEW, REBUILT, Recipe, build, optimizer_of
from .script import python
from .worlds import World, world

Made = tuple[Module, Loss, Optimizer]
NAMED = 1000  # classes whose names a page is sent, at most


class Project:
    """What is trained.

    Args:
        recipe: what to build; with ``own``, only its learning rate, momentum, batch size and seed count.
        own: (model, x, y, loss, optimizer) of a user, instead of what the recipe would build.
        validation: (x_test, y_test) for a model of one's own.

    Attributes:
        model, loss, optimizer, data, view: as the recipe says, or copies of the user's: arrays that are being computed
            must not be touched by two threads, and a user's model may be looked at from a notebook at any time.
        stretches: (first epoch, recipe), one for each time that a setting was changed.
        remark: what the script cannot do as the lab did it.
    """

    def __init__(self, recipe: Recipe, own: tuple[Any, ...] | None = None, validation: Any = None) -> None:
        self.recipe, self.own = recipe, own
        if own is None:
            self.data = world(recipe)
        else:
            model, x, y, *_ = own
            x_test, y_test = validation or (None, None)
            names = [f"class {k}" for k in range(min(NAMED, classes_of(model, x, y)[1]))]
            self.data = World(x, y, x_test, y_test, names, [])
        self.view: View | None = None
        self.opened: Any = None  # the weights and the optimizer's state of a user's model, when it came
        self.begin()

    def begin(self, made: Made | None = None) -> None:
        """A new model, or the user's own, before its first epoch.

        Args:
            made: the new model with its loss and optimizer, where they have been made already.
        """
        self.model: Module
        self.loss: Loss
        self.optimizer: Optimizer
        if self.own is None:
            self.model, self.loss, self.optimizer = made or self.made(self.recipe, self.data)
        else:
            self.bring_back()
            self.plug_in(self.recipe.mistakes)
        self.stretches: list[tuple[int, Recipe]] = [(0, self.recipe)]
        self.remark = ""
        self.new_view()

    def made(self, recipe: Recipe, data: World) -> Made:
        """What a recipe describes, its mistakes plugged in; a training that is running keeps its random numbers."""
        with untouched():
            random.seed(recipe.seed)
            model = build(recipe, data)
        museum.plug_in_all(model, recipe.mistakes)
        return model, museum.in_loss(recipe.mistakes), optimizer_of(recipe, model)

    def bring_back(self) -> None:
        """A model of one's own as it was when the lab was opened, with what the page has set since."""
        assert self.own is not None
        if self.opened is None:
            model, _, _, loss, optimizer = self.own
            self.users = model, get_optimizer(optimizer, model)
            try:
                self.model, self.optimizer, self.loss = deepcopy((*self.users, get_loss(loss)))
            except Exception as error:
                raise TypeError(
                    f"lab: trains a copy of the model, and this one cannot be copied: {error}; give the layer that "
                    "holds it a __deepcopy__, or keep it outside the model"
                ) from error
            self.recipe = replace(self.recipe, lr=self.optimizer.lr, momentum=getattr(self.optimizer, "momentum", 0.0))
            self.opened = values_of(cells_of(self.model).values()), state_of(self.optimizer), self.recipe
        values, state, first = self.opened
        put_values(cells_of(self.model).values(), values)
        set_state_of(self.optimizer, state)
        if self.recipe.lr != first.lr:  # only then: the user's may be a schedule, or one for each group
            self.optimizer.lr = self.recipe.lr

    def hand_over(self) -> None:
        """What has been learned so far, computed, so any thread can use it; a user's model and optimizer get it."""
        values, state = values_of(cells_of(self.model).values()), state_of(self.optimizer)
        mx.eval(values, state["arrays"])
        if self.own is not None:
            model, optimizer = self.users
            if self.has_momentum:
                optimizer.momentum = self.optimizer.momentum  # type: ignore[attr-defined]
            optimizer.fit_state()
            put_values(cells_of(model).values(), values)
            set_state_of(optimizer, state)

    def new_view(self) -> None:
        """The pictures of the model as it is now put together."""
        focus = self.view.focus if self.view is not None and len(self.data.x) > self.view.focus else 0
        validation = self.data.validation or (None, None)
        self.view = View(self.model, self.loss, self.data.x, self.data.y, *validation)
        self.view.focus = focus

    @property
    def pictures(self) -> View:
        """The view, which there is as soon as there is a model."""
        assert self.view is not None
        return self.view

    def plug_in(self, mistakes: Iterable[tuple[str, str]]) -> None:
        """Put exhibits in their layers, and the right layers in all others.

        Raises:
            ValueError: for what does not suit; then those of the recipe are in their places.
        """
        loss = self.loss if self.own is not None else None  # the lab's own loss is made anew instead
        try:
            museum.plug_in_all(self.model, mistakes, loss)
        except ValueError:
            museum.plug_in_all(self.model, self.recipe.mistakes, loss)
            raise

    @property
    def has_momentum(self) -> bool:
        """Whether the momentum can be set: the lab gives one to SGD only, a user's optimizer may have its own."""
        return self.recipe.optimizer == "sgd" if self.own is None else hasattr(self.optimizer, "momentum")

    # ---------------------------------------------------------------- other settings

    def follow(self, recipe: Recipe, epoch: int, batch: int) -> str:
        """Go on with another recipe; returns when it takes effect: "anew", "at once" or "now".

        Args:
            epoch, batch: what has been trained so far.

        Raises:
            ValueError: for what cannot be; then everything is as before.
        """
        before = self.recipe
        fixed = (*(name for name in ANEW if name != "seed"), *REBUILT, "optimizer")
        if self.own is not None and recipe.differs(before, fixed):
            raise ValueError("this is a model of your own: data, layers and optimizer are changed in your script")
        if recipe.differs(before, ANEW) or (self.data.tokenizer is not None and recipe.differs(before, REBUILT)):
            self.anew(recipe)
            return "anew"
        self.rebuild(recipe)
        start = epoch + (batch > 0)
        if batch:
            self.remark = "a setting was changed within an epoch; here it changes after that epoch"
        self.stretches = [*self.kept_stretches(start), (start, self.recipe)]
        return "at once" if self.recipe.differs(before, (*REBUILT, "optimizer", "batch_size", "mistakes")) else "now"

    def kept_stretches(self, start: int) -> list[tuple[int, Recipe]]:
        """The stretches that a change at this epoch leaves.

        Of those that trained no epoch, the ones that count all the same: an optimizer was made in them that is no more,
        so the one of now began anew, whatever its name.
        """
        anew = (*REBUILT, "optimizer")
        return [s for s in self.stretches if s[0] < start or (start and self.recipe.differs(s[1], anew))]

    def anew(self, recipe: Recipe) -> None:
        """Begin with another recipe, its layers' mistakes left out where the layers are others."""
        if self.own is not None:
            self.plug_in(recipe.mistakes)
            self.recipe = recipe
            self.begin()
            return
        data = world(recipe)
        layers = recipe.differs(self.recipe, ("widths", "norm", "data"))
        mistakes = tuple(m for m in recipe.mistakes if m[0] == "loss") if layers else recipe.mistakes
        new = recipe.changed({"mistakes": mistakes})
        made = self.made(new, data)  # what cannot be made fails here, while nothing is changed
        self.recipe, self.data, self.view = new, data, None
        self.begin(made)

    def rebuild(self, recipe: Recipe) -> None:
        """Give the running training other settings, or a new row of layers around the same weights."""
        before = self.recipe
        if recipe.differs(before, REBUILT):
            assert isinstance(self.model, Sequential)
            recipe = recipe.changed({"mistakes": [m for m in recipe.mistakes if m[0] == "loss"]})
            self.recipe, self.model = recipe, build(recipe, self.data, self.model)
            self.optimizer = optimizer_of(recipe, self.model)
            self.plug_in(())
        else:
            self.plug_in(recipe.mistakes)
            self.recipe = recipe
            if recipe.optimizer != before.optimizer:
                self.optimizer = optimizer_of(recipe, self.model)
            if recipe.lr != before.lr:
                self.optimizer.lr = recipe.lr
            if recipe.momentum != before.momentum and self.has_momentum:
                self.optimizer.momentum = recipe.momentum  # type: ignore[attr-defined]
        if self.own is None:
            self.loss = museum.in_loss(recipe.mistakes)
        self.new_view()

    def script(self, epochs: int) -> str:
        """The Python that does the same."""
        if self.own is None:
            return python(self.stretches, self.data, epochs, self.remark)
        r, first = self.recipe, self.opened[2]
        lines = ["# model, x, y, loss and optimizer are those of your script"]
        lines += [f"optimizer.lr = {r.lr}"] if r.lr != first.lr else []
        lines += [f"optimizer.momentum = {r.momentum}"] if r.momentum != first.momentum else []
        lines += museum.code((), r.mistakes)
        fit = f"epochs={max(epochs, 1)}, loss=loss, optimizer=optimizer, batch_size={r.batch_size}, seed={r.seed}"
        return "\n".join([*lines, f"history = model.fit(x, y, {fit})\n"])
