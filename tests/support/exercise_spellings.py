"""More answers to the exercises: right ones in other spellings, and wrong ones that look right at first sight."""

RIGHT = {
    "1.1": [
        "x = np.array(x)\nreturn (x - x.mean(axis=0)) / x.std(axis=0)",
        "return (x - mx.mean(x, axis=0, keepdims=True)) / mx.std(x, axis=0)",
        "return mx.stack([(c - c.mean()) / mx.sqrt(((c - c.mean()) ** 2).mean()) for c in x.T], axis=1)",
    ],
    "1.2": [
        "return sum(int(s.argmax()) == int(k) for s, k in zip(scores, labels)) / len(labels)",
        "return np.mean(np.argmax(np.array(scores), axis=-1) == np.array(labels))",
        "return (mx.argmax(scores, axis=1) == labels).astype(mx.float32).mean()",
    ],
    "2.1": ["OR = [2, 2, -1]\nNAND = [-2.0, -2.0, 3.0]", "OR = (0.7, 0.9, -0.3)\nNAND = (-5, -5, 7)"],
    "2.2": ["return grad_output * (y - y * y)", "return grad_output * y - grad_output * mx.square(y)"],
    "3.1": [
        "return grad_output / y, -x / y**2 * grad_output",
        "return 1 / y * grad_output, grad_output * x * -(y**-2.0)",
    ],
    "3.2": ["return f(x + h) / (2 * h) - f(x - h) / (2 * h)", "return ((f(x + h) - f(x - h)) / h) * 0.5"],
    "4.1": [
        """self.weight.accumulate(mx.einsum("nk,nd->kd", grad_output, x))
self.bias.accumulate(mx.ones((len(x),), dtype=x.dtype) @ grad_output)
return grad_output @ self.weight.value""",
        """self.weight.accumulate((x.T @ grad_output).T)
self.bias.accumulate(mx.sum(grad_output, 0))
return (self.weight.value.T @ grad_output.T).T""",
    ],
    "4.2": [
        "return mx.where(x > 0, grad_output, 0)",
        "return grad_output * mx.maximum(mx.sign(x), 0)",
        "return grad_output * (x > 0).astype(grad_output.dtype)",
    ],
    "4.3": ["return grad_output - grad_output * y**2", "return grad_output * (1 - y) * (1 + y)"],
    "4.4": [
        "if mask is None:\n    return grad_output\nreturn mask * grad_output",
        "return grad_output * mask if self.training else grad_output",
    ],
    "4.5": [
        "return 2 * (np.array(prediction) - np.array(target)) / np.array(prediction).size",
        "return 2 / prediction.size * (prediction - target)",
        "n = prediction.size\nreturn (prediction - target + prediction - target) / n",
    ],
    "5.1": [
        "return [order[i : i + size].tolist() for i in range(0, len(order), size)]",
        "return mx.split(order, list(range(size, len(order), size)))",
        "batches = []\nfor i in range(0, len(order), size):\n    batches.append(order[i : i + size])\nreturn batches",
    ],
    "5.2": [
        "x = np.array(errors)\nm = x.mean()\nreturn m, np.sqrt(((x - m) ** 2).sum() / (len(x) - 1))",
        "mean = sum(errors) / len(errors)\nvar = sum((e - mean) ** 2 for e in errors) / (len(errors) - 1)\n"
        "std = var**0.5\nreturn [mean, std]",
    ],
    "6.1": [
        """p = np.array(mx.softmax(logits, axis=1))
p[np.arange(len(p)), np.array(labels)] -= 1
return p / len(p)""",
        """p = mx.softmax(logits, axis=-1)
return (p - mx.eye(logits.shape[1])[labels].astype(p.dtype)) / logits.shape[0]""",
        """e = mx.exp(logits - logits.max(axis=1, keepdims=True))
p = e / e.sum(axis=1, keepdims=True)
rows = mx.arange(len(labels))
return p.at[rows, labels].add(-1.0) / len(labels)""",
    ],
    "6.2": [
        "g = grad_output * y\nreturn g - y * g.sum(axis=-1, keepdims=True)",
        "return y * (grad_output - mx.expand_dims((grad_output * y).sum(axis=-1), -1))",
    ],
    "9.1": [
        "return len(range(0, size + 2 * padding - kernel + 1, stride))",
        "return int((size + 2 * padding - kernel) / stride) + 1",
        "import math\nreturn 1 + math.floor((size - kernel + padding + padding) / stride)",
    ],
    "9.3": [
        """g = mx.repeat(mx.repeat(grad_output, 2, axis=1), 2, axis=2)
return mx.where(x == mx.repeat(mx.repeat(y, 2, axis=1), 2, axis=2), g, 0)""",
    ],
    "10.1": [
        "return model.backward((mx.arange(scores.shape[1]) == k) * mx.ones(scores.shape))",
        "g = np.zeros(scores.shape, dtype=np.float32)\ng[:, k] = 1\nreturn np.array(model.backward(mx.array(g)))",
    ],
    "14.1": ["through = self.inner.backward(grad_output)\nreturn through + grad_output"],
    "14.2": [
        "return y[:, None] * (mx.eye(len(y)) - y[None, :])",
        "y = np.array(y)\nreturn np.diagflat(y) - np.outer(y, y)",
    ],
    "11.1": ["v = g + momentum * v\nreturn [w - lr * v, v]"],
    "11.2": [
        """m = m + (1 - beta1) * (g - m)
v = v + (1 - beta2) * (g**2 - v)
root = mx.sqrt(v) / (1 - beta2**t) ** 0.5
return w - lr / (1 - beta1**t) * m / (root + eps), m, v""",
    ],
    "11.3": [
        "return lr * math.cos(math.pi * step / (2 * steps)) ** 2",
        "return 0.5 * lr + 0.5 * lr * math.cos(step / steps * math.pi)",
    ],
    "16.1": [
        """h, w = height, width
columns = [(c * h + i) * w + j for i in range(h) for j in range(w) for c in range(channels)]
return weight[:, mx.array(columns)]""",
        """parts = np.array(weight).reshape(-1, channels, height * width)
return np.swapaxes(parts, 1, 2).reshape(weight.shape)""",
    ],
    "17.2": [
        """one_hot = (ids[:, None] == mx.arange(self.weight.shape[0])).astype(grad_output.dtype)
self.weight.accumulate(one_hot.T @ grad_output)""",
    ],
    "20.1": [
        "m = mx.max(x)\nreturn (mx.log(mx.sum(mx.exp(x - m))) + m).item()",
        "x = np.array(x, dtype=np.float64)\nreturn x.max() + np.log(np.exp(x - x.max()).sum())",
        """total = x[0]
for entry in x[1:]:
    high, low = mx.maximum(total, entry), mx.minimum(total, entry)
    total = high + mx.log1p(mx.exp(low - high))
return total""",
    ],
    "21.1": [
        """total = gradients[0] * (sizes[0] / sum(sizes))
for g, n in zip(gradients[1:], sizes[1:]):
    total = total + g * (n / sum(sizes))
return total""",
        "return np.average([np.array(g) for g in gradients], axis=0, weights=sizes)",
    ],
}

IN_PLACE = "changed the caller's arrays"
RETURN = "returned None. Is a `return` missing?"
FORBIDDEN = "does the exercise for you. Write it without."

WRONG = [
    ("1.1", "x -= x.mean(axis=0)\nreturn x / mx.sqrt(x.var(axis=0))", IN_PLACE),
    ("1.1", "x = x - x.mean(axis=0)", RETURN),
    ("1.1", "return (x - x.mean(axis=1, keepdims=True)) / mx.sqrt(x.var(axis=0))",
     "Which axis runs along the samples?"),
    ("1.1", "return mx.array(np.resize([1.0, -1.0], x.shape)) * 1.0 if len(x) % 2 == 0 else x",
     "not the samples any more"),
    ("1.1", "return (x - x.mean(axis=0)) / (0 * x)", "contains infinity"),
    ("1.1", "return x.mean(dim=0)", "axis= and keepdims="),
    ("1.1", "return 'done'", "should be an array, not str"),
    ("1.2", "return 0.8", "Largest along which axis?"),
    ("1.2", "return (mx.argmax(scores) == labels).astype(mx.float32).mean()", "of its row"),
    ("1.2", "(mx.argmax(scores, axis=1) == labels).astype(mx.float32).mean()", RETURN),
    ("1.2", "return (mx.argmax(scores, axis=0) == labels).mean()", "do not go together element by element"),
    ("1.2", "return (scores.max(axis=1) == labels).astype(mx.float32).mean()", "*place*"),
    ("2.1", "OR = 1\nNAND = (-1, -1, 1.5)", "OR needs three numbers"),
    ("2.1", 'OR = ("a", 1, -0.5)\nNAND = (-1, -1, 1.5)', "OR needs three numbers, such as"),
    ("2.1", 'OR = (float("nan"), 1, -0.5)\nNAND = (-1, -1, 1.5)', "OR needs three numbers, such as"),
    ("2.2", "return grad_output * mx.sigmoid(y) * (1 - mx.sigmoid(y))", "The gradient of input"),
    ("2.2", "return (grad_output * y * (1 - y)).sum()", "always has the shape of the thing it belongs to"),
    ("2.2", "return mx.vjp(mx.sigmoid, [mx.log(y / (1 - y))], [grad_output])[1][0]", FORBIDDEN),
    ("2.2", "return 0.5", "returned a float where an array is needed"),
    ("2.2", "return grad_output * y * (1 - y) / mx.zeros_like(y)", "NaN or infinity"),
    ("4.2", "relu = mf.ReLU()\nrelu(x)\nreturn relu.backward(grad_output)", FORBIDDEN),
    ("14.2", "return mf.jacobian(mf.Softmax(), mx.log(y)[None]).reshape(len(y), len(y))", FORBIDDEN),
    ("3.1", "return grad_output / y, -grad_output * x / (y * y * abs(y)) * abs(y) * mx.sign(y)",
     "The gradient of input 1 is wrong. Wrong local derivative"),
    ("3.2", "(f(x + h) - f(x - h)) / (2 * h)", RETURN),
    ("3.2", "return (f(x + h / 2) - f(x - h / 2)) / h", "The two points are h apart"),
    ("3.2", "return 12.01", "Right for x cubed, but for exp"),
    ("3.2", "return 3 * x * x + h * h", "Right for x cubed, but for exp"),
    ("3.2", "return None", RETURN),
    ("4.1", "self.weight.grad += grad_output.T @ x\nreturn grad_output @ self.weight.value",
     "self.weight.accumulate(...)"),
    ("4.1", "return grad_output @ self.weight", "its numbers are in .value"),
    ("4.1", "self.weight.accumulate(None)\nreturn grad_output", "Something is None here"),
    ("4.1", "return grad_output @ self.weight.value.T", "Matrices in the wrong order"),
    ("4.2", "return grad_output * (x >= 0)", "At x = 0 the gradient should be 0"),
    ("4.2", "return grad_output * (x > 1e-3)", "the corner is exactly at 0"),
    ("4.2", "if x > 0:\n    return grad_output\nreturn 0 * grad_output", "a comparison gives a mask"),
    ("4.2", "return grad_output if x.sum() > 0 else grad_output * 0", "The gradient of input"),
    ("4.2", "g = np.array(grad_output)\nreturn g[np.array(x) > 0]", "always has the shape of the thing it belongs to"),
    ("4.2", "x[x < 0] = 0\nreturn grad_output * (x > 0) * 1.5", "changed the layer's input in place"),
    ("4.3", "return grad_output / mx.cosh(y) ** 2", "no second tanh"),
    ("4.4", "if mask:\n    return grad_output * mask\nreturn grad_output", "a comparison gives a mask"),
    ("4.4", "return grad_output * self.mask", "has no attribute 'mask'"),
    ("4.4", "return grad_output * (mask != 0) if mask is not None else grad_output",
     "The scale 1 / (1 - p) is missing"),
    ("4.5", "return 2 * (prediction - target).mean(axis=0) / 4", "expected (4, 3), got (3,)"),
    ("4.5", "prediction -= target\nreturn 2 * prediction / prediction.size", IN_PLACE),
    ("4.5", "return 2 * (prediction - target) / 12", "what it should be"),
    ("5.1", "import miniframe as mf\nreturn [b for b, _ in mf.batches(order, order, size)]", FORBIDDEN),
    ("5.1", "return [order]", "have the sizes [10]"),
    ("5.1", "yield order", "not one generator"),
    ("5.2", "import numpy as np\nreturn np.mean(errors), np.std(errors, ddof=1)", FORBIDDEN),
    ("5.2", "from statistics import stdev as s\nreturn sum(errors) / len(errors), s(errors)", FORBIDDEN),
    ("5.2", "return sum(errors) / len(errors)", "Return the mean and the spread"),
    ("6.1", "return mx.softmax(logits, axis=1)", "The gradient"),
    ("6.1", "return logits / len(labels)", "The gradient with respect to logits disagrees"),
    ("6.1", "e = mx.exp(logits)\np = e / e.sum(axis=1, keepdims=True)\n"
            "return (p - mx.eye(p.shape[1])[labels].astype(p.dtype)) / len(p)", "without changing its softmax"),
    ("6.2", "return y * (grad_output - (grad_output * y).sum(axis=-1))", "keepdims=True keeps it"),
    ("6.2", "return y * (grad_output - (grad_output * y).sum(axis=0, keepdims=True))", "The gradient of input"),
    ("9.1", "return round((size + 2 * padding - kernel) / stride) + 1", "too narrow for a window"),
    ("9.1", "return (size - kernel) // stride + 1 + 2 * padding // stride", "you say"),
    ("9.1", "return (size + 2 * padding) // stride - kernel // stride + 1", "you say"),
    ("9.1", "print(size)", RETURN),
    ("9.2", ("grad_output @ w[:, u, v]", "grad_output @ w[:, v, u]"), "axes of the window are exchanged"),
    ("9.2", ("dw.at[:, u, v]", "dw.at[:, v, u]"), "axes of the window are exchanged"),
    ("9.3", "return grad_output * (x == y)", "do not go together element by element"),
    ("10.1", "return mx.zeros(x.shape)", "not the gradient of score k"),
    ("10.1", "return model.backward(mx.zeros(scores.shape).at[:, 2].add(1.0))", "gradient of another class"),
    ("14.1", "return 2 * grad_output", "inner.0.weight received no gradient" ),
    ("14.2", "return mx.outer(y, 1 - y)", "Each column must sum to 0"),
    ("14.2", "return -mx.outer(y, y)", "Right but for the diagonal"),
    ("11.1", "g += momentum * v\nreturn w - lr * g, g", IN_PLACE),
    ("11.1", "v *= momentum\nv += g\nreturn w - lr * v, v", IN_PLACE),
    ("11.1", "v = momentum * v + g\nreturn v, w - lr * v", "The two results are swapped"),
    ("11.1", "v = 0.9 * v + g\nreturn w - 0.1 * v, v", "but not for 0.5 and 0.0"),
    ("11.2", ("mx.sqrt(v_hat) + eps", "mx.sqrt(v_hat + eps)"), "Is ε inside the root?"),
    ("11.2", ("beta1**t", "0.9**t"), "Right for the usual lr"),
    ("11.2", ("m = beta1 * m + (1 - beta1) * g", "m *= beta1\nm += (1 - beta1) * g"), IN_PLACE),
    ("11.3", "return 0.2 * (1 + math.cos(math.pi * step / 100)) / 2", "Right for 100 steps and lr = 0.2"),
    ("16.1", "return weight[:, ::-1]", "Not the right order"),
    ("17.2", ("return None", "return grad_output"), "which has no meaning: return None"),
    ("17.2", "self.weight.accumulate(grad_output)", "A gradient always has the shape of its parameter"),
    ("20.1", "return mx.logsumexp(x)", FORBIDDEN),
    ("20.1", "return x.logsumexp()", FORBIDDEN),
    ("20.1", "from mlx.core import logsumexp as f\nreturn f(x)", FORBIDDEN),
    ("20.1", 'return getattr(mx, "logsumexp")(x)', FORBIDDEN),
    ("20.1", "return mx.logaddexp(x[0], x[1])", FORBIDDEN),
    ("20.1", "return mx.log(mx.exp(mx.clip(x, -80, 80)).sum())", "Entries that are cut off"),
    ("20.1", "high, low = mx.maximum(x[0], x[1]), mx.minimum(x[0], x[1])\nreturn high + mx.log1p(mx.exp(low - high))"
             " if len(x) == 2 else high", "Right for two entries, but for"),
    ("20.1", "m = x.max()\nx -= m\nreturn m + mx.log(mx.exp(x).sum())", IN_PLACE),
    ("21.1", "return sum(n * g for n, g in zip(sizes, gradients)) / 10", "Right for three workers, but not"),
    ("21.1", "for n, g in zip(sizes, gradients):\n    g *= n / sum(sizes)\nreturn sum(gradients)", IN_PLACE),
]  # fmt: skip
