"""The whole algorithm of a GPT on one page: data, tokens, model, training, writing. Everything else is speed.

    python tutorials/scripts/microgpt.py                # half a minute; then it invents words
    python tutorials/scripts/microgpt.py --steps 100    # a look

It learns how the words of Python's documentation are spelt, one word at a time, letter by letter, and writes new ones.
Each layer is a forward with its backward beside it in miniframe/layers, so that no derivative is hidden. A test does
the same with numbers one by one, an engine for single numbers in plain Python: the losses are the same.
"""

import argparse
import re

import mlx.core as mx

import miniframe as mf

WIDTH, HEADS, LAYERS, CONTEXT = 16, 4, 1, 16
END = 0  # the token before the first letter and behind the last one


# -------------------------------------------------------------------- data: words, and the tokens that they are made of


def words() -> list[str]:
    """The different words of Python's documentation, in small letters."""
    return sorted({word for word in re.findall(r"\b[a-z]{3,15}\b", mf.datasets.docs_text())})


def tokens_of(word: str) -> list[int]:
    """1 for a, 2 for b, ..., between two ends."""
    return [END, *(ord(letter) - ord("a") + 1 for letter in word), END]


def word_of(tokens: list[int]) -> str:
    return "".join(chr(token + ord("a") - 1) for token in tokens)


# -------------------------------------------------------------------- model: from letters so far to the next letter


class Block(mf.Module):
    """Look back (attention), then think (a perceptron at each place); both add to what is there.

    h = x + attention(norm(x)),    y = h + down(relu(up(norm(h))))
    """

    def __init__(self) -> None:
        self.norm1, self.norm2 = mf.RMSNorm(WIDTH), mf.RMSNorm(WIDTH)
        self.attention = mf.MultiHeadAttention(WIDTH, HEADS, causal=True, bias=False)
        self.up, self.down = mf.Linear(WIDTH, 4 * WIDTH, bias=False), mf.Linear(4 * WIDTH, WIDTH, bias=False)
        self.relu = mf.ReLU()

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(self.relu(self.up(self.norm2(x))))


class MicroGPT(mf.Module):
    """A vector for each letter plus one for its place, through the blocks, to a score for each next letter."""

    def __init__(self, vocabulary: int = 27) -> None:
        self.letters, self.places = mf.Embedding(vocabulary, WIDTH), mf.PositionEmbedding(CONTEXT, WIDTH)
        self.norm = mf.RMSNorm(WIDTH)
        self.blocks = mf.Sequential(*(Block() for _ in range(LAYERS)))
        self.head = mf.Linear(WIDTH, vocabulary, bias=False)
        for parameter in self.parameters():
            if len(parameter.shape) == 2:  # matrices and tables; the norms begin with ones
                parameter.value = mf.initializers.normal(parameter.shape, 0.08)

    def forward(self, x):
        return self.head(self.blocks(self.norm(self.places(self.letters(x)))))


# -------------------------------------------------------------------- training: a word, its loss, its gradient, a step


def train(model: MicroGPT, texts: list[str], steps: int, rate: float = 0.01):
    """The loss of every step: how surprised the model was by the letters of one word, in nats for each."""
    loss = mf.CrossEntropyLoss(model)
    optimizer = mf.Adam(model, lr=rate, betas=(0.85, 0.99))
    for step in range(steps):
        tokens = tokens_of(texts[step % len(texts)])
        x, y = mx.array([tokens[:-1]]), mx.array([tokens[1:]])  # every letter is asked for the next one
        optimizer.lr = rate * (1 - step / steps)
        value = loss(model(x), y)  # forward
        model.zero_grad()
        loss.backward()  # every layer's backward, last to first
        optimizer.step()
        yield value.item()


# -------------------------------------------------------------------- writing: a letter after the other


def write(model: MicroGPT, temperature: float, seed: int) -> str:
    """A new word: each letter drawn from the probabilities that the model gives to what may come next."""
    text, key = [END], mx.random.key(seed)
    while len(text) < CONTEXT:
        key, now = mx.random.split(key)
        logits = model.predict(mx.array([text]))[0, -1]
        letter = int(mx.random.categorical(logits / temperature, key=now))
        if letter == END:
            break
        text.append(letter)
    return word_of(text[1:])


def main(steps: int, seed: int) -> None:
    from tqdm import tqdm

    mf.seed(seed)
    known = words()
    order = mx.random.permutation(len(known), key=mx.random.key(seed)).tolist()
    model = MicroGPT()
    print(f"{len(known):,} words, {model.count_params():,} parameters")
    bar = tqdm(train(model, [known[k] for k in order], steps), total=steps)
    mean = 3.3
    for value in bar:
        mean += 0.02 * (value - mean)  # of some fifty words
        bar.set_postfix_str(f"loss {mean:.2f}", refresh=False)
    print(f"loss: {mean:.3f} nats a letter; all letters equally likely would be 3.296")
    invented = [write(model, 0.6, seed=k) for k in range(20)]
    print("it writes:", ", ".join(word + ("" if word in known else "*") for word in invented), "(* not in the text)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A GPT on one page.")
    parser.add_argument("--steps", type=int, default=3000, help="words to learn from (3000)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(arguments.steps, arguments.seed)
