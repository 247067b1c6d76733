"""Vision transformer: a picture is a text of patches."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..core.cells import Parameter
from ..core.module import Module
from ..core.sequential import Sequential
from ..layers import Conv2d, Dropout, LayerNorm, Linear, PositionEmbedding, Reshape, TransformerBlock, concatenate


class ViT(Module):
    """Patches of the picture, and in front of them a token of its own that gathers what the class depends on.

        h = positions([token, patches(x)]),    h = block(h) for every block,    y = head(norm(h)[0])

    Dosovitskiy et al. 2021. It only composes other layers, so its backward is their calls, last to first.

    Args:
        image_size: height and width of the pictures, one number.
        patch_size: of a patch; it divides image_size.
        num_classes: how many logits it returns.
        embed_dim, num_heads, num_layers, hidden_dim: of the blocks; see TransformerBlock.
        channels: of the pictures.
        dropout: the probability with which elements are dropped in training.

    Shapes: (N, image_size, image_size, channels) -> (N, num_classes).

    >>> model = ViT(8, 4, num_classes=3, embed_dim=16, num_heads=2, num_layers=1, channels=1)
    >>> model(mx.zeros((2, 8, 8, 1))).shape
    (2, 3)
    """

    samples_apart = True  # if its layers are

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_classes: int,
        embed_dim: int,
        num_heads: int,
        num_layers: int,
        hidden_dim: int | None = None,
        channels: int = 3,
        dropout: float = 0.0,
        eps: float = 1e-6,
    ) -> None:
        if patch_size < 1 or image_size % patch_size:
            raise ValueError(f"ViT: expected a patch_size that divides {image_size}, got {patch_size}")
        if num_layers < 1:
            raise ValueError(f"ViT: expected num_layers >= 1, got {num_layers}")
        self.image_size, self.patch_size = image_size, patch_size
        places = (image_size // patch_size) ** 2
        self.patches = Conv2d(channels, embed_dim, patch_size, stride=patch_size)
        self.as_text = Reshape(places, embed_dim)
        self.token = Parameter(mx.zeros((1, 1, embed_dim)))
        self.positions = PositionEmbedding(places + 1, embed_dim)
        self.dropout = Dropout(dropout)
        self.blocks = Sequential(
            *(TransformerBlock(embed_dim, num_heads, hidden_dim, dropout=dropout, eps=eps) for _ in range(num_layers))
        )
        self.norm = LayerNorm(embed_dim, eps)
        self.head = Linear(embed_dim, num_classes)

    def settings(self) -> str:
        return f"{self.image_size}, patches of {self.patch_size}"

    def forward(self, x: Any) -> Any:
        patches = self.as_text(self.patches(x))
        token = self.token + patches[:, :1] * 0  # once for each picture
        h = self.blocks(self.dropout(self.positions(concatenate((token, patches), axis=1))))
        return self.head(self.norm(h)[:, 0])


def vit(image_size: int = 28, patch_size: int = 7, num_classes: int = 10, channels: int = 1) -> ViT:
    """A small vision transformer for pictures like MNIST's.

    >>> sum(p.size for p in vit().parameters())
    105098
    """
    return ViT(image_size, patch_size, num_classes, 64, 4, 2, channels=channels)
