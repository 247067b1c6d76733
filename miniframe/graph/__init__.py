"""Models as flat lists of calls: Graph, and one pass over any model with everything in it named and in reach."""

from . import levels as levels  # teaches Graph: levels
from . import splitting as splitting  # teaches Sequential and Graph: split
from . import summary as summary  # teaches Module: summary
from . import surgery as surgery  # teaches Graph: insert, remove
