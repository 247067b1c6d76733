"""The confusion matrix."""

import miniframe as mf
from miniframe import plots


def test_confusion_matrix_counts_true_against_predicted():
    ax = plots.confusion_matrix(mf.one_hot([1, 1, 0, 0, 1], 3), [1, 1, 1, 1, 0]).axes[0]
    texts = {tuple(text.get_position()): text.get_text() for text in ax.texts}
    assert texts == {(1, 1): "2", (0, 1): "2", (1, 0): "1"}  # (column, row)
    assert len(ax.get_xticks()) == 3 and ax.get_title() == "40.00% right"
