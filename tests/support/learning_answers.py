"""Answers to the exercises of lesson 3's engine and of lessons 5 to 8, 12, 13 and 15; see exercise_answers.py."""

ENGINE = """def _of(self, value, *slopes):
    made = Value(value, tuple(source for source, _ in slopes))
    made.slopes = slopes
    return made

slopes = ()

def __add__(self, other):
    other = other if isinstance(other, Value) else Value(other)
    return self._of(self.data + other.data, (self, 1.0), (other, 1.0))

def __mul__(self, other):
    other = other if isinstance(other, Value) else Value(other)
    return self._of(self.data * other.data, (self, other.data), (other, self.data))

__radd__, __rmul__ = __add__, __mul__

def tanh(self):
    t = math.tanh(self.data)
    return self._of(t, (self, 1 - t * t))

def backward(self):
    order, seen = [], set()
    def visit(value):
        if id(value) not in seen:
            seen.add(id(value))
            for source in value.inputs:
                visit(source)
            order.append(value)
    visit(self)
    self.grad = 1.0
    for value in reversed(order):
        for source, slope in value.slopes:
            source.grad += slope * value.grad"""

COUNT = """counts = np.zeros((classes, classes), dtype=int)
for i, j in zip(truth.tolist(), said.tolist()):
    counts[i, j] += 1
return counts"""

STOP = """best, waited = 0, 0
for epoch, loss in enumerate(val_losses):
    if epoch == 0 or loss < val_losses[best]:
        best, waited = epoch, 0
    else:
        waited += 1
        if waited == patience:
            break
return best"""

DOCTOR = """fallen = (reading["first"] - reading["last"]) / reading["first"]
if reading["update"] > 0.1 and fallen < 0.02:
    return "rate too high"
if reading["update"] < 1e-4 and abs(fallen) < 0.01:
    return "rate too low"
if reading["dead"] > 0.8:
    return "dead units"
if reading["saturated"] > 0.8:
    return "saturated"
if reading["gradient"] > 1e3:
    return "exploding"
if reading["gradient"] < 1e-4:
    return "vanishing"
return "healthy\""""

BEND = """slopes = np.diff(ys) / np.diff(xs)
return ys[0], [slopes[0], *np.diff(slopes)], list(xs[:-1])"""

SPREAD = """n = len(errors)
mean = sum(errors) / n
squares = sum((e - mean) ** 2 for e in errors)
return mean, (squares / (n - 1)) ** 0.5"""

LEVELS = """def level(name):
    return 1 + max((level(source) for source in inputs[name] if source in inputs), default=0)
return {name: level(name) for name in inputs}"""


def made_of(Answers):
    """The answers, as ``Answers``."""
    std = "return math.sqrt((2 if activation == 'relu' else 1) / fan_in)"
    return {
        "3.4": Answers(
            ENGINE,
            {
                "sum over both uses": ("source.grad += slope", "source.grad = slope"),
                "Sort them first": (
                    ENGINE[ENGINE.index("    order, seen") :],
                    "    self.grad = 1.0\n    waiting = [self]\n    while waiting:\n        value = waiting.pop()\n"
                    "        for source, slope in value.slopes:\n            source.grad += slope * value.grad\n"
                    "            waiting.append(source)\n",
                ),
                "f = tanh(x) + y": ("(self, 1 - t * t)", "(self, 1 - t)"),
                "f = x * y": ("(self, other.data), (other, self.data)", "(self, self.data), (other, other.data)"),
                "should give a Value": (
                    "return self._of(self.data + other.data, (self, 1.0), (other, 1.0))",
                    "return 1",
                ),
            },
        ),
        "5.1": Answers(
            "return [order[i : i + size] for i in range(0, len(order), size)]",
            {
                "never seen. The last batch": "return [order[i * size :][:size] for i in range(len(order) // size)]",
                "Each comes exactly once": "return [order[i : i + size] for i in range(len(order))]",
                "not those of range": "n = len(order)\n"
                "return [mx.arange(i, min(i + size, n)) for i in range(0, n, size)]",
                "not in the order of": "return [order[::-1][i : i + size] for i in range(0, len(order), size)]",
                "have the sizes": "return [order[i : i + 1] for i in range(len(order))]",
                "Return a list of arrays": "return order",
            },
        ),
        "5.2": Answers(
            SPREAD,
            {
                "You divided by n": ("(n - 1)", "n"),
                "root has the unit": ("** 0.5", "** 1"),
                "and take the root": ("squares / (n - 1)) ** 0.5", "squares / n)"),
                "square the distances": ("(squares / (n - 1)) ** 0.5", "sum(abs(e - mean) for e in errors) / n"),
                "uncertain the *mean* is": ("** 0.5", "** 0.5 / n**0.5"),
                "best to the worst": ("(squares / (n - 1)) ** 0.5", "max(errors) - min(errors)"),
                "The two are swapped": "m = sum(errors) / len(errors)\nv = sum((e - m) ** 2 for e in errors)\n"
                "return (v / (len(errors) - 1)) ** 0.5, m",
                "The mean of": ("mean = sum(errors) / n", "mean = sum(errors)"),
            },
        ),
        "6.3": Answers(
            COUNT,
            {
                "Rows and columns are swapped": ("counts[i, j] += 1", "counts[j, i] += 1"),
                "counted once at most": ("counts[i, j] += 1", "counts[i, j] = 1"),
                "have rows and columns of zeros": (
                    "np.zeros((classes, classes), dtype=int)",
                    "np.zeros((classes - 1, classes), dtype=int)",
                ),
                "look at entry": ("counts[i, j] += 1", "counts[i, i] += 1"),
            },
        ),
        "7.1": Answers(
            STOP,
            {
                "after the training has stopped": "return min(range(len(val_losses)), key=lambda i: val_losses[i])",
                "That is where it stops": ("            break", "            return epoch"),
                "As low is not lower": ("loss < val_losses[best]", "loss <= val_losses[best]"),
                "a counter in your hands": ("return best", "return 0"),
            },
        ),
        "8.1": Answers(
            std,
            {
                "its root is asked": "return (2 if activation == 'relu' else 1) / fan_in",
                "the default of Linear": "return 1 / math.sqrt(3 * fan_in)",
                "half of the signal": "return 1 / math.sqrt(fan_in)",
                "The *variance* doubles": "return (2 if activation == 'relu' else 1) / math.sqrt(fan_in)",
                "n times that of one": "return 0.5",
            },
        ),
        "12.1": Answers(
            DOCTOR,
            {
                "A large step alone is no disease": ("> 0.1 and fallen < 0.02", "> 0.1"),
                "this training has arrived": ("< 1e-4 and abs(fallen) < 0.01", "< 1e-4"),
                "Return one of": ('return "healthy"', 'return "fine"'),
                "Almost all units": ('reading["dead"] > 0.8', 'reading["dead"] > 1'),
                "Saturation is why": ('reading["saturated"] > 0.8', 'reading["saturated"] > 1'),
            },
        ),
        "13.1": Answers(
            BEND,
            {
                "at the first point": ("return ys[0]", "return 0.0"),
                "at the second point": ("[slopes[0], *np", "[0.0, *np"),
                "needs the difference": "slopes = np.diff(ys) / np.diff(xs)\nreturn ys[0], list(slopes), list(xs[:-1])",
                "need 1 ReLUs": "return 0.0, [], []",
                "Return three things": "return 0.0",
            },
        ),
        "15.1": Answers(
            LEVELS,
            {
                "one too low": (
                    "return 1 + max((level(source) for source in inputs[name] if source in inputs), default=0)",
                    "return max((1 + level(source) for source in inputs[name] if source in inputs), default=0)",
                ),
                "it belongs on": "return {name: 1 for name in inputs}",
                "Expected levels for": "return {}",
                "Return a dict": "return list(inputs)",
            },
        ),
    }
