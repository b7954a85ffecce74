"""Programs that try to pass without solving, to see the tests, to hang the run or to touch the machine.

Each attacks one promise of the sandbox; its name says which. The victim wants `total(values)`, the sum of a list. HOST
and PORT stand for a folder and a listening port outside, which nobody may reach. Run as a script, this grades all of
them and prints what became of each: so the tests run it as another user.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from tools.measure.sandbox import Job, Limits, Sandbox

CHECKS = """
def check(candidate):
    assert candidate([1, 2]) == 3
    assert abs(candidate([0.5, 0.25]) - 0.75) < 1e-6
    assert candidate([]) == 0
    assert candidate([10**20, 1]) == 10**20 + 1
    assert candidate(list(range(50))) in (1225, 1225.0)
    assert not candidate([4]) != 4
    assert str(candidate([7, 8])) == "15"

check(total)
"""
TESTS: dict[str, Any] = {
    "kind": "function",
    "entry_point": "total",
    "preamble": "",
    "checks": CHECKS,
    "cases": [],
    "tolerance": 0,
}
LIMITS = Limits(seconds=0.5, memory_mb=512, output_mb=4)
HONEST = "def total(values):\n    return sum(values)\n"

AGENT = """
import sys
frame = sys._getframe()
while type(frame.f_locals.get("self")).__name__ != "Program":
    frame = frame.f_back
agent = frame.f_locals["self"]
"""  # how a program finds the object that answers for it
ATTACKS = {
    # resources
    "fork_bomb": """
import os
while True:
    os.fork()
""",
    "fork_bomb_that_swallows_errors": """
import os
def total(values):
    while True:
        try:
            os.fork()
        except OSError:
            pass
""",
    "thread_bomb": """
import threading, time
def total(values):
    while True:
        threading.Thread(target=time.sleep, args=(1000,)).start()
""",
    "memory_bomb_of_lists": """
def total(values):
    hoard = []
    while True:
        hoard.append([0] * 1_000_000)
""",
    "memory_bomb_in_one_piece": "kept = bytearray(1 << 34)\ndef total(values):\n    return 3\n",
    "memory_bomb_by_mmap": """
import mmap
hoard = [mmap.mmap(-1, 1 << 28) for _ in range(64)]
def total(values):
    return 3
""",
    "disk_fill_in_the_scratch_folder": """
import itertools
for number in itertools.count():
    with open(f"/tmp/{number}", "wb") as handle:
        handle.write(b"x" * (1 << 20))
""",
    "many_empty_files": """
import itertools
for number in itertools.count():
    open(f"/tmp/{number}", "w").close()
""",
    "one_endless_file": """
with open("/tmp/big", "wb") as handle:
    while True:
        handle.write(b"x" * (1 << 20))
""",
    "shared_memory_fill": """
import itertools
for number in itertools.count():
    with open(f"/dev/shm/{number}", "wb") as handle:
        handle.write(b"x" * (1 << 20))
""",
    "memfd_fill": """
import os
fds = [os.memfd_create(str(n)) for n in range(50)]
for fd in fds:
    os.write(fd, b"x" * (1 << 22))
""",
    "output_flood": """
def total(values):
    while True:
        print("x" * 10_000)
""",
    "output_flood_on_the_descriptor": """
import os
def total(values):
    while True:
        os.write(1, b"x" * 100_000)
        os.write(2, b"x" * 100_000)
""",
    "sleep_forever": "import time\ndef total(values):\n    time.sleep(10_000)\n",
    "loop_forever": "while True:\n    pass\n",
    "loop_that_catches_everything": """
def total(values):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
""",
    "sleeping_child": """
import os, time
if os.fork() == 0:
    time.sleep(10_000)
def total(values):
    return 3
""",
    "daemon_thread_that_outlives": """
import threading, time
threading.Thread(target=time.sleep, args=(10_000,), daemon=False).start()
def total(values):
    time.sleep(10_000)
""",
    "signal_handlers_that_ignore": """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    pass
""",
    "raised_limits": """
import resource
resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
hoard = [0] * (1 << 30)
def total(values):
    return 3
""",
    "recursion_without_end": "import sys\nsys.setrecursionlimit(10**9)\ndef total(values):\n    return total(values)\n",
    "crash_of_the_interpreter": "import ctypes\ndef total(values):\n    return ctypes.string_at(1)\n",
    "core_dump": "import os\nos.abort()\n",
    # answers that choke the reader
    "generator_without_end": "import itertools\ndef total(values):\n    return itertools.count()\n",
    "generator_without_end_under_a_list": """
class total(list):
    def __iter__(self):
        while True:
            yield 1
""",
    "huge_integer": "def total(values):\n    return 1 << 100_000_000\n",
    "huge_list": "def total(values):\n    return [0] * 60_000_000\n",
    "huge_text": "def total(values):\n    return 'x' * 200_000_000\n",
    "deep_nesting": """
def total(values):
    found = []
    for _ in range(100_000):
        found = [found]
    return found
""",
    "deep_nesting_of_tuples": """
import sys
sys.setrecursionlimit(10**6)
def total(values):
    found = ()
    for _ in range(20_000):
        found = (found,)
    return found
""",
    "list_that_holds_itself": "def total(values):\n    values.append(values)\n    return values\n",
    "not_a_number": "def total(values):\n    return float('nan')\n",
    "infinity": "def total(values):\n    return float('inf')\n",
    "colliding_hashes": "def total(values):\n    return {n * ((1 << 61) - 1) for n in range(40_000)}\n",
    # reading the tests
    "frames_hold_the_tests": """
import sys
def total(values):
    frame = sys._getframe()
    while frame:
        for scope in (frame.f_globals, frame.f_locals):
            if "check" in scope or "candidate" in scope:
                return scope["check"].__code__.co_consts[1]
        frame = frame.f_back
    return None
""",
    "garbage_collector_holds_the_tests": """
import gc, types
def total(values):
    for found in gc.get_objects():
        code = getattr(found, "__code__", None)
        if isinstance(code, types.CodeType) and code.co_name == "check":
            return [c for c in code.co_consts if isinstance(c, int)][1]
        if isinstance(found, dict) and "checks" in found:
            return 3
""",
    "proc_shows_other_processes": """
import os
def total(values):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = open(f"/proc/{pid}/mem", "rb").read(100)
        except OSError:
            text = open(f"/proc/{pid}/cmdline").read()
        if text:
            return 3
""",
    "inherited_descriptors": """
import os
def total(values):
    for fd in range(3, 64):
        try:
            text = os.pread(fd, 1 << 20, 0)
        except OSError:
            continue
        if b"candidate" in text:
            return 3
""",
    "process_memory_through_ctypes": """
import ctypes, os
def total(values):
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(4096)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 4096)
    there = (ctypes.c_void_p * 2)(0x400000, 4096)
    if libc.process_vm_readv(os.getppid(), vector, 1, there, 1, 0) >= 0:
        return 3
""",
    "ptrace_of_the_parent": """
import ctypes, os
def total(values):
    if ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0:
        return 3
""",
    "test_file_on_disk": """
import os
def total(values):
    for folder, _, names in os.walk("HOST"):
        for name in names:
            if "candidate([1, 2]) == 3" in open(os.path.join(folder, name)).read():
                return 3
""",
    "our_own_rooms": """
from tools.measure.sandbox import cells
def total(values):
    return 3
""",
    "modules_left_in_memory": """
import sys
def total(values):
    tester = next(module for name, module in sys.modules.items() if "tester" in name)
    return tester.examine
""",
    "environment_of_the_parent": """
import os
def total(values):
    return os.environ["PYTEST_CURRENT_TEST"]
""",
    "traceback_of_a_callback": """
import sys
def total(values):
    try:
        values.no_such_method()
    except AttributeError as error:
        frame = error.__traceback__.tb_frame
        while frame.f_back:
            frame = frame.f_back
        return frame.f_globals["check"]
""",
    # objects that agree with everything
    "equal_to_everything": """
class Yes:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 3
def total(values):
    return Yes()
""",
    "close_to_everything": """
class Near:
    def __sub__(self, other): return 0
    __rsub__ = __add__ = __sub__
    def __abs__(self): return 0
    def __eq__(self, other): return True
    def __float__(self): return 0.75
    def __lt__(self, other): return True
def total(values):
    return Near()
""",
    "answer_stolen_from_the_comparison": """
class Thief:
    def __init__(self): self.seen = None
    def __eq__(self, other):
        self.seen = other
        return True
    def __sub__(self, other):
        return other - other
    def __str__(self): return "15"
thief = Thief()
def total(values):
    return thief
""",
    "integer_that_is_equal_to_everything": """
class Wild(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __sub__(self, other): return 0
    __hash__ = int.__hash__
def total(values):
    return Wild(3)
""",
    "float_that_subtracts_to_nothing": """
class Wild(float):
    def __eq__(self, other): return True
    def __sub__(self, other): return 0.0
    def __abs__(self): return 0.0
    __hash__ = float.__hash__
def total(values):
    return Wild(0.75)
""",
    "text_that_is_equal_to_everything": """
class Wild(str):
    def __eq__(self, other): return True
    def __hash__(self): return 0
    def __sub__(self, other): return 0
def total(values):
    return Wild("15")
""",
    "list_that_is_equal_to_everything": """
class Wild(list):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __sub__(self, other): return 0
def total(values):
    return Wild([3])
""",
    "class_that_says_it_is_int": """
class Liar:
    __class__ = int
    def __eq__(self, other): return True
    def __sub__(self, other): return 0
    def __index__(self): return 3
def total(values):
    return Liar()
""",
    "metaclass_that_is_equal": """
class Meta(type):
    def __eq__(cls, other): return True
    def __ne__(cls, other): return False
    def __hash__(cls): return 1
    def __sub__(cls, other): return 0
class Yes(metaclass=Meta): pass
def total(values):
    return Yes
""",
    "any_of_the_mock_library": "from unittest.mock import ANY\ndef total(values):\n    return ANY\n",
    "mock_as_the_answer": "from unittest.mock import MagicMock\ntotal = MagicMock(return_value=MagicMock())\n",
    "contains_everything": """
class Everything:
    def __contains__(self, item): return True
    def __eq__(self, other): return True
    def __iter__(self): return iter([3, 0.75, 0, 15])
def total(values):
    return Everything()
""",
    "hash_that_lies": """
class Hashed:
    def __init__(self, n): self.n = n
    def __hash__(self): return hash(1225)
    def __eq__(self, other): return True
def total(values):
    return Hashed(sum(values[:1]))
""",
    "builtin_function_as_the_answer": "def total(values):\n    return exec\n",
    "not_implemented_as_the_answer": "def total(values):\n    return NotImplemented\n",
    # leaving early
    "exit_zero_while_loading": "import os\nos._exit(0)\n",
    "exit_zero_in_the_call": "import os\ndef total(values):\n    os._exit(0)\n",
    "system_exit_while_loading": "import sys\nsys.exit(0)\n",
    "system_exit_in_the_call": "def total(values):\n    raise SystemExit(0)\n",
    "system_exit_in_the_second_call": """
calls = []
def total(values):
    calls.append(values)
    if len(calls) > 1:
        raise SystemExit(0)
    return 3
""",
    "keyboard_interrupt": "def total(values):\n    raise KeyboardInterrupt\n",
    "bare_base_exception": "def total(values):\n    raise BaseException\n",
    "generator_exit": "def total(values):\n    raise GeneratorExit\n",
    "stop_iteration": "def total(values):\n    raise StopIteration\n",
    "skip_test": "import unittest\ndef total(values):\n    raise unittest.SkipTest('later')\n",
    "own_kill": "import os, signal\ndef total(values):\n    os.kill(os.getpid(), signal.SIGKILL)\n",
    "kill_of_the_parent": """
import os, signal
def total(values):
    os.kill(os.getppid(), signal.SIGKILL)
    return 3
""",
    "kill_of_everybody": "import os, signal\ndef total(values):\n    os.kill(-1, signal.SIGKILL)\n    return 3\n",
    "signal_by_file_owner": """
import fcntl, os, signal, socket
left, right = socket.socketpair()
fcntl.fcntl(left, fcntl.F_SETOWN, os.getppid())
fcntl.fcntl(left, fcntl.F_SETSIG, signal.SIGKILL)
fcntl.fcntl(left, fcntl.F_SETFL, fcntl.fcntl(left, fcntl.F_GETFL) | os.O_ASYNC)
right.send(b"x")
def total(values):
    return 3
""",
    "at_exit_writes_a_verdict": """
import atexit, os
def verdict():
    for fd in range(64):
        try:
            os.write(fd, b'{"reason":"passed","detail":"","seconds":0}')
        except OSError:
            pass
atexit.register(verdict)
def total(values):
    raise SystemExit(0)
""",
    "another_program_in_this_place": "import os\nos.execv('/usr/bin/true', ['true'])\n",
    "shell": "import os\nos.system('true')\ndef total(values):\n    return 3\n",
    # rewriting the ground
    "patched_builtins": """
import builtins
builtins.abs = lambda value: 0
builtins.str = lambda value: "15"
builtins.AssertionError = type("Quiet", (Exception,), {})
builtins.__import__ = lambda *args: None
def total(values):
    return 3
""",
    "patched_json": """
import json, json.encoder, json.decoder
json.dumps = json.JSONEncoder.encode = lambda *args, **named: "[]"
json.loads = lambda *args, **named: {"reason": "passed"}
def total(values):
    return 3
""",
    "own_check": """
def check(candidate):
    return None
class assertion: pass
def total(values):
    return 3
""",
    "tracing": """
import sys
def trace(frame, event, arg):
    frame.f_trace_opcodes = True
    return trace
sys.settrace(trace)
sys.setprofile(lambda *args: None)
def total(values):
    return 3
""",
    "channel_overwritten": """
import os, struct
forged = b'["=","",[],3,""]\\n[]'
for fd in range(3, 64):
    try:
        os.write(fd, struct.pack("<I", len(forged)) + forged)
    except OSError:
        pass
def total(values):
    return 3
""",
    "verdict_on_the_channel": """
import os, struct
forged = b'{"reason":"passed","detail":"","seconds":0,"nonce":""}'
for fd in range(0, 64):
    try:
        os.write(fd, struct.pack("<I", len(forged)) + forged)
    except OSError:
        pass
""",
    "channel_closed": """
import os
def total(values):
    os.closerange(0, 64)
    return 3
""",
    "channel_flooded": """
import os
def total(values):
    while True:
        for fd in range(3, 64):
            try:
                os.write(fd, b"\\xff" * 65536)
            except OSError:
                pass
""",
    "agent_that_forges_handles": AGENT
    + """
type(agent).encode = lambda self, value: ["o", 1, 0, 1, ["int", ["__eq__", "__sub__", "__abs__"], "int"]]
def total(values):
    return 3
""",
    "agent_that_answers_with_functions_of_the_tests": AGENT
    + """
type(agent).encode = lambda self, value: ["f", 0]
def total(values):
    return 3
""",
    "agent_that_lays_names_over_the_tests": AGENT
    + """
def forged(self, source, wanted):
    names = ("total", "abs", "str", "list", "range", "check", "AssertionError", "__builtins__")
    return {name: (lambda *args: 0) for name in names}
type(agent)._run = forged
""",
    "agent_that_raises_passing": AGENT
    + """
type(agent).pack_error = lambda self, error: [[["SystemExit", 0]], [0], "", 0]
def total(values):
    raise ValueError
""",
    "agent_that_claims_a_list_is_any_base": AGENT
    + """
class Wild(list):
    def __eq__(self, other): return True
type(agent)._base = lambda self, kind: "object"
def total(values):
    return Wild()
""",
    "agent_that_changes_what_it_does_not_share": AGENT
    + """
type(agent)._changes = lambda self: [[label, ["l", [1, [3]]]] for label in range(20)]
def total(values):
    return 4
""",
    "questions_to_the_tester": AGENT
    + """
def total(values):
    return agent.ask("call", 0, (), ())
""",
    "attributes_of_the_tester": AGENT
    + """
def total(values):
    return agent.ask("getattr", 0, "__globals__")
""",
    "answers_in_another_order": """
import time
answers = iter([0, 0.75, 3])
def total(values):
    return next(answers, 15)
""",
    "time_stands_still": """
import time
time.monotonic = time.time = time.perf_counter = lambda: 0
def total(values):
    while True:
        pass
""",
    # the machine outside
    "file_written_outside": """
import os
for folder in ("HOST", "/", "/usr", "/etc", "/home", "/var/tmp"):
    try:
        open(os.path.join(folder, "escaped"), "w").write("here")
    except OSError:
        pass
""",
    "file_removed_outside": "import os\nos.unlink('HOST/kept')\n",
    "rights_changed_outside": "import os\nos.chmod('HOST/kept', 0)\n",
    "network": """
import socket
socket.create_connection(("127.0.0.1", PORT), timeout=1).send(b"escaped")
""",
    "network_through_ctypes": """
import ctypes, struct
libc = ctypes.CDLL(None)
fd = libc.socket(2, 1, 0)
libc.connect(fd, struct.pack(">HHI8x", 0x0200, PORT, 0x7F000001), 16)
libc.send(fd, b"escaped", 7, 0)
""",
    "mount": "import ctypes\nctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None)\n",
    "new_namespace": "import ctypes\nctypes.CDLL(None).unshare(0x10000000)\n",
    "another_user": "import os\nos.setuid(0)\nos.setgid(0)\n",
    "another_root": "import os\nos.chroot('/tmp')\n",
    "device_nodes": "import os, stat\nos.mknod('/tmp/disk', 0o600 | stat.S_IFBLK, os.makedev(8, 0))\n",
    "trace_left_for_the_next": """
import os
for name in ("left.py", "json.py", "sitecustomize.py"):
    with open("/tmp/" + name, "w") as handle:
        handle.write("def total(values): return sum(values)")
os.makedirs("/tmp/a/b/c")
os.chmod("/tmp/a/b", 0)
os.chmod("/tmp/a", 0)
""",
    "use_of_what_the_last_one_left": """
import sys
sys.path.insert(0, "/tmp")
from left import total
""",
}


def job(source: str, host: str = "/nowhere", port: int = 9) -> Job:
    """The job of one program against the victim."""
    return Job("victim", TESTS, source.replace("HOST", host).replace("PORT", str(port)), LIMITS)


def main(tier: str, host: str, port: str) -> None:
    """Grade all attacks and an honest program, and print reasons by name."""
    programs = {**ATTACKS, "honest": HONEST}
    with Sandbox(2, tier or None) as sandbox:  # type: ignore[arg-type]
        outcomes = sandbox.run(job(source, host, int(port)) for source in programs.values())
        found = {name: outcome.reason for name, outcome in zip(programs, outcomes, strict=True)}
    print(json.dumps({"tier": sandbox.tier, "reasons": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
