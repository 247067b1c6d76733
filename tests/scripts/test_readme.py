"""The README's examples run, and its quotation of Linear is the real source."""

import doctest
import inspect
import json
import re
from pathlib import Path

import pytest

import miniframe as mf

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_examples_print_what_the_page_says():
    result = doctest.testfile(str(ROOT / "README.md"), module_relative=False, verbose=False)
    assert result.attempted > 10 and result.failed == 0


def test_the_quoted_layer_is_the_real_one():
    quoted = re.search(r"class Linear\(Module\):.*?```", README, re.DOTALL).group()
    real = inspect.getsource(mf.Linear)
    backward = real[real.index("    def backward") : real.index("    def check")]
    more = ["samples_apart = True", "return mx.addmm(self.bias.value, x, self.weight.value.T)"]
    assert all(line in real for line in more)
    for line in [*backward.splitlines()[1:], *more]:
        code = line.strip()
        if code and not code.startswith(("rows =", "grad_rows =")):
            assert code in quoted, code


def test_the_times_are_those_that_were_measured():
    results = json.loads((ROOT / "benchmarks" / "results" / "time_per_epoch.json").read_text())["workloads"]
    table = README[README.index("<!-- times: begin -->") : README.index("<!-- times: end -->")]
    for work in results.values():
        for name in ("miniframe fit", "PyTorch"):
            assert f"{work['ms_per_epoch'][name]:.3g}" in table, (work["title"], name)


def test_the_errors_are_those_that_were_measured():
    results = json.loads((ROOT / "benchmarks" / "results" / "disk_accuracy.json").read_text())
    words = " ".join(README.split())
    errors, median = results["10,000 points"]["test errors in %"], results["10,000 points"]["median"]
    assert median < 0.5 and len(errors) == 10
    assert f"misplaces {median:.2f}% of 10,000 fresh points" in words
    assert f"(median of ten seeds, from {min(errors):.2f}% to {max(errors):.2f}%)" in words


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_every_link_leads_somewhere(link):
    assert (ROOT / link).exists()
