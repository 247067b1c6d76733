"""Pictures of the sea: balanced classes, repeatable, the animal where its mask says, no give-away colour."""

import mlx.core as mx
import numpy as np
import pytest

from miniframe import datasets


def test_half_of_the_pictures_show_a_jellyfish():
    x, labels = datasets.jellyfish(101, seed=0)
    assert x.shape == (101, 32, 32, 3) and x.dtype == mx.float32 and 0 <= x.min().item() and x.max().item() <= 1
    assert labels.dtype == mx.int32 and sorted(np.bincount(np.array(labels)).tolist()) == [50, 51]
    assert len(datasets.SEA_NAMES) == 2


def test_the_seed_decides():
    first, again, other = (datasets.jellyfish(5, seed=seed)[0] for seed in (1, 1, 2))
    assert mx.array_equal(first, again).item() and not mx.array_equal(first, other).item()


def test_the_mask_says_where_the_animal_is():
    x, _, masks = map(np.array, datasets.jellyfish(60, seed=0, noise=0, masks=True))
    for image, mask in zip(x, masks):
        row = image[:, 0] if mask[:, 0].max() == 0 else image[:, -1]  # the water beside it, which depends on the depth
        different = abs(image - row[:, None]).max(-1) > 1e-3
        assert (different <= (mask > 0)).all() and mask.max() > 0.9 and 0.02 < mask.mean() < 0.4


def test_neither_brightness_nor_size_tells_the_classes_apart():
    x, labels, masks = map(np.array, datasets.jellyfish(600, seed=0, masks=True))
    for feature in (
        x.mean(axis=(1, 2, 3)),
        x.max(axis=(1, 2, 3)),
        x[..., 0].mean(axis=(1, 2)),
        masks.mean(axis=(1, 2)),
    ):
        cuts = np.quantile(feature, np.linspace(0.05, 0.95, 19))
        best = max(max(((feature > c) == labels).mean(), ((feature < c) == labels).mean()) for c in cuts)
        assert best < 0.75


def test_sizes_that_make_no_sense_are_errors():
    with pytest.raises(ValueError, match="jellyfish: expected at least 1 image"):
        datasets.jellyfish(0)
