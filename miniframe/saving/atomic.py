"""Files that are whole or absent: written under a name of their own, which is changed when the data are on the disk."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Where = str | os.PathLike[str]


@contextmanager
def atomic_write(path: Where, suffix: str = "") -> Iterator[Path]:
    """``with atomic_write("model.bin") as temporary:`` write to ``temporary``; at the end it takes the name ``path``.

    Whoever opens ``path`` finds the old file or the new one, never half of one, even if the process is killed or the
    machine stops: the data reach the disk before the name changes. After an error the old file is still there. A
    symbolic link stays one: the file that it leads to is replaced. So does the mode of a file that is replaced.
    Threads and processes that write one file do not meet: the last one to finish wins.

    Args:
        path: of the file.
        suffix: of the temporary file, for writers that insist on one; by default that of ``path``.

    Raises:
        OSError: for a file that cannot be written, saying why and what became of the old one.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with atomic_write(folder + "/note.txt") as temporary:
    ...     _ = temporary.write_text("done")
    >>> os.listdir(folder)
    ['note.txt']
    """
    final = _final(path)
    try:
        temporary = _new_file(final, suffix or final.suffix)
    except OSError as error:
        raise _cannot(path, final, error) from error
    try:
        try:
            yield temporary
            _settle(temporary, final)
        except (OSError, RuntimeError) as error:
            if (cause := _cause(error, temporary)) is None:
                raise
            raise _cannot(path, final, cause) from error
    finally:
        temporary.unlink(missing_ok=True)


def _final(path: Where) -> Path:
    """The file to replace: a link's is what it leads to."""
    final = Path(os.path.realpath(path))
    if not final.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {final.parent}")
    if final.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; give the name of a file in it")
    if final.is_symlink() or (final.exists() and not final.is_file()):
        raise OSError(f"cannot write {path}: it is no ordinary file, which a new one could replace")
    return final


def _new_file(final: Path, suffix: str) -> Path:
    """An empty file beside ``final`` with a name that nobody else has, and the mode that new files get."""
    while True:
        name = final.with_name(f".{final.name[:60]}.{os.getpid()}.{secrets.token_hex(8)}.tmp{suffix}")
        with suppress(FileExistsError):
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return name


def _settle(temporary: Path, final: Path) -> None:
    """Bring the data to the disk, then change the name, then bring the name to the disk."""
    with open(temporary, "rb+") as file:
        _to_disk(file.fileno())
    if final.exists():
        os.chmod(temporary, stat.S_IMODE(final.stat().st_mode))
    os.replace(temporary, final)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _to_disk(folder)
        finally:
            os.close(folder)


def _to_disk(file: int) -> None:
    """On macOS fsync leaves the data in the drive's cache; there another call empties it, where the disk has one."""
    if hasattr(fcntl, "F_FULLFSYNC"):
        with suppress(OSError):
            fcntl.fcntl(file, fcntl.F_FULLFSYNC)
            return
    os.fsync(file)


def _cause(error: Exception, temporary: Path) -> OSError | None:
    """Why the system refused to write; None if the error is about something else.

    MLX says only that it could not write, so the system is asked once more, with a few bytes.
    """
    if isinstance(error, OSError):
        ours = error.errno is not None and error.filename in (None, temporary, str(temporary))
        return error if ours else None
    if "[write]" not in str(error):
        return None
    try:
        with open(temporary, "ab") as file:
            file.write(bytes(2**16))
            file.flush()
            _to_disk(file.fileno())
    except OSError as found:
        return found
    return OSError(str(error).splitlines()[0])


def _cannot(path: Where, final: Path, cause: OSError) -> OSError:
    """The error in one line: what, why, and what became of the old file."""
    old = "the old file is untouched" if final.exists() else "nothing was written"
    return type(cause)(f"cannot write {path}: {cause.strerror or cause}; {old}")
