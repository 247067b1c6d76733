"""A fast BLAS for MLX on Linux CPUs.

MLX's Linux CPU wheel multiplies matrices with the reference BLAS, some fifty times slower than the processor allows.
The package ``scipy-openblas32`` has the same routines with the same signatures under other names. libmlx.so calls
BLAS through relocation slots, pointers that the dynamic loader fills in, so pointing those slots at OpenBLAS is all
it takes: no compiler, no preloading, any import order.

Anything unexpected (another system, a missing library, an MLX linked differently) leaves MLX exactly as it was, and
``status()`` says why. ``MINIFRAME_FAST_BLAS=0`` in the environment switches it off.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ROUTINES = ("cblas_sgemm", "cblas_dgemm", "cblas_cgemm")

# ELF constants, from elf.h.
_PT_DYNAMIC = 2
_DT_PLTRELSZ, _DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_RELASZ, _DT_JMPREL = 2, 5, 6, 7, 8, 23
_SLOT_TYPES = {"x86_64": (6, 7), "aarch64": (1025, 1026)}  # R_*_GLOB_DAT, R_*_JUMP_SLOT


class _ProgramHeader(ctypes.Structure):
    _fields_ = [("type", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("offset", ctypes.c_uint64),
                ("vaddr", ctypes.c_uint64), ("paddr", ctypes.c_uint64), ("filesz", ctypes.c_uint64),
                ("memsz", ctypes.c_uint64), ("align", ctypes.c_uint64)]  # fmt: skip


class _LoadedObject(ctypes.Structure):
    _fields_ = [("base", ctypes.c_uint64), ("name", ctypes.c_char_p),
                ("headers", ctypes.POINTER(_ProgramHeader)), ("count", ctypes.c_uint16)]  # fmt: skip


class _Dynamic(ctypes.Structure):
    _fields_ = [("tag", ctypes.c_int64), ("value", ctypes.c_uint64)]


class _Relocation(ctypes.Structure):
    _fields_ = [("offset", ctypes.c_uint64), ("info", ctypes.c_uint64), ("addend", ctypes.c_int64)]


class _Symbol(ctypes.Structure):
    _fields_ = [("name", ctypes.c_uint32), ("info", ctypes.c_uint8), ("other", ctypes.c_uint8),
                ("section", ctypes.c_uint16), ("value", ctypes.c_uint64), ("size", ctypes.c_uint64)]  # fmt: skip


_status = "not installed"
_library: Any = None
_lock = threading.RLock()
_users, _before = 0, 1  # of one_thread, in all threads together, and the pool's size before the first of them


def status() -> str:
    """One line saying which BLAS MLX's matrix products use on the CPU, and why."""
    return _status


@contextmanager
def one_thread() -> Iterator[None]:
    """``with one_thread():`` for many small products, where threads that wait for each other lose more than they gain.

    On a busy machine that is the difference between milliseconds and seconds. Does nothing without the fast BLAS.
    The pool of threads is the whole process's, so it stays small until the last thread that asked for it is done.
    """
    if _library is None:
        yield
        return
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _users, _before
    with _lock:
        if _users == 0:
            _before = _library.scipy_openblas_get_num_threads()
            _library.scipy_openblas_set_num_threads(1)
        _users += 1


def _leave() -> None:
    global _users
    with _lock:
        _users -= 1
        if _users == 0:
            _library.scipy_openblas_set_num_threads(_before)


def install() -> bool:
    """Point MLX's matrix products at OpenBLAS; return whether they are. Never raises."""
    global _status
    try:
        _status = _install()
    except Exception as error:  # a missing speed-up must never stop the package from working
        _status = f"MLX's own ({type(error).__name__}: {error})"
    return _status.startswith("OpenBLAS")


def _install() -> str:
    global _library
    if sys.platform != "linux":
        return "MLX's own (the fast BLAS is for Linux only)"
    if os.environ.get("MINIFRAME_FAST_BLAS", "1") == "0":
        return "MLX's own (switched off by MINIFRAME_FAST_BLAS=0)"
    machine = os.uname().machine
    if machine not in _SLOT_TYPES or ctypes.sizeof(ctypes.c_void_p) != 8:
        return f"MLX's own (no fast BLAS for {machine})"

    import mlx.core  # noqa: F401  (the slots exist once libmlx.so is loaded)

    slots = _find_slots("libmlx.so", ROUTINES, _SLOT_TYPES[machine])
    if "cblas_sgemm" not in slots:
        return "MLX's own (this MLX does not call BLAS through relocation slots)"

    import scipy_openblas32

    library = ctypes.CDLL(os.path.join(scipy_openblas32.get_lib_dir(), scipy_openblas32.get_library(fullname=True)))
    for routine, addresses in slots.items():
        target = ctypes.cast(getattr(library, "scipy_" + routine), ctypes.c_void_p).value
        for address in addresses:
            _write_pointer(address, target)
    _library = library
    library.scipy_openblas_get_config.restype = ctypes.c_char_p
    version = " ".join(library.scipy_openblas_get_config().decode().split()[:2])
    return f"{version}, {library.scipy_openblas_get_num_threads()} threads (fast BLAS)"


def _find_slots(library: str, symbols: tuple[str, ...], slot_types: tuple[int, ...]) -> dict[str, list[int]]:
    """Addresses of the pointers through which the loaded ``library`` calls each of ``symbols``."""
    found: dict[str, list[int]] = {}

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_LoadedObject), ctypes.c_size_t, ctypes.c_void_p)
    def visit(pointer: Any, size: int, data: Any) -> int:
        loaded = pointer.contents
        if os.path.basename(loaded.name or b"").decode() != library:
            return 0
        for header in loaded.headers[: loaded.count]:
            if header.type == _PT_DYNAMIC:
                found.update(_slots_of(loaded.base, loaded.base + header.vaddr, symbols, slot_types))
        return 1

    ctypes.CDLL(None).dl_iterate_phdr(visit, None)
    return found


def _slots_of(base: int, dynamic: int, symbols: tuple[str, ...], slot_types: tuple[int, ...]) -> dict[str, list[int]]:
    table: dict[int, int] = {}
    entry = _Dynamic.from_address(dynamic)
    while entry.tag:
        table[entry.tag] = entry.value
        dynamic += ctypes.sizeof(_Dynamic)
        entry = _Dynamic.from_address(dynamic)

    def absolute(tag: int) -> int:  # glibc rewrites these to absolute addresses, musl leaves them relative
        return table[tag] if table[tag] >= base else base + table[tag]

    names, entries = absolute(_DT_STRTAB), absolute(_DT_SYMTAB)
    slots: dict[str, list[int]] = {}
    for start, size in ((_DT_JMPREL, _DT_PLTRELSZ), (_DT_RELA, _DT_RELASZ)):
        if start not in table:
            continue
        for relocation in (_Relocation * (table[size] // ctypes.sizeof(_Relocation))).from_address(absolute(start)):
            if relocation.info & 0xFFFFFFFF not in slot_types:
                continue
            symbol = _Symbol.from_address(entries + (relocation.info >> 32) * ctypes.sizeof(_Symbol))
            name = ctypes.string_at(names + symbol.name).decode()
            if name in symbols:
                slots.setdefault(name, []).append(base + relocation.offset)
    return slots


def _write_pointer(address: int, value: int | None) -> None:
    """Store ``value`` at ``address``, making its page writable for the moment if the loader has sealed it."""
    page = os.sysconf("SC_PAGE_SIZE")
    start = address // page * page
    writable = _is_writable(address)
    libc = ctypes.CDLL(None, use_errno=True)
    read, write = 1, 2
    if not writable and libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(page), read | write):
        raise OSError(ctypes.get_errno(), "mprotect refused")
    ctypes.c_void_p.from_address(address).value = value
    if not writable:
        libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(page), read)


def _is_writable(address: int) -> bool:
    with open("/proc/self/maps") as maps:
        for line in maps:
            span, permissions = line.split()[:2]
            low, high = (int(bound, 16) for bound in span.split("-"))
            if low <= address < high:
                return "w" in permissions
    return False
