"""PyTorch draws the same numbers in every test, whichever ran before."""

import pytest
import torch


@pytest.fixture(autouse=True)
def the_same_numbers_every_time():
    torch.manual_seed(0)
