"""Every public name with its signature, in groups as a user thinks of them: what the reference is made of."""

import importlib
import inspect
import re
from dataclasses import dataclass

import miniframe as mf

GROUPS = [  # (title, words, homes): a name belongs to the group with the longest match for the module where it stands
    ("Models", "Put layers together, and ask the whole.",
     "core graph layers.residual layers.tap"),
    ("Training", "One call, or the loop by hand.", "training data core.random"),
    ("Layers", "What most models are made of.", "layers"),
    ("Activations", "Bend what a layer gives.", "layers.activations layers.prelu"),
    ("Images", "Convolution, pooling and resizing; images are (batch, height, width, channels).",
     "layers.convolution layers.pooling layers.resizing"),
    ("Normalization", "Keep values in a range where learning is easy.",
     "layers.normalization layers.rms_norm layers.instance_norm layers.standardize"),
    ("Sequences and attention", "Text and time; sequences are (batch, time, features).",
     "layers.over_time layers.recurrent layers.attention layers.multi_head layers.transformer layers.gated "
     "layers.positions layers.embedding layers.memory"),
    ("Join and choose", "Several values into one, one into several.", "layers.combine"),
    ("Losses", "How wrong, as one number.", "losses"),
    ("Optimizers", "How a gradient changes a parameter, and how the rate falls.", "optimizers"),
    ("Callbacks", "Things to do while training.",
     "training.callbacks training.loggers training.monitors training.model_checkpoint training.trackers plots.live"),
    ("Metrics", "What to report beside the loss.", "training.metrics training.tally training.scores"),
    ("Proof", "Is this backward right?", "checking testing"),
    ("Looking inside", "What happened, where, and why.",
     "insight explain drawing graph.summary training.finite core.warn"),
    ("The lab", "A training in the browser.", "lab"),
    ("Files", "Save, load, export.", "saving"),
    ("Other frameworks", "Models and weights in and out.", "interop"),
    ("Ready models", "Architectures of the literature.", "models"),
    ("Data", "Data sets without a download, and ways to read yours.", "datasets"),
    ("Pictures", "One call each.", "plots"),
    ("Functions", "Stateless layers as functions, on arrays and nodes.", "functional"),
    ("Initial weights", "How parameters start.", "layers.initializers"),
    ("Many machines", "Several processes train one model.", "backend"),
]  # fmt: skip
FOLDERS = ["datasets", "distributed", "explain", "functional", "initializers", "interop", "losses", "metrics", "models",
           "optimizers", "plots", "random", "schedules", "testing", "lab"]  # fmt: skip
HIDDEN = {  # parts of these modules that other parts of the package use
    "metrics": "shown of_class mean totals measure get as_list Sums NAMES TOP Metric Mean partial",
    "random": "get_key as_state State",
    "distributed": "Team team speaks timeout together DistributedError",
    "initializers": "started GAINS gain fans",
    "interop": "to_code", "plots": "schedules filters LiveCurve", "models": "vgg Maximized",
}  # fmt: skip


@dataclass(frozen=True)
class Name:
    """A public name: how it is written, what it is, where its page is, and where its code stands."""

    written: str  # mf.Linear, model.save, mf.schedules.cosine
    thing: object
    page: str  # a file in reference/
    path: str  # miniframe.layers.linear.Linear
    group: str

    @property
    def short(self) -> str:
        return self.written.split(".")[-1]

    @property
    def link(self) -> str:
        """From the folder of the reference."""
        return f"{self.page}#{self.short}" if self.of_module else self.page

    @property
    def of_module(self) -> bool:
        """Whether it shares a page with the other names of its module, as mf.schedules.cosine does."""
        return self.written.count(".") > 1

    @property
    def call(self) -> str:
        """As it is called: the name with its arguments and their defaults, without types."""
        return self.written + signature(self.thing, method=not self.written.startswith(("mf.", "miniframe.")))

    @property
    def words(self) -> str:
        """The first sentence of its documentation."""
        first = " ".join((inspect.getdoc(self.thing) or "").split("\n\n")[0].split())
        return re.split(r"(?<=[a-z)`])(?<!et al)[.:] ", first)[0].rstrip(".:").replace("``", "`")


def signature(thing: object, method: bool = False) -> str:
    """``(in_features, out_features, bias=True)``; of a method without the object; nothing for what cannot be called."""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return "(...)" if callable(thing) else ""
    given = [p.replace(annotation=p.empty) for p in found.parameters.values() if p.name not in ("self", "cls")]
    given = given[1:] if method else given
    return str(inspect.Signature([p if p.default is p.empty else p.replace(default=Shown(p.default)) for p in given]))


class Shown:
    """A default as one would write it."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __repr__(self) -> str:
        if inspect.isfunction(self.value) or inspect.isclass(self.value):
            return self.value.__name__
        return f"{self.value:.6g}" if isinstance(self.value, float) else repr(self.value)


def group_of(home: str) -> str:
    """The group for what stands in this module."""
    home = home.removeprefix("miniframe.")
    best, length = "Models", -1
    for title, _, homes in GROUPS:
        for start in homes.split():
            if (home == start or home.startswith(start + ".")) and len(start) > length:
                best, length = title, len(start)
    return best


def optional(module: str) -> object:
    """A module, if it is there."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        return None


def home_of(thing: object) -> str:
    return getattr(thing, "__module__", None) or type(thing).__module__


def top_names() -> list[Name]:
    """What ``dir(mf)`` shows, but for its modules and the version."""
    found = []
    for name in mf.__all__:
        thing = getattr(mf, name)
        if not inspect.ismodule(thing) and not name.startswith("_"):
            home = home_of(thing)
            found.append(Name(f"mf.{name}", thing, f"{name}.md", f"{home}.{thing.__qualname__}", group_of(home)))
    return found


def inner_names() -> list[Name]:
    """What the modules among them hold: ``mf.schedules.cosine`` and its like."""
    top = {id(name.thing) for name in top_names()}
    found = []
    for folder in FOLDERS:
        module = getattr(mf, folder, None) or optional(f"miniframe.{folder}")
        if not inspect.ismodule(module):
            continue
        owner = f"mf.{folder}" if hasattr(mf, folder) and folder in mf.__all__ else module.__name__
        hidden = HIDDEN.get(folder, "").split()
        for name in getattr(module, "__all__", None) or vars(module):
            thing = getattr(module, name)
            ours = str(home_of(thing)).startswith("miniframe") and callable(thing) and hasattr(thing, "__qualname__")
            if ours and not name.startswith("_") and name not in hidden and id(thing) not in top:
                path = f"{home_of(thing)}.{thing.__qualname__}"
                group = group_of(module.__name__)
                found.append(Name(f"{owner}.{name}", thing, f"{folder}.md", path, group))
    return found


FIRST = """Sequential Module Graph Input Variable Parameter Buffer fit compile evaluate predict train_step Linear
ReLU check_gradients trace summary save load""".split()  # what leads its group
VERBS = {"Module": "model", "Graph": "graph", "Sequential": "model", "Schedule": "schedule",
         "FlightRecorder": "recorder", "History": "history"}  # fmt: skip


def taught(cls: type) -> dict[str, object]:
    """The methods that a class has learned from files above its own."""
    found = {}
    for name, member in vars(cls).items():
        if inspect.isfunction(member) and not name.startswith("_"):
            layer = inspect.getclosurevars(member).nonlocals.get("layer", member)  # Node.exp stands where Exp does
            if layer.__module__ != cls.__module__:
                found[name] = member
    return found


def verbs() -> list[Name]:
    """``model.fit`` and its like, which stand in files of their own."""
    found: dict[str, Name] = {}
    classes = [getattr(mf, name, None) or getattr(mf.schedules, name) for name in VERBS]
    for cls in classes:
        for name, member in taught(cls).items():
            plain = inspect.unwrap(member)
            if name != "part":
                written, path = f"{VERBS[cls.__name__]}.{name}", f"{plain.__module__}.{plain.__qualname__}"
                page = f"{name}.md" if not hasattr(mf, name) else f"{VERBS[cls.__name__]}_{name}.md"
                if page in {other.page for other in found.values()}:
                    page = f"{VERBS[cls.__name__]}_{name}.md"
                found[written] = Name(written, member, page, path, group_of(plain.__module__))
    return list(found.values())


def all_names() -> list[Name]:
    """In the order in which the index shows them."""
    names = [*verbs(), *top_names(), *inner_names()]
    titles = [title for title, _, _ in GROUPS]

    def place(name: Name) -> tuple[int, int]:
        known = name.short in FIRST and name.written.count(".") == 1
        return titles.index(name.group), FIRST.index(name.short) if known else len(FIRST)

    return sorted(names, key=place)
