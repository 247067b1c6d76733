"""Tokenizers: any text comes back from its tokens, merges are those computed by hand, files hold all there is."""

import copy
import json
import pickle
import string

import hypothesis.strategies as st
import mlx.core as mx
import pytest
from hypothesis import given, settings

from miniframe.datasets import BytePairTokenizer, CharTokenizer, docs_text
from miniframe.datasets.text_tokens import PIECES, learned_merges

DOCS = docs_text()
PAIRS = BytePairTokenizer.learn(DOCS[:50_000], 400)
CHARACTERS = CharTokenizer(DOCS, fallback=True)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)  # half surrogate pairs and all
NEAR_TEXT = st.text(st.sampled_from(" \n_-.'" + string.ascii_letters + "0123456789äß½²😀\u0301\x00"), max_size=60)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.one_of(ANY_TEXT, NEAR_TEXT))
def test_any_text_comes_back(text):
    for tokenizer in (PAIRS, CHARACTERS, BytePairTokenizer(), CharTokenizer("", fallback=True)):
        tokens = tokenizer.encode(text)
        assert tokens.dtype == mx.int32 and tokenizer.decode(tokens) == text
        assert tokenizer.decode(tokens.tolist()) == text
        assert sum(len(piece.encode("utf-8", "surrogatepass")) for piece in tokenizer.pieces(text)) >= len(text)
    assert "".join(PIECES.findall(text)) == text


def test_a_whole_corpus_comes_back_with_fewer_tokens():
    tokens = PAIRS.encode(DOCS)
    assert PAIRS.decode(tokens) == DOCS and tokens.size < 0.6 * len(DOCS)
    assert CharTokenizer(DOCS).decode(CharTokenizer(DOCS).encode(DOCS)) == DOCS


# -------------------------------------------------------------------- characters


def test_characters_are_numbered_in_the_order_of_their_code_points():
    tokenizer = CharTokenizer("cabbage")
    assert tokenizer.characters == "abceg" and tokenizer.vocabulary_size == 5
    assert tokenizer.encode("bag").tolist() == [1, 0, 4] and tokenizer.pieces("bag") == ["b", "a", "g"]
    assert repr(tokenizer) == "CharTokenizer(5 tokens)"


def test_with_the_fallback_unknown_characters_are_bytes():
    tokenizer = CharTokenizer("ab", fallback=True)
    assert tokenizer.vocabulary_size == 258 and tokenizer.encode("aé").tolist() == [0, 2 + 0xC3, 2 + 0xA9]


# -------------------------------------------------------------------- byte pairs, computed by hand


def test_the_example_of_gages_article():
    """aaabdaaabac, Z = aa: ZabdZabac, Y = ab: ZYdZYac, X = ZY: XdXac, and no pair is left twice."""
    tokenizer = BytePairTokenizer.learn("aaabdaaabac", vocabulary_size=1000)
    assert tokenizer.merges == [(97, 97), (97, 98), (256, 257)]
    assert tokenizer.encode("aaabdaaabac").tolist() == [258, 100, 258, 97, 99]


def test_the_example_of_sennrichs_article():
    """low 5, lower 2, newest 6, widest 3.

    e s: 9, s t: 9, w e: 8, l o: 7, o w: 7 -> es, then es t: 9 -> est; then w e: newest has no w e s t any more but
    w est: 6, lower 2; l o and o w: 7 -> lo, as l comes before o; lo w: 7 -> low; then n e, e w, w est: 6 each, e w
    with the smallest numbers.
    """
    words = {b"low": 5, b"lower": 2, b"newest": 6, b"widest": 3}
    names = {number: chr(number) for number in range(256)}
    found = []
    for number, (a, b) in enumerate(learned_merges(words, 5), start=256):
        names[number] = names[a] + names[b]
        found.append(names[number])
    assert found == ["es", "est", "lo", "low", "ew"]


def test_what_was_learned_first_is_joined_first():
    """Merges ab, bc, abc: in abc, a b is joined before b c could be; xbc holds b c only."""
    tokenizer = BytePairTokenizer([(97, 98), (98, 99), (256, 99)])
    assert tokenizer.pieces("abc") == ["abc"] and tokenizer.pieces("xbc") == ["x", "bc"]
    assert BytePairTokenizer([(98, 99), (97, 98)]).pieces("abc") == ["a", "bc"]
    assert BytePairTokenizer([(97, 97)]).pieces("aaaaa") == ["aa", "aa", "a"]


def naive_merges(text, most):
    """The same, counted anew for every merge."""
    words = [list(word.encode()) for word in PIECES.findall(text)]
    merges = []
    while len(merges) < most:
        counts = {}
        for word in words:
            for pair in zip(word, word[1:]):
                counts[pair] = counts.get(pair, 0) + 1
        best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if best is None or counts[best] < 2:
            break
        for word in words:
            place = 0
            while place < len(word) - 1:
                if (word[place], word[place + 1]) == best:
                    word[place : place + 2] = [256 + len(merges)]
                place += 1
        merges.append(best)
    return merges


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(st.sampled_from("aab c\n"), max_size=80))
def test_learning_agrees_with_counting_everything_anew(text):
    assert BytePairTokenizer.learn(text, 270).merges == naive_merges(text, 14)


def test_learning_agrees_with_counting_anew_on_real_text():
    assert BytePairTokenizer.learn(DOCS[:3000], 300).merges == naive_merges(DOCS[:3000], 44)


def test_no_token_reaches_beyond_a_word():
    assert PIECES.findall("It's 3 cats,  two\n\n dogs_and") == [
        "It", "'", "s", " 3", " cats", ",", " ", " two", "\n\n", " dogs", "_", "and"
    ]  # fmt: skip
    tokenizer = BytePairTokenizer.learn("ab ab ab ab ab", 1000)
    assert tokenizer.pieces("ab ab") == ["ab", " ab"]


def test_tokens_that_are_no_text_are_shown_as_such():
    assert BytePairTokenizer().decode([0x61, 0xC3, 0x62]) == "a�b" and BytePairTokenizer().decode([]) == ""


# -------------------------------------------------------------------- files and copies


@pytest.mark.parametrize("tokenizer", [PAIRS, CHARACTERS, CharTokenizer("ab\n😀")], ids=repr)
def test_a_file_or_a_copy_is_the_same_tokenizer(tokenizer, tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    for twin in (type(tokenizer).load(path), copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert twin.table == tokenizer.table and twin.encode("ab😀").tolist() == tokenizer.encode("ab😀").tolist()
    assert json.loads(path.read_text(encoding="utf-8"))["tokenizer"] == type(tokenizer).__name__


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "expected the JSON file of a BytePairTokenizer, got none"),
        ("[" * 100_000, "expected the JSON file of a BytePairTokenizer, got none"),
        ('{"tokenizer": "CharTokenizer"}', "expected the file of a BytePairTokenizer, got that of 'CharTokenizer'"),
        ("[1]", "expected the file of a BytePairTokenizer, got that of 'list'"),
        ('{"tokenizer": "BytePairTokenizer"}', "damaged: merges should be there, of the right type"),
        ('{"tokenizer": "BytePairTokenizer", "merges": [[1, "2"]]}', "damaged: expected pairs of whole numbers"),
        ('{"tokenizer": "BytePairTokenizer", "merges": [[1, 256]]}', "damaged: .* pairs of earlier tokens, below 256"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, message):
    path = tmp_path / "damaged.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"damaged.json: .*{message}|damaged.json: {message}"):
        BytePairTokenizer.load(path)


def test_a_file_that_would_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / "bomb.json"
    merges = [[97, 97], *([256 + k, 256 + k] for k in range(60))]
    path.write_text(json.dumps({"tokenizer": "BytePairTokenizer", "merges": merges}))
    with pytest.raises(ValueError, match="bomb.json: .* expected tokens of at most 65,536 bytes, got 131,072"):
        BytePairTokenizer.load(path)


@pytest.mark.parametrize(
    "use, error, message",
    [
        (lambda: CharTokenizer(""), ValueError, "CharTokenizer: expected a text with at least one character"),
        (lambda: CharTokenizer("ab").encode("abcd"), ValueError, r"CharTokenizer\(2 tokens\): .* got 'c' at 2; make"),
        (lambda: CharTokenizer("ab").encode(["a"]), TypeError, "CharTokenizer: expected text to encode, got list"),
        (lambda: CharTokenizer("ab").decode([0, 2]), ValueError, r"CharTokenizer: expected tokens in 0..1, got 0..2"),
        (lambda: CharTokenizer("ab").decode([0.5]), ValueError, r"expected \(length,\) integers to decode, got shape"),
        (lambda: BytePairTokenizer.learn("ab", 100), ValueError, r"expected vocabulary_size >= 256 \(bytes\), got 100"),
    ],
)
def test_unsuitable_texts_and_tokens_are_refused(use, error, message):
    with pytest.raises(error, match=message):
        use()
