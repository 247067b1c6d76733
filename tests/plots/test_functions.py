"""Activation functions drawn from the layers themselves."""

import numpy as np
from harness import close

import miniframe as mf
from miniframe import plots


def test_activations_draw_forward_and_the_layers_own_backward():
    ax = plots.activations([mf.Tanh()]).axes[0]
    x = ax.lines[2].get_xdata()
    close(ax.lines[2].get_ydata(), np.tanh(x))
    close(ax.lines[3].get_ydata(), 1 - np.tanh(x) ** 2)
