"""What every layer stands on: cells, modules, and the nodes that record their calls. Reads in an afternoon."""
