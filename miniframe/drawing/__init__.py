"""Pictures of graphs and of single computations."""

from . import graphs as graphs  # teaches Graph: draw
from . import painting as painting  # teaches Picture: save
