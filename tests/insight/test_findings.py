"""What a few readings suggest, and when they suggest nothing."""

import pytest

from miniframe.insight.findings import diagnose
from miniframe.insight.readings import Reading


@pytest.mark.parametrize("readings", [[Reading(0, 1.0, {})], [Reading(0, 1.0, {}), Reading(1, float("nan"), {})]])
def test_readings_of_a_model_without_layers_have_no_diagnosis(readings):
    assert diagnose(readings) is None
