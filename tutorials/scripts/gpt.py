"""A GPT for characters that trains on a CPU, and writes documentation.

    python tutorials/scripts/gpt.py                     # some minutes; samples while it learns
    python tutorials/scripts/gpt.py --steps 200         # a look
    python tutorials/scripts/gpt.py --text poems.txt    # on a text of your own

The text is the documentation that every Python carries, so nothing is downloaded. A tenth of it is held out, and the
loss there, in nats for each character, stands beside that of a table of pairs of characters.
"""

import argparse
import time

import numpy as np

import miniframe as mf
from miniframe import datasets

CONTEXT, BATCH, RATE = 64, 32, 3e-3


def pairs_loss(train: np.ndarray, held_out: np.ndarray, vocabulary: int) -> float:
    """Nats for each character of a table that knows how often each character followed each other one."""
    counts = np.ones((vocabulary, vocabulary))  # as if every pair had been seen once
    np.add.at(counts, (train[:-1], train[1:]), 1)
    probabilities = counts / counts.sum(axis=1, keepdims=True)
    return float(-np.log(probabilities[held_out[:-1], held_out[1:]]).mean())


class Samples(mf.Callback):
    """Shows after every epoch what the model writes by now."""

    def __init__(self, tokenizer: datasets.CharTokenizer, prompt: str, length: int) -> None:
        self.tokenizer, self.prompt, self.length = tokenizer, prompt, length

    def on_epoch_end(self, epoch, logs=None):
        print(f"\n--- after epoch {epoch + 1}\n{self.written(self.model)}\n---", flush=True)

    def written(self, model) -> str:
        tokens = model.generate(self.tokenizer.encode(self.prompt), self.length, temperature=0.8, seed=0)
        return self.tokenizer.decode(tokens)


def main(steps: int, epochs: int, path: str | None, seed: int) -> None:
    mf.seed(seed)
    text = datasets.read_text(path) if path else datasets.docs_text()
    tokenizer = datasets.CharTokenizer(text)
    train, held_out = datasets.hold_out(tokenizer.encode(text))
    model = mf.models.GPT(tokenizer.vocabulary_size, CONTEXT, embed_dim=96, num_heads=4, num_layers=4)
    size = sum(parameter.size for parameter in model.parameters())
    print(f"{len(text):,} characters, {tokenizer.vocabulary_size} different ones; {size:,} parameters")
    rate = mf.schedules.warmup(mf.schedules.cosine(RATE, steps=steps), steps=max(1, min(100, steps // 10)))
    optimizer = mf.AdamW(model, lr=rate, betas=(0.9, 0.99), weight_decay=0.1, clip_norm=1.0)
    start = time.perf_counter()
    history = model.fit(
        lambda: (datasets.random_windows(train, CONTEXT, BATCH) for _ in range(steps // epochs)),
        loss="cross_entropy",
        optimizer=optimizer,
        epochs=epochs,
        validation_data=datasets.windows(held_out, CONTEXT),
        callbacks=[Samples(tokenizer, text[:1], 200)],
        seed=seed,
    )
    seconds = time.perf_counter() - start
    pairs = pairs_loss(np.array(train), np.array(held_out), tokenizer.vocabulary_size)
    print(f"{seconds:.0f} s of training, {steps * BATCH * CONTEXT / seconds:,.0f} characters a second")
    print(f"held-out loss: {history.history['val_loss'][-1]:.3f} nats a character; table of pairs: {pairs:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train a small GPT on the documentation of Python.")
    parser.add_argument("--steps", type=int, default=1100, help="training steps in all (1100)")
    parser.add_argument("--epochs", type=int, default=5, help="how often it is looked at in between (5)")
    parser.add_argument("--text", help="a text file to learn from instead")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(arguments.steps, arguments.epochs, arguments.text, arguments.seed)
