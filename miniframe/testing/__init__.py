"""Proof for layers that you have written yourself: what miniframe's own go through, as one call.

``check_layer(MyLayer(), x)`` runs every check, ``layer_checks(MyLayer(), x)`` lists them for pytest, and
``miniframe.testing.plugin`` is a pytest plugin with a marker for them. Nothing here needs pytest.
"""

from .layer import Check as Check
from .layer import LayerReport as LayerReport
from .layer import check_layer as check_layer
from .layer import layer_checks as layer_checks
