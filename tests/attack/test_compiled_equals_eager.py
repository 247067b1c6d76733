"""Random small models, random changes at random moments: what fit learns is the same, compiled or not."""

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import miniframe as mf

X = np.random.default_rng(0).normal(size=(22, 4)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 22)
WIDTH = 4
FACTOR = 1.0


class Power(mf.Module):
    """A user's layer: settings in an attribute, in the class, in a set, in a global."""

    shift = 0.0

    def __init__(self):
        self.factor, self.iterations, self.on = 0.9, 1, {"tanh"}

    def forward(self, x):
        for _ in range(self.iterations):
            x = x * (self.factor * FACTOR) + self.shift
        return mf.Tanh()(x) if "tanh" in self.on else x * 0.5


LAYERS = {
    "linear": lambda: mf.Linear(WIDTH, WIDTH),
    "tanh": mf.Tanh,
    "relu": mf.ReLU,
    "dropout": lambda: mf.Dropout(0.3),
    "batchnorm": lambda: mf.BatchNorm(WIDTH),
    "layernorm": lambda: mf.LayerNorm(WIDTH),
    "power": Power,
    "tap": mf.Tap,
    "inner": lambda: mf.Sequential(mf.Linear(WIDTH, WIDTH), mf.Sigmoid()),
}


def set_global(value):
    global FACTOR
    FACTOR = value


def clip(optimizer, value, norm):
    optimizer.clip_value, optimizer.clip_norm = value, norm


def tapped(layer, number):
    if isinstance(layer, mf.Tap):
        layer.on_forward = lambda x: x * number
        layer.on_backward = lambda g: g * number


def insert(model, after, number):
    if len(model) < 8:
        model.insert(after, mf.Tap(forward=lambda x: x * number, backward=lambda g: g * number))


def remove(model, place):
    if isinstance(model[place], (mf.Tap, mf.Tanh)):
        model.remove(place)


def replace(model, place, kind):
    if place:
        model[place] = LAYERS[kind]()


def setting(layer, name, value):
    if hasattr(layer, name):
        setattr(layer, name, value)


def switch(layer):
    if isinstance(layer, Power):
        layer.on.symmetric_difference_update({"tanh"})


# each is a function of the model, the optimizer, the loss, a layer's place and a number
CHANGES = {
    "freeze": lambda m, o, l, i, n: m[i].freeze(),
    "unfreeze": lambda m, o, l, i, n: m[i].unfreeze(),
    "freeze all but the last": lambda m, o, l, i, n: [layer.freeze() for layer in list(m)[:-1]],
    "unfreeze all": lambda m, o, l, i, n: m.unfreeze(),
    "one parameter": lambda m, o, l, i, n: setattr(m[0].bias, "trainable", n > 0.5),
    "evaluation mode": lambda m, o, l, i, n: m[i].eval(),
    "training mode": lambda m, o, l, i, n: m[i].train(),
    "dropout": lambda m, o, l, i, n: setting(m[i], "p", n),
    "momentum of the statistics": lambda m, o, l, i, n: setting(m[i], "momentum", n),
    "epsilon": lambda m, o, l, i, n: setting(m[i], "eps", n),
    "replace by an activation": lambda m, o, l, i, n: replace(m, i, "relu" if n > 0.5 else "tanh"),
    "replace by a layer": lambda m, o, l, i, n: replace(m, i, "linear" if n > 0.5 else "batchnorm"),
    "insert a tap": lambda m, o, l, i, n: insert(m, i, n),
    "remove": lambda m, o, l, i, n: remove(m, i),
    "functions of a tap": lambda m, o, l, i, n: tapped(m[i], n),
    "factor": lambda m, o, l, i, n: setting(m[i], "factor", n),
    "iterations": lambda m, o, l, i, n: setting(m[i], "iterations", 2 if n > 0.5 else 1),
    "a set": lambda m, o, l, i, n: switch(m[i]),
    "a class": lambda m, o, l, i, n: setattr(Power, "shift", n),
    "a global": lambda m, o, l, i, n: set_global(n),
    "rate": lambda m, o, l, i, n: setattr(o, "lr", n / 10),
    "momentum": lambda m, o, l, i, n: setattr(o, "momentum", n if getattr(o, "momentum", 0) else 0),
    "betas": lambda m, o, l, i, n: setting(o, "betas", (n, 0.99)),
    "weight decay": lambda m, o, l, i, n: setattr(o.groups[0], "weight_decay", n),
    "clip values": lambda m, o, l, i, n: clip(o, n / 10, None),
    "clip the norm": lambda m, o, l, i, n: clip(o, None, n),
    "no clipping": lambda m, o, l, i, n: clip(o, None, None),
    "label smoothing": lambda m, o, l, i, n: setattr(l, "label_smoothing", n),
    "reduction": lambda m, o, l, i, n: setattr(l, "reduction", "sum" if n > 0.7 else "mean"),
    "a weight": lambda m, o, l, i, n: setattr(m[0].weight, "value", m[0].weight.value * n),
}
MOMENTS = ("on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end")


class Changes(mf.Callback):
    """Makes the planned changes: (moment, how many of its kind came before, change, place, number)."""

    def __init__(self, plan):
        self.plan, self.count = plan, dict.fromkeys(MOMENTS, 0)
        for moment in {moment for moment, *_ in plan}:
            setattr(self, moment, lambda index, logs=None, moment=moment: self.make(moment))

    def make(self, moment):
        for when, number, change, place, amount in self.plan:
            if when == moment and number == self.count[moment]:
                CHANGES[change](self.model, self.optimizer, self.loss, place % len(self.model), amount)
        self.count[moment] += 1


OPTIMIZERS = {
    "sgd": lambda m: mf.SGD(m, lr=0.05),
    "momentum": lambda m: mf.SGD(m, lr=0.03, momentum=0.8),
    "adam": lambda m: mf.Adam(m, lr=0.01),
    "accumulate": lambda m: mf.SGD(m, lr=0.05, momentum=0.5, accumulate=2),
}

changes = st.tuples(
    st.sampled_from(MOMENTS),
    st.integers(0, 4),
    st.sampled_from(sorted(CHANGES)),
    st.integers(0, 7),
    st.sampled_from([0.25, 0.75]),
)
plans = st.fixed_dictionaries(
    {
        "layers": st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=4),
        "optimizer": st.sampled_from(sorted(OPTIMIZERS)),
        "changes": st.lists(changes, min_size=1, max_size=4),
        "between": st.lists(changes, max_size=1),
        "stream": st.booleans(),
        "validate": st.booleans(),
    }
)


def trained(plan, compile):
    """Everything that two fits leave: weights, statistics, the optimizer's state, losses, the random state."""
    Power.shift = 0.0
    set_global(1.0)
    mf.seed(0)
    model = mf.Sequential(mf.Linear(4, WIDTH), *[LAYERS[kind]() for kind in plan["layers"]], mf.Linear(WIDTH, 3))
    loss, optimizer = mf.CrossEntropyLoss(), OPTIMIZERS[plan["optimizer"]](model)
    data = (lambda: ((X[i : i + 8], Y[i : i + 8]) for i in (0, 8, 16)),) if plan["stream"] else (X, Y)
    options = {"loss": loss, "optimizer": optimizer, "batch_size": 8, "verbose": 0, "compile": compile, "seed": 5}
    if plan["validate"]:
        options["validation_data"] = (X[:9], Y[:9])
    losses = model.fit(*data, epochs=3, callbacks=[Changes(plan["changes"])], **options).history["loss"]
    for _, _, change, place, number in plan["between"]:
        CHANGES[change](model, optimizer, loss, place % len(model), number)
    losses += model.fit(*data, epochs=2, **options).history["loss"]
    cells = [*model.parameters(), *model.buffers(), *optimizer.cells(), *optimizer.parameters]
    return [np.array(cell.value) for cell in cells], losses, mx.random.uniform(shape=(2,)).tolist()


@settings(
    max_examples=25,
    phases=[Phase.generate],
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(plan=plans)
def test_what_is_learned_is_the_same_compiled_or_not_whatever_is_changed_on_the_way(plan):
    try:
        compiled, losses, drawn = trained(plan, True)
    except FloatingPointError:
        with pytest.raises(FloatingPointError):
            trained(plan, False)
        return
    plain, plain_losses, plain_drawn = trained(plan, False)
    for one, other in zip(compiled, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-4, atol=1e-5)
    assert drawn == plain_drawn


SURE = [
    ("freeze", 0, 0.5), ("evaluation mode", 1, 0.5), ("evaluation mode", 2, 0.5), ("dropout", 1, 0.9),
    ("momentum", 0, 0.1), ("weight decay", 0, 0.5), ("clip values", 0, 0.1), ("clip the norm", 0, 0.1),
    ("label smoothing", 0, 0.5), ("replace by an activation", 4, 0.9), ("replace by a layer", 4, 0.9),
    ("insert a tap", 0, 0.5), ("functions of a tap", 5, 0.5), ("factor", 3, 0.5), ("iterations", 3, 0.9),
    ("a set", 3, 0.5), ("a class", 3, 0.5), ("a global", 3, 0.5), ("rate", 0, 0.9), ("reduction", 0, 0.9),
    ("a weight", 0, 0.5), ("remove", 4, 0.5),
]  # fmt: skip


@pytest.mark.parametrize("moment", ["on_epoch_begin", "on_batch_end"])
@pytest.mark.parametrize("change, place, number", SURE, ids=lambda value: str(value).replace(" ", "_"))
def test_every_change_is_obeyed_in_the_middle_of_a_training(change, place, number, moment):
    layers = ["dropout", "batchnorm", "power", "tanh", "tap"]
    plan = {"layers": layers, "optimizer": "momentum", "between": [], "stream": False, "validate": False}
    plan["changes"] = [(moment, 1, change, place, number)]
    compiled, plain = trained(plan, True), trained(plan, False)
    for one, other in zip(compiled[0], plain[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    unchanged = trained({**plan, "changes": []}, False)
    assert len(unchanged[0]) != len(plain[0]) or any(
        not np.allclose(a, b, atol=1e-4) for a, b in zip(unchanged[0], plain[0])
    ), "the change does nothing"
