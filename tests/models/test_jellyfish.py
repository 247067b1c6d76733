"""Is there a jellyfish in it: a coin before training, right afterwards, proven, and asked why."""

import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf
from miniframe import datasets, models


def test_before_training_it_is_wrong_about_half_the_time():
    x, labels = datasets.jellyfish(400, seed=3)
    right = []
    for seed in range(5):
        mf.seed(seed)
        answers = models.jellyfish().predict(x)[:, 0] > 0
        right.append((answers == (labels == 1)).mean().item())
    assert 0.35 < np.mean(right) < 0.65


def test_the_proof_computes_8762_losses_and_says_so():
    model = models.jellyfish()
    report = mf.check_gradients(
        model, normal(2, 8, 8, 3, seed=1), loss="bce_with_logits", target=np.array([[0.0], [1]])
    )
    assert report.passed, report
    assert "8,762 losses for 4,381 weights" in repr(report)
    assert "768 losses for 384 numbers of the input" in repr(report) and "all with this one model" in repr(report)
    assert sum(row.evaluations for row in report.rows) >= 8762 + 768


@pytest.mark.slow
def test_after_a_minute_it_is_right_for_95_of_100_fresh_images_and_looks_at_the_animal():
    x, labels = datasets.jellyfish(1600, seed=0)
    fresh, answers, masks = datasets.jellyfish(500, seed=1, masks=True)
    mf.seed(0)
    model = models.jellyfish()
    rate = mf.schedules.cosine(0.01, steps=300)
    y, target = labels[:, None].astype(mx.float32), answers[:, None].astype(mx.float32)
    adam = mf.Adam(model, lr=rate)
    model.fit(x, y, loss="bce_with_logits", optimizer=adam, epochs=6, batch_size=32, seed=0, verbose=0)
    assert model.evaluate(fresh, target, metrics=["accuracy"])["accuracy"] > 0.95
    seen = [i for i in range(100) if answers[i].item() == 1][:30]
    heat = np.array(mf.explain.saliency(model, fresh[mx.array(seen)], target=0, samples=4))
    inside = np.array(masks)[seen] > 0
    share = [h[m].sum() / h.sum() / m.mean() for h, m in zip(heat, inside)]
    assert np.mean(share) > 2  # a pixel of the animal counts more than twice as much as one anywhere
    found = mf.explain.maximize_activation(model, "answer", 0, steps=20)
    assert found.end > found.start + 1
