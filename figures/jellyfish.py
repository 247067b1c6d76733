"""Is there a jellyfish in it? Trains models.jellyfish, and writes its weights and a picture that says why.

python figures/jellyfish.py              # figures/jellyfish.safetensors, figures/jellyfish.png
python figures/jellyfish.py --draw       # the picture alone, from the weights that are there
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.plots.canvas import bare, caption, sheet

FOLDER = Path(__file__).parent
WEIGHTS = FOLDER / "jellyfish.safetensors"


def right(model: mf.Sequential, seed: int = 1, n: int = 1000) -> float:
    """The share of right answers for fresh pictures."""
    x, labels = mf.datasets.jellyfish(n, seed=seed)
    return ((model.predict(x)[:, 0] > 0) == (labels == 1)).mean().item()


def train(n: int = 1600, epochs: int = 6, verbose: int = 2) -> mf.Sequential:
    """The network, trained on pictures drawn from seed 0."""
    x, labels = mf.datasets.jellyfish(n, seed=0)
    mf.seed(0)
    model = mf.models.jellyfish()
    print(f"before training {right(model):.1%} of 1,000 fresh pictures are right")
    rate = mf.schedules.cosine(0.01, steps=epochs * n // 32)
    adam = mf.Adam(model, lr=rate)
    start, target = time.perf_counter(), labels[:, None].astype(mx.float32)
    model.fit(
        x, target, loss="bce_with_logits", optimizer=adam, epochs=epochs, batch_size=32, metrics=["accuracy"], seed=0,
        verbose=verbose,
    )  # fmt: skip
    print(f"after {time.perf_counter() - start:.0f} s {right(model):.1%}")
    return model


def draw(model: mf.Sequential) -> None:
    """Pictures with their answers, where a change would move the answer, and what the network would like to see."""
    x, labels, masks = mf.datasets.jellyfish(40, seed=1, masks=True)
    order = np.argsort(-np.array(labels), kind="stable")
    chosen = mx.array(np.concatenate([order[:4], order[-3:]]))
    pictures, covers = x[chosen], np.array(masks[chosen])
    heat = np.array(mf.explain.saliency(model, pictures, target=0, samples=16))
    p = np.array(mx.sigmoid(model.predict(pictures)))[:, 0]
    figure, axes = sheet(2, 8, (13, 3.9))
    for k in range(7):
        axes[0, k].imshow(np.array(pictures[k]))
        caption(axes[0, k], f"{mf.datasets.SEA_NAMES[int(labels[chosen][k].item())]}\nsays {p[k]:.0%}")
        axes[1, k].imshow(heat[k] / heat[k].max(), cmap="inferno")
        inside = covers[k] > 0
        caption(axes[1, k], f"{heat[k][inside].sum() / heat[k].sum() / inside.mean():.1f} times denser\non the animal")
    for row, sign in enumerate((1, -1)):
        asked = mf.Sequential(*model, mf.Linear(1, 1, bias=False))
        asked[-1].weight.value = mx.array([[float(sign)]])
        found = mf.explain.maximize_activation(asked, str(len(asked) - 1), 0, steps=150, contrast=0.1)
        axes[row, 7].imshow(np.array(found.image))
        caption(axes[row, 7], "most of all\na jellyfish" if sign > 0 else "least of all\na jellyfish")
    for ax in axes.flat:
        bare(ax)
    axes[0, 0].set_ylabel("picture", fontsize=10)
    axes[1, 0].set_ylabel("saliency", fontsize=10)
    figure.savefig(FOLDER / "jellyfish.png", dpi=150, metadata={"Software": None})


def main() -> None:
    if "--draw" in sys.argv:
        model = mf.models.jellyfish()
        model.load_weights(WEIGHTS)
    else:
        model = train()
        model.save_weights(WEIGHTS)
    draw(model.eval())


if __name__ == "__main__":
    main()
