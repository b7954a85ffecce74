"""Which system calls a cell may make, as a BPF program built here; x86-64 and aarch64.

`cell_filter` is an allow-list for a whole cell (tester, fork server): what is not on it fails with EPERM, and what only
an attacker needs ends the process. `program_filter` is laid over it for one program: no process, no signal to others,
no new privileges. Threads stay possible, since solutions use them. Runs inside the cells, standard library only.

Source of the numbers: the kernel's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import errno
import platform
import struct
from typing import NamedTuple

from tools.measure.sandbox.wire import words

COMMON = {  # the same number on every architecture since Linux 5.1
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsmount": 432, "pidfd_open": 434, "clone3": 435,
    "close_range": 436, "openat2": 437, "pidfd_getfd": 438, "faccessat2": 439, "process_madvise": 440,
    "epoll_pwait2": 441, "mount_setattr": 442, "landlock_create_ruleset": 444, "landlock_add_rule": 445,
    "landlock_restrict_self": 446, "futex_waitv": 449,
}  # fmt: skip
X86_64 = {
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16,
    "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "access": 21, "pipe": 22, "select": 23,
    "sched_yield": 24, "mremap": 25, "msync": 26, "mincore": 27, "madvise": 28, "dup": 32, "dup2": 33, "pause": 34,
    "nanosleep": 35, "getitimer": 36, "alarm": 37, "setitimer": 38, "getpid": 39, "sendfile": 40, "socket": 41,
    "connect": 42, "accept": 43, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "shutdown": 48, "bind": 49,
    "listen": 50, "getsockname": 51, "getpeername": 52, "socketpair": 53, "setsockopt": 54, "getsockopt": 55,
    "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "exit": 60, "wait4": 61, "kill": 62, "uname": 63, "fcntl": 72,
    "flock": 73, "fsync": 74, "fdatasync": 75, "truncate": 76, "ftruncate": 77, "getdents": 78, "getcwd": 79,
    "chdir": 80, "fchdir": 81, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "unlink": 87, "readlink": 89,
    "chmod": 90, "fchmod": 91, "umask": 95, "gettimeofday": 96, "getrlimit": 97, "getrusage": 98, "sysinfo": 99,
    "times": 100, "ptrace": 101, "getuid": 102, "getgid": 104, "setuid": 105, "setgid": 106, "geteuid": 107,
    "getegid": 108, "getppid": 110, "getpgrp": 111, "getgroups": 115, "setresuid": 117, "getresuid": 118,
    "getresgid": 120, "getpgid": 121, "getsid": 124, "rt_sigpending": 127, "rt_sigtimedwait": 128,
    "rt_sigqueueinfo": 129, "rt_sigsuspend": 130, "sigaltstack": 131, "statfs": 137, "fstatfs": 138, "getpriority": 140,
    "sched_getparam": 143, "sched_getscheduler": 145, "pivot_root": 155, "prctl": 157, "arch_prctl": 158,
    "setrlimit": 160, "chroot": 161, "mount": 165, "umount2": 166, "swapon": 167, "reboot": 169, "init_module": 175,
    "gettid": 186, "tkill": 200, "time": 201, "futex": 202, "sched_getaffinity": 204, "getdents64": 217,
    "set_tid_address": 218, "restart_syscall": 219, "fadvise64": 221, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "epoll_wait": 232, "epoll_ctl": 233, "tgkill": 234, "kexec_load": 246,
    "waitid": 247, "add_key": 248, "request_key": 249, "keyctl": 250, "openat": 257, "mkdirat": 258, "newfstatat": 262,
    "unlinkat": 263, "renameat": 264, "readlinkat": 267, "fchmodat": 268, "faccessat": 269, "pselect6": 270,
    "ppoll": 271, "unshare": 272, "set_robust_list": 273, "get_robust_list": 274, "utimensat": 280, "epoll_pwait": 281,
    "eventfd": 284, "fallocate": 285, "rt_tgsigqueueinfo": 297, "eventfd2": 290, "epoll_create1": 291, "dup3": 292,
    "pipe2": 293, "preadv": 295, "pwritev": 296, "perf_event_open": 298, "prlimit64": 302, "open_by_handle_at": 304,
    "setns": 308, "getcpu": 309, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313,
    "renameat2": 316, "seccomp": 317, "getrandom": 318, "memfd_create": 319, "bpf": 321, "execveat": 322,
    "userfaultfd": 323, "membarrier": 324, "copy_file_range": 326, "preadv2": 327, "pwritev2": 328, "statx": 332,
    "rseq": 334, **COMMON,
}  # fmt: skip
AARCH64 = {
    "getcwd": 17, "eventfd2": 19, "epoll_create1": 20, "epoll_ctl": 21, "epoll_pwait": 22, "dup": 23, "dup3": 24,
    "fcntl": 25, "ioctl": 29, "flock": 32, "mkdirat": 34, "unlinkat": 35, "renameat": 38, "umount2": 39, "mount": 40,
    "pivot_root": 41, "statfs": 43, "fstatfs": 44, "truncate": 45, "ftruncate": 46, "fallocate": 47, "faccessat": 48,
    "chdir": 49, "fchdir": 50, "chroot": 51, "fchmod": 52, "fchmodat": 53, "openat": 56, "close": 57, "pipe2": 59,
    "getdents64": 61, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67, "pwrite64": 68,
    "preadv": 69, "pwritev": 70, "sendfile": 71, "pselect6": 72, "ppoll": 73, "readlinkat": 78, "newfstatat": 79,
    "fstat": 80, "fsync": 82, "fdatasync": 83, "utimensat": 88, "exit": 93, "exit_group": 94, "waitid": 95,
    "set_tid_address": 96, "unshare": 97, "futex": 98, "set_robust_list": 99, "get_robust_list": 100, "nanosleep": 101,
    "getitimer": 102, "setitimer": 103, "kexec_load": 104, "init_module": 105, "clock_gettime": 113,
    "clock_getres": 114, "clock_nanosleep": 115, "ptrace": 117, "sched_getscheduler": 120, "sched_getparam": 121,
    "sched_getaffinity": 123, "sched_yield": 124, "restart_syscall": 128, "kill": 129, "tkill": 130, "tgkill": 131,
    "sigaltstack": 132, "rt_sigsuspend": 133, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigpending": 136,
    "rt_sigtimedwait": 137, "rt_sigqueueinfo": 138, "rt_sigreturn": 139, "getpriority": 141, "reboot": 142,
    "setgid": 144, "setuid": 146, "setresuid": 147, "getresuid": 148, "getresgid": 150, "times": 153, "getpgid": 155,
    "getsid": 156, "getgroups": 158, "uname": 160, "getrlimit": 163, "setrlimit": 164, "getrusage": 165, "umask": 166,
    "prctl": 167, "getcpu": 168, "gettimeofday": 169, "getpid": 172, "getppid": 173, "getuid": 174, "geteuid": 175,
    "getgid": 176, "getegid": 177, "gettid": 178, "sysinfo": 179, "socket": 198, "socketpair": 199, "bind": 200,
    "listen": 201, "accept": 202, "connect": 203, "getsockname": 204, "getpeername": 205, "sendto": 206,
    "recvfrom": 207, "setsockopt": 208, "getsockopt": 209, "shutdown": 210, "sendmsg": 211, "recvmsg": 212, "brk": 214,
    "munmap": 215, "mremap": 216, "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220, "execve": 221,
    "mmap": 222, "fadvise64": 223, "swapon": 224, "mprotect": 226, "msync": 227, "mincore": 232, "madvise": 233,
    "rt_tgsigqueueinfo": 240, "perf_event_open": 241, "wait4": 260, "prlimit64": 261, "open_by_handle_at": 265,
    "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "finit_module": 273,
    "renameat2": 276, "seccomp": 277, "getrandom": 278, "memfd_create": 279, "bpf": 280, "execveat": 281,
    "userfaultfd": 282, "membarrier": 283, "copy_file_range": 285, "preadv2": 286, "pwritev2": 287, "statx": 291,
    "rseq": 293, **COMMON,
}  # fmt: skip

ALLOWED = words("""
read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn
pread64 pwrite64 readv writev access pipe select sched_yield mremap msync mincore madvise dup dup2 pause nanosleep
getitimer alarm setitimer getpid sendfile sendto recvfrom sendmsg recvmsg shutdown getsockname getpeername socketpair
setsockopt getsockopt clone fork vfork exit wait4 kill uname flock fsync fdatasync truncate ftruncate getdents getcwd
chdir fchdir rename mkdir rmdir creat unlink readlink chmod fchmod umask gettimeofday getrlimit getrusage sysinfo times
getuid getgid geteuid getegid getppid getpgrp getgroups getresuid getresgid getpgid getsid rt_sigpending
rt_sigtimedwait rt_sigsuspend sigaltstack statfs fstatfs getpriority sched_getparam sched_getscheduler prctl arch_prctl
setrlimit gettid tgkill time futex sched_getaffinity getdents64 set_tid_address restart_syscall fadvise64 clock_gettime
clock_getres clock_nanosleep exit_group epoll_wait epoll_ctl waitid openat mkdirat newfstatat unlinkat renameat
readlinkat fchmodat faccessat pselect6 ppoll set_robust_list get_robust_list utimensat epoll_pwait eventfd fallocate
eventfd2 epoll_create1 dup3 pipe2 preadv pwritev getcpu renameat2 seccomp getrandom memfd_create membarrier
copy_file_range preadv2 pwritev2 statx rseq close_range faccessat2 epoll_pwait2 futex_waitv
""")
FATAL = words("""
ptrace process_vm_readv process_vm_writev mount umount2 pivot_root chroot unshare setns bpf keyctl add_key request_key
userfaultfd perf_event_open io_uring_setup io_uring_enter io_uring_register open_by_handle_at kcmp init_module
finit_module kexec_load reboot swapon pidfd_getfd open_tree move_mount fsopen fsmount mount_setattr process_madvise
""")
DENIED_TO_PROGRAMS = words("""
fork vfork kill tkill tgkill prctl seccomp memfd_create wait4 waitid setrlimit
""")
MISSING = ("clone3", "openat2")  # arguments in memory that a filter cannot read: the C library falls back
IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX
OWNERS = (8, 10, 15)  # F_SETOWN F_SETSIG F_SETOWN_EX: a way to signal another process
CLONE_THREAD = 0x10000

ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST, SECOND = 0, 4, 16, 24
EPERM, ENOSYS, ENOTTY = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS, ERRNO | errno.ENOTTY


class Machine(NamedTuple):
    """An architecture: its audit number and its system calls by name."""

    audit: int
    numbers: dict[str, int]


MACHINES = {"x86_64": Machine(0xC000003E, X86_64), "aarch64": Machine(0xC00000B7, AARCH64)}


def here() -> Machine | None:
    """The machine this runs on, or None where no table is known."""
    return MACHINES.get(platform.machine())


def cell_filter(machine: Machine) -> bytes:
    """BPF for a cell: the allow-list."""
    special = [
        *_by_argument(machine, "fcntl", SECOND, OWNERS, found=EPERM, otherwise=ALLOW),
        *_by_argument(machine, "ioctl", SECOND, IOCTLS, found=ALLOW, otherwise=ENOTTY),
        *_by_argument(machine, "prlimit64", FIRST, (0,), found=ALLOW, otherwise=EPERM),
    ]
    allowed = [machine.numbers[name] for name in ALLOWED if name in machine.numbers]
    fatal = [machine.numbers[name] for name in FATAL if name in machine.numbers]
    return _assemble(
        [
            *_head(machine),
            *special,
            *_each(allowed, ALLOW),
            *_missing(machine),
            *_each(fatal, KILL),
            (RETURN, 0, 0, EPERM),
        ]
    )


def program_filter(machine: Machine) -> bytes:
    """BPF for one program, on top of its cell's: no child, no signal, no memory outside its limit."""
    threads_only = [
        (LOAD, 0, 0, FIRST),
        (ANY_BIT, 0, 1, CLONE_THREAD),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, EPERM),
    ]
    denied = [machine.numbers[name] for name in DENIED_TO_PROGRAMS if name in machine.numbers]
    clone = [(EQUAL, 0, len(threads_only), machine.numbers["clone"]), *threads_only]
    return _assemble([*_head(machine), *_each(denied, EPERM), *clone, (RETURN, 0, 0, ALLOW)])


def _head(machine: Machine) -> list[tuple[int, int, int, int]]:
    return [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, machine.audit),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, 0x40000000),  # the x32 table: other numbers for the same calls
        (RETURN, 0, 0, KILL),
    ]


def _each(numbers: list[int], verdict: int) -> list[tuple[int, int, int, int]]:
    return [step for number in numbers for step in ((EQUAL, 0, 1, number), (RETURN, 0, 0, verdict))]


def _missing(machine: Machine) -> list[tuple[int, int, int, int]]:
    return _each([machine.numbers[name] for name in MISSING], ENOSYS)


def _by_argument(
    machine: Machine, name: str, where: int, values: tuple[int, ...], *, found: int, otherwise: int
) -> list[tuple[int, int, int, int]]:
    """Judge one call by the low word of an argument; other calls pass on to the next rule."""
    checks = [(LOAD, 0, 0, where), *_each(list(values), found), (RETURN, 0, 0, otherwise)]
    return [(EQUAL, 0, len(checks), machine.numbers[name]), *checks]


def _assemble(steps: list[tuple[int, int, int, int]]) -> bytes:
    return b"".join(struct.pack("<HBBI", *step) for step in steps)
