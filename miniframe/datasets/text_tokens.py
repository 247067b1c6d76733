"""From text to numbers and back, by hand: one number for each character, or for each of the commonest pieces of words.

A tokenizer is a table of pieces of text, numbered from 0. ``encode`` cuts a text into such pieces and gives their
numbers, ``decode`` puts the pieces together again; decode(encode(text)) is text, whatever the text.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.words import quoted

Pair = tuple[int, int]
BYTES = 256
LONGEST = 2**16  # bytes of a token: a few pairs from a damaged file, each of two such pairs, would fill the memory
# words, numbers and signs, each with the space before it; then spaces, the last of which goes to what follows
PIECES = re.compile(r" ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+")


class Tokenizer:
    """What both tokenizers share: ``table[number]`` is the bytes that a token stands for."""

    table: list[bytes]

    @property
    def vocabulary_size(self) -> int:
        """How many tokens there are: the ``num_embeddings`` of an Embedding, the outputs of a model's last layer."""
        return len(self.table)

    def numbers(self, text: str) -> list[int]:
        """The text as a list of token numbers."""
        raise NotImplementedError

    def encode(self, text: str) -> mx.array:
        """The text as (length,) int32 token numbers."""
        if not isinstance(text, str):
            raise TypeError(f"{type(self).__name__}: expected text to encode, got {type(text).__name__}")
        return mx.array(np.array(self.numbers(text), dtype=np.int32))

    def decode(self, tokens: Any) -> str:
        """The text that token numbers stand for; bytes that are no text, which only a model writes, become �."""
        numbers = np.array(tokens)
        if numbers.size == 0:
            return ""
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
            raise ValueError(
                f"{type(self).__name__}: expected (length,) integers to decode, got shape {numbers.shape} of "
                f"{numbers.dtype}"
            )
        if numbers.min() < 0 or numbers.max() >= len(self.table):
            raise ValueError(
                f"{type(self).__name__}: expected tokens in 0..{len(self.table) - 1}, "
                f"got {numbers.min()}..{numbers.max()}"
            )
        return text_of(b"".join(self.table[number] for number in numbers.tolist()))

    def pieces(self, text: str) -> list[str]:
        """The text, cut where the tokenizer cuts it.

        >>> CharTokenizer("hello").pieces("hole")
        ['h', 'o', 'l', 'e']
        """
        return [text_of(self.table[number]) for number in self.numbers(text)]

    def description(self) -> dict[str, Any]:
        """What a file holds of it."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a JSON file, which ``load`` of its class reads."""
        text = json.dumps({"tokenizer": type(self).__name__, **self.description()})
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + "\n")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.vocabulary_size} tokens)"


class CharTokenizer(Tokenizer):
    """One token for each character that a text uses, in the order of their code points.

    Args:
        text: whose characters are the vocabulary.
        fallback: whether to have 256 more tokens, one for each byte, in which characters that the text does not use
            are written, as UTF-8. Without them, such a character is an error.

    >>> tokenizer = CharTokenizer("hello")
    >>> tokenizer.encode("hole").tolist(), tokenizer.vocabulary_size
    ([1, 3, 2, 0], 4)
    >>> tokenizer.decode([1, 0, 2, 2, 3])
    'hello'
    """

    def __init__(self, text: str, fallback: bool = False) -> None:
        if not text and not fallback:
            raise ValueError("CharTokenizer: expected a text with at least one character, got none")
        self.characters, self.fallback = "".join(sorted(set(text))), fallback
        self.number_of = {character: number for number, character in enumerate(self.characters)}
        self.table = [bytes_of(character) for character in self.characters]
        self.table += [bytes([byte]) for byte in range(BYTES)] if fallback else []

    def numbers(self, text: str) -> list[int]:
        if not self.fallback and (unknown := set(text) - set(self.number_of)):
            at = next(place for place, character in enumerate(text) if character in unknown)
            raise ValueError(
                f"{self!r}: expected the characters of its vocabulary, got {text[at]!r} at {at}; make the tokenizer "
                "from all the text, or with fallback=True"
            )
        found: list[int] = []
        for character in text:
            number = self.number_of.get(character)
            found += [number] if number is not None else [len(self.characters) + byte for byte in bytes_of(character)]
        return found

    def description(self) -> dict[str, Any]:
        return {"characters": self.characters, "fallback": self.fallback}

    @staticmethod
    def load(path: str | os.PathLike[str]) -> CharTokenizer:
        """The tokenizer that ``save`` wrote.

        Raises:
            ValueError: for a file that is none, naming it.
        """
        about = read_description(path, "CharTokenizer", {"characters": str, "fallback": bool})
        return CharTokenizer(about["characters"], about["fallback"])


class BytePairTokenizer(Tokenizer):
    """Byte-pair encoding: the commonest neighbours become one token, again and again.

    The first 256 tokens are the bytes, so that any text can be written. Token 256 + k stands for the two tokens of
    ``merges[k]``, one after the other. To learn, cut the text into words, write them as bytes, and, as often as there
    is room in the vocabulary, make a new token of the pair that is found most often (of equals, the pair with the
    smaller numbers). To encode a word, join what was learned first, then what was learned second, and so on. No token
    reaches beyond a word with the space before it. Gage 1994; Sennrich et al. 2016; on bytes as in GPT-2.

    Args:
        merges: the pairs, in the order in which they were learned; see ``learn``.

    >>> tokenizer = BytePairTokenizer.learn("aaabdaaabac", vocabulary_size=259)
    >>> tokenizer.pieces("aaabdaaabac"), tokenizer.merges
    (['aaab', 'd', 'aaab', 'a', 'c'], [(97, 97), (97, 98), (256, 257)])
    """

    def __init__(self, merges: Sequence[Pair] = ()) -> None:
        self.merges = [(int(first), int(second)) for first, second in merges]
        self.table = [bytes([byte]) for byte in range(BYTES)]
        for first, second in self.merges:
            if not (0 <= first < len(self.table) and 0 <= second < len(self.table)):
                raise ValueError(
                    f"BytePairTokenizer: expected pairs of earlier tokens, below {len(self.table)}, "
                    f"got {(first, second)}"
                )
            length = len(self.table[first]) + len(self.table[second])
            if length > LONGEST:
                raise ValueError(f"BytePairTokenizer: expected tokens of at most {LONGEST:,} bytes, got {length:,}")
            self.table.append(self.table[first] + self.table[second])
        self.rank = {pair: number for number, pair in enumerate(self.merges)}
        self._known: dict[str, list[int]] = {}  # words that were encoded before

    @staticmethod
    def learn(text: str, vocabulary_size: int = 512) -> BytePairTokenizer:
        """The tokenizer for a text; it has fewer tokens than asked for when no pair is left that occurs twice."""
        if vocabulary_size < BYTES:
            raise ValueError(f"BytePairTokenizer: expected vocabulary_size >= {BYTES} (bytes), got {vocabulary_size}")
        counted = Counter(PIECES.findall(text))
        return BytePairTokenizer(learned_merges({bytes_of(w): n for w, n in counted.items()}, vocabulary_size - BYTES))

    def numbers(self, text: str) -> list[int]:
        return [number for word in PIECES.findall(text) for number in self.word(word)]

    def word(self, word: str) -> list[int]:
        """The tokens of one word: of all pairs in it, join the one that was learned first, until none is known."""
        if word not in self._known:
            tokens = list(bytes_of(word))
            while pairs := [pair for pair in zip(tokens, tokens[1:]) if pair in self.rank]:
                pair = min(pairs, key=self.rank.__getitem__)
                tokens = joined(tokens, pair, BYTES + self.rank[pair])
            self._known[word] = tokens
        return self._known[word]

    def description(self) -> dict[str, Any]:
        return {"merges": self.merges}

    @staticmethod
    def load(path: str | os.PathLike[str]) -> BytePairTokenizer:
        """The tokenizer that ``save`` wrote.

        Raises:
            ValueError: for a file that is none, naming it.
        """
        merges = read_description(path, "BytePairTokenizer", {"merges": list})["merges"]
        if not all(isinstance(pair, list) and [type(number) for number in pair] == [int, int] for pair in merges):
            raise ValueError(f"{path}: the tokenizer is damaged: expected pairs of whole numbers as merges")
        try:
            return BytePairTokenizer(merges)
        except ValueError as error:
            raise ValueError(f"{path}: the tokenizer is damaged: {error}") from error


def learned_merges(words: Mapping[bytes, int], most: int) -> list[Pair]:
    """The pairs that become tokens 256, 257, ..., at most ``most``, from words and how often each occurs.

    Pairs are counted once; after that, only the words that hold the new token are counted again.

    >>> learned_merges({b"low": 5, b"lower": 2, b"newest": 6, b"widest": 3}, 3)  # es, est, lo
    [(101, 115), (256, 116), (108, 111)]
    """
    spelt = {word: list(word) for word in words}
    counts: Counter[Pair] = Counter()
    holders: defaultdict[Pair, set[bytes]] = defaultdict(set)
    for word, tokens in spelt.items():
        for pair in zip(tokens, tokens[1:]):
            counts[pair] += words[word]
            holders[pair].add(word)
    merges: list[Pair] = []
    while len(merges) < most and counts:
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        if counts[best] < 2:
            break
        for word in holders.pop(best):
            before = spelt[word]
            after = spelt[word] = joined(before, best, BYTES + len(merges))
            for pair in zip(before, before[1:]):
                counts[pair] -= words[word]
            for pair in zip(after, after[1:]):
                counts[pair] += words[word]
                holders[pair].add(word)
        counts += Counter()  # drops what is at zero
        merges.append(best)
    return merges


def joined(tokens: Sequence[int], pair: Pair, new: int) -> list[int]:
    """The tokens with every such pair, from the left, replaced by the new one.

    >>> joined([1, 1, 1, 2], (1, 1), 9)
    [9, 1, 2]
    """
    found: list[int] = []
    place = 0
    while place < len(tokens):
        is_pair = tuple(tokens[place : place + 2]) == pair
        found.append(new if is_pair else tokens[place])
        place += 2 if is_pair else 1
    return found


def bytes_of(text: str) -> bytes:
    """UTF-8, for half a surrogate pair, too, which is no text but may be in a str."""
    return text.encode("utf-8", "surrogatepass")


def text_of(data: bytes) -> str:
    """The text that these bytes are; where they are none, it has a � instead."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def read_description(path: str | os.PathLike[str], kind: str, fields: Mapping[str, type]) -> dict[str, Any]:
    """What a file says about a tokenizer of this kind, with these fields of these types."""
    try:
        with open(path, encoding="utf-8") as file:
            about = json.load(file)
    except (ValueError, RecursionError) as error:  # JSON's and UTF-8's own
        raise ValueError(f"{path}: expected the JSON file of a {kind}, got none ({error})") from error
    if not isinstance(about, dict) or about.get("tokenizer") != kind:
        got = about.get("tokenizer") if isinstance(about, dict) else type(about).__name__
        raise ValueError(f"{path}: expected the file of a {kind}, got that of {quoted(got)}")
    wrong: Iterable[str] = (name for name, cls in fields.items() if type(about.get(name)) is not cls)
    if names := ", ".join(wrong):
        raise ValueError(f"{path}: the tokenizer is damaged: {names} should be there, of the right type")
    return about
