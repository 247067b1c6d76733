"""Where boxes and arrows go: nothing overlaps, everything points forward."""

import pytest

from miniframe import Graph, Input, Linear, Tanh
from miniframe.drawing.graphs import picture_of
from miniframe.drawing.layout import arrange


def residual(depth=1):
    x = h = Input((4,), name="x")
    for _ in range(depth):
        h = h + Tanh()(Linear(4, 4)(h))
    return Graph(x, h)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_boxes_do_not_overlap_and_arrows_point_forward(depth):
    for down in (False, True):
        picture = picture_of(residual(depth))
        layout = arrange([(80, 40)] * len(picture.boxes), picture.arrows, down)
        for i, a in enumerate(layout.boxes):
            assert 0 <= a.x - 40 and a.x + 40 <= layout.width + 1e-6
            assert -1e-6 <= a.y - 20 and a.y + 20 <= layout.height + 1e-6
            for b in layout.boxes[:i]:
                assert abs(a.x - b.x) >= 80 or abs(a.y - b.y) >= 40
        axis = 1 if down else 0
        assert all(p[axis] < q[axis] for way in layout.arrows for p, q in zip(way, way[1:]))


def test_an_arrow_that_passes_a_layer_keeps_clear_of_its_box():
    layout = arrange([(80, 40)] * 3, [(0, 1), (1, 2), (0, 2)])
    _, enters, leaves, _ = layout.arrows[2]
    box = layout.boxes[1]
    assert (enters[0], leaves[0]) == (box.x - 40, box.x + 40)
    assert enters[1] == leaves[1] and abs(enters[1] - box.y) > 20
