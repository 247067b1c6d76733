"""The systems of the comparison do the same work."""


def test_the_systems_of_the_comparison_learn_the_same_thing():
    from miniframe.bench import systems
    from miniframe.bench.runner import workloads

    work = workloads()["disk-1k"]
    for name in ("miniframe fit, compile=False", "mlx.nn", "PyTorch"):
        assert systems.SYSTEMS[name][0](work)(1) > 0
