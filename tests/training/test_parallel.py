"""Several ranks on one machine: the same weights as one process, and a clear end when one of them is lost."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import ranks
from launching import LIMIT, finish, free_ports, start

import miniframe as mf

SCRIPT = Path(ranks.__file__)


def results(task, folder, count=2):
    for _, err, status in finish(start(SCRIPT, task, folder, count)):
        assert status == 0, err
    return [dict(np.load(folder / f"{task}_{rank}.npz")) for rank in range(count)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """From a number of ranks to what the trainings of ranks.py gave on each of them; launched once."""
    return cache(lambda count: results("same", tmp_path_factory.mktemp("same"), count))


CASES = [(2, name) for name in ranks.trainings()] + [(3, name) for name in ranks.FOR_THREE]


@pytest.mark.parametrize("count, name", CASES)
def test_ranks_give_the_weights_and_the_history_of_one_process(trained, count, name):
    model, loss, samples, options = ranks.trainings()[name]
    history = ranks.train(model, loss, samples, **options).history
    for rank in trained(count):
        np.testing.assert_allclose(rank[name], ranks.weights(model), atol=1e-6, rtol=0)
        assert np.array_equal(rank[name], trained(count)[0][name])
        for key, values in history.items():
            np.testing.assert_allclose(rank[f"{name}: {key}"], values, rtol=1e-5)


def test_a_step_sends_one_message(trained):
    assert [rank["messages"] for rank in trained(2)] == [3, 3]


def test_ranks_resume_from_the_checkpoints_of_rank_0(trained):
    model = ranks.network(seed=2)
    ranks.train(model, mf.MSELoss(), 40)
    for rank in trained(2):
        np.testing.assert_allclose(rank["resumed"], ranks.weights(model), atol=1e-6, rtol=0)


def test_mlx_launch_trains_from_rank_0_and_prints_there_only(tmp_path):
    launcher = Path(sys.executable).with_name("mlx.launch")
    if not launcher.exists():
        pytest.skip("mlx.launch is not beside this Python")
    command = [launcher, "-n", "2", "-p", str(free_ports(2)[0]), sys.executable, SCRIPT, "different_start", tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(Path(mf.__file__).parents[1])}
    done = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, timeout=LIMIT, stdin=subprocess.PIPE
    )
    assert done.stdout.count("epoch 1/3: loss") == 1, done.stdout + done.stderr
    first, second = (np.load(tmp_path / f"different_start_{rank}.npz") for rank in range(2))
    assert np.array_equal(first["weights"], second["weights"]) and np.array_equal(first["loss"], second["loss"])


def test_a_callback_on_one_rank_can_end_the_training_of_all(trained):
    assert [rank["epochs until rank 1 stops"] for rank in trained(2)] == [2, 2]


def test_ranks_with_different_data_are_refused(trained):
    for rank in trained(2):
        assert "the number of batches is 2 on rank 0 and 3 on rank 1; run one script on" in str(rank["other data"])


def test_all_ranks_report_the_same_loss_that_is_not_finite(trained):
    first, second = (str(rank["not finite"]) for rank in trained(2))
    assert first == second and "NonFiniteError: fit: loss became" in first


def test_ranks_resume_exactly_each_with_its_own_random_numbers(tmp_path):
    one, other = results("resumes", tmp_path)
    assert np.array_equal(one["whole"], one["resumed"])
    assert np.array_equal(one["resumed"], other["resumed"])


def test_a_silent_rank_is_waited_for_no_longer_than_the_limit(tmp_path):
    processes = start(SCRIPT, "hangs", tmp_path, MINIFRAME_TIMEOUT="2")
    try:
        ((_, err, status),) = finish(processes[:1])
    finally:
        processes[1].kill()
        processes[1].communicate()
    assert status == 1
    assert "rank 0 of 2 stops, because rank 1 has given no sign of life for 2 seconds" in err
