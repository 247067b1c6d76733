"""Running the examples of a page of text, as a reader would."""

import doctest
import re
from pathlib import Path

import miniframe as mf

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```.*$", re.MULTILINE)


class Runner(doctest.DocTestRunner):
    """Runs the examples of a lesson in one namespace, as a reader would, and keeps what was printed."""

    def __init__(self):
        self.checker = doctest.OutputChecker()
        super().__init__(checker=self.checker, verbose=False)
        self.printed = []

    def report_success(self, out, test, example, got):
        self.printed.append((example, got))


def parsed(path, text=None):
    """The lesson as a doctest. Fences become empty lines, so that they end an output and keep the line numbers."""
    text = FENCE.sub("", path.read_text() if text is None else text)
    return doctest.DocTestParser().get_doctest(text, {}, path.stem, str(path.relative_to(ROOT)), 0)


def run(test):
    """(the runner, the report of failures)"""
    mf.seed(12345)  # a lesson that needs random numbers seeds them itself
    runner, report = Runner(), []
    runner.run(test, out=report.append)
    return runner, "".join(report)
