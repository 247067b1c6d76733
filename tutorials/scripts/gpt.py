"""A GPT for characters that trains on a CPU, and writes documentation.

    python tutorials/scripts/gpt.py                     # some minutes; samples while it learns
    python tutorials/scripts/gpt.py --steps 200         # a look
    python tutorials/scripts/gpt.py --text poems.txt    # on a text of your own
    python tutorials/scripts/gpt.py --alone             # without the recurrent network to compare it with

The text is the documentation that every Python carries, so nothing is downloaded. A tenth of it is held out. The loss
there, in nats for each character, stands beside those of a table of pairs of characters and of a recurrent network
with as many parameters that took the same batches; the curves of both are drawn in gpt.png.
"""

import argparse
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe import datasets
from miniframe.plots.canvas import clean, legend, sheet

CONTEXT, BATCH, RATE = 128, 16, 6e-3


def pairs_loss(train: np.ndarray, held_out: np.ndarray, vocabulary: int) -> float:
    """Nats for each character of a table that knows how often each character followed each other one."""
    counts = np.ones((vocabulary, vocabulary))  # as if every pair had been seen once
    np.add.at(counts, (train[:-1], train[1:]), 1)
    probabilities = counts / counts.sum(axis=1, keepdims=True)
    return float(-np.log(probabilities[held_out[:-1], held_out[1:]]).mean())


def recurrent(vocabulary: int, size: int) -> mf.Module:
    """The smallest recurrent network, in steps of 8 hidden units, that has at least so many parameters."""
    models = (mf.models.CharRNN(vocabulary, 64, hidden) for hidden in itertools.count(8, 8))
    return next(model for model in models if model.count_params() >= size)


class Windows:
    """An epoch of random windows, other ones in every epoch."""

    def __init__(self, tokens: mx.array, steps: int) -> None:
        self.tokens, self.steps = tokens, steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[mx.array, mx.array]]:
        return (datasets.random_windows(self.tokens, CONTEXT, BATCH) for _ in range(self.steps))


class Samples(mf.Callback):
    """Shows after every epoch what the model writes by now."""

    def __init__(self, tokenizer: datasets.CharTokenizer, prompt: str, length: int) -> None:
        self.tokenizer, self.prompt, self.length = tokenizer, prompt, length

    def on_epoch_end(self, epoch, logs=None):
        print(f"\n--- after epoch {epoch + 1}\n{self.written(self.model)}\n---", flush=True)

    def written(self, model) -> str:
        tokens = model.generate(self.tokenizer.encode(self.prompt), self.length, temperature=0.8, seed=0)
        return self.tokenizer.decode(tokens)


def trained(model: mf.Module, train, held_out, steps: int, epochs: int, seed: int, samples: Samples) -> dict:
    """Its size, the held-out loss after every epoch, and how long it took."""
    mf.seed(seed)  # the same batches for each model
    rate = mf.schedules.warmup(mf.schedules.cosine(RATE, steps=steps), steps=max(1, min(100, steps // 10)))
    optimizer = mf.AdamW(model, lr=rate, betas=(0.9, 0.99), weight_decay=0.25, clip_norm=1.0)
    start = time.perf_counter()
    history = model.fit(
        Windows(train, steps // epochs),
        loss="cross_entropy",
        optimizer=optimizer,
        epochs=epochs,
        validation_data=datasets.windows(held_out, CONTEXT),
        callbacks=[samples],
        seed=seed,
    )
    seconds = time.perf_counter() - start
    print(f"{seconds:.0f} s of training, {steps * BATCH * CONTEXT / seconds:,.0f} characters a second", flush=True)
    losses = history.history
    return {
        "parameters": model.count_params(), "seconds": round(seconds, 1), "steps each": steps // epochs,
        "loss": losses["loss"], "held out": losses["val_loss"], "sample": samples.written(model),
    }  # fmt: skip


def drawn(results: dict[str, dict], pairs: float):
    """The held-out losses while the models learn, above the line that a table of pairs reaches."""
    figure, axes = sheet(1, 1, (7.2, 4.2))
    ax = axes[0, 0]
    for color, marker, (name, found) in zip(("#c4452d", "#2d6cc4"), "os", results.items()):
        steps = found["steps each"] * np.arange(1, len(found["held out"]) + 1)
        label = f"{name}, {found['parameters']:,} parameters"
        ax.plot(steps, found["held out"], f"{marker}-", color=color, label=label)
    ax.axhline(pairs, color="#777777", linestyle="--", label="table of pairs of characters")
    ax.set_xlabel(f"training steps, {BATCH} windows of {CONTEXT} characters each")
    ax.set_ylabel("held-out loss, nats a character")
    clean(ax)
    legend(ax)
    return figure


def main(arguments: argparse.Namespace) -> None:
    mf.seed(arguments.seed)
    text = datasets.read_text(arguments.text) if arguments.text else datasets.docs_text()
    tokenizer = datasets.CharTokenizer(text)
    train, held_out = datasets.hold_out(tokenizer.encode(text))
    vocabulary = tokenizer.vocabulary_size
    models = {"GPT": mf.models.GPT(vocabulary, CONTEXT, embed_dim=96, num_heads=4, num_layers=4, rotary=True)}
    if not arguments.alone:
        models["LSTM"] = recurrent(vocabulary, models["GPT"].count_params())
    print(f"{len(text):,} characters, {vocabulary} different ones")
    pairs = pairs_loss(np.array(train), np.array(held_out), vocabulary)
    results = {}
    for name, model in models.items():
        print(f"\n{name}: {model.count_params():,} parameters", flush=True)
        samples = Samples(tokenizer, text[:1], 200)
        results[name] = trained(model, train, held_out, arguments.steps, arguments.epochs, arguments.seed, samples)
        if arguments.json:
            Path(arguments.json).write_text(json.dumps({"table of pairs": pairs, "models": results}, indent=1) + "\n")
    print(f"\n{'held-out loss, nats a character':<32} {'parameters':>12} {'loss':>7}")
    print(f"{'table of pairs':<32} {vocabulary**2:>12,} {pairs:>7.3f}")
    for name, found in reversed(results.items()):
        print(f"{name:<32} {found['parameters']:>12,} {found['held out'][-1]:>7.3f}")
    drawn(results, pairs).savefig(arguments.picture, dpi=150)
    print(f"\nthe curves: {arguments.picture}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train a small GPT on the documentation of Python.")
    parser.add_argument("--steps", type=int, default=2000, help="training steps in all (2000)")
    parser.add_argument("--epochs", type=int, default=5, help="how often it is looked at in between (5)")
    parser.add_argument("--text", help="a text file to learn from instead")
    parser.add_argument("--alone", action="store_true", help="without the recurrent network")
    parser.add_argument("--picture", default="gpt.png", help="where the curves go (gpt.png)")
    parser.add_argument("--json", help="a file for the numbers")
    parser.add_argument("--seed", type=int, default=0)
    main(parser.parse_args())
