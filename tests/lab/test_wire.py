"""Messages arrive as they were sent."""

import json

import numpy as np
import pytest

from miniframe.lab import wire


def test_arrays_of_all_types_and_shapes_arrive():
    sent = {
        "a": np.arange(7, dtype=np.uint8),
        "b": np.ones((2, 0, 3), np.float32),
        "c": np.arange(6, dtype=np.int32).reshape(2, 3).T,
    }
    header, arrays = wire.unpack(wire.pack({"kind": "ü", "n": np.float32(0.5), "k": np.int64(3)}, sent))
    assert header == {"kind": "ü", "n": 0.5, "k": 3}
    for name, array in sent.items():
        assert arrays[name].dtype == array.dtype and arrays[name].shape == array.shape and (arrays[name] == array).all()


def test_what_json_cannot_say_is_null():
    message = wire.pack({"loss": float("nan"), "curve": [1.0, float("inf")], "deep": {"x": (float("-inf"),)}})
    assert wire.unpack(message)[0] == {"loss": None, "curve": [1.0, None], "deep": {"x": [None]}}
    json.loads(message[4 : 4 + int.from_bytes(message[:4], "little")])


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="pack: expected float32, uint8, int32, got float64 for x"):
        wire.pack({}, {"x": np.ones(3)})
