"""Walls around a cell, put up by the cell itself before it hears of any work.

`enter(tier, ...)` closes the cell: new user, mount, pid, network, IPC and UTS namespaces with a root that holds only
the interpreter (tier `namespaces`), or Landlock (tier `seccomp`); in tier `bubblewrap` the walls stand already, and in
`container` whoever declared it answers for them. Then no-new-privileges, no capabilities, and the system call filter of
the cell. `InnerWall` is for one program: limits and the narrower filter. Runs inside the cells,
standard library only. Raises OSError where the kernel refuses: the caller then has no cell.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
from importlib.util import spec_from_file_location
from typing import Any

from tools.measure.sandbox import syscalls

NEW_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000 | 0x02000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 4096, 16384, 1 << 18
MNT_DETACH, AT_FDCWD, AT_RECURSIVE = 2, -100, 0x8000
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
LANDLOCK_READ, LANDLOCK_DEVICE = 1 | 4 | 8, 2 | 4
LANDLOCK_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
SCRATCH_BYTES, SCRATCH_FILES = 16 << 20, 512
NOBODY = 65534
NEW_ROOT = "/proc"  # there everywhere, and nothing is bound from it
PROGRAM_HEADER = struct.Struct("IIQQQQQQ")  # Elf64_Phdr: type, flags, offset, address, .., .., size in memory, ..
PT_LOAD, PF_X, PF_W = 1, 1, 2
PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
MAP_PRIVATE, MAP_ANONYMOUS, MADV_HUGEPAGE, MREMAP_MAYMOVE, MREMAP_FIXED = 2, 32, 14, 1, 2
LARGE_SEGMENT = 512 << 10
HUGE_PAGE = 2 << 20

_libc = ctypes.CDLL(None, use_errno=True)
_prctl = _libc.prctl
_prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
_libc.mmap.restype = _libc.mremap.restype = ctypes.c_void_p


def enter(tier: str, readable: list[str], links: dict[str, str], scratch: str, cpu: int) -> None:
    """Close the cell that this process is.

    readable: folders and files the cell may read, at the same place inside. links: symbolic links of the root folder.
    scratch: where it may write. cpu: the one CPU of this worker. Its cells take turns, and on one CPU they find their
    data in its caches: measured, a tenth less CPU time per program.
    """
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {cpu})
    if tier == "namespaces":
        _own_namespaces(readable, links, scratch)
    elif tier == "seccomp":
        _landlock(readable)
    _check(_prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "parent death signal")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    if tier == "none":
        return
    _check(_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    _drop_capabilities()
    machine = syscalls.here()
    if machine is None:
        raise OSError("no table of system calls for this architecture")
    Filter(syscalls.cell_filter(machine)).install()


class Filter:
    """A BPF program in the shape that the kernel reads it."""

    def __init__(self, program: bytes) -> None:
        self._code = ctypes.create_string_buffer(program, len(program))
        head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(self._code))
        self._holder = ctypes.create_string_buffer(head, len(head))
        self._address = ctypes.addressof(self._holder)

    def install(self) -> None:
        """Lay it over the system calls of this process, for good."""
        _check(_prctl(PR_SET_SECCOMP, 2, self._address, 0, 0), "system call filter")


class InnerWall:
    """What a freshly forked process puts around itself before it reads a program; built once, before the fork."""

    def __init__(self, tier: str) -> None:
        machine = syscalls.here()
        filtered = tier != "none" and machine is not None
        self._filter = Filter(syscalls.program_filter(machine)) if machine is not None and filtered else None

    def put_up(self, memory: int, seconds: int, file_bytes: int) -> None:
        """memory: bytes of address space. seconds: CPU, whole, after which the kernel ends the process."""
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        if self._filter is not None:
            self._filter.install()


def trim() -> None:
    """Give free memory back: what a fork then uses of it is new, not copied."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


class _Loaded(ctypes.Structure):
    """The head of dl_phdr_info (link.h)."""

    _fields_ = (
        ("base", ctypes.c_size_t),
        ("name", ctypes.c_char_p),
        ("headers", ctypes.c_size_t),
        ("count", ctypes.c_uint16),
    )


def share_code() -> None:
    """Have forks inherit the page tables of the interpreter's code, which they would else find fault by fault.

    At a fork the kernel copies the table of a mapping only if a page of it was ever written. So one page of each large
    segment is written, with what it holds: a tenth fewer faults, measured.
    """
    for address, size in _code_segments():
        where, length = ctypes.c_void_p(address), ctypes.c_size_t(size)
        if _libc.mprotect(where, length, PROT_READ | PROT_WRITE | PROT_EXEC) == 0:
            ctypes.memmove(address, ctypes.string_at(address, 1), 1)
            _check(_libc.mprotect(where, length, PROT_READ | PROT_EXEC), "code read-only again")


def huge_code() -> None:
    """Put the interpreter's code and constants into huge pages, so that a fork inherits two entries and not a thousand.

    After `share_code`, since to change the protection of a part would cut the pages up again. Nothing is moved where
    the kernel has no such pages, or on another architecture, where this was not tried. 4 MB more for each fork server.
    """
    if os.uname().machine == "x86_64":
        for start, end in _constant_spans():
            first, last = -(-start // HUGE_PAGE) * HUGE_PAGE, end // HUGE_PAGE * HUGE_PAGE
            if first < last:
                _into_huge_pages(first, last - first)


def _into_huge_pages(address: int, size: int) -> None:
    """Lay a copy over the original in one step: code that runs meanwhile finds the same at the same place."""
    anywhere = (ctypes.c_size_t(size + HUGE_PAGE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    room = _libc.mmap(None, *anywhere)
    place = -(-room // HUGE_PAGE) * HUGE_PAGE
    copy, length = ctypes.c_void_p(place), ctypes.c_size_t(size)
    if _libc.madvise(copy, length, MADV_HUGEPAGE) == 0:
        ctypes.memmove(place, address, size)
        _check(_libc.mprotect(copy, length, PROT_READ | PROT_EXEC), "code read-only again")
        _libc.mremap(copy, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, ctypes.c_void_p(address))


def _code_segments() -> list[tuple[int, int]]:
    """Addresses and sizes of the large executable segments of this process."""
    return [
        (start, end - start)
        for segments in _segments()
        for flags, start, end in segments
        if flags & (PF_X | PF_W) == PF_X and end - start >= LARGE_SEGMENT
    ]


def _constant_spans() -> list[tuple[int, int]]:
    """From where to where this process is loaded with what nobody writes, adjoining segments as one."""
    spans: list[tuple[int, int]] = []
    for segments in _segments():
        for flags, start, end in segments:
            if flags & PF_W:
                continue
            if spans and spans[-1][1] == start:
                start = spans.pop()[0]
            spans.append((start, end))
    return spans


def _segments() -> list[list[tuple[int, int, int]]]:
    """The loaded segments of each object of this process: flags, and the first and last address in whole pages."""
    found: list[list[tuple[int, int, int]]] = []
    page = resource.getpagesize()

    def look(loaded: Any, _size: int, _data: Any) -> int:
        one = loaded.contents
        headers = ctypes.string_at(one.headers, PROGRAM_HEADER.size * one.count)
        rows = [
            (flags, one.base + at, size)
            for kind, flags, _, at, _, _, size, _ in PROGRAM_HEADER.iter_unpack(headers)
            if kind == PT_LOAD
        ]
        found.append([(flags, at // page * page, -(-(at + size) // page) * page) for flags, at, size in rows])
        return 0

    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Loaded), ctypes.c_size_t, ctypes.c_void_p)
    _libc.dl_iterate_phdr(kind(look), None)
    return found


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _drop_capabilities() -> None:
    header = struct.pack("Ii", 0x20080522, 0)
    nothing = ctypes.create_string_buffer(24)
    _check(_libc.capset(ctypes.create_string_buffer(header, len(header)), nothing), "capabilities")


# -- namespaces --------------------------------------------------------------------------------------------------


def _own_namespaces(readable: list[str], links: dict[str, str], scratch: str) -> None:
    user, group = os.getuid(), os.getgid()
    _check(_libc.unshare(NEW_NAMESPACES), "unshare")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{NOBODY} {user} 1")
    _write("/proc/self/gid_map", f"{NOBODY} {group} 1")
    _be_first_process()
    _new_root(readable, links, scratch)


def _write(path: str, text: str) -> None:
    with open(path, "w") as handle:
        handle.write(text)


def _be_first_process() -> None:
    """Go on as process 1 of the new pid namespace; the outer process waits, and dies with its parent."""
    _check(_prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "parent death signal")
    child = os.fork()
    if child:
        os.closerange(3, 1024)
        os.waitpid(child, 0)  # its CPU time counts for those who wait for us
        os._exit(0)


def _new_root(readable: list[str], links: dict[str, str], scratch: str) -> None:
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    _mount("tmpfs", NEW_ROOT, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for path in readable:
        _bind(path, NEW_ROOT + path)
    for name, target in links.items():
        os.symlink(target, NEW_ROOT + name)
    os.makedirs(NEW_ROOT + scratch, exist_ok=True)
    limits = f"size={SCRATCH_BYTES},nr_inodes={SCRATCH_FILES},mode=700"
    _mount("tmpfs", NEW_ROOT + scratch, "tmpfs", MS_NOSUID | MS_NODEV, limits)
    os.chdir(NEW_ROOT)
    machine = syscalls.here()
    assert machine is not None
    _check(_libc.syscall(machine.numbers["pivot_root"], b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", MNT_DETACH), "leaving the old root")
    _read_only("/", recursive=False)
    os.chdir(scratch)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    result = _libc.mount(
        source.encode(), target.encode(), kind and kind.encode(), ctypes.c_ulong(flags), options.encode() or None
    )
    _check(result, f"mount {target}")


def _bind(path: str, target: str) -> None:
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT))
    _mount(path, target, None, MS_BIND | MS_REC)
    if not path.startswith("/dev/"):
        _read_only(target, recursive=True)


def _read_only(target: str, *, recursive: bool) -> None:
    """Make a mount, and with `recursive` all below it, read-only for good (mount_setattr, Linux 5.12)."""
    attributes = struct.pack("QQQQ", MS_RDONLY | MS_NOSUID | MS_NODEV, 0, 0, 0)
    number, flags = syscalls.COMMON["mount_setattr"], AT_RECURSIVE if recursive else 0
    _check(_libc.syscall(number, AT_FDCWD, target.encode(), flags, attributes, len(attributes)), f"read-only {target}")


# -- Landlock ----------------------------------------------------------------------------------------------------


def _landlock(readable: list[str]) -> None:
    create, add, restrict = (
        syscalls.COMMON[f"landlock_{name}"] for name in ("create_ruleset", "add_rule", "restrict_self")
    )
    version = _libc.syscall(create, None, 0, 1)
    _check(version, "Landlock")
    attributes = _ruleset(version)
    ruleset = _libc.syscall(create, attributes, len(attributes), 0)
    _check(ruleset, "Landlock")
    for path in readable:
        _allow(add, ruleset, path)
    _check(_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    _check(_libc.syscall(restrict, ruleset, 0), "Landlock")
    os.close(ruleset)
    os.chdir("/")


def _ruleset(version: int) -> bytes:
    files = LANDLOCK_BY_ABI[min(version, max(LANDLOCK_BY_ABI))]
    if version >= 6:
        return struct.pack("QQQ", files, 3, 3)
    return struct.pack("QQ", files, 3) if version >= 4 else struct.pack("Q", files)


def _allow(add: int, ruleset: int, path: str) -> None:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = LANDLOCK_READ if os.path.isdir(path) else LANDLOCK_DEVICE if path.startswith("/dev/") else 1 | 4
        rule = struct.pack("=Qi", rights, handle)
        _check(_libc.syscall(add, ruleset, 1, rule, 0), f"Landlock rule for {path}")
    finally:
        os.close(handle)


# -- packages ----------------------------------------------------------------------------------------------------


class Packages:
    """Finds the few packages that programs are offered beside the standard library, by their folders."""

    def __init__(self, folders: dict[str, str]) -> None:
        self._folders = folders

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> Any:
        """As importlib's finders do."""
        folder = self._folders.get(name)
        if folder is None:
            return None
        return spec_from_file_location(name, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder])
