"""For the site: examples in docstrings, which start with ``>>>``, become blocks of code, and ``:class:`` goes away."""

import re

from griffe import Extension

EXAMPLE = re.compile(r"^(?P<indent> *)>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)
ROLE = re.compile(r":(?:mod|class|func|meth):(?=`)")


def fenced(text: str) -> str:
    """The docstring with a fence around each block of examples, and without the roles before names."""

    def fence(block: re.Match) -> str:
        indent = block["indent"]
        return f"{indent}```pycon\n{block[0]}\n{indent}```"

    return EXAMPLE.sub(fence, ROLE.sub("", text))


class Examples(Extension):
    """Called by griffe for every object that it has read."""

    def on_instance(self, *, obj, **options) -> None:
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)
