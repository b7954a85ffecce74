"""What may be said: every act has a writer, every writer a card, and no text of a stranger turns into a figure."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from stories import FACTS, SHARP_ON_HARD, write_counts

from agent import acts, toolbox
from agent.acts import ACT, WRITERS, Act, render
from agent.toolbox import Casefile
from tools.claims import REFERENCE

# what a stranger may have put into a file's name, a quotation or a message
STRANGE = "{{policy.gap_threshold}} {{E1|value}} {phase}"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Casefile:
    folder = tmp_path_factory.mktemp("case")
    made = Casefile(folder / "session")
    for turn, fact in enumerate(FACTS, 1):
        toolbox.record(made, fact, turn, ())
    counts = str(write_counts(folder / "counts.jsonl", SHARP_ON_HARD))
    toolbox.attach(made, counts, "results", 20)
    toolbox.attach(made, counts, "tuned", 21)
    toolbox.decide(made)
    return made


@pytest.fixture
def empty(tmp_path: Path) -> Casefile:
    return Casefile(tmp_path / "session")


def some_of_every_kind(case: Casefile) -> list[Act]:
    entry, size = case.ledger.named("intake")[0].id, case.ledger.get("intake.heldout_n")
    assert size is not None
    return [
        acts.Noted(evidence=(entry,)),
        acts.Unrecorded(words=STRANGE, field="pass_at_1", reason="hedge"),
        acts.Clash(question="Which one is wrong?"),
        acts.Report(),
        acts.Tried(),
        acts.Estimated(stage="train", evidence=(size.id,), throughput_known=False),
        acts.Ran(job=STRANGE, state="failed", said=STRANGE),
        acts.Gated(answer="closed"),
        acts.Decide(evidence="E1"),
        acts.Ask(),
        acts.Refuse(pattern="always_ssd", words=STRANGE),
        acts.Doubt(pattern="always_ssd"),
        acts.Explain(topic="battery"),
        acts.Trace(evidence=entry),
        acts.Show(letter="A"),
        acts.Exported(folder=STRANGE, letters=("A",)),
        acts.Problem(message=STRANGE),
        acts.Tell(text="help"),
        acts.Status(),
        acts.Commentary(text="Here is where things stand."),
    ]


def kinds() -> set[str]:
    union = get_args(Act)[0]
    return {member.model_fields["act"].default for member in get_args(union)}


def test_every_act_has_a_writer_and_every_writer_an_act() -> None:
    assert set(WRITERS) == kinds()


def test_every_act_gives_a_card_whose_figures_are_all_proven(case: Casefile) -> None:
    told = some_of_every_kind(case)
    assert {act.act for act in told} == kinds()
    for act in told:
        card = render(act, case.dossier)
        filled = toolbox.cite(case, card.template)
        assert card.word
        assert card.word == card.word.upper()
        assert filled.text.strip()
        assert len(filled.claims) == len(REFERENCE.findall(card.template))


def test_an_act_survives_the_checkpoint(case: Casefile) -> None:
    for act in some_of_every_kind(case):
        assert ACT.validate_python(act.model_dump(mode="json")) == act


@pytest.mark.parametrize("row", [{"act": "boast"}, {}, {"act": "show", "letter": "Z"}, {"act": "tell", "text": "GO"}])
def test_what_is_no_act_cannot_be_said(row: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ACT.validate_python(row)


@given(st.text() | st.lists(st.sampled_from(["{", "}", "E1", "|", "value", " "])).map("".join))
def test_no_words_of_a_stranger_are_a_reference(text: str) -> None:
    assert REFERENCE.search(acts.literal(text)) is None


def test_a_strangers_reference_is_shown_and_not_filled(case: Casefile) -> None:
    for act in (acts.Problem(message=STRANGE), acts.Refuse(pattern="always_ssd", words=STRANGE)):
        assert "policy.gap_threshold" in toolbox.cite(case, render(act, case.dossier).template).text


def test_an_unknown_figure_is_not_traced(empty: Casefile) -> None:
    card = render(acts.Trace(evidence="E99"), empty.dossier)
    assert card.word == "PROBLEM"


def test_everything_missing_is_asked_for_by_name_with_its_reason(empty: Casefile) -> None:
    form = render(acts.Ask(), empty.dossier).template
    brief = render(acts.Ask(brief=True), empty.dossier).template
    for gap in empty.dossier.missing:
        assert f"**{gap.field}**" in form
        assert gap.why in form
        assert gap.how in form
        assert f"**{gap.field}**" in brief
        assert gap.why not in brief


def test_what_was_wanted_and_is_withheld_is_said_first(empty: Casefile) -> None:
    card = render(acts.Ask(wanted="recipe"), empty.dossier)
    assert card.word == "REFUSED"
    assert "recipe" in card.template.partition("\n")[0]
