"""Writing in place of another file: links and modes stay, writers do not meet, and what cannot be written is said."""

import errno
import fcntl
import os
import stat
import subprocess
import sys
import threading

import mlx.core as mx
import pytest

import miniframe as mf
from miniframe.saving import atomic
from miniframe.saving.atomic import atomic_write
from miniframe.saving.files import load_arrays, save_arrays


@pytest.fixture
def umask_027():
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_a_link_to_the_file_that_is_written(tmp_path, there):
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "model", tmp_path / "link"
    if there:
        target.write_bytes(b"old")
    link.symlink_to(os.path.join("far", "model"))
    mf.Linear(2, 3).save(link)
    assert link.is_symlink() and os.readlink(link) == "far/model"
    assert mf.load(target).in_features == 2
    assert os.listdir(tmp_path / "far") == ["model"] and sorted(os.listdir(tmp_path)) == ["far", "link"]


def test_a_link_that_leads_in_a_circle_is_an_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="cannot write .*no ordinary file"):
        mf.Linear(2, 3).save(tmp_path / "a")
    assert (tmp_path / "a").is_symlink()


def test_the_mode_of_a_file_stays_and_a_new_one_gets_that_of_the_umask(tmp_path, umask_027):
    path = tmp_path / "model"
    mf.Linear(2, 3).save(path)
    assert mode(path) == 0o640
    for kept in (0o600, 0o444, 0o755):
        path.chmod(kept)
        mf.Linear(2, 4).save(path)
        assert mode(path) == kept


def test_what_is_no_ordinary_file_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="no ordinary file"):
        mf.Linear(2, 3).save(pipe)
    with pytest.raises(OSError, match="it is a folder"):
        mf.Linear(2, 3).save(tmp_path)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_names_as_long_as_the_system_allows_can_be_written(tmp_path):
    path = tmp_path / ("m" * 255)
    mf.Linear(2, 3).save(path)
    assert os.listdir(tmp_path) == [path.name]


WRITER = """
import sys
import mlx.core as mx
from miniframe.saving.files import save_arrays
for k in range(20):
    save_arrays(sys.argv[1], {"k": mx.full((1000,), k, dtype=mx.int32)}, {"k": k})
"""


def test_many_threads_and_processes_can_save_one_name(tmp_path):
    path, errors = tmp_path / "arrays", []
    processes = [subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) for _ in range(2)]

    def write():
        try:
            for k in range(20):
                save_arrays(path, {"k": mx.full((1000,), k, dtype=mx.int32)}, {"k": k})
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and [process.wait() for process in processes] == [0, 0]
    arrays, about = load_arrays(path)
    assert (arrays["k"] == about["k"]).all().item()
    assert os.listdir(tmp_path) == ["arrays"]


FULL = """
import os, resource, signal, sys
import miniframe as mf
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # what is written beyond fails, as on a full disk
for write in (mf.Linear(200, 300).save, mf.Linear(200, 300).save_weights):
    try:
        write(sys.argv[1])
    except OSError as error:
        print(error)
"""


def test_a_full_disk_is_one_line_with_path_and_cause_and_the_old_file_stays(tmp_path):
    path = tmp_path / "model"
    mf.Linear(2, 3).save(path)
    old = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"cannot write {path}: File too large; the old file is untouched"] * 2
    assert path.read_bytes() == old and os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("old", [True, False])
def test_a_folder_without_permission_is_one_line(tmp_path, monkeypatch, old):
    path = tmp_path / "model"
    if old:
        path.write_text("old")

    def refuse(name, *arguments):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(name))

    monkeypatch.setattr(atomic.os, "open", refuse)  # root, who may run the tests, is refused nothing
    left = "the old file is untouched" if old else "nothing was written"
    with pytest.raises(PermissionError, match=f"^cannot write {path}: Permission denied; {left}$"):
        mf.Linear(2, 3).save(path)


def test_an_error_about_another_file_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError, match="No such file or directory: .*missing"), atomic_write(tmp_path / "a"):
        open(tmp_path / "missing")
    assert os.listdir(tmp_path) == []


def test_on_macos_the_drive_empties_its_cache_too(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda file, command: calls.append(command))
    mf.Linear(2, 3).save(tmp_path / "model")
    assert calls == [51, 51]  # the file, then the folder


def test_disks_that_cannot_empty_their_cache_are_synchronized_as_elsewhere(tmp_path, monkeypatch):
    synchronized, fsync = [], os.fsync

    def refuse(file, command):
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    monkeypatch.setattr(os, "fsync", lambda file: synchronized.append(file) or fsync(file))
    mf.Linear(2, 3).save(tmp_path / "model")
    assert len(synchronized) == 2
