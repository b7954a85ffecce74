"""The battery of two run folders: a tuned model's answers against its base's, read under the seal of the tuned run.

A run holds its own answers with their grades, and under `probes/` what it said to the probe sets. Refuses a run without
a seal; readings carry its hash, so that a gate can tell those that were taken under another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from tools.errors import InvalidInput
from tools.judge import gates
from tools.judge import seal as sealing
from tools.judge.gates import Reading, RoundOne
from tools.judge.seal import Seal, Terms
from tools.measure import imports, probes
from tools.measure.engines.transformers_local import weights_sha256
from tools.measure.probes import Battery, NotRead, ProbeSet, Reply
from tools.records import Counts
from tools.runs import OUTPUT, TRAINED, TRAINING, Rows, Run
from tools.stats import compare
from tools.store import read_source, write_atomic

SEAL, READINGS, PROBES = "seal.json", "readings.json", "probes"
PROBE_SETS: tuple[ProbeSet, ...] = ("safe", "unsafe", "off_format")
PROBE_NAME = re.compile(r"[a-z][a-z0-9_]{0,60}")
# per probe set, prompt id -> what a right answer holds
Expected = Mapping[ProbeSet, Mapping[str, str]]


class BatteryRun(Battery):
    """A battery with the hash of the terms it was read under."""

    seal: str

    @classmethod
    def parse(cls, data: bytes, name: str) -> Self:
        """Readings as `strategist probe` writes them. Raises InvalidInput where the file holds none."""
        try:
            found = cls.model_validate_json(data)
        except ValidationError as error:
            fault = error.errors()[0]["msg"]
            raise InvalidInput(f"holds no readings ({fault})", "a run's readings.json", where=name) from error
        probes = [*(reading.probe for reading in found.readings), *(missed.probe for missed in found.not_read)]
        for probe in probes:
            if not PROBE_NAME.fullmatch(probe) or probes.count(probe) > 1:
                raise InvalidInput(f"reads {probe!r:.80}", "each probe once, by its name", where=name)
        return found

    @property
    def answers(self) -> tuple[Reading, ...]:
        """The readings as the gates take them."""
        return tuple(Reading(probe=r.probe, answer=r.answer, seal=self.seal) for r in self.readings)


def seal_run(run: Path, terms: Terms, reason: str | None = None) -> Seal:
    """Seal a run. What is sealed stays sealed: other terms need a reason, which is kept, or InvalidInput is raised."""
    path = run / SEAL
    if not path.exists():
        found = sealing.seal(terms)
    elif reason:
        found = sealing.amend(sealed_in(run), terms, reason)
    elif (found := sealed_in(run)).sha256 != terms.sha256:
        raise InvalidInput("other terms are sealed here", "the sealed ones", "--amend REASON", where=str(path))
    write_atomic(path, found.model_dump_json(indent=2) + "\n")
    return found


def sealed_in(run: Path) -> Seal:
    """The seal of a run. Raises InvalidInput where there is none."""
    data, source = read_source(run / SEAL)
    return Seal.read(data, source.name)


def counts_in(run: Path) -> Counts:
    """The counts of a graded run. Raises InvalidInput where there are none."""
    data, source = read_source(run / "counts.jsonl")
    return imports.read(data, source.name, "counts").counts


def round_one(base: Path, tuned: Path) -> RoundOne:
    """What the two runs show of round one, for its gate; what is not there is unknown, and keeps the gate closed."""
    sealed = sealed_in(tuned) if (tuned / SEAL).exists() else None
    path = tuned / READINGS
    readings = BatteryRun.parse(path.read_bytes(), path.name).answers if path.exists() else ()
    return gates.shown(counts_in(base), counts_in(tuned), sealed, readings)


def read(base: Path, tuned: Path, expected: Expected) -> BatteryRun:
    """Every sealed probe on the answers of both runs; expected names the probe sets and what right answers hold."""
    seal = sealed_in(tuned)
    _check_training(tuned, seal)
    tolerances = dict(seal.terms.tolerances)
    largest_k = tolerances.pop(probes.DIVERSITY, None)
    found = probes.read(answers(base, expected), answers(tuned, expected), tolerances, names=tuple(tolerances))
    readings, not_read = list(found.readings), list(found.not_read)
    if largest_k is not None:
        diversity = _diversity(counts_in(base), counts_in(tuned), largest_k)
        (not_read if isinstance(diversity, NotRead) else readings).append(diversity)  # type: ignore[arg-type]
    return BatteryRun(readings=tuple(readings), not_read=tuple(not_read), seal=seal.sha256)


def _check_training(tuned: Path, seal: Seal) -> None:
    """Where the run trained its model: that it did under this seal or one that was amended, and that it answered."""
    trained = tuned / TRAINING / TRAINED
    if not trained.exists():
        return
    told = json.loads(read_source(trained)[0])
    if told["seal_sha256"] not in (seal.sha256, *(amendment.replaced for amendment in seal.amendments)):
        raise InvalidInput("trained under another seal", "the seal of the training", "no judgement", where=str(tuned))
    engine, made = Run(tuned).plan["engine"], weights_sha256(trained.with_name(OUTPUT))
    answered = engine.get("weights_sha256"), engine.get("adapter_sha256")
    if answered not in ((made, None), (told["base_sha256"], made)):
        seen = "answers of another model than was trained here, or of a server that does not say which"
        raise InvalidInput(seen, "its own", "sample here with transformers_local or vllm_local", where=str(tuned))


def _diversity(base: Counts, tuned: Counts, tolerance: float) -> probes.Reading | NotRead:
    most = min(*base.total, *tuned.total)
    return probes.diversity(compare.compare(base, tuned, sorted({1, most})), tolerance)


def answers(run: Path, expected: Expected) -> dict[ProbeSet, dict[str, list[Reply]]]:
    """What a run's model said, by probe set and prompt; its own samples are the set `generation`."""
    grades = {(row["id"], row["index"]): bool(row["passed"]) for row in Rows(run / "grades.jsonl")}
    found = {"generation": _replies(Rows(run / "samples.jsonl"), grades, {})}
    for name, patterns in expected.items():
        found[name] = _replies(Rows(run / PROBES / name / "samples.jsonl"), {}, patterns)
    return found  # type: ignore[return-value]


def _replies(
    rows: Iterable[dict[str, Any]], grades: Mapping[tuple[str, int], bool], expected: Mapping[str, str]
) -> dict[str, list[Reply]]:
    replies: dict[str, list[Reply]] = {}
    for row in rows:
        truncated, passed = row["finish_reason"] == "length", grades.get((row["id"], row["index"]))
        reply = Reply(row["text"], truncated, passed, expected.get(row["id"], ""))
        replies.setdefault(row["id"], []).append(reply)
    return replies
