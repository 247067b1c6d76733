"""What a model of text goes on to write, and where its heads look while they read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from ..core.untouched import untouched
from ..graph.passes import Pass
from ..layers import ScaledDotProductAttention
from .pictures import Frame

if TYPE_CHECKING:
    from .session import Session

WRITTEN = 120  # characters
PROVEN = 6  # places of a text whose gradients are proven: 32 take 40 seconds
SHOWN = 32  # places of the text whose attention is drawn, at most


def written(session: Session, prompt: str) -> Frame:
    """A sample that begins with the prompt, and the attention of every head on the prompt.

    Raises:
        ValueError: for a model that does not write.
    """
    tokenizer, model = session.data.tokenizer, session.model
    if tokenizer is None or not hasattr(model, "generate"):
        raise ValueError("only a model of text writes: choose text as the data")
    try:
        tokens = tokenizer.encode(prompt or "The ")
    except ValueError as error:
        raise ValueError(f"the text cannot be read: {error}") from error
    sample = model.generate(tokens, WRITTEN, temperature=0.8, seed=session.epoch)
    header: dict[str, Any] = {"kind": "text", "text": tokenizer.decode(sample), "heads": []}
    header["prompt"] = [tokenizer.decode(tokens[i : i + 1]) for i in range(min(len(tokens), SHOWN))]
    arrays: dict[str, np.ndarray] = {}
    with untouched(model):
        model.eval()
        seen = Pass(model, tokens[None, :SHOWN], "lab")
        for name, node in seen.calls.items():
            if isinstance(node.module, ScaledDotProductAttention):
                weights = np.array(node.saved[3].astype(mx.float32))[0]
                arrays[f"head.{len(arrays)}"] = np.round(255 * weights).astype(np.uint8)
                header["heads"].append(name)
    return header, arrays
