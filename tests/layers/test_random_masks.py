"""Random masks: the same for a sample, whether it comes with its whole batch or in a part of it."""

import mlx.core as mx
import pytest

import miniframe as mf
from miniframe.layers.random_masks import PartsOfBatch, random_mask

STREAMS = [mx.default_stream(mx.cpu), mx.new_stream(mx.cpu)]


def whole(*shapes):
    mf.seed(3)
    return [random_mask(0.5, shape) for shape in shapes], mf.random.get_state()


def in_parts(ends, *shapes):
    """The masks of each part, for shapes as functions of the number of samples."""
    mf.seed(3)
    parts, found = PartsOfBatch(ends[-1], STREAMS), []
    for start, stop in zip(ends, ends[1:]):
        with parts.part(start, stop):
            found.append([random_mask(0.5, shape(stop - start)) for shape in shapes])
    return found, mf.random.get_state()


@pytest.mark.parametrize("ends", [[0, 2, 5, 7], [0, 1, 7], [0, 7]])
def test_the_parts_of_a_batch_have_its_rows(ends):
    masks, state = whole((7,), (7, 3, 2), (28, 5))
    found, other_state = in_parts(ends, lambda n: (n,), lambda n: (n, 3, 2), lambda n: (n * 4, 5))
    for mask, parts in zip(masks, zip(*found)):
        assert mx.array_equal(mx.concatenate(list(parts)), mask)
    assert state == other_state


@pytest.mark.parametrize("shape", [(), (1, 5), (3,)])
def test_a_mask_that_is_not_of_samples_is_the_same_for_all(shape):
    (mask, _), state = whole(shape, (7, 2))
    found, other_state = in_parts([0, 2, 5, 7], lambda n: shape, lambda n: (n, 2))
    assert all(mx.array_equal(part, mask) for part, _ in found) and state == other_state


def test_a_part_that_draws_otherwise_than_the_first_one_draws_for_itself():
    found, _ = in_parts([0, 2, 7], lambda n: (24, 3), lambda n: (n, 2))  # 24 places look like 12 for each of 2 samples
    assert [[mask.shape for mask in part] for part in found] == [[(24, 3), (2, 2)], [(24, 3), (5, 2)]]
    parts = PartsOfBatch(4, STREAMS)
    with parts.part(0, 2):
        random_mask(0.5, (2, 3))
    with parts.part(2, 4):
        assert [random_mask(0.5, (2, 3)).shape for _ in range(2)] == [(2, 3), (2, 3)]


def test_after_a_part_comes_a_whole_batch_even_where_the_part_failed():
    with pytest.raises(RuntimeError), PartsOfBatch(4, STREAMS).part(0, 2):
        raise RuntimeError
    assert random_mask(0.5, (2, 3)).shape == (2, 3)
