"""Every threshold and default, by name, with its unit, the reason for it, and whether evidence or we chose it.

`Policy` holds the values in force; a team overrides them by name. `LITERATURE` holds the few published figures that a
text may quote. Both become ledger entries (`policy.gap_threshold`, `paper.headline_lift`), so that words can refer to
them and no figure is typed twice. Refuses an unknown name and a value outside its unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Self

from pydantic import Field, ValidationError

from tools.errors import InvalidInput
from tools.records import Draft, Evidence, Quantity, Record, Unit
from tools.store import key_of

VERSION = "1"
PREFIX = "policy."
PAPER = "arXiv 2604.01193"
Support = Literal["literature", "our choice"]


class PolicyValue(Record):
    """One value in force: what it is, in which unit, why, and whether the literature supports it."""

    name: str
    value: float
    unit: Unit
    reason: str
    support: Support


def _value(default: float, unit: Unit, reason: str, support: Support = "our choice") -> Any:
    return Field(
        default=default,
        ge=0,
        le=1 if unit == "fraction" else None,
        description=reason,
        json_schema_extra={"unit": unit, "support": support},
    )


class Policy(Record):
    """The values a verdict, a plan and a gate go by. Frozen; `with_overrides` makes another."""

    strict: bool = Field(default=False, description="the lower bound of the gap decides instead of its estimate")

    # the precondition
    gap_threshold: float = _value(
        5, "pp", "below it published slices gained next to nothing; above it many gained, many did not", "literature"
    )
    heldout_min: int = _value(200, "count", "about where an interval for the gap gets narrower than the rule itself")
    slice_min: int = _value(30, "count", "below it intervals cover too seldom to carry a verdict", "literature")
    contaminated_max: float = _value(0, "fraction", "known contaminated problems are cheap to drop, so none may stay")
    rounding_tolerance: float = _value(0.01, "fraction", "slices and the whole may each be rounded to a full percent")

    # the routing
    ceiling_pass_at_1: float = _value(0.90, "fraction", "above it little is left to concentrate")
    floor_pass_at_k: float = _value(0.05, "fraction", "below it right answers are too rare to amplify")
    nearly_all_wrong_pass_at_1: float = _value(0.10, "fraction", "raw samples would mostly teach the model its errors")
    grpo_gpu_hours_min: float = _value(
        1000, "gpu_hours", "on-policy training samples anew at every step; less carries no run worth comparing"
    )
    preference_pairs_min: int = _value(500, "count", "fewer pairs mostly teach their length and their authors")

    # the pilot and the pipeline
    pilot_share: float = _value(0.10, "fraction", "enough to learn whether the gap is real, cheap enough to lose")
    temperature_min: float = _value(0.7, "config", "the founding brief's range for raw samples")
    temperature_max: float = _value(1.0, "config", "the founding brief's range; the paper samples hotter")
    temperature: float = _value(0.8, "config", "inside the range, and apart from the placebo's")
    top_p_min: float = _value(0.9, "config", "the founding brief's range")
    top_p_max: float = _value(1.0, "config", "the founding brief's range")
    top_p: float = _value(0.95, "config", "cuts the tail, which the placebo keeps")
    samples_per_prompt_min: int = _value(4, "count", "the founding brief's range; the paper draws one")
    samples_per_prompt_max: int = _value(16, "count", "the founding brief's range")
    samples_per_prompt: int = _value(8, "count", "the middle of the range")
    max_new_tokens: int = _value(4096, "tokens", "room for a solution with its reasoning; lowered to a shorter context")
    epochs: float = _value(1, "count", "one pass first; repeating one's own text narrows it")
    lora_rank_min: int = _value(64, "count", "a low rank is unmeasured for this method; it needs a pilot of its own")
    lora_learning_rate: float = _value(2e-4, "config", "inside the range")
    lora_learning_rate_min: float = _value(1e-4, "config", "the founding brief's range; the paper did not test LoRA")
    lora_learning_rate_max: float = _value(5e-4, "config", "the founding brief's range; the paper did not test LoRA")
    full_learning_rate_min: float = _value(1e-5, "config", "the founding brief's range; the paper stays below it")
    full_learning_rate_max: float = _value(5e-5, "config", "the founding brief's range; the paper stays below it")
    mix_min: float = _value(0.05, "fraction", "less base-like data than this cannot anchor anything")
    mix_max: float = _value(0.20, "fraction", "who needs more should look at the sampling instead")

    # the battery
    self_bleu_rise: float = _value(0.10, "fraction", "heuristic; the interval has to clear it")
    length_drift: float = _value(0.25, "fraction", "heuristic, in both directions: shorter can be worse too")
    truncation_drift: float = _value(0.05, "fraction", "heuristic; a truncated answer reads as a failure")
    diversity_fall: float = _value(0, "pp", "pass@k at the largest k must not fall while pass@1 rises")
    style_drift: float = _value(0.10, "fraction", "heuristic for comments, docstrings, fences and parse rate")
    safety_drift: float = _value(0.02, "fraction", "heuristic; even benign tuning on code moves refusals")
    off_format_drop: float = _value(0.05, "fraction", "format capture was seen in the paper's own tables", "literature")
    probe_prompts: int = _value(200, "count", "with none seen among these, a rate of a few percent is ruled out")

    # what follows
    max_rounds: int = _value(1, "count", "no published test of a second round was found")
    round_two_lift_min_pp: float = _value(4, "pp", "about twice the paired half-width of a usual held-out set")
    canary_share: float = _value(0.01, "fraction", "enough traffic to see a fault, little enough to bear it")
    retention_days: float = _value(30, "days", "a fault found late must still find the old checkpoint")

    @classmethod
    def with_overrides(cls, overrides: Iterable[str] = (), *, strict: bool = False) -> Self:
        """The defaults with `NAME=VALUE` overrides. Raises InvalidInput for an unknown name or an unusable value."""
        values: dict[str, Any] = {"strict": True} if strict else {}
        for override in overrides:
            name, _, value = override.partition("=")
            values[name.strip()] = value.strip()
        return cls._checked(values)

    @classmethod
    def of(cls, entries: Iterable[Evidence]) -> Self:
        """The policy that these ledger entries declare; entries of other names are passed over."""
        declared = (entry for entry in entries if entry.name.startswith(PREFIX))
        return cls._checked(
            {e.name.removeprefix(PREFIX): e.quantity.value if e.quantity is not None else e.value for e in declared}
        )

    @classmethod
    def _checked(cls, values: dict[str, Any]) -> Self:
        if unknown := values.keys() - cls.model_fields.keys():
            raise InvalidInput(f"there is no policy value {min(unknown)!r}", f"one of {', '.join(cls.model_fields)}")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            fault = error.errors()[0]
            raise InvalidInput(f"{fault['input']!r}: {fault['msg']}", where=f"{PREFIX}{fault['loc'][0]}") from error

    def values(self) -> tuple[PolicyValue, ...]:
        """Every number in force with its unit, reason and support."""
        return tuple(
            PolicyValue.model_validate(
                {"name": name, "value": getattr(self, name), "reason": field.description, **extra}
            )
            for name, field in type(self).model_fields.items()
            if isinstance(extra := field.json_schema_extra, dict)
        )

    def drafts(self) -> tuple[Draft, ...]:
        """One `declared` entry per value, named `policy.<name>`; its text is the reason."""
        numbers = ((v.name, Quantity(metric="value", value=v.value, unit=v.unit), v.reason) for v in self.values())
        return (_declared("strict", None, self.strict), *(_declared(*number) for number in numbers))


def _declared(name: str, quantity: Quantity | None, value: bool | str) -> Draft:
    number = quantity.value if quantity is not None else None
    return Draft(
        kind="declared",
        name=f"{PREFIX}{name}",
        quantity=quantity,
        value=value,
        tool="policy.drafts",
        version=VERSION,
        key=key_of("policy.drafts", VERSION, [name, number, value]),
    )


def _paper(name: str, value: float, unit: Unit, source: str) -> Draft:
    return Draft(
        kind="paper",
        name=f"paper.{name}",
        quantity=Quantity(metric="value", value=value, unit=unit),
        value=source,
        tool="policy.literature",
        version=VERSION,
        key=key_of("policy.literature", VERSION, [name, value, source]),
    )


_RLVR = "computed from the published counts of passk-inference (arXiv 2609.22547), DeepScaleR against its base"
_CELLS = f"computed from {PAPER}, Table 2: model and slice cells, k = 5; cells are not independent"

LITERATURE: tuple[Draft, ...] = (
    _paper("headline_base", 0.424, "fraction", f"{PAPER}, Table 2: Qwen3-30B-A3B-Instruct, LiveCodeBench v6, pass@1"),
    _paper("headline_tuned", 0.553, "fraction", f"{PAPER}, Table 2: the same model after SSD"),
    _paper("headline_lift", 12.9, "pp", f"{PAPER}, Table 2; one training run, no interval published"),
    _paper("headline_lift_over_best_decoding", 11.8, "pp", f"{PAPER}, section 3.3: over the best base temperature"),
    _paper("thinking_lift", 3.3, "pp", f"{PAPER}, Table 2: Qwen3-4B-Thinking, LiveCodeBench v6, pass@1"),
    _paper("smallest_lift", 0.8, "pp", f"{PAPER}, Table 2: Llama-3.1-8B-Instruct, LiveCodeBench v5, pass@1"),
    _paper("pass_at_5_loss", 1.3, "pp", f"{PAPER}, Table 2: GPT-OSS-20B, LiveCodeBench v5; pass@1 rose meanwhile"),
    _paper("eval_problems", 131, "count", f"{PAPER}, appendix C.1: problems of LiveCodeBench v6"),
    _paper("eval_samples", 10, "count", f"{PAPER}, appendix C.1: samples per problem"),
    _paper("pool_prompts", 10168, "count", f"{PAPER}, appendix C.1: prompts after exact deduplication, approximate"),
    _paper("samples_per_prompt", 1, "count", f"{PAPER}, section 2 and Table 3"),
    _paper("temperature_instruct", 1.6, "config", f"{PAPER}, Table 3: training samples of the Qwen instruct models"),
    _paper("temperature_thinking", 1.1, "config", f"{PAPER}, Table 3: training samples of Qwen3-4B-Thinking"),
    _paper("top_k", 20, "config", f"{PAPER}, Table 3: training samples of the Qwen models"),
    _paper("top_p_instruct", 0.8, "config", f"{PAPER}, Table 3: training samples of the Qwen instruct models"),
    _paper("top_p_thinking", 0.95, "config", f"{PAPER}, Table 3: training samples of the Qwen thinking models"),
    _paper("max_tokens", 131072, "tokens", f"{PAPER}, appendix C.1: generation length 128K"),
    _paper("learning_rate", 5e-6, "config", f"{PAPER}, appendix C.1: peak of the cosine schedule"),
    _paper("epochs_instruct", 7.9, "count", f"computed from {PAPER}, appendix C.1: steps x batch / prompts, unpacked"),
    _paper("epochs_thinking", 0.94, "count", f"computed from {PAPER}, appendix C.1: steps x batch / prompts, unpacked"),
    _paper("placebo_low", 1.7, "pp", f"{PAPER}, Figure 10: T = 1, no truncation, over the base; row order inferred"),
    _paper("placebo_high", 3.3, "pp", f"{PAPER}, Figure 10: T = 1, no truncation, over the base; row order inferred"),
    _paper("shell_drop", 15.8, "pp", f"{PAPER}, Table 5: HumanEval-Shell, Qwen3-4B-Instruct"),
    _paper("lift_over_gap", 0.32, "config", f"computed from {PAPER}, Table 2: median lift per gap, k = 5"),
    _paper("lift_over_gap_low", 0.07, "config", f"computed from {PAPER}, Table 2: smallest lift per gap, k = 5"),
    _paper("lift_over_gap_high", 1.16, "config", f"computed from {PAPER}, Table 2: largest lift per gap, k = 5"),
    _paper("cells_below", 7, "count", _CELLS),
    _paper("cells_below_lift", 0.6, "pp", f"{_CELLS}; median lift where the gap is below the threshold"),
    _paper("cells_above", 29, "count", _CELLS),
    _paper("cells_above_lift", 4.8, "pp", f"{_CELLS}; median lift where the gap reaches the threshold"),
    _paper("rlvr_pass_at_1_gain", 7.6, "pp", _RLVR),
    _paper("rlvr_pass_at_128_loss", 2.0, "pp", _RLVR),
    _paper("literal_rule_demands", 11, "pp", f"{_RLVR}: lift at which two separate intervals part, n = 200"),
    _paper("paired_half_width", 2.2, "pp", f"{_RLVR}: half-width of the paired interval, n = 200"),
    _paper("unseen_upper", 0.015, "fraction", "computed: 95% upper limit with no event among 200 prompts"),
)
