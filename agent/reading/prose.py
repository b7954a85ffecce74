"""The binders of prose by field, in the order they run: names first, so that no figure of a name counts as anything."""

from __future__ import annotations

from agent.reading import choices, flags, heldout, history, hours, languages, licences, model, stakes, team
from agent.reading.facts import Found
from agent.reading.scan import Binder, Scan

BINDERS: dict[str, Binder] = {
    "model_name": model.model_name,
    "gpu_type": hours.gpu_type,
    "benchmark": heldout.benchmark,
    "license": licences.licence,
    "languages": languages.languages,
    "parameter_count": model.parameter_count,
    "context_length": model.context_length,
    "heldout_n": heldout.heldout_n,
    "samples_per_problem": heldout.samples_per_problem,
    "gpu_hours": hours.gpu_hours,
    "team_size": team.team_size,
    "first_signal_days": team.first_signal_days,
    "problem_distribution": choices.problem_distribution,
    "comparator": choices.comparator,
    "verifier": choices.verifier,
    **dict.fromkeys(flags.NAMES, flags.flags),
    "contamination_checked": heldout.contamination_checked,
    "purpose": stakes.purpose,
    "failure_cost": stakes.failure_cost,
    **dict.fromkeys(history.NAMES, history.history),
}


def read(scan: Scan) -> list[Found]:
    """What every binder finds in a message."""
    return [found for bind in dict.fromkeys(BINDERS.values()) for found in bind(scan)]
