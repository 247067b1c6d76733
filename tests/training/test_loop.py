"""The same network, weights and batches in PyTorch: the same training, step by step."""

import mlx.core as mx
import numpy as np
import torch

import miniframe as mf


def test_the_loss_curves_on_the_disk_agree_for_five_epochs():
    x, labels = mf.datasets.disk(1000, seed=0)
    y = mf.one_hot(labels, 2)
    sizes = [2, 25, 25, 25, 2]
    model, twin = mf.Sequential(), torch.nn.Sequential()
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        if i:
            model.append(mf.ReLU())
            twin.append(torch.nn.ReLU())
        model.append(mf.Linear(a, b))
        twin.append(torch.nn.Linear(a, b))
        twin[-1].weight.data = torch.tensor(np.array(model[-1].weight.value))
        twin[-1].bias.data = torch.tensor(np.array(model[-1].bias.value))

    batches = [list(mf.batches(x, y, batch_size=100, shuffle=True, seed=epoch)) for epoch in range(5)]
    history = [
        model.fit(epoch, loss="mse", optimizer=optimizer, verbose=0).history["loss"][0]
        for optimizer in [mf.SGD(model, lr=0.1, momentum=0.9, weight_decay=1e-4)]
        for epoch in batches
    ]
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    expected = []
    for epoch in batches:
        losses = []
        for xb, yb in epoch:
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(twin(torch.tensor(np.array(xb))), torch.tensor(np.array(yb)))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        expected.append(np.mean(losses))
    np.testing.assert_allclose(history, expected, atol=1e-4)
    assert expected[-1] < 0.8 * expected[0]
    for parameter, reference in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(np.array(parameter.value), reference.detach().numpy(), atol=1e-3)
    test = mx.array(np.random.default_rng(1).random((50, 2), dtype=np.float32))
    np.testing.assert_allclose(np.array(model(test)), twin(torch.tensor(np.array(test))).detach().numpy(), atol=1e-3)
