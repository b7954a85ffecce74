"""Cells that run untrusted programs, and a tester that they can only answer.

Each worker keeps two cells. In one, a warmed fork server that never sees a test forks a process per program; in the
other, a tester that never runs a program carries out the checks and asks that process: call this function, how long is
that object. Values cross as tagged data of exact builtin types. The verdict goes from the tester to the parent on a
line that no program has. A program holds nothing it could forge a pass with: it can only give other answers.

    cells      the parent: tiers, workers, jobs        confine, syscalls   the walls, put up from inside
    program    fork server, and a program's end        guest, suite, tester, agreement   the tests' end
    wire       values, shared containers, messages

Tiers, strongest first, each tried for real before it is used and recorded with every grade: `bubblewrap`; `namespaces`
(the same by our own hand: user, mount, pid, network, IPC, UTS; a root with nothing but the interpreter and numpy);
`seccomp` (system call filter, Landlock, limits; nothing may be written); `container` only where declared; `none` only
where asked for in so many words. All but the last have the system call filter, no new privileges and no capabilities.

Covered: processes, threads, memory, disk, output and time without end; signals; other processes and their memory;
files, network and devices outside; the tests, through frames, gc, /proc, descriptors and ctypes; objects that agree
with everything; early exits; a rewritten interpreter; forged and broken messages; what one program leaves for the next.
As a plain run: arguments changed in place and containers kept on either side, aliases, generators, callbacks, classes
and their instances, exceptions, printing, recursion depth, threads, numpy arrays, standard input and output.

Not covered, and then said to be `ungradable` or counted as wrong: objects of the tests' own classes, open files and
mocks handed to a program; operators between a program's object and a value of the tests (`==` is then False: where
a reference needs it, the reference fails, and the problem is named); coroutines awaited by the tests; packages beyond
numpy. Two objects of a program compare by its own `__eq__`, as in a plain run: tests of a class should not rest on that
alone. A kernel flaw that a filtered, unprivileged process can use is outside what this can promise, and so are timing
channels. Tier `seccomp` shares its user's pid space, but can neither signal nor read what it sees there. Bubblewrap
cannot bound the number of empty files in the scratch folder; time and cleaning do.
"""

from tools.measure.sandbox.cells import Job, Limits, Outcome, Sandbox, tier_here

__all__ = ["Job", "Limits", "Outcome", "Sandbox", "tier_here"]
