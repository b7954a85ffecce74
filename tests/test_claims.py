"""Figures: written in one place, provable character by character."""

import math
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tools import claims
from tools.errors import InvalidInput
from tools.records import Evidence, EvidenceKind, Interval, Quantity, Unit

FLOATS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)


def entry(
    quantity: Quantity | None = None, value: object = None, kind: EvidenceKind = "declared", id: str = "E7"
) -> Evidence:
    return Evidence.model_validate(
        {
            "kind": kind,
            "name": "some.name",
            "quantity": quantity,
            "value": value,
            "words": "about “half”",
            "tool": "t",
            "version": "1",
            "key": "k",
            "id": id,
            "prev": "",
        }
    )


GAP = Quantity(
    metric="gap_at_k",
    k=16,
    value=8.888888,
    unit="pp",
    slice="hard",
    n=1180,
    samples=16,
    ci=Interval(low=6.04, high=12.06, method="bootstrap"),
    band=Interval(low=-0.04, high=14, method="sup-t"),
)


class Shelf:
    """Entries by id."""

    def __init__(self, *entries: Evidence) -> None:
        self.entries = {e.id: e for e in entries}

    def get(self, ref: str) -> Evidence | None:
        return self.entries.get(ref)


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("full", "8.9 pp (95% CI 6.0 to 12.1 pp, n = 1,180, slice hard, declared, E7)"),
        ("value", "8.9 pp"),
        ("number", "8.888888"),
        ("ci", "[6.0 to 12.1 pp]"),
        ("band", "[0.0 to 14.0 pp]"),
        ("level", "95%"),
        ("n", "1,180"),
        ("samples", "16"),
        ("slice", "hard"),
        ("field", "name"),
        ("words", "“about “half””"),
    ],
)
def test_one_entry_in_every_format(form: str, written: str) -> None:
    assert claims.write(entry(GAP), form) == written


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (0.6125, "fraction", "61.3%"),
        (0.43, "fraction", "43%"),
        (1, "fraction", "100%"),
        (-0.0001, "fraction", "0%"),
        (12.5, "percent", "12.5%"),
        (-0.04, "pp", "0.0 pp"),
        (-0.05, "pp", "-0.1 pp"),
        (1200, "usd", "$1,200"),
        (0.5, "usd", "$0.50"),
        (32768, "tokens", "32,768 tokens"),
        (560.25, "gpu_hours", "560.25 GPU-hours"),
        (0.0612, "cpu_hours", "0.0612 CPU-hours"),
        (2.222e-05, "cpu_hours", "0.000022 CPU-hours"),
        (200, "gpu_hours", "200 GPU-hours"),
        (0, "gpu_hours", "0 GPU-hours"),
        (1234.5, "hours", "1,234.5 h"),
        (2.1, "usd_per_gpu_hour", "$2.10 per GPU-hour"),
        (0.526, "usd_per_gpu_hour", "$0.526 per GPU-hour"),
        (0.0063921, "pp_per_gpu_hour", "0.00639 pp per GPU-hour"),
        (-12.345, "pp_per_cpu_hour", "-12.3 pp per CPU-hour"),
        (14, "days", "14 days"),
        (1180, "count", "1,180"),
        (0.00001, "config", "1.0e-05"),
        (64, "config", "64"),
    ],
)
def test_an_amount_is_written_as_the_field_writes_it(value: float, unit: Unit, written: str) -> None:
    assert claims.amount(value, unit) == written


@given(FLOATS)
def test_a_bare_number_reads_back_exactly_in_python_and_in_yaml(value: float) -> None:
    assert float(claims.plain(value)) == value
    assert yaml.safe_load(claims.plain(value)) == value


@given(FLOATS, st.sampled_from(["fraction", "percent", "pp", "usd", "count", "days", "pp_per_gpu_hour"]))
def test_nothing_is_ever_printed_as_minus_zero(value: float, unit: Unit) -> None:
    assert not re.fullmatch(r"\$?-\$?0(\.0+)?\D*", claims.amount(value, unit))


@given(st.floats(min_value=0, max_value=1))
def test_a_printed_percentage_is_within_its_last_digit(fraction: float) -> None:
    assert math.isclose(float(claims.percent(fraction)[:-1]), 100 * fraction, abs_tol=0.0500001)


@pytest.mark.parametrize(
    ("value", "written"),
    [("32k context", "32k context"), (True, "yes"), (False, "no"), (["python", "go"], "python, go"), (7, "7")],
)
def test_a_value_that_is_no_quantity_is_written_as_text(value: object, written: str) -> None:
    assert claims.write(entry(value=value), "text") == claims.write(entry(value=value), "full") == written


@pytest.mark.parametrize("form", ["ci", "band", "level", "n", "samples", "value", "text", "nonsense"])
def test_a_format_the_entry_cannot_fill_is_refused_by_name(form: str) -> None:
    bare = entry() if form in ("value", "text", "nonsense") else entry(Quantity(metric="value", value=1, unit="count"))
    with pytest.raises(InvalidInput, match=f"E7 \\(some.name\\) has no {form}"):
        claims.write(bare, form)


def test_a_reference_without_an_entry_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no evidence named E9"):
        claims.fill("It is {{E9|value}}.", Shelf(entry(GAP)))


def test_every_claim_spans_exactly_its_figure() -> None:
    shelf = Shelf(entry(GAP), entry(value="GPL", id="E8"))
    filled = claims.fill("gap {{E7|value}} {{ E7 | ci }}, licence {{E8|text}}; {{E7}}", shelf)
    assert filled.text.startswith("gap 8.9 pp [6.0 to 12.1 pp], licence GPL; 8.9 pp (95%")
    spans = [filled.text[c.start : c.end] for c in filled.claims]
    assert spans == [claims.write(shelf.entries[c.evidence], c.format) for c in filled.claims]
    assert len(spans) == 4


@given(st.text(), st.text(), st.text())
def test_text_around_and_inside_a_figure_is_left_alone(before: str, said: str, after: str) -> None:
    said = said or "x"
    template = before.replace("{", "") + "{{E7|text}}" + after.replace("{", "")
    filled = claims.fill(template, Shelf(entry(value=said)))
    (claim,) = filled.claims
    assert filled.text[claim.start : claim.end] == said
    assert filled.text == template.replace("{{E7|text}}", said)


def test_what_a_person_wrote_is_not_read_as_a_reference_again() -> None:
    assert claims.fill("{{E7|text}}", Shelf(entry(value="{{E7|text}}"))).text == "{{E7|text}}"


def test_words_are_escaped_for_their_file_and_figures_are_not() -> None:
    hostile = GAP.model_copy(update={"slice": "<b>"})
    template = "{{E7|slice}} {{E7|ci}} {{E7|words}}"
    assert claims.fill(template, Shelf(entry(hostile)), str.upper).text == "<B> [6.0 to 12.1 pp] “ABOUT “HALF””"


def test_references_are_listed_in_order() -> None:
    assert list(claims.references("{{E2|ci}} {{policy.gap_threshold}} {{E2}} {E3} {{ 4 }}")) == [
        "E2",
        "policy.gap_threshold",
        "E2",
    ]
