"""Tables of one's own: class names that stay the same from file to file, and splits that keep the classes' shares."""

from collections import Counter

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe import datasets


def written(folder, text, name="data.csv"):
    (folder / name).write_text(text)
    return folder / name


def test_words_become_numbers_in_the_order_of_the_alphabet_and_are_shown(tmp_path):
    table = datasets.read_csv(written(tmp_path, 'a,b,kind\n1,2,dog\n3,4, "cat, big"\n\n5,6,dog\n'))
    x, y = table
    assert x.tolist() == [[1, 2], [3, 4], [5, 6]] and y.tolist() == [1, 0, 1]
    assert table.classes == ["cat, big", "dog"] and y.dtype == mx.int32 and x.dtype == mx.float32
    assert repr(table) == "Table(3 rows, 2 columns; classes 0 'cat, big' (1), 1 'dog' (2))"


def test_a_second_file_has_the_numbers_of_the_first(tmp_path):
    first = datasets.read_csv(written(tmp_path, "a,kind\n1,cat\n2,dog\n3,owl\n"))
    second = written(tmp_path, "a,kind\n1,owl\n2,dog\n", "second.csv")
    assert datasets.read_csv(second).y.tolist() == [1, 0], "by itself it would be read otherwise"
    again = datasets.read_csv(second, first.classes)
    assert again.y.tolist() == [2, 1] and again.classes == first.classes
    with pytest.raises(ValueError, match="unknown class 'dog' in line 3 of .*second.csv; known: owl, cat"):
        datasets.read_csv(second, ["owl", "cat"])


def test_numbers_stay_numbers(tmp_path):
    table = datasets.read_csv(written(tmp_path, "a,y\n1,0\n2,3\n"))
    assert table.y.tolist() == [0, 3] and table.classes == [] and repr(table) == "Table(2 rows, 1 columns)"
    assert datasets.read_csv(tmp_path / "data.csv", table.classes).y.tolist() == [0, 3]
    prices = datasets.read_csv(written(tmp_path, "a,y\n1,0.5\n2,3\n"))
    assert prices.y.tolist() == [0.5, 3] and prices.y.dtype == mx.float32


@pytest.mark.parametrize(
    "text, words",
    [
        ("a,b,y\n1,x,cat\n", "lines of numbers, in line 2 of .*only the label may be a word.*'x'"),
        ("a,b,y\n1,2,cat\n1,cat\n", "expected 3 columns in line 3 of .*, got 2"),
        ("a,y\n1,cat\n2,\n", "no label in line 3"),
        ("y\ncat\n", "expected at least 2 columns"),
    ],
)
def test_what_is_no_table_is_explained_with_its_line(tmp_path, text, words):
    with pytest.raises(ValueError, match=f"read_csv: .*{words}"):
        datasets.read_csv(written(tmp_path, text))


def test_a_split_is_repeatable_and_loses_nothing():
    x, y = mx.arange(20).reshape(10, 2), mx.arange(10)
    one, same, other = (datasets.train_test_split(x, y, test_size=0.3, seed=s) for s in (1, 1, 2))
    assert [len(a) for a in one] == [7, 3, 7, 3]
    assert all(mx.array_equal(a, b) for a, b in zip(one, same)) and not mx.array_equal(one[3], other[3])
    assert sorted(one[2].tolist() + one[3].tolist()) == list(range(10))
    assert mx.array_equal(one[0][:, 0], 2 * one[2]) and mx.array_equal(one[1][:, 0], 2 * one[3])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("test_size", [0.2, 0.25, 0.5])
def test_a_stratified_split_keeps_the_share_of_every_class(seed, test_size):
    y = np.array([0] * 70 + [1] * 20 + [2] * 10)
    for labels in (y, mf.one_hot(y, 3)):
        *_, train, test = datasets.train_test_split(np.arange(100), labels, test_size, seed, stratify=True)
        test = test if test.ndim == 1 else mx.argmax(test, axis=1)
        counts = Counter(test.tolist())
        for number, count in {0: 70, 1: 20, 2: 10}.items():
            assert abs(counts[number] - count * test_size) < 1
        assert len(train) + len(test) == 100


@pytest.mark.parametrize(
    "options, words",
    [
        ({"y": [0, 1]}, r"expected the same number of samples, got x \(6,\), y \(2,\)"),
        ({"test_size": 2}, "expected 0 < test_size < 1, a fraction of the samples, got 2"),
        ({"test_size": 0.01}, "leaves one part empty"),
        ({"y": [0, 0, 0, 0, 0, 1], "stratify": True}, "stratify=True needs every class in both parts"),
    ],
)
def test_impossible_splits_are_explained(options, words):
    with pytest.raises(ValueError, match=f"train_test_split: .*{words}"):
        datasets.train_test_split(**{"x": np.arange(6), "y": [0, 1] * 3, **options})
