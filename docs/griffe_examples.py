"""For the site: examples in docstrings, which start with ``>>>``, become blocks of code, and shared Args read well."""

import re

from griffe import Extension

EXAMPLE = re.compile(r"^(?P<indent> *)>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)


def fenced(text: str) -> str:
    """The docstring with a fence around each block of examples."""

    def fence(block: re.Match) -> str:
        indent = block["indent"]
        return f"{indent}```pycon\n{block[0]}\n{indent}```"

    return EXAMPLE.sub(fence, text)


class Examples(Extension):
    """Called by griffe for every object that it has read."""

    def on_instance(self, *, obj, **options) -> None:
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)
