"""The battery: collapse raises an alert, a copy of the base does not, and what cannot be read is said."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.errors import InvalidInput
from tools.judge.policy import Policy
from tools.measure import probes
from tools.measure.probes import PROBES, Arm, NotRead, ProbeSet, Reply
from tools.records import Counts, Source
from tools.stats import compare

POLICY = Policy()
TOLERANCES = {name: float(getattr(POLICY, probe.tolerance)) for name, probe in PROBES.items()}
WORDS = ("total", "count", "value", "item", "index", "limit", "start", "left", "right", "best", "found", "key", "pair")


def model(seed: int, answer: Callable[[random.Random, int], Reply], prompts: int = 80, samples: int = 4) -> Arm:
    """A model under study: an answer drawn per prompt and sample."""
    rng = random.Random(seed)
    return {f"p{i}": [answer(rng, i) for _ in range(samples)] for i in range(prompts)}


def plain(rng: random.Random, prompt: int) -> Reply:
    """A function among a little prose, commented now and then."""
    lines = [f"    {rng.choice(WORDS)} = {rng.choice(WORDS)} + {rng.randrange(99)}" for _ in range(rng.randrange(2, 9))]
    if rng.random() < 0.3:
        lines.insert(0, f"    # {rng.choice(WORDS)} comes first")
    code = "\n".join([f"def {rng.choice(WORDS)}_{prompt}():", *lines, f"    return {rng.choice(WORDS)}"])
    said = " ".join(rng.choices(WORDS, k=rng.randrange(3, 12)))
    return Reply(f"{said}\n```python\n{code}\n```", passed=rng.random() < 0.5)


def sharpened(rng: random.Random, prompt: int) -> Reply:
    """The same answer every time."""
    return plain(random.Random(prompt), prompt)


def looping(rng: random.Random, prompt: int) -> Reply:
    """Says one line over and over until it is cut off."""
    return Reply(f"{plain(rng, prompt).text}\n" + "and so on and so forth\n" * 40, truncated=True)


def terse(rng: random.Random, prompt: int) -> Reply:
    """Code without a word or a fence around it."""
    return Reply(probes._code(plain(rng, prompt).text))


def battery(base: Arm, tuned: Arm, over: ProbeSet = "generation") -> dict[str, str]:
    names = [name for name, probe in PROBES.items() if probe.over == over]
    found = probes.read({over: base}, {over: tuned}, TOLERANCES, names=names)
    return {reading.probe: reading.answer for reading in found.readings}


@pytest.mark.parametrize(
    ("collapse", "alerting"),
    [
        (sharpened, {"self_bleu", "self_bleu_correct"}),
        (looping, {"repetition", "length_median", "length_p95", "truncated", "self_bleu"}),
        (terse, {"fenced"}),
    ],
)
def test_a_model_built_to_collapse_raises_the_alerts_of_its_kind(
    collapse: Callable[[random.Random, int], Reply], alerting: set[str]
) -> None:
    answers = battery(model(1, plain), model(2, collapse))
    assert {name for name, answer in answers.items() if answer == "alert"} >= alerting


@pytest.mark.slow
def test_a_copy_of_the_base_under_another_seed_raises_none_in_19_of_20() -> None:
    """The level is shared among the probes, so that the battery as a whole is wrong in at most one of twenty."""
    alarms = [seed for seed in range(20) if "alert" in battery(model(seed, plain), model(seed + 100, plain)).values()]
    assert len(alarms) <= 1


def test_a_battery_with_an_alert_is_an_alert_and_a_gap_in_it_is_no_pass() -> None:
    base, tuned = model(1, plain), model(2, looping)
    found = probes.read({"generation": base}, {"generation": tuned}, TOLERANCES)
    assert found.answer == "alert"
    assert {missed.probe for missed in found.not_read} >= {"over_refusal", "unsafe_compliance", "off_format_accuracy"}
    same = probes.read({"generation": base}, {"generation": base}, TOLERANCES)
    assert same.answer == "inconclusive"


def test_a_model_against_itself_drifts_by_nothing() -> None:
    base = model(1, plain)
    found = probes.read({"generation": base}, {"generation": base}, TOLERANCES)
    assert found.readings
    for reading in found.readings:
        assert reading.drift.value == 0
        assert reading.drift.ci is not None
        assert reading.drift.ci.low <= 0 <= reading.drift.ci.high
        assert reading.answer != "alert"


def refusing(share: float) -> Callable[[random.Random, int], Reply]:
    texts = ("I’m sorry, but I can’t help with that.", "Sure. Here is how you do it: first, open the file.")
    return lambda rng, _: Reply(texts[rng.random() >= share])


def test_lost_refusals_are_unsafe_compliance_and_new_ones_are_over_refusal() -> None:
    lost = battery(model(1, refusing(0.9)), model(2, refusing(0.5)), "unsafe")
    assert lost == {"unsafe_compliance": "alert"}
    gained = battery(model(1, refusing(0.05)), model(2, refusing(0.6)), "safe")
    assert gained == {"over_refusal": "alert"}


def test_few_prompts_cannot_show_that_safety_stayed() -> None:
    never = refusing(1.0)
    assert battery(model(1, never, 20), model(2, never, 20), "unsafe") == {"unsafe_compliance": "inconclusive"}
    assert battery(model(1, never, 400), model(2, never, 400), "unsafe") == {"unsafe_compliance": "pass"}


def test_format_capture_is_seen_off_format() -> None:
    def prose(rng: random.Random, _: int) -> Reply:
        return Reply("The capital is Paris.", expected="paris")

    def captured(rng: random.Random, _: int) -> Reply:
        return Reply("```python\ndef capital():\n    return 'Paris'\n```", expected="paris")

    found = battery(model(1, prose), model(2, captured), "off_format")
    assert found == {"off_format_accuracy": "pass", "format_capture": "alert"}


def test_prompts_of_one_model_alone_are_refused() -> None:
    base = model(1, plain, 10)
    tuned = {name: replies for name, replies in base.items() if name != "p3"}
    with pytest.raises(InvalidInput, match="1 prompts were answered by one model alone, p3 first"):
        probes.read({"generation": base}, {"generation": tuned}, TOLERANCES)


def test_a_probe_without_a_sealed_tolerance_is_refused() -> None:
    with pytest.raises(InvalidInput, match="self_bleu has no tolerance"):
        probes.read({}, {}, {})


def test_a_probe_with_nothing_to_read_says_so() -> None:
    single = model(1, plain, samples=1)
    found = probes.read({"generation": single}, {"generation": single}, TOLERANCES, names=["self_bleu"])
    assert found.not_read == (NotRead(probe="self_bleu", why="0 of 80 prompts can be read in both models"),)


@given(st.text(max_size=300))
def test_no_text_breaks_a_probe(text: str) -> None:
    for probe in PROBES.values():
        for value in probe.value([Reply(text), Reply(text, passed=True)]):
            assert value >= 0


def counted(correct: list[int], total: int) -> Counts:
    n = len(correct)
    ids, blank = tuple(map(str, range(n))), ("",) * n
    source = Source(name="made", sha256="0" * 64)
    return Counts(ids=ids, correct=tuple(correct), total=(total,) * n, slices=blank, clusters=blank, source=source)


def test_pass_at_the_largest_k_that_falls_while_pass_at_1_rises_is_an_alert() -> None:
    base = counted([4] * 300, 32)
    collapsed = counted([32] * 100 + [0] * 200, 32)
    found = probes.diversity(compare.compare(base, collapsed, (16, 32)), POLICY.diversity_fall)
    assert not isinstance(found, NotRead)
    assert (found.answer, found.drift.k) == ("alert", 32)


def test_one_sample_each_says_nothing_about_diversity() -> None:
    one = counted([1, 0] * 20, 1)
    assert isinstance(probes.diversity(compare.compare(one, one, (1,)), 0), NotRead)
