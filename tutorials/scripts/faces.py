"""A real network for faces, asked why: which pixels tell it where the eyes are, and what happens without them.

    pip install "miniframe[faces]"
    python tutorials/scripts/faces.py
    python tutorials/scripts/faces.py portrait.jpg

The package facenet-pytorch carries O-Net, the last of the three networks of MTCNN (Zhang et al. 2016): 389,040 weights,
trained by others, a class of PyTorch. From a window of 48 x 48 pixels it says whether there is a face, and where its
eyes, nose and mouth are. Here it runs in layers whose derivatives are written by hand, so that each answer can be
asked which pixels it hangs on; covering these pixels puts to the test what the slopes claim.
"""

import argparse

import mlx.core as mx
import numpy as np
from matplotlib.cbook import get_sample_data
from PIL import Image

import miniframe as mf
from miniframe.plots.canvas import caption, sheet

SIZE = 48  # pixels along each side of a window
PLACES = ("left eye", "right eye", "nose", "mouth, left", "mouth, right")
PATCH = 9  # pixels along each side of what is covered


def imported():
    """PyTorch's module with its trained weights, and the same network here."""
    import torch
    from facenet_pytorch.models.mtcnn import ONet

    theirs = ONet().eval()
    return theirs, mf.interop.from_torch(theirs, torch.zeros(1, 3, SIZE, SIZE))


def answers(net: mf.Graph) -> tuple[mf.Graph, mf.Graph]:
    """Two parts of the network: to the scores (N, 2) for no face and a face, and to the places (N, 10): x, then y."""
    return mf.Graph(net.inputs, net["dense6_1"]), mf.Graph(net.inputs, net["dense6_3"])


def scaled(pixels: np.ndarray) -> mx.array:
    """Pixels from 0 to 255 as the network was trained with them."""
    return mx.array(((pixels - 127.5) / 128).astype(np.float32))


def windows(picture: Image.Image, fractions=(0.3, 0.4, 0.5)) -> tuple[list[tuple[int, int, int]], np.ndarray]:
    """Square windows all over a picture, as (x, y, side), and what is in them: (count, 48, 48, 3)."""
    boxes = []
    for fraction in fractions:
        side = int(fraction * min(picture.size))
        step = side // 6
        boxes += [(x, y, side) for x in range(0, picture.width - side + 1, step)
                  for y in range(0, picture.height - side + 1, step)]  # fmt: skip
    return boxes, np.stack([cut(picture, *box) for box in boxes])


def cut(picture: Image.Image, x: int, y: int, side: int) -> np.ndarray:
    small = picture.crop((x, y, x + side, y + side)).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return np.array(small, dtype=np.float32)


def face(net: mf.Graph, picture: Image.Image) -> tuple[tuple[int, int, int], np.ndarray]:
    """The window whose score for a face is farthest above that for none, and its pixels."""
    boxes, pixels = windows(picture)
    scores = np.array(answers(net)[0].predict(scaled(pixels)))
    best = int(np.argmax(scores[:, 1] - scores[:, 0]))
    return boxes[best], pixels[best]


def places(net: mf.Graph, pixels: np.ndarray) -> np.ndarray:
    """Where the network sees eyes, nose and mouth: (5, 2) pixels, x and y."""
    return SIZE * np.array(answers(net)[1](scaled(pixels[None])))[0].reshape(2, 5).T


def slopes(net: mf.Graph, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """For each answer a map (48, 48): how far a change of a pixel, by one full step from dark to bright, moves it.

    The answers are the score for a face against none, and each place in pixels.
    """
    scores, points = answers(net)
    x = scaled(pixels[None])

    def gradient(model: mf.Graph, target: int) -> np.ndarray:
        return np.array(mf.explain.input_gradient(model, x, target))[0]

    found = {"face": np.linalg.norm(gradient(scores, 1) - gradient(scores, 0), axis=-1)}
    for k, name in enumerate(PLACES):
        both = np.concatenate([gradient(points, k), gradient(points, k + 5)], axis=-1)
        found[name] = SIZE * np.linalg.norm(both, axis=-1)
    return found


def around(point: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of a patch around a place."""
    x, y = (int(round(np.clip(v, PATCH // 2, SIZE - 1 - PATCH // 2))) for v in point)
    return slice(y - PATCH // 2, y + PATCH // 2 + 1), slice(x - PATCH // 2, x + PATCH // 2 + 1)


def covered(net: mf.Graph, pixels: np.ndarray) -> np.ndarray:
    """Row k: how far each of the five places moves, in pixels, when a grey patch covers place k."""
    before = places(net, pixels)
    moved = []
    for point in before:
        other = pixels.copy()
        other[around(point)] = pixels.mean(axis=(0, 1))
        moved.append(np.linalg.norm(places(net, other) - before, axis=1))
    return np.array(moved)


def shares(maps: dict[str, np.ndarray], points: np.ndarray) -> dict[str, float]:
    """Which part of each place's slopes lies in the patch around it; of the window, the patch is 81 / 2304."""
    return {name: float(maps[name][around(point)].sum() / maps[name].sum()) for name, point in zip(PLACES, points)}


def drawn(pixels: np.ndarray, points: np.ndarray, maps: dict[str, np.ndarray]):
    """The window with what the network sees in it, and for four answers the pixels that they hang on."""
    shown = ("face", "left eye", "nose", "mouth, right")
    figure, axes = sheet(1, 1 + len(shown), (13, 3.1))
    for ax in np.ravel(axes):
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(False)
    first, *others = np.ravel(axes)
    first.imshow(pixels / 255)
    first.plot(*points.T, "o", color="#ffd23f", markeredgecolor="black")
    caption(first, "what it sees")
    for ax, name in zip(others, shown):
        ax.imshow(pixels.mean(axis=-1), cmap="gray")
        strength = maps[name] / maps[name].max()
        ax.imshow(np.dstack([np.full_like(strength, c) for c in (0.9, 0.1, 0.1)] + [strength**0.7]))
        caption(ax, f"{name}: why?")
    return figure


def main(path: str | None, target: str) -> None:
    import torch

    theirs, net = imported()
    picture = Image.open(path or get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    box, pixels = face(net, picture)
    with torch.no_grad():
        expected = theirs(torch.tensor(np.array(scaled(pixels)).transpose(2, 0, 1)[None]))
    off = max(np.abs(np.array(a) - b.numpy()).max() for a, b in zip(net(scaled(pixels[None])), expected))
    rounded = 10.0 ** np.ceil(np.log10(max(off, 1e-9)))  # upwards, because the last digits are any machine's own
    print(f"{net.count_params():,} weights; the outputs differ from PyTorch's by less than {rounded:.0e}")
    print(f"a face at x {box[0]}, y {box[1]}, {box[2]} pixels wide\n")
    points, maps = places(net, pixels), slopes(net, pixels)
    inside, moved = shares(maps, points), covered(net, pixels)
    print(f"{'':<14}{'slopes in':>10}   pixels by which each moves when this one is covered")
    print(f"{'':<14}{'its patch':>10}" + "".join(f"{name:>14}" for name in PLACES))
    for name, row in zip(PLACES, moved):
        print(f"{name:<14}{inside[name]:>9.0%} " + "".join(f"{value:>14.1f}" for value in row))
    drawn(pixels, points, maps).savefig(target, dpi=150)
    print(f"\nthe picture: {target}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Why does a network see a face, and its eyes, nose and mouth there?")
    parser.add_argument("portrait", nargs="?", help="a picture of a face; by default one that Matplotlib carries")
    parser.add_argument("--picture", default="faces.png", help="where the picture goes (faces.png)")
    arguments = parser.parse_args()
    main(arguments.portrait, arguments.picture)
