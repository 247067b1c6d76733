"""Two networks that make pictures which nobody drew: one paints them from a few numbers, one out of noise.

    python tutorials/scripts/pictures.py                # some minutes; writes pictures.png
    python tutorials/scripts/pictures.py --epochs 2     # a look

Both learn from silhouettes of circles, squares and triangles, 16 x 16, which are drawn on the spot. The variational
autoencoder squeezes a picture through 8 numbers and paints it again; then any 8 numbers paint one. The diffusion model
learns to say which noise was added to a picture; then it takes the noise out of nothing but noise, step by step.
"""

import argparse

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.plots.canvas import bare, sheet

SIZE = 16


def silhouettes(count: int, seed: int = 0) -> mx.array:
    """(count, 16, 16, 1) from 0 to 1: how much every pixel differs in colour from the ground in the corner."""
    images = np.array(mf.datasets.shapes(count, seed=seed, noise=0.0)[0])
    apart = np.abs(images - images[:, :1, :1]).mean(axis=-1)
    small = apart.reshape(count, SIZE, 2, SIZE, 2).mean(axis=(2, 4))
    return mx.array((small / small.max(axis=(1, 2), keepdims=True))[..., None])


def autoencoder(x: mx.array, epochs: int, seed: int) -> mf.models.VAE:
    """A VAE of these pictures as rows."""
    mf.seed(seed)
    rows = x.reshape(len(x), -1)
    model = mf.models.VAE(rows.shape[1], hidden=256, code=8)
    optimizer = mf.Adam(model, lr=mf.schedules.cosine(2e-3, steps=epochs * -(-len(x) // 50)))
    model.fit(rows, rows, loss=mf.ELBOLoss(code=8), optimizer=optimizer, epochs=epochs, batch_size=50, seed=seed)
    return model


class Dissolved:
    """An epoch of pictures, each dissolved for a random number of steps, anew in every epoch."""

    def __init__(self, model: mf.models.Diffusion, x: mx.array, batch: int, seed: int) -> None:
        self.model, self.x, self.batch, self.rng = model, x, batch, np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self.x) // self.batch

    def __iter__(self):
        order = mx.array(self.rng.permutation(len(self.x)))
        for k in range(len(self)):
            chosen = order[k * self.batch : (k + 1) * self.batch]
            yield self.model.dissolved(2 * self.x[chosen] - 1, seed=int(self.rng.integers(2**31)))


def diffusion(x: mx.array, epochs: int, seed: int) -> mf.models.Diffusion:
    """A diffusion model of these pictures."""
    mf.seed(seed)
    model = mf.models.Diffusion((SIZE, SIZE, 1), steps=60, width=16)
    data = Dissolved(model, x, 50, seed)
    optimizer = mf.Adam(model, lr=mf.schedules.cosine(2e-3, steps=epochs * len(data)))
    model.fit(data, loss="mse", optimizer=optimizer, epochs=epochs, seed=seed)
    return model


def drawn(x: mx.array, vae: mf.models.VAE, model: mf.models.Diffusion, columns: int = 10):
    """A row of each: drawn, painted again, painted from random numbers, made of noise."""
    rows = x[:columns].reshape(columns, -1)
    shown = {
        "drawn": rows,
        "painted again\nfrom 8 numbers": vae.reconstruct(rows),
        "painted from 8\nrandom numbers": vae.sample(columns, seed=1),
        "made of noise\nby diffusion": (model.sample(columns, seed=1) + 1) / 2,
    }
    figure, axes = sheet(len(shown), columns, (columns * 1.05 + 1, len(shown) * 1.1))
    for line, (name, pictures) in zip(axes, shown.items()):
        for ax, one in zip(line, np.array(pictures).reshape(columns, SIZE, SIZE)):
            ax.imshow(one, cmap="gray", vmin=0, vmax=1)
            bare(ax)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    return figure


def main(count: int, epochs: int, picture: str, seed: int) -> None:
    x = silhouettes(count, seed)
    print(f"{count:,} pictures; the autoencoder:")
    vae = autoencoder(x, 2 * epochs, seed)
    print("the diffusion model:")
    model = diffusion(x, epochs, seed)
    drawn(silhouettes(10, seed + 1), vae, model).savefig(picture, dpi=150)
    print(f"the pictures: {picture}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make pictures of shapes, by a VAE and by diffusion.")
    parser.add_argument("--count", type=int, default=2000, help="pictures to learn from (2000)")
    parser.add_argument(
        "--epochs", type=int, default=15, help="of the diffusion model; the other takes twice as many (15)"
    )
    parser.add_argument("--picture", default="pictures.png", help="where the pictures go (pictures.png)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(arguments.count, arguments.epochs, arguments.picture, arguments.seed)
