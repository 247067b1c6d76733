"""How wrong a prediction is, as one number, and the gradient of that number with respect to the prediction."""

from typing import Any

from ..core.checks import meant as _meant
from ..core.checks import shown as _shown
from .base import Loss as Loss
from .classes import CrossEntropyLoss as CrossEntropyLoss
from .classes import NLLLoss as NLLLoss
from .elbo import ELBOLoss as ELBOLoss
from .elementwise import BCELoss as BCELoss
from .elementwise import BCEWithLogitsLoss as BCEWithLogitsLoss
from .elementwise import HuberLoss as HuberLoss
from .elementwise import L1Loss as L1Loss
from .elementwise import MSELoss as MSELoss

NAMES: dict[str, type[Loss]] = {
    "mse": MSELoss,
    "l1": L1Loss,
    "mae": L1Loss,
    "huber": HuberLoss,
    "cross_entropy": CrossEntropyLoss,
    "bce_with_logits": BCEWithLogitsLoss,
    "bce": BCELoss,
    "nll": NLLLoss,
}
KERAS = {  # its names: ours
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "categorical_crossentropy": "cross_entropy",
    "sparse_categorical_crossentropy": "cross_entropy",
    "binary_crossentropy": "bce",
}


def get(loss: Any, again: Loss | None = None) -> Loss:
    """A loss from its name, its class or itself.

    Args:
        again: a loss that is taken once more if the name means one with the same settings.

    >>> get("mse")
    MSELoss()
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type) and issubclass(loss, Loss):
        return loss()
    if isinstance(loss, str) and loss in NAMES:
        new = NAMES[loss]()
        return again if again is not None and _settings(again) == _settings(new) else new
    if callable(loss) and not isinstance(loss, type):
        raise TypeError(
            f"expected a loss, got the function {getattr(loss, '__name__', loss)!r}, whose gradient nobody knows: "
            "write class MyLoss(mf.Loss) with def each(self, prediction, target), the loss of every element, and "
            "def derivative(self, prediction, target), its derivative by the prediction"
        )
    known = f"known: {', '.join(NAMES)}, or a Loss such as MSELoss()"
    raise ValueError(f"unknown loss {_shown(loss)}; {known}{_meant(loss, NAMES, KERAS)}")


def _settings(loss: Loss) -> Any:
    """The class and the public attributes, but for the mode."""
    return type(loss), {n: v for n, v in vars(loss).items() if n == "_model" or n[0] != "_" and n != "training"}
