"""The summary table."""

import mlx.core as mx
import pytest

import miniframe as mf


def test_shapes_parameters_and_multiply_adds_by_layer():
    model = mf.Sequential(mf.Flatten(), mf.Linear(784, 100), mf.ReLU(), mf.Linear(100, 10, bias=False))
    summary = model.summary((28, 28, 1))
    assert [row.output_shape for row in summary.rows] == [(784,), (100,), (100,), (10,)]
    assert [row.parameters for row in summary.rows] == [0, 78_500, 0, 1000]
    assert [row.multiply_adds for row in summary.rows] == [0, 78_400, 0, 1000]
    assert summary.parameters == summary.trainable == 79_500 and summary.multiply_adds == 79_400
    text = repr(summary)
    assert "Linear(784 -> 100)" in text and "78,500" in text and "(batch, 100)" in text
    assert len({len(line) for line in text.splitlines() if line.startswith("-")}) == 1


def test_a_shared_layer_counts_its_parameters_once():
    shared = mf.Linear(3, 3)
    summary = mf.Sequential(shared, mf.ReLU(), shared).summary((3,))
    assert [row.parameters for row in summary.rows] == [12, 0, 0] and summary.parameters == 12
    assert summary.multiply_adds == 18


def test_a_frozen_part_is_mentioned():
    model = mf.Sequential(mf.Linear(2, 3), mf.Linear(3, 1))
    model[0].freeze()
    summary = model.summary((2,))
    assert summary.trainable == 4 and "13 parameters, 9 of them frozen" in repr(summary)


def test_the_model_is_not_changed():
    model = mf.Sequential(mf.Linear(2, 3), mf.Dropout(0.5))
    state = mf.random.get_state()
    model.summary((2,))
    assert model.training and model[1].training and mf.random.get_state() == state


def test_composing_modules_are_listed_layer_by_layer():
    class Twice(mf.Module):
        def __init__(self):
            self.body = mf.Sequential(mf.Linear(4, 4), mf.Tanh())

        def forward(self, x):
            return self.body(x) + x

    summary = Twice().summary((4,))
    assert [row.name for row in summary.rows] == ["body.0", "body.1", "add"]
    assert summary.rows[-1].output_shape == (4,)


@pytest.mark.parametrize("shape", [2, (0,), (None, 2), (2.0,)])
def test_the_shape_must_be_that_of_one_sample(shape):
    with pytest.raises(ValueError, match="summary: expected the shape of one sample"):
        mf.Linear(2, 1).summary(shape)


def test_a_shape_that_does_not_fit_names_the_layer():
    with pytest.raises(ValueError, match=r"Linear\(2 -> 1\): expected input \(batch, 2\), got \(1, 3\)"):
        mf.Sequential(mf.Linear(2, 1)).summary((3,))


def test_integer_inputs_can_be_asked_for():
    class Lookup(mf.Identity):
        def forward(self, x):
            assert x.dtype == mx.int32
            return super().forward(x)

    assert Lookup().summary((5,), dtype=mx.int32).rows[0].output_shape == (5,)


class Gate(mf.Module):
    """A layer with several outputs inside a model: half of the features open the other half."""

    def __init__(self):
        self.first, self.last = mf.Linear(3, 8), mf.Linear(4, 2)

    def forward(self, x):
        values, gate = mf.split(self.first(x), 2, axis=1)
        return self.last(values * mf.Sigmoid()(gate))


def test_a_layer_with_several_outputs_shows_all_their_shapes():
    summary = Gate().summary((3,))
    assert [row.name for row in summary.rows] == ["first", "split", "sigmoid", "multiply", "last"]
    assert [row.output_shape for row in summary.rows] == [(8,), ((4,), (4,)), (4,), (4,), (2,)]
    assert (summary.parameters, summary.multiply_adds) == (3 * 8 + 8 + 4 * 2 + 2, 3 * 8 + 4 * 2)
    (line,) = [line for line in repr(summary).splitlines() if line.startswith("split")]
    assert "(batch, 4), (batch, 4)" in line


@pytest.mark.parametrize("sections, shapes", [(2, ((3, 5), (3, 5))), ([1], ((1, 5), (5, 5)))])
def test_such_a_layer_by_itself_and_at_the_end_of_a_graph(sections, shapes):
    (row,) = mf.layers.combine.Split(sections, axis=1).summary((6, 5)).rows
    assert row.output_shape == shapes and row.parameters == row.multiply_adds == 0
    x = mf.Input((6, 5))
    graph = mf.Graph(x, list(mf.split(x, sections, axis=1)))
    assert [row.output_shape for row in graph.summary((6, 5)).rows] == [shapes]
