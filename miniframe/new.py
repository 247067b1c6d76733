"""``miniframe new project.py``: a script to start from, which trains, checks, saves and plots."""

from __future__ import annotations

import shlex
from pathlib import Path

from .backend.shell import python

SCRIPT = '''"""{name}: train a small network, check its gradients, save it, draw what it learned."""

from pathlib import Path

import miniframe as mf

HERE = Path(__file__).parent
mf.seed(0)  # the same weights and the same order every time

# Data: 1,000 points on two half-moons. For a file of your own, whose last column is the label:
#     table = mf.datasets.read_csv("points.csv")
#     x, y = table
x, y = mf.datasets.moons(1000)
x_train, x_test, y_train, y_test = mf.datasets.train_test_split(x, y, test_size=0.25, stratify=True)

# Model: two numbers in, a score for each of two classes out.
model = mf.Sequential(
    mf.Standardize(x_train),  # measured on the training data, and saved with the model
    mf.Linear(2, 32),
    mf.ReLU(),
    mf.Linear(32, 2),
)
print(model.summary((2,)))

# Check: does every backward agree with finite differences?
print(mf.check_gradients(model, x_train[:8]))

# Train. The loss applies softmax itself, so the model ends with plain scores.
model.compile(optimizer=mf.Adam(model, lr=0.01), loss="cross_entropy", metrics=["accuracy"])
history = model.fit(x_train, y_train, epochs=20, validation_split=0.2, seed=0, verbose=2)

# Test, once, on data that had no part in anything above.
scores = model.evaluate(x_test, y_test)
print(f"test: loss {{scores['loss']:.3f}}, accuracy {{scores['accuracy']:.3f}}")

# Save, and read it back.
model.save(HERE / "{stem}.model")
again = mf.load(HERE / "{stem}.model")
print("classes of the first five test points:", again.predict(x_test[:5]).argmax(axis=-1).tolist())

# Plot. Needs matplotlib: pip install "miniframe[figures]"
try:
    mf.plots.curves(history).savefig(HERE / "{stem}_curves.png")
    mf.plots.decision_regions(model, x_test, y_test).savefig(HERE / "{stem}_regions.png")
    print("figures: {stem}_curves.png, {stem}_regions.png")
except ImportError as error:
    print("no figures:", error)
'''


def write(path: str) -> str:
    """Write the script, and say how to go on.

    Raises:
        ValueError: for a name that does not end in .py.
        FileExistsError: if there is such a file, which is left alone.
    """
    file = Path(path)
    if file.suffix != ".py" or not file.stem:
        raise ValueError(f"expected the name of a Python file, such as project.py, got {path!r}")
    if not file.absolute().parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {file.parent}")
    try:
        with open(file, "x", encoding="utf-8") as out:
            out.write(SCRIPT.format(name=file.name, stem=file.stem))
    except FileExistsError:
        raise FileExistsError(f"{path} exists and is left as it is; choose another name") from None
    return f"{path} is written; run it: {python()} {shlex.quote(path)}"
