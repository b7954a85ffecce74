"""The pipeline as records that refuse: a plan that embodies an anti-pattern cannot be built, read or copied into being.

Holds the parts of a plan, the two presets (never mixed: each is whole), what a plan changes against its preset, and
`design`, which makes a plan from a GO verdict and from nothing else. An arm's name is computed from what is done to its
rows. What is not known (throughput, the pool's size) is listed as unknown; no figure is invented for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, ValidationInfo, model_validator

from tools.errors import AntiPattern, InvalidInput
from tools.judge import antipatterns
from tools.judge.antipatterns import PlanFacts, ProblemSet
from tools.judge.gates import GateResult, RoundOne, round_two
from tools.judge.policy import LITERATURE, Policy
from tools.judge.seal import Terms
from tools.measure.probes import DIVERSITY, PROBES
from tools.records import KS, Count, Fraction, GpuHours, Positive, Quantity, Record, Unit, Verdict, Workload

PresetName = Literal["brief-minimal", "paper", "own"]
Filter = Literal["drop_empty", "drop_stubs", "drop_shortest", "parses", "verifier_accepted", "distinct"]
Schedule = Literal["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_min_lr"]
AtLeastOne = Annotated[int, Field(ge=1)]


# the parts


class Arm(Record):
    """What is done to the rows. `name` follows from the rest; another name for it raises AntiPattern.

    sampling: plain is T = 1 without truncation, the model's own distribution. trained: whether the rows reach weights.
    """

    name: str
    preset: PresetName = "own"
    filter: tuple[Filter, ...] = ()
    sampling: Literal["shaped", "plain"] = "shaped"
    trained: bool = True

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        return {"name": _name_of(data), **data} if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _named_for_what_it_does(self) -> Self:
        if self.name != (name := _name_of(self.model_dump())):
            seen = f"the arm is called {self.name!r}, and what is done to its rows makes it {name!r}"
            raise AntiPattern("blurred_filtering", seen, where="arm.name")
        return self


def _name_of(done: dict[str, Any]) -> str:
    plain, trained = done.get("sampling") == "plain", done.get("trained", True) is not False
    return arm_name(tuple(done.get("filter", ())), plain=plain, trained=trained)


def arm_name(filters: tuple[str, ...], *, plain: bool = False, trained: bool = True) -> str:
    """The name of an arm that applies these filters to such samples."""
    if not trained:
        return "decode-control"
    if not filters:
        return "placebo" if plain else "minimal"
    named = {("verifier_accepted",): "verifier-aware", ("verifier_accepted", "distinct"): "rejection-sampling"}
    return named.get(filters, f"filtered: {', '.join(filters)}")


class Sampling(Record):
    """How the frozen base is sampled (MIN-1), under the names vLLM uses; n is samples per prompt."""

    temperature: Positive
    top_p: Annotated[float, Field(gt=0, le=1)]
    top_k: AtLeastOne | None = None
    n: AtLeastOne
    max_tokens: AtLeastOne
    seed: Count = 0
    chat_template: str = "the model's own"
    stop: tuple[str, ...] = ()


class RankPilot(Record):
    """A lower LoRA rank measured against full fine-tuning or a higher rank: the pilot's delta of pass@1."""

    against: Literal["full", "higher_rank"]
    delta: Quantity


class Training(Record):
    """The fine-tune (MIN-4), under Hugging Face names.

    max_seq_length: None is the longest row. bf16: None is wherever an accelerator has it.
    """

    method: Literal["lora", "full"]
    learning_rate: Positive
    num_train_epochs: Positive = 1
    lora_r: AtLeastOne | None = None
    lora_alpha: AtLeastOne | None = None
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0
    target_modules: str | tuple[str, ...] = "all-linear"
    completion_only_loss: Literal[True] = True
    per_device_train_batch_size: AtLeastOne = 8
    gradient_accumulation_steps: AtLeastOne = 1
    gradient_checkpointing: bool = False
    warmup_steps: Count = 0
    lr_scheduler_type: Schedule = "cosine"
    min_lr: Annotated[float, Field(ge=0)] = 0
    weight_decay: Annotated[float, Field(ge=0)] = 0
    adam_beta2: Annotated[float, Field(gt=0, lt=1)] = 0.999
    max_grad_norm: Positive = 1
    max_seq_length: AtLeastOne | None = None
    bf16: bool | None = None
    save_steps: AtLeastOne = 50
    seed: Count = 0
    rank_pilot: RankPilot | None = None

    @model_validator(mode="after")
    def _rank_fits_method(self) -> Self:
        if (self.method == "lora") != (self.lora_r is not None):
            raise ValueError("lora_r belongs to method lora, and lora needs it")
        return self


class Mix(Record):
    """Base-like rows among all rows, as a fraction (MIN-5)."""

    ratio: Fraction = 0
    source: str = "none"


class Evaluation(Record):
    """The held-out set, every k that is reported, and the production decoding in words."""

    problems: ProblemSet
    evaluated_on: Literal["heldout", "training_prompts"] = "heldout"
    ks: tuple[AtLeastOne, ...] = (1, *KS)
    decoding: str
    contamination_checked: bool


class Probe(Record):
    """One probe of the battery: the drift that still passes, in its unit, and how many prompts it reads."""

    name: str
    tolerance: Annotated[float, Field(ge=0)]
    unit: Unit
    prompts: AtLeastOne


class Battery(Record):
    """The probes, and when they were fixed."""

    probes: tuple[Probe, ...] = ()
    defined: Literal["before_training", "after_training", "never"] = "before_training"


class Control(Record):
    """A control arm (CTL): what it isolates, and how it is sampled where that differs from the arm."""

    name: Literal["decode_control", "placebo"]
    isolates: str
    temperature: Positive | None = None
    top_p: Fraction | None = None


class Rounds(Record):
    """How often the loop runs, and what is looked at in between."""

    count: AtLeastOne = 1
    battery_between: bool = True
    reported: Literal["every_round", "last_round"] = "every_round"


class Gate(Record):
    """What a second round has to show, fixed before the first."""

    lift_min_pp: Annotated[float, Field(ge=0)]
    conditions: tuple[str, ...]


class Promotion(Record):
    """Which round goes out, how, and how it is taken back; gate is the answer that opened a later round."""

    round: AtLeastOne = 1
    stages: tuple[str, ...] = ("shadow", "canary", "full")
    canary_share: Fraction
    retention_days: Positive
    rollback: str | None
    gate: GateResult | None = None


class VerifierArm(Record):
    """The parallel arm on accepted samples (SPEC 4); rates that nobody measured are None."""

    arm: Arm
    verifier: str
    leads: bool
    acceptance: Fraction | None = None
    false_accept: Fraction | None = None
    false_reject: Fraction | None = None


class Budget(Record):
    """GPU-hours this plan may spend: the stated ones, or the pilot's share of them."""

    scope: Literal["full", "pilot"]
    gpu_hours: GpuHours


class Plan(Record):
    """A pipeline. Validation raises AntiPattern for what SPEC section 11 refuses, InvalidInput for a mix too thin.

    Thresholds are the policy's: pass `context={"policy": policy}` to `model_validate`, or the defaults hold.
    """

    arm: Arm
    sampling: Sampling
    pool: ProblemSet
    training: Training
    mix: Mix = Mix()
    evaluation: Evaluation
    controls: tuple[Control, ...] = ()
    battery: Battery
    rounds: Rounds = Rounds()
    gate: Gate
    promotion: Promotion
    verifier_arm: VerifierArm | None = None
    budget: Budget
    unknown: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _refuses(self, info: ValidationInfo) -> Self:
        policy = (info.context or {}).get("policy") or Policy()
        antipatterns.check(facts(self), policy)
        if 0 < self.mix.ratio < policy.mix_min:
            raise InvalidInput(f"a mix of {self.mix.ratio}", f"none, or at least {policy.mix_min}", where="plan.mix")
        return self

    def model_copy(self, *, update: Any = None, deep: bool = False) -> Self:
        """A copy with changes, checked like any other plan."""
        return type(self).model_validate({**self.model_dump(), **(update or {})})


def read(data: bytes, name: str) -> Plan:
    """A plan from YAML or JSON, or the plan of a `bundle.json`. Raises AntiPattern for one, InvalidInput otherwise."""
    try:
        told = yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise InvalidInput(f"is not YAML ({error})", "a plan", where=name) from error
    told = told.get("plan", told) if isinstance(told, dict) else told
    if not isinstance(told, dict):
        raise InvalidInput("holds no plan", "a GO verdict's bundle, or a plan", where=name)
    try:
        return Plan.model_validate(told)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise InvalidInput(f"{place}: {fault['msg']}", "a whole plan", where=name) from error


def terms(plan: Plan, slices: Iterable[str]) -> Terms:
    """What of a plan is sealed before training (BAT-8)."""
    return Terms(
        tolerances={probe.name: probe.tolerance for probe in plan.battery.probes},
        slices=tuple(slices),
        round_two_lift_min_pp=plan.gate.lift_min_pp,
        decoding=plan.evaluation.decoding,
    )


def facts(plan: Plan) -> PlanFacts:
    """What the rules look at."""
    return PlanFacts(
        pool=plan.pool,
        evaluation=plan.evaluation.problems,
        evaluated_on=plan.evaluation.evaluated_on,
        passk=max(plan.evaluation.ks, default=1) > 1,
        minimal=plan.arm.preset == "brief-minimal",
        filters=plan.arm.filter,
        mix=plan.mix.ratio,
        lora_rank=plan.training.lora_r,
        rank_piloted=plan.training.rank_pilot is not None,
        rounds=plan.rounds.count,
        battery_between_rounds=plan.rounds.battery_between,
        reported=plan.rounds.reported,
        probes=tuple(probe.name for probe in plan.battery.probes),
        battery_defined=plan.battery.defined,
        rollback=bool((plan.promotion.rollback or "").strip()),
        promoted_round=plan.promotion.round,
        round_two_gate_open=plan.promotion.gate is not None and plan.promotion.gate.open,
    )


# presets and what departs from them


class Preset(Record):
    """A whole set of published or prescribed settings.

    ranges: settings that may lie anywhere between two values. left_open: settings that it says nothing about.
    """

    name: PresetName
    arm: Arm
    sampling: Sampling
    training: Training
    mix: Mix = Mix()
    rounds: Rounds = Rounds()
    ranges: dict[str, tuple[float, float]] = {}
    left_open: tuple[str, ...] = ()


# how a machine carries a fine-tune out, which neither the brief nor the paper says
MACHINE = tuple(
    f"training.{name}"
    for name in (
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
        "gradient_checkpointing",
        "max_seq_length",
        "bf16",
        "save_steps",
        "seed",
    )
)
OPTIMISER = tuple(
    f"training.{name}"
    for name in ("warmup_steps", "lr_scheduler_type", "min_lr", "weight_decay", "adam_beta2", "max_grad_norm")
)


class Deviation(Record):
    """One setting that differs from its preset (DEV-1)."""

    field: str
    preset: str
    plan: str


def brief_minimal(policy: Policy | None = None) -> Preset:
    """The minimal arm of the founding brief: nothing filtered, one round, LoRA, settings inside its ranges."""
    p = policy or Policy()
    return Preset(
        name="brief-minimal",
        arm=Arm.model_validate({"preset": "brief-minimal"}),
        sampling=Sampling(
            temperature=p.temperature, top_p=p.top_p, n=p.samples_per_prompt, max_tokens=p.max_new_tokens
        ),
        training=Training(
            method="lora",
            learning_rate=p.lora_learning_rate,
            num_train_epochs=p.epochs,
            lora_r=p.lora_rank_min,
            lora_alpha=p.lora_rank_min,
        ),
        ranges={
            "sampling.temperature": (p.temperature_min, p.temperature_max),
            "sampling.top_p": (p.top_p_min, p.top_p_max),
            "sampling.n": (p.samples_per_prompt_min, p.samples_per_prompt_max),
            "sampling.max_tokens": (1, float(p.max_new_tokens)),
            "training.learning_rate": (p.lora_learning_rate_min, p.lora_learning_rate_max),
            "training.lora_r": (p.lora_rank_min, 1024),
            "training.lora_alpha": (p.lora_rank_min, 2048),
            "mix.ratio": (0, p.mix_max),
        },
        left_open=(*MACHINE, *OPTIMISER, "training.target_modules"),
    )


PUBLISHED = {d.name.removeprefix("paper."): d.quantity.value for d in LITERATURE if d.quantity is not None}


def paper(kind: Literal["instruct", "thinking"] = "instruct") -> Preset:
    """The settings of arXiv 2604.01193 for its Qwen models. Epochs are implied by steps and batch, not published."""
    return Preset(
        name="paper",
        arm=Arm.model_validate({"preset": "paper", "filter": ("drop_empty", "drop_stubs")}),
        sampling=Sampling(
            temperature=PUBLISHED[f"temperature_{kind}"],
            top_p=PUBLISHED[f"top_p_{kind}"],
            top_k=int(PUBLISHED["top_k"]),
            n=int(PUBLISHED["samples_per_prompt"]),
            max_tokens=int(PUBLISHED["max_tokens"]),
        ),
        training=Training(
            method="full",
            learning_rate=PUBLISHED["learning_rate"],
            num_train_epochs=PUBLISHED[f"epochs_{kind}"],
            # appendix C.1; the batch of 32 is over all devices, and how it was split is not published
            warmup_steps=250 if kind == "instruct" else 50,
            lr_scheduler_type="cosine_with_min_lr",
            min_lr=1e-6,
            weight_decay=0.1,
            adam_beta2=0.95,
        ),
        left_open=(*MACHINE, "training.max_grad_norm"),
    )


def deviations(plan: Plan | Preset, preset: Preset) -> tuple[Deviation, ...]:
    """Every setting of the preset that the plan, or what ran, has otherwise, in the preset's order."""
    return tuple(_differences(plan, preset, preset, ""))


def _differences(plan: Any, wanted_of: Any, preset: Preset, head: str) -> Iterator[Deviation]:
    for name in type(wanted_of).model_fields:
        wanted, found, path = getattr(wanted_of, name), getattr(plan, name, None), f"{head}{name}"
        if path in NO_SETTINGS or path in preset.left_open or _inside(found, preset.ranges.get(path)):
            continue
        if isinstance(wanted, Record):
            yield from _differences(found, wanted, preset, f"{path}.")
        elif wanted != found:
            yield Deviation(field=path, preset=str(wanted), plan=str(found))


NO_SETTINGS = ("name", "ranges", "left_open", "arm.name", "arm.preset")


def _inside(found: Any, bounds: tuple[float, float] | None) -> bool:
    return bounds is not None and isinstance(found, int | float) and bounds[0] <= found <= bounds[1]


# from a verdict to a plan


def design(workload: Workload, verdict: Verdict, policy: Policy | None = None) -> Plan:
    """The minimal arm for this workload, with controls, battery, gate and promotion; a pilot where it is provisional.

    Raises InvalidInput unless the verdict is a GO for SSD: before that there is nothing to design.
    """
    policy = policy or Policy()
    if verdict.verdict not in ("GO-SSD", "GO-VERIFIER-AWARE-SSD"):
        raise InvalidInput(f"the verdict is {verdict.verdict}", "a GO for SSD", "settle what the verdict names first")
    preset = brief_minimal(policy)
    window = workload.context_length or policy.max_new_tokens
    sampling = preset.sampling.model_copy(update={"max_tokens": min(policy.max_new_tokens, window)})
    parts = {
        "arm": preset.arm,
        "sampling": sampling,
        "pool": ProblemSet(name="prompts of production shape, to be collected"),
        "training": preset.training,
        "evaluation": _evaluation(workload),
        "controls": CONTROLS,
        "battery": _battery(policy),
        "gate": _gate(policy),
        "promotion": _promotion(policy),
        "verifier_arm": _verifier_arm(workload, verdict),
        "budget": _budget(workload.gpu_hours, verdict, policy),
        "unknown": tuple(_unknown(workload)),
    }
    return Plan.model_validate(parts, context={"policy": policy})


def demonstration(policy: Policy | None = None) -> Plan:
    """The minimal arm of the brief, whole, for a walk through the pipeline: no verdict stands behind it."""
    policy = policy or Policy()
    preset, heldout = brief_minimal(policy), ProblemSet(name="a part of the embedded evaluation set")
    parts = {
        "arm": preset.arm,
        "sampling": preset.sampling,
        "pool": ProblemSet(name="a part of the embedded pool"),
        "training": preset.training,
        "evaluation": Evaluation(problems=heldout, decoding="as the base was measured", contamination_checked=False),
        "battery": _battery(policy),
        "gate": _gate(policy),
        "promotion": _promotion(policy),
        "budget": Budget(scope="pilot", gpu_hours=GpuHours()),
    }
    return Plan.model_validate(parts, context={"policy": policy})


def _evaluation(workload: Workload) -> Evaluation:
    return Evaluation(
        problems=ProblemSet(name=workload.benchmark or "held-out set"),
        decoding=workload.decoding or "the production decoding, as pass@k was measured",
        contamination_checked=workload.contamination_checked is True,
    )


CONTROLS = (
    Control(name="decode_control", isolates="what the decoding alone gives: the base at the tuned decoding"),
    Control(name="placebo", isolates="plain training on one's own text, same budget", temperature=1, top_p=1),
)


def _battery(policy: Policy) -> Battery:
    n = policy.probe_prompts
    probes = [
        Probe(name=name, tolerance=getattr(policy, probe.tolerance), unit="fraction", prompts=n)
        for name, probe in PROBES.items()
    ]
    diversity = Probe(name=DIVERSITY, tolerance=policy.diversity_fall, unit="pp", prompts=policy.heldout_min)
    return Battery(probes=(*probes, diversity))


def _gate(policy: Policy) -> Gate:
    conditions = tuple(condition.name for condition in round_two(RoundOne(), policy).conditions)
    return Gate(lift_min_pp=policy.round_two_lift_min_pp, conditions=conditions)


def _promotion(policy: Policy) -> Promotion:
    return Promotion(
        canary_share=policy.canary_share,
        retention_days=policy.retention_days,
        rollback="one change of the router's configuration, tried before the canary",
    )


def _verifier_arm(workload: Workload, verdict: Verdict) -> VerifierArm | None:
    if workload.verifier in (None, "none"):
        return None
    return VerifierArm(
        arm=Arm.model_validate({"filter": ("verifier_accepted",)}),
        verifier=str(workload.verifier),
        leads=verdict.verdict == "GO-VERIFIER-AWARE-SSD",
        acceptance=workload.verifier_acceptance,
    )


def _budget(hours: GpuHours, verdict: Verdict, policy: Policy) -> Budget:
    share = policy.pilot_share if verdict.provisional else 1.0
    # twelve digits: a tenth of 300 is 30, not 30.000000000000004
    spent = {name: round(value * share, 12) for name, value in hours.model_dump().items() if value is not None}
    return Budget(scope="pilot" if verdict.provisional else "full", gpu_hours=GpuHours(**spent))


def _unknown(workload: Workload) -> Iterator[str]:
    yield "tokens per second on these GPUs: a short measured run gives it, and with it the number of prompts"
    yield "the prompt pool: its size, its sha256 and the log of its overlap with the held-out set"
    if workload.decoding is None:
        yield "the production decoding in figures"
    if workload.verifier not in (None, "none"):
        yield "the verifier's false accepts and false rejects on known labels"
