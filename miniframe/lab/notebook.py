"""The lab in a cell of a notebook."""

from __future__ import annotations

from typing import Any

from ..core.extras import library
from ..core.module import Module
from . import page
from .opening import begin, own_session
from .recipe import Recipe
from .session import Page, Session


def widget(
    model: Module | None = None, x: Any = None, y: Any = None, loss: Any = None, optimizer: Any = None, **options: Any
) -> Any:
    """The lab as a widget below a cell: the same page as :func:`open`, in JupyterLab, VS Code, Colab and marimo.

    Args:
        model, x, y, loss, optimizer: as for :func:`open`; without a model, the lab's own with its toy data.
        options: validation_data, batch_size, seed.

    Raises:
        ImportError: without anywidget, which the extra ``lab`` brings.
    """
    anywidget = library("anywidget", "lab", "lab.widget")
    if model is None:
        if x is not None or y is not None or options:
            raise TypeError("lab.widget: expected a model with its data, or nothing at all")
        session = Session(Recipe())
    else:
        session = own_session(model, x, y, loss, optimizer, **options)

    class Lab(anywidget.AnyWidget):  # type: ignore[misc, name-defined]
        """One lab; several views of it see the same training."""

        _esm = page.bundled("export default { render: renderWidget };")
        _css = page.read("lab.css")

        def __init__(self) -> None:
            super().__init__()
            self.session = session
            self.someone = Page(lambda message: self.send({"kind": "lab"}, [message]))
            self.on_msg(self._asked)
            self.thread = begin(session)

        def _asked(self, _: Any, content: Any, buffers: Any) -> None:
            if not isinstance(content, dict) or content.get("do") in ("close", "gone"):
                return
            if content.get("do") == "join" and self.someone in session.pages:
                session.commands.put((self.someone, {"do": "gone"}))
            session.commands.put((self.someone, content))

        def close(self) -> None:
            """End the training and the view."""
            session.close()
            super().close()

    return Lab()
