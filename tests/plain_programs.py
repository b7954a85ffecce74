"""Honest programs, right and wrong, each with checks: the sandbox must judge them as a plain run of both in one file.

UNGRADABLE holds pairs that pass in a plain run and that the sandbox cannot carry out; it has to say so.
"""

PLAIN: dict[str, tuple[str, str]] = {
    "argument_sorted_in_place": (
        """
def f(a):
    a.sort()
""",
        """
l = [3, 1, 2]
assert f(l) is None
assert l == [1, 2, 3]
""",
    ),
    "inner_list_changed_in_place": (
        """
def f(g):
    g[0][0] = 9
""",
        """
g = [[0] * 2] * 2
f(g)
assert g == [[9, 0], [9, 0]]
""",
    ),
    "dictionary_changed_in_place": (
        """
def f(d):
    d['b'] = d.pop('a')
""",
        """
d = {'a': 1}
f(d)
assert d == {'b': 1}
""",
    ),
    "set_changed_in_place": (
        """
def f(s):
    s.discard(1)
""",
        """
s = {1, 2}
f(s)
assert s == {2}
""",
    ),
    "bytearray_changed_in_place": (
        """
def f(b):
    b[0] = 65
""",
        """
b = bytearray(b'xy')
f(b)
assert b == b'Ay'
""",
    ),
    "argument_left_alone_must_stay": (
        """
def f(a):
    return sorted(a)
""",
        """
l = [2, 1]
assert f(l) == [1, 2]
assert l == [2, 1]
""",
    ),
    "argument_spoilt_is_noticed": (
        """
def f(a):
    a.sort()
    return a
""",
        """
l = [2, 1]
f(l)
assert l == [2, 1]
""",
    ),
    "same_object_comes_back": (
        """
def f(a):
    return a
""",
        "l = [1]\nassert f(l) is l",
    ),
    "copy_comes_back": (
        """
def f(a):
    return list(a)
""",
        "l = [1]\nassert f(l) is not l and f(l) == l",
    ),
    "list_kept_by_the_program": (
        """
kept = []
def f(a):
    kept.append(a)
    return [x for k in kept for x in k]
""",
        """
l = [1]
f(l)
l.append(2)
assert f([3]) == [1, 2, 3]
""",
    ),
    "list_kept_and_changed_later": (
        """
kept = []
def f(a=None):
    if a is None:
        kept[0].append(7)
    else:
        kept.append(a)
""",
        """
l = [1]
f(l)
f()
assert l == [1, 7]
""",
    ),
    "list_of_an_object_seen_growing": (
        """
class f:
    def __init__(self):
        self.items = []
    def add(self, x):
        self.items.append(x)
""",
        """
o = f()
items = o.items
o.add(1)
assert items == [1]
items.append(2)
assert o.items == [1, 2]
""",
    ),
    "mutable_default": (
        """
def f(x, seen=[]):
    seen.append(x)
    return seen
""",
        "assert f(1) == [1]\nassert f(2) == [1, 2]",
    ),
    "tuple_is_not_a_list": (
        """
def f():
    return (1, 2)
""",
        "assert f() == [1, 2]",
    ),
    "tuple_is_a_tuple": (
        """
def f():
    return (1, [2], {3})
""",
        "assert f() == (1, [2], {3})\nassert isinstance(f(), tuple)",
    ),
    "bool_is_one": (
        """
def f():
    return True
""",
        """
assert f() == 1
assert f() is True
assert isinstance(f(), bool)
""",
    ),
    "integer_is_not_true": (
        """
def f():
    return 1
""",
        "assert f() is True",
    ),
    "numbers_of_every_kind": (
        """
from decimal import Decimal
from fractions import Fraction
def f():
    return [1j, 10**30, -0.0, Decimal('1.10'), Fraction(1, 3), 2.5e-320]
""",
        """
from decimal import Decimal
from fractions import Fraction
assert f() == [1j, 10**30, -0.0, Decimal('1.1'), Fraction(1, 3), 2.5e-320]
assert str(f()[3]) == '1.10'
""",
    ),
    "text_with_lone_surrogates": (
        """
def f(s):
    return s[::-1]
""",
        "assert f('a\\ud800\\x00é') == 'é\\x00\\ud800a'",
    ),
    "bytes_and_ranges": (
        "def f():\n    return b'\\xff\\x00', range(3), slice(1, 2), ...\n",
        "assert f() == (b'\\xff\\x00', range(3), slice(1, 2), ...)",
    ),
    "dictionary_views": (
        """
def f(d):
    return d.keys()
""",
        "assert f({'a': 1}) == {'a'}",
    ),
    "collections": (
        """
from collections import *
def f(s):
    d = defaultdict(list)
    d[1].append(2)
    return Counter(s), deque(s, 2), OrderedDict(a=1), d
""",
        """
c, q, o, d = f('aab')
assert c == {'a': 2, 'b': 1} and c.most_common(1) == [('a', 2)]
assert list(q) == ['a', 'b'] and q.maxlen == 2
assert o == {'a': 1}
assert d[5] == [] and d[1] == [2]
""",
    ),
    "dates": (
        """
import datetime
def f(d):
    return d + datetime.timedelta(days=1)
""",
        """
import datetime
assert f(datetime.date(2024, 2, 28)) == datetime.date(2024, 2, 29)
""",
    ),
    "named_tuple": (
        """
from collections import namedtuple
P = namedtuple('P', 'x y')
def f():
    return P(1, 2)
""",
        """
p = f()
assert p == (1, 2) and p.x == 1 and p._asdict() == {'x': 1, 'y': 2}
assert isinstance(p, tuple)
""",
    ),
    "enumeration": (
        """
import enum
class f(enum.Enum):
    RED = 1
    BLUE = 2
""",
        """
assert f.RED is f.RED and f(2) is f.BLUE and f.RED != f.BLUE
assert [c.name for c in f] == ['RED', 'BLUE']
""",
    ),
    "integer_enumeration": (
        """
import enum
class C(enum.IntEnum):
    A = 3
def f():
    return C.A
""",
        "assert f() == 3 and f() + 1 == 4 and f().name == 'A'",
    ),
    "object_with_methods": (
        """
class f:
    def __init__(self, n):
        self.n = n
    def __len__(self):
        return self.n
    def __getitem__(self, i):
        return i * 2
    def __eq__(self, o):
        return self.n == o.n
    def __add__(self, o):
        return f(self.n + o.n)
    def __repr__(self):
        return f'f({self.n})'
""",
        """
a = f(2)
assert len(a) == 2 and a[4] == 8 and a == f(2) and a != f(3)
assert (a + f(5)).n == 7 and repr(a) == 'f(2)'
a.n = 9
assert len(a) == 9
assert isinstance(a, f)
""",
    ),
    "class_with_class_attributes": (
        """
class f:
    count = 0
    def __init__(self):
        f.count += 1
""",
        """
f()
f()
assert f.count == 2
""",
    ),
    "property_and_static": (
        """
class f:
    @property
    def x(self):
        return 1
    @staticmethod
    def y():
        return 2
""",
        "assert f().x == 1 and f.y() == 2",
    ),
    "context_manager": (
        """
log = []
class f:
    def __enter__(self):
        log.append('in')
        return self
    def __exit__(self, *e):
        log.append('out')
    def log(self):
        return log
""",
        """
with f() as o:
    assert o.log() == ['in']
assert o.log() == ['in', 'out']
""",
    ),
    "dataclass": (
        """
from dataclasses import dataclass
@dataclass
class P:
    x: int
    y: 'int' = 2
def f():
    return P(1)
""",
        "assert f() == f() and f().y == 2 and 'P(x=1' in repr(f())",
    ),
    "generator_is_lazy": (
        """
log = []
def f():
    for i in range(3):
        log.append(i)
        yield i
def seen():
    return log
""",
        """
g = f()
assert next(g) == 0 and seen() == [0]
assert list(g) == [1, 2]
""",
    ),
    "generator_receives": (
        """
def f():
    got = yield 1
    yield got * 2
""",
        "g = f()\nassert next(g) == 1 and g.send(21) == 42",
    ),
    "generator_kind": (
        """
def f():
    yield 1
""",
        "import types\nassert isinstance(f(), types.GeneratorType)",
    ),
    "endless_generator_cut_short": (
        """
import itertools
def f():
    return itertools.count()
""",
        "import itertools\nassert list(itertools.islice(f(), 3)) == [0, 1, 2]",
    ),
    "map_and_zip": (
        """
def f(a):
    return zip(a, map(str, a))
""",
        "assert list(f([1, 2])) == [(1, '1'), (2, '2')]",
    ),
    "callable_argument": (
        """
def f(g, a):
    return [g(x) for x in a]
""",
        """
assert f(lambda x: x * 2, [1, 2]) == [2, 4]
assert f(len, ['ab']) == [2]
""",
    ),
    "callback_that_calls_back": (
        """
def f(n, g=None):
    return n if g is None else g(n) + 1
""",
        "assert f(3, lambda n: f(n * 2)) == 7",
    ),
    "callback_that_raises": (
        """
def f(g):
    try:
        g()
    except ZeroDivisionError:
        return 'caught'
""",
        "assert f(lambda: 1 / 0) == 'caught'",
    ),
    "callback_that_remembers": (
        """
def f(g):
    for i in range(3):
        g(i)
""",
        """
seen = []
f(seen.append)
assert seen == [0, 1, 2]
""",
    ),
    "iterator_argument_is_drawn_lazily": (
        """
def f(it):
    return next(it)
""",
        "it = iter([1, 2, 3])\nassert f(it) == 1 and list(it) == [2, 3]",
    ),
    "function_as_the_answer": (
        """
def f(n):
    return lambda x: x + n
""",
        "assert f(3)(4) == 7 and callable(f(3))",
    ),
    "decorator": (
        """
def f(g):
    def inner(*a, **k):
        return g(*a, **k) + 1
    return inner
""",
        "assert f(lambda a, b=0: a + b)(1, b=5) == 7",
    ),
    "keyword_arguments": (
        """
def f(a, *, b):
    return a - b
""",
        "assert f(b=1, a=3) == 2",
    ),
    "expected_exception": (
        """
def f(x):
    raise ValueError('bad', x)
""",
        """
try:
    f(1)
    raise SystemExit(1)
except ValueError as e:
    assert e.args == ('bad', 1)
""",
    ),
    "own_exception": (
        """
class Bad(KeyError):
    pass
def f():
    raise Bad('x')
""",
        """
try:
    f()
    raise SystemExit(1)
except KeyError as e:
    assert type(e).__name__ == 'Bad'
""",
    ),
    "own_exception_by_name": (
        """
class Bad(Exception):
    pass
def f():
    raise Bad
""",
        """
try:
    f()
    raise SystemExit(1)
except Bad:
    pass
""",
    ),
    "wrong_exception": (
        """
def f():
    raise TypeError
""",
        """
try:
    f()
except ValueError:
    pass
""",
    ),
    "exception_of_two_kinds": (
        """
def f(x):
    return [1][x]
""",
        """
try:
    f(5)
    raise SystemExit(1)
except LookupError:
    pass
""",
    ),
    "printing_is_no_answer": (
        """
def f():
    print(3)
""",
        "assert f() == 3",
    ),
    "printing_is_captured": (
        """
def f(x):
    print('got', x)
""",
        """
import io, contextlib
b = io.StringIO()
with contextlib.redirect_stdout(b):
    f(1)
assert b.getvalue().split() == ['got', '1']
""",
    ),
    "reading_is_empty": (
        """
def f():
    return input()
""",
        """
try:
    f()
    raise SystemExit(1)
except EOFError:
    pass
""",
    ),
    "recursion_within_the_limit": (
        """
def f(n):
    return 0 if n == 0 else 1 + f(n - 1)
""",
        "assert f(960) == 960",
    ),
    "recursion_beyond_the_limit": (
        """
def f(n):
    return 0 if n == 0 else 1 + f(n - 1)
""",
        "f(1010)",
    ),
    "recursion_with_a_raised_limit": (
        """
import sys
sys.setrecursionlimit(10000)
def f(n):
    return 0 if n == 0 else 1 + f(n - 1)
""",
        "assert f(5000) == 5000",
    ),
    "threads": (
        """
import threading
def f():
    out = []
    t = threading.Thread(target=lambda: out.append(1))
    t.start()
    t.join()
    return out
""",
        "assert f() == [1]",
    ),
    "deep_recursion_in_a_thread": (
        """
import sys, threading
sys.setrecursionlimit(10**6)
threading.stack_size(2**27)
def f(n):
    out = []
    def go(n):
        return 0 if n == 0 else 1 + go(n - 1)
    t = threading.Thread(target=lambda: out.append(go(n)))
    t.start()
    t.join()
    return out[0]
""",
        "assert f(20000) == 20000",
    ),
    "scratch_file": (
        """
def f():
    import tempfile
    with tempfile.TemporaryFile('w+') as h:
        h.write('x')
        h.seek(0)
        return h.read()
""",
        "assert f() == 'x'",
    ),
    "coroutine_run_inside": (
        """
import asyncio
async def g():
    await asyncio.sleep(0)
    return 1
def f():
    return asyncio.run(g())
""",
        "assert f() == 1",
    ),
    "exit_is_a_name": (
        """
def f():
    return callable(exit)
""",
        "assert f()",
    ),
    "future_annotations_do_not_leak": (
        """
def f(x: undefined_name):
    pass
""",
        "f(1)",
    ),
    "main_block_does_not_run": (
        """
def f():
    return 1
""",
        "assert f() == 1 and f.__name__ == 'f'",
    ),
    "global_of_the_program": (
        """
LIMIT = 5
def f():
    return LIMIT
""",
        "assert f() == LIMIT",
    ),
    "helper_of_the_program": (
        """
class Node:
    def __init__(self, v):
        self.v = v
def f(n):
    return n.v
""",
        "assert f(Node(3)) == 3",
    ),
    "numpy_arrays": (
        """
import numpy as np
def f(a):
    a += 1
    return a.mean(), a.dtype
""",
        """
import numpy as np
a = np.zeros(3)
m, d = f(a)
assert m == 1.0 and (a == 1).all() and isinstance(m, np.floating)
""",
    ),
    "numpy_scalar_and_shape": (
        """
import numpy as np
def f():
    return np.arange(6).reshape(2, 3)
""",
        """
r = f()
assert r.shape == (2, 3) and r.sum() == 15 and r[1].tolist() == [3, 4, 5]
""",
    ),
    "array_where_a_list_was_wanted": (
        """
import numpy as np
def f():
    return np.array([1, 2])
""",
        "assert f() == [1, 2]",
    ),
    "deepcopy_of_an_object": (
        """
class f:
    def __init__(self):
        self.a = [1]
""",
        """
import copy
o = f()
p = copy.deepcopy(o)
p.a.append(2)
assert o.a == [1] and p.a == [1, 2]
""",
    ),
    "sorting_of_objects": (
        """
class P:
    def __init__(self, n):
        self.n = n
    def __lt__(self, o):
        return self.n < o.n
def f():
    return [P(2), P(1)]
""",
        "assert [p.n for p in sorted(f())] == [1, 2]",
    ),
    "truth_of_an_object": (
        """
import re
def f(s):
    return re.match('a', s)
""",
        "assert f('abc') and not f('b') and f('abc').group() == 'a'",
    ),
    "not_a_number_stays": (
        """
def f():
    return float('nan')
""",
        "x = f()\nassert x != x",
    ),
    "huge_integer_is_compared": (
        """
def f(n):
    return 7 ** n
""",
        "assert f(20000) == 7 ** 20000",
    ),
    "nested_data": (
        """
def f(d):
    d['x'][0]['y'].append((1, {2: [3]}))
    return d
""",
        """
d = {'x': [{'y': []}]}
assert f(d) is d
assert d == {'x': [{'y': [(1, {2: [3]})]}]}
""",
    ),
    "list_that_holds_itself": (
        """
def f(a):
    a.append(a)
    return a
""",
        """
l = []
r = f(l)
assert r is l and l[0] is l
""",
    ),
    "cached_answers": (
        """
import functools
@functools.lru_cache
def f(n):
    return [n]
""",
        """
a = f(1)
assert f(1) is a
a.append(2)
assert f(1) == [1, 2]
assert f.cache_info().hits == 2
""",
    ),
}

UNGRADABLE: dict[str, tuple[str, str]] = {
    "file_object_of_the_tests": (
        """
def f(h):
    return h.read()
""",
        "import io\nassert f(io.StringIO('x')) == 'x'",
    ),
    "object_of_the_tests": (
        """
def f(o):
    return o.v
""",
        """
class T:
    v = 1
assert f(T()) == 1
""",
    ),
}
