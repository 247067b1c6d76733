"""Filters and feature maps."""

import numpy as np
from harness import close, normal

from miniframe import plots


def test_filters_are_signed_around_white():
    weight = np.zeros((2, 3, 3, 1))
    weight[0, 1, 1], weight[1, 0, 0] = 2.0, -1.0
    first, second = (ax.images[0] for ax in plots.filters(weight).axes[:2])
    assert (first.norm.vmin, first.norm.vmax) == (-2, 2) == (second.norm.vmin, second.norm.vmax)


def test_feature_maps_draw_one_picture_for_each_channel():
    maps = np.abs(normal(1, 4, 6, 3))
    axes = plots.feature_maps(maps).axes
    for channel in range(3):
        close(axes[channel].images[0].get_array(), maps[0, :, :, channel])
    assert not axes[3].images
