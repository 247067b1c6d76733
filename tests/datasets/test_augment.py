"""Random changes of images: what they do, and that every epoch sees new ones."""

import mlx.core as mx
import numpy as np
import pytest
from harness import close

import miniframe as mf
from miniframe import datasets


class TestAugmentation:
    images = mx.arange(4 * 3 * 5 * 2).reshape(4, 3, 5, 2).astype(mx.float32) + 1

    def test_flip_mirrors_columns_of_about_half_the_images(self):
        x = mx.broadcast_to(self.images[:1], (400, 3, 5, 2))
        flipped = datasets.random_flip(x)
        same = np.array((flipped == x).all(axis=(1, 2, 3)))
        mirrored = np.array((flipped == x[:, :, ::-1]).all(axis=(1, 2, 3)))
        assert (same ^ mirrored).all() and 150 < same.sum() < 250

    def test_crop_cuts_the_same_window_from_all_channels(self):
        for image, whole in zip(datasets.random_crop(self.images, (2, 3)), self.images):
            windows = [whole[i : i + 2, j : j + 3] for i in range(2) for j in range(3)]
            assert sum(mx.array_equal(image, window).item() for window in windows) == 1

    def test_shift_moves_every_image_its_own_way_and_fills_with_zeros(self):
        x = mx.broadcast_to(self.images[:1], (300, 3, 5, 2))
        padded = mx.pad(x[0], [(1, 1), (1, 1), (0, 0)])
        expected = {np.array(padded[i : i + 3, j : j + 5]).tobytes() for i in range(3) for j in range(3)}
        assert {np.array(image).tobytes() for image in datasets.random_shift(x, 1)} == expected

    def test_the_seed_makes_changes_repeatable(self):
        results = []
        for seed in (1, 1, 2):
            mf.seed(seed)
            results.append(datasets.random_shift(datasets.random_flip(self.images), 2))
        assert mx.array_equal(results[0], results[1]) and not mx.array_equal(results[0], results[2])

    def test_every_epoch_of_fit_sees_every_image_changed_anew(self):
        seen = []

        def note(images):
            seen.append(np.array(images))
            return datasets.random_shift(images, 1)

        model = mf.Sequential(mf.Flatten(), mf.Linear(30, 2))
        data = datasets.augmented(self.images / 100, mx.array([0, 1, 0, 1]), 3, note)
        history = model.fit(data, loss="cross_entropy", optimizer="sgd", epochs=2, verbose=0, compile=False)
        assert len(history.history["loss"]) == 2 and [len(batch) for batch in seen] == [3, 1, 3, 1]
        for epoch in (seen[:2], seen[2:]):
            close(np.sort(np.concatenate(epoch)[:, 0, 0, 0]), np.array(self.images)[:, 0, 0, 0] / 100)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda x: datasets.random_flip(x[0]), r"random_flip: expected images \(batch, .*, got \(3, 5, 2\)"),
            (lambda x: datasets.random_crop(x, 4), "random_crop: expected a window within 3x5 padded by 0, got 4x4"),
            (lambda x: datasets.random_shift(x, -1), "random_crop: expected a window within 3x5 padded by -1"),
        ],
    )
    def test_unsuitable_input_is_an_error(self, call, message):
        with pytest.raises(ValueError, match=message):
            call(self.images)
