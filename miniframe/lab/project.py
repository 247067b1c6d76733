"""A project: model, loss, optimizer and data, the recipe they follow, and how one recipe becomes another."""

from __future__ import annotations

from typing import Any

from ..core import random
from ..core.cells import put_values, values_of
from ..core.module import Module
from ..core.sequential import Sequential
from ..losses import get as get_loss
from ..losses.base import Loss
from ..optimizers import Optimizer
from ..optimizers import get as get_optimizer
from ..training.checkpoints import set_state_of, state_of
from . import museum
from .pictures import View, class_numbers
from .recipe import ANEW, REBUILT, Recipe, build, optimizer_of
from .script import python
from .worlds import World, world


class Project:
    """What is trained.

    Args:
        recipe: what to build; with ``own``, only its learning rate, momentum, batch size and seed count.
        own: (model, x, y, loss, optimizer) of a user, instead of what the recipe would build.
        validation: (x_test, y_test) for a model of one's own.

    Attributes:
        model, loss, optimizer, data, view: as the recipe says, or the user's.
        stretches: (first epoch, recipe), one for each time that a setting was changed.
        remark: what the script cannot do as the lab did it.
    """

    def __init__(self, recipe: Recipe, own: tuple[Any, ...] | None = None, validation: Any = None) -> None:
        self.recipe, self.own = recipe, own
        if own is None:
            self.data = world(recipe)
        else:
            _, x, y, *_ = own
            classes = class_numbers(y)
            names = [] if classes is None else [f"class {k}" for k in range(int(classes.max(initial=0)) + 1)]
            x_test, y_test = validation or (None, None)
            self.data = World(x, y, x_test, y_test, names, [])
        self.view: View | None = None
        self.opened: Any = None  # the weights and the optimizer's state of a user's model, when it came
        self.begin()

    def begin(self) -> None:
        """A new model, or the user's own, before its first epoch."""
        random.seed(self.recipe.seed)
        if self.own is None:
            self.model: Module = build(self.recipe, self.data)
            self.loss: Loss = museum.in_loss(self.recipe.mistakes)
            self.optimizer: Optimizer = optimizer_of(self.recipe, self.model)
        else:
            self.bring_back()
        self.plug_in()
        self.stretches: list[tuple[int, Recipe]] = [(0, self.recipe)]
        self.remark = ""
        self.new_view()

    def bring_back(self) -> None:
        """A model of one's own as it was when the lab was opened."""
        assert self.own is not None
        self.model, _, _, loss, optimizer = self.own
        cells = [*self.model.parameters(), *self.model.buffers()]
        if self.opened is None:
            self.loss, self.optimizer = get_loss(loss), get_optimizer(optimizer, self.model)
            self.opened = values_of(cells), state_of(self.optimizer)
            self.recipe = self.recipe.changed({"lr": self.optimizer.lr})
        museum.take_out(self.loss)
        put_values(cells, self.opened[0])
        set_state_of(self.optimizer, self.opened[1])
        self.optimizer.lr = self.recipe.lr

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

    def plug_in(self) -> None:
        """Put the recipe's exhibits in their layers, and the right layers in all others."""
        layers = dict(self.model.named_modules())
        for layer in layers.values():
            museum.take_out(layer)
        for name, exhibit in self.recipe.mistakes:
            if name == "loss":
                if self.own is not None:
                    museum.take_out(self.loss)
                    museum.plug_in(self.loss, exhibit)
            elif name in layers:
                museum.plug_in(layers[name], exhibit)

    # ---------------------------------------------------------------- other settings

    def follow(self, recipe: Recipe, epoch: int, batch: int) -> str:
        """Go on with another recipe; returns when it takes effect: "anew", "at once" or "now".

        Args:
            epoch, batch: what has been trained so far.

        Raises:
            ValueError: for what cannot be; then everything is as before.
        """
        before = self.recipe
        if self.own is not None and recipe.differs(before, (*ANEW, *REBUILT, "optimizer")):
            raise ValueError("this is a model of your own: data, layers and optimizer are changed in your script")
        if recipe.differs(before, ANEW):
            self.anew(recipe)
            return "anew"
        self.rebuild(recipe)
        start = epoch + (batch > 0)
        if batch:
            self.remark = "a setting was changed within an epoch; here it changes after that epoch"
        self.stretches = [s for s in self.stretches if s[0] < start] + [(start, self.recipe)]
        return "at once" if self.recipe.differs(before, (*REBUILT, "optimizer", "batch_size", "mistakes")) else "now"

    def anew(self, recipe: Recipe) -> None:
        """Begin with another recipe, its layers' mistakes left out where the layers are others."""
        data = world(recipe)
        layers = recipe.differs(self.recipe, ("widths", "norm", "data"))
        mistakes = tuple(m for m in recipe.mistakes if m[0] == "loss") if layers else recipe.mistakes
        new = recipe.changed({"mistakes": mistakes})
        build(new, data)  # what cannot be built fails here, while nothing is changed
        self.recipe, self.data, self.view = new, data, None
        self.begin()

    def rebuild(self, recipe: Recipe) -> None:
        """Give the running training other settings, or a new row of layers around the same weights."""
        before = self.recipe
        if recipe.differs(before, REBUILT):
            assert isinstance(self.model, Sequential)
            recipe = recipe.changed({"mistakes": [m for m in recipe.mistakes if m[0] == "loss"]})
            self.recipe, self.model = recipe, build(recipe, self.data, self.model)
            self.optimizer = optimizer_of(recipe, self.model)
            self.plug_in()
        else:
            self.recipe = recipe
            try:
                self.plug_in()
            except ValueError:
                self.recipe = before
                self.plug_in()
                raise
            if recipe.optimizer != before.optimizer:
                self.optimizer = optimizer_of(recipe, self.model)
            if recipe.lr != before.lr:
                self.optimizer.lr = recipe.lr
            if recipe.momentum != before.momentum and hasattr(self.optimizer, "momentum"):
                self.optimizer.momentum = recipe.momentum
        if self.own is None:
            self.loss = museum.in_loss(recipe.mistakes)
        self.new_view()

    def script(self, epochs: int) -> str:
        """The Python that does the same."""
        if self.own is None:
            return python(self.stretches, self.data, epochs, self.remark)
        r = self.recipe
        return (
            "# model, x, y, loss and optimizer are those of your script\n"
            f"optimizer.lr = {r.lr}\n"
            f"history = model.fit(x, y, epochs={max(epochs, 1)}, loss=loss, optimizer=optimizer, "
            f"batch_size={r.batch_size}, seed={r.seed})\n"
        )
