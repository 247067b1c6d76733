"""What fit is given becomes data."""

import numpy as np

from miniframe.data.sources import class_weights


def test_class_weights_read_labels_one_hot_rows_and_columns():
    expected = [2.0, 1.0, 2.0]
    for y in (np.array([0, 1, 0]), np.array([[1, 0], [0, 1], [1, 0]]), np.array([[0], [1], [0]])):
        assert class_weights(y, {0: 2.0}).tolist() == expected
