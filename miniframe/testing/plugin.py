"""A pytest plugin: ``pytest_plugins = ["miniframe.testing.plugin"]`` in conftest.py, then

    @pytest.mark.check_layer(MyLayer(), x)
    def test_my_layer(layer_check):
        layer_check()

runs as one test for each check. Arguments are those of :func:`miniframe.testing.check_layer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .layer import layer_checks

if TYPE_CHECKING:
    import pytest

MARKER = "check_layer"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    words = f"{MARKER}(layer, *inputs, ...): the test gets layer_check, each check of the layer in turn"
    config.addinivalue_line("markers", words)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each check."""
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is not None:
        if "layer_check" not in metafunc.fixturenames:
            raise TypeError(f"{metafunc.function.__name__}: a test with the marker {MARKER} takes layer_check")
        metafunc.parametrize("layer_check", layer_checks(*marker.args, **marker.kwargs), ids=str)
