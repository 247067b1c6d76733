"""Answers to the exercises of lessons 17 to 19; see exercise_answers.py."""

TIME = """hs = [0.0]
for x in xs:
    hs.append(math.tanh(w * x + u * hs[-1]))
dw, du, grad = 0.0, 0.0, 1.0
for t in range(len(xs), 0, -1):
    grad *= 1 - hs[t] ** 2
    dw, du = dw + grad * xs[t - 1], du + grad * hs[t - 1]
    grad *= u
return dw, du"""

ATTENTION = """scale = 1 / math.sqrt(query.shape[1])
grad_weights = grad_output @ value.T
grad_scores = weights * (grad_weights - (grad_weights * weights).sum(axis=-1, keepdims=True))
grad_scores = grad_scores * scale
return grad_scores @ key, grad_scores.T @ query, weights.T @ grad_output"""

DRAW = """half = mx.exp(log_variance / 2) / 2
return grad_output, grad_output * noise * half"""


def made_of(Answers):
    """The answers, as ``Answers``."""
    return {
        "17.1": Answers(
            TIME,
            {
                "the last step alone": ("range(len(xs), 0, -1)", "range(len(xs), len(xs) - 1, -1)"),
                "multiplied by u": ("    grad *= u\n", ""),
                "not that of step t": ("grad * hs[t - 1]", "grad * hs[t]"),
                "The derivative of tanh": ("    grad *= 1 - hs[t] ** 2\n", ""),
                "from the last one": ("return dw, du", "return du, dw"),
                "Return 2 gradients": ("return dw, du", "return dw"),
            },
        ),
        "18.1": Answers(
            ATTENTION,
            {
                "grad_value is wrong": ("weights.T @ grad_output", "weights @ grad_output"),
                "The factor 1/√D": ("grad_scores = grad_scores * scale\n", ""),
                "derivative of the softmax is missing": (
                    "weights * (grad_weights - (grad_weights * weights).sum(axis=-1, keepdims=True))",
                    "grad_weights",
                ),
                "moves all weights of a row": (" - (grad_weights * weights).sum(axis=-1, keepdims=True)", ""),
                "are swapped": ("grad_scores @ key, grad_scores.T @ query", "grad_scores.T @ query, grad_scores @ key"),
                "grad_key is wrong": ("grad_scores.T @ query", "grad_scores @ query"),
                "Return 3 gradients": ("return grad_scores @ key, grad_scores.T @ query, ", "return "),
            },
        ),
        "19.1": Answers(
            DRAW,
            {
                "grad_mean is wrong": ("return grad_output, ", "return grad_output * noise, "),
                "Half of it": ("/ 2) / 2", "/ 2)"),
                "it stands in the derivative": ("* noise * half", "* half"),
                "its own derivative": ("* noise * half", "* noise / 2"),
                "That is the variance": ("log_variance / 2) / 2", "log_variance) / 2"),
                "grad_log_variance is wrong": ("* noise * half", "* noise"),
                "Return 2 gradients": ("return grad_output, ", "return "),
            },
        ),
    }
