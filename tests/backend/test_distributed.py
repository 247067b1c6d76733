"""Teams of ranks, as a process by itself sees them: who it is, its share of a batch, how long it waits."""

import mlx.core as mx
import pytest

import miniframe as mf


def test_one_process_is_a_team_of_one():
    ranks = mf.distributed.team()
    assert (mf.distributed.rank(), mf.distributed.size(), ranks.group) == (0, 1, None)
    x = mx.ones((3,))
    assert ranks.sum([x])[0] is x and ranks.total([0.5]) == [0.5]
    assert ranks.any(True, ask=False) and not ranks.any(False)


def test_one_rank_of_mlx_launch_is_a_process_by_itself(tmp_path, monkeypatch):
    hosts = tmp_path / "hosts"
    hosts.write_text("\n")
    monkeypatch.setenv("MLX_RANK", "0")
    assert mf.distributed.launched()
    monkeypatch.setenv("MLX_HOSTFILE", str(hosts))
    assert not mf.distributed.launched()


def test_a_run_time_error_of_a_single_process_stays_what_it_is():
    with pytest.raises(RuntimeError, match="^peer$") as caught, mf.distributed.team().together("a test"):
        raise RuntimeError("peer")
    assert type(caught.value) is RuntimeError


@pytest.mark.parametrize("samples", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_shares_are_whole_and_nearly_equal(samples, size):
    team = mf.distributed.Team(None)
    team.size = size
    parts = []
    for team.rank in range(size):
        (x, (y, z)), count = team.part((mx.arange(samples), (mx.arange(samples), mx.arange(samples))))
        assert x.tolist() == y.tolist() == z.tolist() and len(x) == max(count, 1)
        parts.append(x.tolist()[:count])
    assert sum(parts, []) == list(range(samples))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan"])
def test_an_unsuitable_limit_is_refused(value, monkeypatch):
    monkeypatch.setenv("MINIFRAME_TIMEOUT", value)
    with pytest.raises(ValueError, match="MINIFRAME_TIMEOUT: expected a positive number of seconds"):
        mf.distributed.timeout()
