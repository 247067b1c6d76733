"""Files: whole models, weights alone, and forward passes for programs without miniframe."""

from . import export as export  # teaches Module: export
from . import model as model  # teaches Module: save
from . import weights as weights  # teaches Module: save_weights, load_weights
