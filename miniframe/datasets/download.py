"""Files from the internet, fetched once: into one folder, whole or not at all, checked, with a bar to watch."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from ..core.extras import library


def data_folder() -> Path:
    """Where data sets are kept.

    The folder that the environment variable MINIFRAME_DATA names; else ``datasets/`` of the checkout that miniframe
    runs from; else, when it is installed, ``~/.cache/miniframe``.
    """
    if named := os.environ.get("MINIFRAME_DATA"):
        return Path(named).expanduser()
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file() and (checkout / "datasets").is_dir():
        return checkout / "datasets"
    return Path.home() / ".cache" / "miniframe"


def fetch(name: str, urls: Sequence[str], sha256: str, folder: Path | None = None) -> Path:
    """The path of a file that is in the folder, after downloading it if it is not.

    Args:
        name: of the file.
        urls: tried in order.
        sha256: the checksum that a download must have.
        folder: by default ``data_folder()``.

    Raises:
        ConnectionError: when no address answers; the message says where to put the file by hand.
        ImportError: for a download without the library pooch, which does it; with the same remedy.
        ValueError: when what arrives is not the expected file.
    """
    folder = data_folder() if folder is None else folder
    path = folder / name
    if path.is_file():
        return path
    remedy = f"Put the file into {folder}, or set MINIFRAME_DATA to the folder that has it"
    try:
        pooch = library("pooch", "download", f"downloading {name}")
    except ImportError as error:
        raise ImportError(f"{error}. {remedy}") from error
    pooch.get_logger().setLevel(logging.WARNING)
    fetcher = pooch.HTTPDownloader(progressbar=True, timeout=30)
    reasons, wrong = [], False
    for url in urls:
        try:
            return Path(pooch.retrieve(url, f"sha256:{sha256}", name, folder, downloader=fetcher))
        except OSError as error:  # refused connections, timeouts and what servers answer are all OSErrors
            reasons.append(f"{url}: {error}")
        except ValueError:
            wrong = True
            reasons.append(f"{url}: the checksum is another than the expected {sha256[:12]}...")
    kind = ValueError if wrong else ConnectionError
    raise kind(f"could not download {name} ({'; '.join(reasons)}). {remedy}")
