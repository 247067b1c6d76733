"""Stand-ins for MLX's functions: in one thread only, and gone when the last is done."""

import threading
from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import pytest

from miniframe.backend.stand_ins import stand_ins

X = mx.array([0.25, 1.0, 4.0])


def one_more(old):
    return lambda x, *args, **options: old(x, *args, **options) + 1


EVERYWHERE = [(mx, "sqrt", one_more), (mx.array, "sqrt", one_more)]


def roots():
    assert mx.sqrt(X).tolist() == X.sqrt().tolist()
    return mx.sqrt(X).tolist()


@pytest.fixture(autouse=True)
def originals():
    before = mx.sqrt, mx.array.sqrt, mx.array.__getitem__
    yield
    assert (mx.sqrt, mx.array.sqrt, mx.array.__getitem__) == before


def test_functions_and_methods_are_replaced_for_the_moment_and_one_may_stand_in_for_another():
    with stand_ins(EVERYWHERE):
        assert roots() == [1.5, 2, 3]
        with stand_ins(EVERYWHERE):
            assert roots() == [2.5, 3, 4]
        assert roots() == [1.5, 2, 3]
    assert roots() == [0.5, 1, 2]


def test_other_threads_keep_the_originals():
    with stand_ins(EVERYWHERE), ThreadPoolExecutor(1) as pool:
        assert pool.submit(roots).result() == [0.5, 1, 2]
        assert roots() == [1.5, 2, 3]


def test_indexing_is_replaced_in_one_thread_only():
    def backwards(old):
        return lambda x, index: old(x, -1 - index)

    with stand_ins([(mx.array, "__getitem__", backwards)]), ThreadPoolExecutor(1) as pool:
        assert X[0].item() == 4
        assert pool.submit(lambda: X[0].item()).result() == 0.25
    assert X[0].item() == 0.25


def test_names_that_the_owner_lacks_are_left_out_and_an_error_puts_everything_back():
    with pytest.raises(KeyError), stand_ins([*EVERYWHERE, (mx, "no_such_function", one_more)]):
        assert not hasattr(mx, "no_such_function")
        raise KeyError
    assert roots() == [0.5, 1, 2]

    def refuse(old):
        raise KeyError

    with pytest.raises(KeyError), stand_ins([*EVERYWHERE, (mx, "exp", refuse)]):
        pass
    assert roots() == [0.5, 1, 2]


def test_threads_that_overlap_put_the_originals_back_whoever_is_last():
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()

    def first():
        with stand_ins(EVERYWHERE):
            first_in.set()
            assert second_in.wait(10) and roots() == [1.5, 2, 3]
        first_out.set()

    def second():
        assert first_in.wait(10)
        with stand_ins(EVERYWHERE):
            second_in.set()
            assert first_out.wait(10) and roots() == [1.5, 2, 3]
        return roots()

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.submit(first), pool.submit(second)
        one.result()
        assert other.result() == [0.5, 1, 2]


def test_many_threads_at_once():
    def switch(k):
        for _ in range(50):
            if k % 2:
                with stand_ins(EVERYWHERE):
                    assert roots() == [1.5, 2, 3]
            assert roots() == [0.5, 1, 2]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(switch, range(8)))
