"""A rank that fails, however and whenever, stops the others with what it said; a slow one stops nobody."""

import re
from pathlib import Path

import failing_ranks
import pytest
from launching import finish, start

SCRIPT = Path(failing_ranks.__file__)
DISK, ENDED = "OSError: the disk is full", "its process has ended"
STOPS = {  # the rank that fails, and what the other one says
    "raises at the start": (1, f"rank 1 stopped: {DISK}"),
    "raises after a batch": (1, f"rank 1 stopped: {DISK}; fit stopped in epoch 3"),
    "rank 0 raises": (0, f"rank 0 stopped: {DISK}; fit stopped in epoch 3"),
    "raises in validation": (1, f"rank 1 stopped: {DISK}; fit stopped in epoch 2"),
    "raises in its source": (1, f"rank 1 stopped: {DISK}; fit stopped in epoch 2"),
    "calls sys.exit": (1, "rank 1 stopped: sys.exit(0)"),
    "is killed": (1, f"rank 1 stopped: {ENDED}"),
    "rank 0 is killed in validation": (0, f"rank 0 stopped: {ENDED}"),
    "is killed in its source": (1, f"rank 1 stopped: {ENDED}"),
    "is interrupted twice": (1, "rank 1 stopped: KeyboardInterrupt"),
    "raises between trainings": (1, "rank 1 stopped: IndexError: list index out of range"),
    "evaluates and ends": (1, f"rank 1 stopped: {ENDED}"),
    "goes on with something else": (1, f"rank 1 stopped: {DISK}"),
    "has fewer batches": (
        1,
        "the ranks do different things: rank 0 is at fit, training on a batch, and rank 1 at fit, adding up numbers",
    ),
    "no word of the launcher": (1, f"rank 1 stopped: {DISK}"),
}
REFUSED = {  # what both say, or each of the two; all of it before any step, or at the next look
    "data": ("rank 1 stopped: ValueError: fit: expected the same number of samples", "ValueError: fit: expected"),
    "a setting": ("rank 1 stopped: ValueError: fit: expected batch_size", "ValueError: fit: expected batch_size"),
    "shape": ("0.weight is float32 (5, 2) on rank 0 and float32 (6, 2) on rank 1",),
    "dtype": ("0.weight is float32 (5, 2) on rank 0 and float16 (5, 2) on rank 1",),
    "name": ("0.weight is float32 (5, 2) on rank 0 and missing on rank 1",),
    "target": ("y of the first batch is float32 (20, 2) on rank 0 and int32 (20,) on rank 1",),
    "optimizer": ("optimizer is SGD on rank 0 and Adam on rank 1",),
    "metrics": ("metrics is none on rank 0 and mae on rank 1",),
    "validation": ("the number of validation batches is none on rank 0 and 1 on rank 1",),
    "epochs": ("epochs is 4 on rank 0 and 3 on rank 1",),
    "samples": ("x of the first batch is float32 (20, 2) on rank 0 and float32 (30, 2) on rank 1",),
    "later samples": ("rank 0 has seen 40 samples, and rank 1 48; every rank must run the same script",),
    "other calls": ("rank 0 is at fit, agreeing on a number, and rank 1 at average_gradients, comparing settings",),
    "gradients": ("gradient 1 is float32 (3, 2) on rank 0 and float32 (3, 3) on rank 1",),
    "same": ("none",),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """From a task to its processes; those of a few are started before the first is waited for."""
    folder, started = tmp_path_factory.mktemp("ranks"), {}

    def ranks_of(task, count=2, **environment):
        if task not in started:
            ahead = list(STOPS)[list(STOPS).index(task) :][:4] if task in STOPS else [task]
            for name in ahead:
                place = folder / re.sub(r"\W", "_", name)
                started[name] = started.get(name) or start(SCRIPT, name, place, count, **environment)
        return started[task]

    yield ranks_of
    for processes in started.values():
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("task", STOPS)
def test_a_rank_that_fails_stops_the_other_with_what_it_said(running, task):
    failing, words = STOPS[task]
    other = running(task)[1 - failing]
    ((_, err, status),) = finish([other])
    assert status == 1 and f"rank {1 - failing} of 2 stops, because {words}" in err, err


def test_of_three_ranks_the_two_others_stop(running):
    for _, err, status in finish(running("three ranks", 3)[:2]):
        assert status == 1 and f"of 3 stops, because rank 2 stopped: {DISK}" in err, err


@pytest.mark.parametrize("task", failing_ranks.SLOW)
def test_slow_callbacks_sources_and_validations_are_waited_for(running, task):
    for name in failing_ranks.SLOW:
        running(name, MINIFRAME_TIMEOUT="2")
    for out, err, status in finish(running(task)):
        assert status == 0 and out.strip() == "done", err


def test_what_differs_is_named_with_both_ranks_and_they_can_go_on(running):
    for rank, (out, err, status) in enumerate(finish(running("refusals"))):
        assert status == 0, err
        said = dict(line.split(": ", 1) for line in out.splitlines())
        assert list(said) == list(REFUSED)
        for name, words in REFUSED.items():
            assert words[min(rank, len(words) - 1)] in said[name]


def test_a_survivor_keeps_usable_weights(running):
    assert finish(running("survives")[:1])[0][0].strip() == "usable: True"


def test_one_ctrl_c_in_one_rank_ends_the_training_of_all(running):
    for out, err, status in finish(running("one Ctrl-C")):
        assert status == 0 and out.splitlines()[-1] == "done: True, 2 epochs", err
