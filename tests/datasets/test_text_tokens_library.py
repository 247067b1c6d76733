"""Byte-pair encoding beside the ``tokenizers`` library: the same tokens for any text, the same pairs learned."""

import json

import hypothesis
import hypothesis.strategies as st
import pytest

from miniframe.datasets import BytePairTokenizer, docs_text
from miniframe.datasets.text_tokens import BYTES, PIECES

tokenizers = pytest.importorskip("tokenizers")

LEARNED = docs_text()[:60_000]
SIZE = BYTES + 150


def letters():
    """The visible character that the library writes for each byte, by the rule of GPT-2."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(BYTES) if byte not in shown]
    return {byte: chr(byte if byte in shown else BYTES + hidden.index(byte)) for byte in range(BYTES)}


LETTERS = letters()


def empty(model):
    """The library's tokenizer, cutting texts where ours does."""
    found = tokenizers.Tokenizer(model)
    cut = tokenizers.pre_tokenizers.Split(tokenizers.Regex(PIECES.pattern), behavior="isolated")
    to_bytes = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    found.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([cut, to_bytes])
    found.decoder = tokenizers.decoders.ByteLevel()
    return found


def written(token):
    return "".join(LETTERS[byte] for byte in token)


@pytest.fixture(scope="module")
def ours():
    return BytePairTokenizer.learn(LEARNED, vocabulary_size=SIZE)


@pytest.fixture(scope="module")
def theirs(ours):
    """The library with our pairs and our numbers."""
    vocabulary = {written(token): number for number, token in enumerate(ours.table)}
    pairs = [(written(ours.table[a]), written(ours.table[b])) for a, b in ours.merges]
    return empty(tokenizers.models.BPE(vocab=vocabulary, merges=pairs))


@pytest.mark.parametrize("start", [0, 100_000, 300_000])
def test_real_text_gives_the_same_tokens(ours, theirs, start):
    text = docs_text()[start : start + 50_000]
    tokens = ours.encode(text).tolist()
    assert tokens == theirs.encode(text).ids and len(tokens) < 0.7 * len(text)
    assert theirs.decode(tokens) == ours.decode(tokens) == text


@hypothesis.settings(max_examples=200, deadline=None, derandomize=True)
@hypothesis.given(st.text(st.characters(codec="utf-8", categories=("Lu", "Ll", "Nd", "Po", "Sm", "Zs")), max_size=40))
def test_any_text_gives_the_same_tokens(ours, theirs, text):
    assert ours.encode(text).tolist() == theirs.encode(text).ids


def test_the_same_pairs_are_learned_in_the_same_order(ours):
    """Of two pairs that are equally frequent, the library takes another one first, which here is the 83rd pair."""
    found = empty(tokenizers.models.BPE())
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=SIZE, initial_alphabet=alphabet, show_progress=False)
    found.train_from_iterator([LEARNED], trainer)
    learned = [tuple(pair) for pair in json.loads(found.to_str())["model"]["merges"]]
    mine = [(written(ours.table[a]), written(ours.table[b])) for a, b in ours.merges]
    assert mine[:80] == learned[:80] and set(mine) == set(learned)
