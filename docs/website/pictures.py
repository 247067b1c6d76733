"""Pictures: each gets a second version for the dark page, and opens in full size when it is clicked or tapped.

Light becomes dark and stays of the same hue: the lightness L of every colour becomes 1 - L. Pictures that show images
(photographs, saliency maps) would be wrong that way; they stay as they are, on a light card.
"""

import re
import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+\.(?:png|gif|svg))\)")
PAPER, INK = np.array([30, 33, 41]) / 255, np.array([228, 231, 238]) / 255  # of the dark page
HEX = re.compile(r"#([0-9a-fA-F]{6})\b")
WIDE = 1.7  # wider than this, a phone shows a picture enlarged, to be moved sideways


def turned(colours: np.ndarray) -> np.ndarray:
    """Colours (..., 3) in [0, 1] with their lightness turned round, within what a dark page shows."""
    swapped = colours + 1 - colours.max(axis=-1, keepdims=True) - colours.min(axis=-1, keepdims=True)
    return PAPER + (INK - PAPER) * swapped


def turned_bytes(colours: np.ndarray) -> np.ndarray:
    return np.rint(255 * turned(colours / 255)).astype(np.uint8)


def shows_images(picture: Image.Image) -> bool:
    """Whether a picture is more than lines and words on white: much of it grey or black, or hardly any of it white."""
    colours = np.asarray(picture.convert("RGB")) / 255
    high, low = colours.max(axis=-1), colours.min(axis=-1)
    grey = (high - low < 0.05) & (high < 0.9) & (high > 0.1)
    return bool((low > 0.97).mean() < 0.3 or (high < 0.1).mean() > 0.1 or grey.mean() > 0.1)


def darken(path: Path) -> Path | None:
    """Writes the picture for the dark page next to the one at ``path``; None where it is to stay as it is."""
    target = path.with_stem(f"{path.stem}.dark")
    if path.suffix == ".svg":
        return darken_svg(path, target)
    with Image.open(path) as picture:
        if shows_images(picture):
            return None
        if path.suffix == ".gif":
            darken_gif(picture, target)
        else:
            Image.fromarray(turned_bytes(np.asarray(picture.convert("RGB")))).save(target, optimize=True)
    return target


def darken_svg(path: Path, target: Path) -> Path | None:
    """The same with every colour of an SVG; None for one that is dark already."""

    def dark(colour: re.Match) -> str:
        rgb = turned_bytes(np.array([int(colour[1][i : i + 2], 16) for i in (0, 2, 4)], dtype=np.uint8))
        return "#" + bytes(rgb).hex()

    text = path.read_text()
    if "#0d1117" in text:
        return None
    target.write_text(HEX.sub(dark, text))
    return target


def darken_gif(picture: Image.Image, target: Path) -> None:
    frames = [Image.fromarray(turned_bytes(np.asarray(f.convert("RGB")))) for f in ImageSequence.Iterator(picture)]
    times = [frame.info.get("duration", 100) for frame in ImageSequence.Iterator(picture)]
    few = [frame.quantize(64) for frame in frames]
    few[0].save(target, save_all=True, append_images=few[1:], duration=times, loop=picture.info.get("loop", 0))


def size_of(path: Path) -> tuple[int, int]:
    """Width and height."""
    if path.suffix == ".svg":
        head = path.read_text()[:2000]
        found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', head)
        assert found, f"{path.name}: no viewBox"
        return round(float(found[1])), round(float(found[2]))
    with Image.open(path) as picture:
        return picture.size


def copy_all(source: Path, target: Path) -> None:
    """All pictures of a folder, each with its dark version."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        if path.suffix in (".png", ".gif", ".svg"):
            shutil.copy(path, target)
            darken(target / path.name)


def with_pictures(text: str, folder: Path) -> str:
    """The page, which lies in ``folder``, with its pictures as HTML that knows light and dark, wide and narrow."""

    def html(match: re.Match) -> str:
        words, link = match.groups()
        path = folder / link
        if link.startswith("http") or not path.exists():
            return match[0]
        dark = path.with_stem(f"{path.stem}.dark")
        width, height = size_of(path)
        kind = "picture wide" if width > WIDE * height else "picture"
        kind += "" if dark.exists() or path.suffix == ".svg" else " card"
        size = f'alt="{words}" width="{width}" height="{height}" loading="lazy"'
        if not dark.exists():
            return f'<a class="{kind}" href="{link}"><img src="{link}" {size}></a>'
        dark_link = link.replace(path.name, dark.name)
        return (
            f'<a class="{kind}" href="{link}"><img class="by-day" src="{link}" {size}>'
            f'<img class="by-night" src="{dark_link}" {size}></a>'
        )

    return IMAGE.sub(html, text)
