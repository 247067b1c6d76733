"""Recorded calls: modules that only compose others get their backward, and nothing is kept under no_grad."""

import copy
import gc
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import numpy as np
import pytest
from harness import by_differences, by_mx_grad, close, normal

import miniframe as mf
from miniframe import Linear, ReLU, Sequential, Tanh, Variable
from miniframe.core.cells import EMPTY
from miniframe.core.node import FORGOTTEN


def array(*shape, seed=0):
    return mx.array(normal(*shape, seed=seed).astype(np.float32))


class Gated(mf.Module):
    """Composes layers and operations only."""

    def __init__(self):
        self.values, self.gate, self.out = Linear(3, 4), Sequential(Linear(3, 4), mf.Sigmoid()), Linear(4, 2)

    def forward(self, x):
        return self.out(Tanh()(self.values(x)) * self.gate(x) + 0.5)


class TwoEnds(mf.Module):
    """Two inputs, two outputs."""

    def __init__(self):
        self.a, self.b = Linear(2, 3), Linear(4, 3)

    def forward(self, x, y):
        h = self.a(x) + self.b(y)
        return h, Tanh()(h)


def example():
    x, y, z = Variable(-2.0, name="x"), Variable(5.0), Variable(-4.0)
    return x, y, z, (x + y) * z


def test_an_unrolled_recurrent_cell_shares_its_weights():
    class Recurrent(mf.Module):
        def __init__(self):
            self.enter, self.again = Linear(2, 3), Linear(3, 3, bias=False)

        def forward(self, x):
            h = self.enter(x[:, 0])
            for t in range(1, 4):
                h = Tanh()(self.enter(x[:, t]) + self.again(h))
            return h

    model = Recurrent()
    by_differences(model, normal(5, 4, 2))
    by_mx_grad(model, normal(5, 4, 2))
    sequence = Variable(array(4, 2))
    close(sum(list(sequence), Variable(mx.zeros(2))).value, sequence.value.sum(axis=0))


@pytest.mark.parametrize("batch", [1, 5])
def test_a_module_that_only_composes_gets_its_backward(batch):
    by_differences(Gated(), normal(batch, 3))
    by_mx_grad(Gated(), normal(batch, 3))
    by_differences(Sequential(Linear(2, 3), Gated(), ReLU()), normal(batch, 2))


def test_a_composing_module_with_two_inputs_and_outputs():
    model = TwoEnds()
    out = model(array(5, 2), array(5, 4))
    assert [o.shape for o in out] == [(5, 3), (5, 3)]
    grads = model.backward((mx.ones((5, 3)), mx.zeros((5, 3))))
    assert [g.shape for g in grads] == [(5, 2), (5, 4)]
    close(grads[0], mx.broadcast_to(model.a.weight.value.sum(axis=0), (5, 2)))
    with pytest.raises(ValueError, match="expected a tuple of 2 gradients"):
        model.backward(mx.ones((5, 3)))


def test_graph_sequential_and_custom_module_give_identical_numbers():
    layers = [Linear(4, 5), Tanh(), Linear(5, 5), ReLU(), Linear(5, 2)]

    class Custom(mf.Module):
        def __init__(self):
            self.layers = layers

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    start = mf.Input((4,))
    models = [Sequential(*layers), Custom(), mf.Graph(start, Sequential(*layers)(start))]
    data, target = array(6, 4), array(6, 2, seed=1)
    results = []
    for model in models:
        loss = mf.MSELoss(model)
        value = loss(model(data), target)
        model.zero_grad()
        results.append([value, loss.backward(), *[p.grad for p in model.parameters()]])
    for result in results[1:]:
        assert all(mx.array_equal(a, b) for a, b in zip(results[0], result, strict=True))


def test_a_custom_module_trains_compiled_as_it_does_by_hand():
    mf.seed(1)
    first = Gated()
    mf.seed(1)
    second = Gated()
    data, target = array(20, 3), array(20, 2, seed=1)
    for model, compiled in ((first, True), (second, False)):
        history = model.fit(data, target, loss="mse", optimizer=mf.SGD(model, lr=0.1), epochs=5, batch_size=10, seed=0,
                            verbose=0, compile=compiled)  # fmt: skip
        assert history.history["loss"][-1] < history.history["loss"][0]
    for p, q in zip(first.parameters(), second.parameters()):
        close(p.value, q.value)


def test_freezing_a_layer_lets_the_gradient_through():
    model = Gated()
    model.out.freeze()
    model(array(5, 3))
    dx = model.backward(mx.ones((5, 2)))
    assert model.out.weight.grad is None and model.out.bias.grad is None
    assert mx.abs(model.values.weight.grad).sum() > 0 and mx.abs(dx).sum() > 0


def test_a_chain_of_a_thousand_layers():
    layers = [Linear(2, 2) for _ in range(1000)]
    for layer in layers:
        layer.weight.value, layer.bias.value = mx.eye(2), mx.zeros(2)

    class Chain(mf.Module):
        def __init__(self):
            self.layers = layers

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    model = Chain()
    close(model(mx.ones((1, 2))), [[1, 1]])
    close(model.backward(mx.ones((1, 2))), [[1, 1]])


def test_memory_is_flat_under_no_grad():
    model = Gated()
    x = array(2, 3)

    def calls(count):
        for _ in range(count):
            mx.eval(model(x))
            mx.eval((Variable(x) * 2).sum().value)

    with mf.no_grad():
        calls(100)
        gc.collect()
        arrays, objects = mx.get_active_memory(), len(gc.get_objects())
        tracemalloc.start()
        calls(10_000)
        gc.collect()
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert mx.get_active_memory() <= arrays
        assert len(gc.get_objects()) <= objects + 50
        assert grown < 50_000


def test_backward_under_no_grad_is_a_clear_error():
    model = Gated()
    with mf.no_grad():
        f = (Variable(2.0) * 3).exp()
        left, _ = mf.split(Variable(mx.ones(4)), 2)
        model(array(2, 3))
    with pytest.raises(RuntimeError, match="nothing was recorded under no_grad, so there is no backward"):
        f.backward()
    with pytest.raises(RuntimeError, match="nothing was recorded under no_grad"):
        left.backward(mx.ones(2))
    with pytest.raises(RuntimeError, match=r"Gated\(\): backward needs a forward first \(and not under no_grad\)"):
        model.backward(mx.ones((2, 2)))


def test_what_was_computed_under_no_grad_is_a_constant_afterwards():
    x = Variable(2.0)
    with mf.no_grad():
        fixed = x * 3
    f = fixed * x
    f.backward()
    assert x.grad.item() == 6 and fixed.grad.item() == 2


def recording():
    """Whether a forward keeps something for backward, on arrays and on nodes."""
    layer = Linear(2, 2)
    layer(mx.ones((1, 2)))
    kept = layer._saved is not EMPTY
    assert kept == (layer(Variable(mx.ones((1, 2)))).saved is not FORGOTTEN)
    return kept


def elsewhere(function):
    """What a function returns in another thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_no_grad_holds_for_its_own_thread():
    with mf.no_grad():
        assert not recording() and elsewhere(recording)
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with mf.no_grad():
            inside.set()
            leave.wait(10)
            return recording()

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(stay)
        assert inside.wait(10) and recording()
        leave.set()
        assert not other.result() and pool.submit(recording).result()
    assert recording()


def test_one_no_grad_can_be_entered_again_inside_of_itself_and_by_several_threads():
    quiet = mf.no_grad()
    for _ in range(2):
        with quiet:
            with quiet:
                assert not recording()
            assert not recording()
        assert recording()

    def inside():
        with quiet:
            return recording()

    with quiet:
        assert not elsewhere(inside) and not recording()
    assert recording() and elsewhere(recording)


def test_generators_may_leave_no_grad_in_any_order():
    def quiet():
        with mf.no_grad():
            yield

    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        generators = [quiet() for _ in range(3)]
        for generator in generators:
            next(generator)
        for place in order:
            assert not recording()
            generators[place].close()
        assert recording()


def test_a_generator_that_ends_in_another_thread_leaves_both_as_they_should_be():
    def quiet():
        with mf.no_grad():
            yield

    generator = quiet()
    next(generator)

    def end():
        generator.close()
        return recording()

    assert not recording()
    assert elsewhere(end) and recording()


def test_composite_models_record_in_several_threads_at_once():
    models, x = [Gated() for _ in range(4)], array(5, 3)
    mx.eval([p.value for model in models for p in model.parameters()])

    def gradients(model):
        model.zero_grad()
        results = [model.backward(model(x)), *(p.grad for p in model.parameters())]
        mx.eval(results)
        return results

    alone = [gradients(model) for model in models]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            for results, expected in zip(pool.map(gradients, models), alone, strict=True):
                assert all(mx.array_equal(a, b) for a, b in zip(results, expected, strict=True))


def test_no_grad_ends_when_an_error_leaves_it():
    with pytest.raises(TypeError), mf.no_grad():
        Variable("two")
    x, _, _, f = example()
    f.backward()
    assert x.grad.item() == -4


def test_a_forward_that_leaves_the_nodes_is_an_error():
    class Leaves(mf.Module):
        def forward(self, x):
            return ReLU()(x).value

    with pytest.raises(TypeError, match=r"Leaves\(\): forward returned array, so its calls could not be recorded"):
        Leaves()(mx.ones((1, 2)))


def test_a_deep_custom_module_is_copied_after_a_forward():
    class Deep(mf.Module):
        def __init__(self):
            self.layers = [Linear(2, 2) for _ in range(400)]

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    model = Deep()
    value = model(mx.ones((1, 2)))
    twin = copy.deepcopy(model)
    assert mx.array_equal(twin(mx.ones((1, 2))), value)
    twin.backward(mx.ones((1, 2)))
    assert all(p.grad is None for p in model.parameters())


def test_a_node_kept_from_an_earlier_call_is_an_error():
    class Keeps(mf.Module):
        def __init__(self):
            self.inner, self.state = Linear(2, 2), None

        def forward(self, x):
            h = self.inner(x) if self.state is None else self.inner(x) + self.state
            self.state = h
            return h * 2

    model = Keeps()
    model(mx.ones((1, 2)))
    with pytest.raises(RuntimeError, match=r"Keeps\(\): forward used a node without a value, perhaps one that it kept"):
        model(mx.ones((1, 2)))


def test_recorded_calls_keep_no_more_than_the_layers_of_a_sequential_do():
    layers = [layer for _ in range(10) for layer in (Linear(50, 50), Tanh())]

    class Custom(mf.Module):
        def __init__(self):
            self.layers = layers

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    held = []
    for model in (Sequential(*layers), Custom()):
        mx.eval([p.value for p in model.parameters()])
        before = mx.get_active_memory()
        for _ in range(2):
            mx.eval(model(array(200, 50)), model.backward(mx.ones((200, 50))), [p.grad for p in model.parameters()])
            model.zero_grad()
        held.append(mx.get_active_memory() - before)
    one = 200 * 50 * 4
    assert held[0] > 10 * one  # the activations
    assert held[1] <= held[0] + 3 * one  # and the input and output with its gradient at most


class Squares(mf.Module):
    """A layer with a backward of its own that works with nodes inside."""

    def forward(self, x):
        source = Variable(x)
        result = source * source + source
        self.saved = source, result
        return result.value

    def backward(self, grad_output):
        source, result = self.saved
        result.backward(grad_output)
        return source.grad


def test_what_a_layer_does_with_nodes_inside_is_its_own_business():
    class Around(mf.Module):
        def __init__(self):
            self.before, self.squares = Linear(2, 3), Squares()

        def forward(self, x):
            return self.squares(self.before(x)) * 2

    assert mf.check_gradients(Around(), np.random.default_rng(0).normal(size=(4, 2))).passed


def test_nodes_made_before_a_recorded_forward_get_their_gradients_too():
    class Shifted(mf.Module):
        def forward(self, x):
            return x * self.shift

    scale, model = Linear(2, 2), Shifted()
    model.shift = scale(Variable(mx.ones((1, 2))))
    y = model(mx.array([[2.0, 3.0]]))
    assert y.shape == (1, 2)
    for expected in ([2.0, 3.0], [4.0, 6.0]):  # a second backward counts once more
        model.backward(mx.ones((1, 2)))
        assert scale.bias.grad.tolist() == expected
