"""LeNet on the MNIST test images, where they are at hand: an 8,000 / 2,000 split, not the official one."""

import numpy as np
import pytest
from loading import load_script


@pytest.fixture(scope="module")
def mnist():
    return load_script("benchmarks/mnist.py")


@pytest.fixture
def data(mnist):
    if not mnist.SHARED.is_dir() and not (mnist.mf.datasets.data_folder() / "mnist").is_dir():
        pytest.skip("the MNIST test images are not at hand")
    return mnist.split(None)


def test_the_split_shares_no_image(data):
    (learn, labels), (test, _) = data
    assert learn.shape == (8000, 28, 28, 1) and test.shape == (2000, 28, 28, 1)
    assert sorted(set(labels.tolist())) == list(range(10))
    seen = {image.tobytes() for image in np.array(learn)}
    assert not any(image.tobytes() in seen for image in np.array(test))


@pytest.mark.slow
def test_lenet_reaches_98_percent(mnist, data):
    learn, test = data
    model, _ = mnist.train(learn, verbose=0)
    assert model.evaluate(*test)["accuracy"] >= 0.98
