"""The Python that does what the lab has done: a script with a call of ``fit`` for every stretch of equal settings."""

from __future__ import annotations

from collections.abc import Sequence

from . import museum
from .recipe import ACTIVATIONS, OPTIMIZERS, REBUILT, Recipe, gpt_sizes, plan
from .worlds import World


def python(stretches: Sequence[tuple[int, Recipe]], world: World, epochs: int, remark: str = "") -> str:
    """The script that does the same.

    Args:
        stretches: (first epoch, recipe), one for each time that a setting was changed during the training.
        world: the data.
        epochs: how many have been trained.
        remark: a line of comment, if the script cannot do quite the same.
    """
    first = stretches[0][1]
    by_hand = ["import mlx.core as mx"] if first.data == "points" else []
    lines = ['"""A training of the lab, as a script."""', "", *by_hand, "import miniframe as mf", "", *world.code, ""]
    lines += [f"# {remark}"] if remark else []
    before: Recipe | None = None
    ends = [*[start for start, _ in stretches[1:]], max(epochs, 1)]
    for (start, recipe), end in zip(stretches, ends):
        lines += _stretch(recipe, before, world, start, max(end, start + 1 if before is None else start))
        before = recipe
    lines += ["print({name: values[-1] for name, values in history.history.items()})"]
    return "\n".join(lines) + "\n"


def _stretch(recipe: Recipe, before: Recipe | None, world: World, start: int, end: int) -> list[str]:
    """The lines for the epochs with one recipe: what has changed, and a call of fit."""
    lines = []
    if before is None:
        lines = [f"mf.seed({recipe.seed})", *_model_code(recipe, world)]
    elif recipe.differs(before, REBUILT):
        kept = [str(i) for i, (name, _) in enumerate(plan(before, world)) if name not in _NEW]
        lines = [f"learned = [model[i] for i in ({', '.join(kept)},)]", *_model_code(recipe, world, reuse=True)]
    rebuilt = before is None or recipe.differs(before, REBUILT)
    if rebuilt or (before is not None and recipe.optimizer != before.optimizer):
        lines.append(f"optimizer = {_optimizer_code(recipe)}")
    elif before is not None:
        lines += [f"optimizer.lr = {recipe.lr}"] if recipe.lr != before.lr else []
        changed = recipe.optimizer == "sgd" and recipe.momentum != before.momentum
        lines += [f"optimizer.momentum = {recipe.momentum}"] if changed else []
    mistakes = () if before is None or rebuilt else before.mistakes
    lines += museum.code(mistakes, recipe.mistakes)
    if end == start:  # a setting that was changed again, or after which nothing was trained yet
        return [*lines, ""] if lines else []
    loss = next((f"mf.lab.mistakes.{name}()" for layer, name in recipe.mistakes if layer == "loss"), '"cross_entropy"')
    options = [f"loss={loss}", "optimizer=optimizer", f"batch_size={recipe.batch_size}", f"seed={recipe.seed}"]
    options += ['metrics=["error_rate"]'] if world.classes else []
    options += ["validation_data=(x_test, y_test)"] if world.validation is not None else []
    options += [f"initial_epoch={start}"] if start else []
    return [
        *lines,
        "history = model.fit(",
        "    x,",
        "    y,",
        f"    epochs={end},",
        *(f"    {o}," for o in options),
        ")",
        "",
    ]


_NEW = ("Standardize", "Dropout", "MaxPool2d", "Flatten", *ACTIVATIONS.values())  # layers without weights


def _model_code(recipe: Recipe, world: World, reuse: bool = False) -> list[str]:
    learned = iter(range(99))
    if world.tokenizer is not None:
        given = ", ".join(f"{name}={value}" for name, value in gpt_sizes(recipe, world).items())
        return [f"model = mf.models.GPT({given})"]
    rows = []
    for name, arguments in plan(recipe, world):
        given = ", ".join(a if isinstance(a, str) else repr(a) for a in arguments)
        rows.append(f"    learned[{next(learned)}]," if reuse and name not in _NEW else f"    mf.{name}({given}),")
    return ["model = mf.Sequential(", *rows, ")"]


def _optimizer_code(recipe: Recipe) -> str:
    if recipe.optimizer in museum.OPTIMIZERS:
        return f"mf.lab.mistakes.{museum.OPTIMIZERS[recipe.optimizer].__name__}(model, lr={recipe.lr})"
    momentum = f", momentum={recipe.momentum}" if recipe.optimizer == "sgd" else ""
    return f"mf.{OPTIMIZERS[recipe.optimizer]}(model, lr={recipe.lr}{momentum})"
