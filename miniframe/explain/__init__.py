"""Why did the model say that: which pixels matter, what a layer sees, what it would like to see most.

Every answer comes from the model's own backward, run on one image; the model itself is left as it was.
"""

from .cam import grad_cam as grad_cam
from .cam import overlay as overlay
from .maps import activation_maps as activation_maps
from .maps import filters as filters
from .maximize import Maximized as Maximized
from .maximize import maximize_activation as maximize_activation
from .saliency import input_gradient as input_gradient
from .saliency import integrated_gradients as integrated_gradients
from .saliency import saliency as saliency
