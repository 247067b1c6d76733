"""Files from the internet, fetched once: into one folder, whole or not at all, checked, with a bar to watch."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tqdm.auto import tqdm

CHUNK = 2**18


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
        ValueError: when what arrives is not the expected file.
    """
    folder = data_folder() if folder is None else folder
    path = folder / name
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{name}.{os.getpid()}.part")
    reasons = []
    try:
        for url in urls:
            try:
                found = _download(url, partial, name)
            except OSError as error:  # URLError, timeouts and refused connections are all OSErrors
                reasons.append(f"{url}: {getattr(error, 'reason', None) or error}")
                continue
            if found != sha256:
                reasons.append(f"{url}: the checksum is {found[:12]}..., expected {sha256[:12]}...")
                continue
            os.replace(partial, path)
            return path
    finally:
        partial.unlink(missing_ok=True)
    wrong = any("checksum" in reason for reason in reasons)
    raise (ValueError if wrong else ConnectionError)(
        f"could not download {name} ({'; '.join(reasons)}). Put the file into {folder}, "
        "or set MINIFRAME_DATA to the folder that has it"
    )


def _download(url: str, path: Path, name: str) -> str:
    """Write the file and return its SHA-256."""
    digest = hashlib.sha256()
    request = urllib.request.Request(url, headers={"User-Agent": "miniframe"})
    with urllib.request.urlopen(request, timeout=30) as source, open(path, "wb") as target:
        total = int(source.headers.get("Content-Length") or 0)
        with tqdm(total=total or None, desc=name, unit="B", unit_scale=True, dynamic_ncols=True) as bar:
            while chunk := source.read(CHUNK):
                target.write(chunk)
                digest.update(chunk)
                bar.update(len(chunk))
        if total and bar.n != total:
            raise urllib.error.URLError(f"the connection broke off after {bar.n:,} of {total:,} bytes")
    return digest.hexdigest()
