"""Guardrails: each classical mistake is explained once, with its remedy, and a sound training hears nothing."""

import gc
import warnings
from contextlib import contextmanager

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.core.cells import EMPTY
from miniframe.graph.passes import Pass
from miniframe.training import guardrails


@contextmanager
def heard():
    """Collects the guardrail warnings given inside."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield messages
    messages += [str(w.message) for w in caught if issubclass(w.category, mf.GuardrailWarning)]


def classifier(*last):
    return mf.Sequential(mf.Linear(2, 8), mf.ReLU(), mf.Linear(8, 2), *last)


def disk(n=60):
    x, labels = mf.datasets.disk(n, seed=0)
    return x, labels


def by_hand(model, loss, steps=4, zero=True):
    """The loop of the lessons, with or without zero_grad."""
    x, labels = disk()
    optimizer = mf.SGD(model, lr=0.1)
    target = labels if isinstance(loss, mf.CrossEntropyLoss) else labels.reshape(-1, 1).astype(mx.float32)
    for _ in range(steps):
        loss(model(x), target)
        if zero:
            model.zero_grad()
        model.backward(loss.gradient())
        optimizer.step()


def fit(model, x, y, loss, **options):
    settings = {"epochs": 1, "batch_size": 20, "verbose": 0, "compile": False, **options}
    return model.fit(x, y, loss=loss, optimizer=mf.SGD(model, lr=0.1), **settings)


def test_the_look_at_the_output_keeps_nothing_of_what_is_inside_while_it_is_computed(monkeypatch):
    def look(loss, output):
        found.append([thing for thing in gc.get_objects() if type(thing) is Pass])
        found.append([module for module in model.modules() if module.kept is not EMPTY])

    found, model = [], classifier()
    monkeypatch.setattr(guardrails, "look_at", look)
    fit(model, *disk(), mf.CrossEntropyLoss())
    assert found[:2] == [[], []]


# -------------------------------------------------------------------- planted mistakes


def softmax_in_fit():
    fit(classifier(mf.Softmax()), *disk(), mf.CrossEntropyLoss())


def softmax_by_hand():
    by_hand(classifier(mf.Softmax()), mf.CrossEntropyLoss())


def logits_in_fit():
    x, labels = disk()
    model = mf.Sequential(mf.Linear(2, 1))
    model[0].weight.value, model[0].bias.value = mx.array([[0.1, 0.1]]), mx.array([0.4])  # between 0 and 1, so far
    fit(model, x, labels.reshape(-1, 1).astype(mx.float32), mf.BCELoss())


def logits_by_hand():
    loss = mf.BCELoss()
    loss(mx.array([[-1.3], [0.2]]), mx.array([[0.0], [1.0]]))
    loss(mx.array([[-1.3], [2.2]]), mx.array([[0.0], [1.0]]))


def never_zeroed():
    by_hand(classifier(), mf.CrossEntropyLoss(), zero=False)


def one_class_held_out():
    x, labels = np.random.default_rng(0).normal(size=(40, 2)), np.zeros(40, dtype=int)
    labels[7] = 1
    fit(classifier(), x, labels, mf.CrossEntropyLoss(), validation_split=0.1, seed=0)


def sorted_labels():
    x, labels = disk()
    order = mx.argsort(labels)
    fit(classifier(), x[order], mf.one_hot(labels[order], 2), mf.MSELoss(), shuffle=False)


MISTAKES = {
    softmax_in_fit: "Remove the Softmax layer",
    softmax_by_hand: "Remove the Softmax layer",
    logits_in_fit: r"ends with Linear\(2 -> 1\).*BCEWithLogitsLoss",
    logits_by_hand: r"from -1.3 to 0.2.*BCEWithLogitsLoss",
    never_zeroed: r"Call model.zero_grad\(\) before each backward",
    one_class_held_out: "validation part of validation_split has 4 samples, all of class 0",
    sorted_labels: "2 classes one after the other.*Use shuffle=True",
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda f: f.__name__)
def test_a_planted_mistake_is_explained_exactly_once_and_alone(mistake):
    with heard() as messages:
        mistake()
    assert len(messages) == 1, messages
    with pytest.warns(mf.GuardrailWarning, match=MISTAKES[mistake]):
        mistake()


def test_backward_before_forward_is_an_error_that_names_the_layer():
    with pytest.raises(RuntimeError, match=r"Linear\(2 -> 3\): backward needs a forward first"):
        mf.Linear(2, 3).backward(mx.ones((1, 3)))


def test_a_training_half_with_one_class_is_explained():
    x, labels = np.zeros((4, 2)), np.array([0, 0, 0, 1])
    with heard() as messages:
        for seed in range(20):
            fit(classifier(), x, labels, mf.CrossEntropyLoss(), validation_split=0.5, seed=seed)
    assert any("the training part" in text for text in messages)
    assert any("the validation part" in text for text in messages)


def test_the_compiled_step_is_warned_of_softmax_too():
    with heard() as messages:
        fit(classifier(mf.Softmax()), *disk(), mf.CrossEntropyLoss(), compile=True)
    assert len(messages) == 1


# -------------------------------------------------------------------- sound trainings


def sound_fits():
    x, labels = disk()
    one_hot, column = mf.one_hot(labels, 2), labels.reshape(-1, 1).astype(mx.float32)
    order = mx.argsort(labels)
    yield classifier(), (x, labels), mf.CrossEntropyLoss(), {}
    yield classifier(), (x, one_hot), mf.CrossEntropyLoss(), {"validation_split": 0.2}
    yield classifier(mf.Softmax()), (x, one_hot), mf.MSELoss(), {}
    yield classifier(mf.LogSoftmax()), (x, labels), mf.NLLLoss(), {}
    yield mf.Sequential(mf.Linear(2, 1), mf.Sigmoid()), (x, column), mf.BCELoss(), {"validation_split": 0.3}
    yield mf.Sequential(mf.Linear(2, 1)), (x, column), mf.BCEWithLogitsLoss(), {"shuffle": False}
    yield classifier(), (x[order], labels[order]), mf.CrossEntropyLoss(), {"shuffle": True}
    yield classifier(), (x[order], labels[order]), mf.CrossEntropyLoss(), {"shuffle": False, "batch_size": 60}
    yield mf.Linear(2, 1), (x, mx.sort(x[:, :1], axis=0)), mf.MSELoss(), {"shuffle": False}
    yield classifier(), (x, mf.as_array(np.arange(60) // 2 % 2)), mf.CrossEntropyLoss(), {"shuffle": False}


@pytest.mark.parametrize("seed", range(3))
def test_thirty_sound_trainings_hear_nothing(seed):
    mf.seed(seed)
    count = 0
    with heard() as messages:
        for model, data, loss, options in sound_fits():
            fit(model, *data, loss, **options)
            count += 1
        by_hand(classifier(), mf.CrossEntropyLoss())
    assert count == 10 and messages == []


def test_gradients_accumulated_on_purpose_hear_nothing():
    model, loss = classifier(), mf.CrossEntropyLoss()
    optimizer = mf.SGD(model, lr=0.1)
    x, labels = disk()
    with heard() as messages:
        for _ in range(3):
            model.zero_grad()
            for part in (slice(0, 30), slice(30, 60)):
                loss(model(x[part]), labels[part])
                model.backward(loss.gradient())
            optimizer.step()
    assert messages == []


def test_looking_leaves_the_model_untouched():
    model = mf.Sequential(mf.Linear(2, 4), mf.Dropout(0.5), mf.Linear(4, 2))
    fit(model, *disk(), mf.CrossEntropyLoss(), epochs=0)
    assert model.training and all(p.grad is None for p in model.parameters())
    with pytest.raises(RuntimeError, match="forward first"):
        model[0].backward(mx.ones((1, 4)))


# -------------------------------------------------------------------- weights that never learn


class Loose(mf.Module):
    """Its forward uses the parameter in one of two ways, and an array."""

    def __init__(self, forward):
        self.fc, self.scale, self._use = mf.Linear(2, 2), mf.Parameter(mx.ones(2)), forward

    def forward(self, x):
        return self.fc(x) * self._use(self.scale)


def warnings_of(model):
    x = mx.array([[0.0, 1.0], [1.0, 0.0]])
    with heard() as messages:
        for _ in range(2):
            model.fit(x, x, loss="mse", optimizer="sgd", verbose=0)
    return messages


def test_a_parameter_used_by_its_value_is_said_to_never_learn_once():
    (words,) = warnings_of(mf.Sequential(Loose(lambda p: p.value)))
    assert words == (
        "fit: Loose() has the parameter 'scale', but its forward does not use it as one, so it never learns. Write "
        "self.scale, not self.scale.value: operators and miniframe.functional take it as it is"
    )
    assert warnings_of(Loose(lambda p: p)) == []
    frozen = Loose(lambda p: p.value)
    frozen.scale.trainable = False
    assert warnings_of(frozen) == []


def test_an_array_in_the_place_of_a_weight_is_said_to_never_learn_once():
    model = Loose(lambda p: p)
    model.table, model.offset, model.indices = mx.ones((2, 2)), mx.ones(2), mx.array([[0, 1]])
    (words,) = warnings_of(model)
    assert words == (
        "fit: Loose() holds the array 'table' of shape (2, 2), which never learns, because it is no parameter. If it "
        "should learn, write self.table = mf.Parameter(...); if not, mf.Buffer(...) keeps it in files, too"
    )


class Watched(mf.Module):
    """Keeps what people want to look at afterwards."""

    def __init__(self):
        self.fc = mf.Linear(2, 2)

    def forward(self, x):
        self.last = self.fc(x)
        return self.last


def test_what_forward_keeps_to_be_looked_at_is_no_forgotten_weight():
    model = Watched()
    with heard() as messages:
        for _ in range(2):
            model.fit(mx.ones((4, 2)), mx.ones((4, 2)), loss="mse", optimizer="sgd", verbose=0, compile=False)
            model.predict(mx.ones((4, 2)))
    assert messages == []


def test_one_hot_targets_of_bfloat16_are_classes_too():
    """NumPy has no bfloat16, and the look at the order of the labels goes through NumPy."""
    x, labels = disk()
    order = mx.array(np.argsort(np.array(labels), kind="stable"))
    with heard() as messages:
        fit(classifier(), x[order], mf.one_hot(labels[order], 2).astype(mx.bfloat16), mf.MSELoss(), shuffle=False)
    assert len(messages) == 1 and messages[0].startswith("fit: the labels come sorted")


@pytest.mark.parametrize("batch_size", [2, 8, 40])
def test_looking_before_training_takes_no_more_samples_than_a_batch_but_for_tiny_ones(batch_size):
    class Seen(mf.Module):
        def forward(self, x):
            lengths.append(len(x))
            return x

        def backward(self, grad_output):
            return grad_output

    lengths: list[int] = []
    x, labels = disk()
    model = classifier(Seen())
    model.fit(x, labels, loss="cross_entropy", optimizer="sgd", batch_size=batch_size, verbose=0, compile=False)
    assert max(lengths) == max(4, batch_size)
