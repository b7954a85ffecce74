"""The records that cross rooms: frozen, closed, made of plain values.

Holds shapes and the checks that keep a shape honest; computes nothing. Fractions are stored as fractions
(0..1), differences of fractions as percentage points (`unit="pp"`, so 8.9 means 8.9 pp). A quantity that
cannot be computed has no record: there is no NaN in here.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Samples = Annotated[int, Field(ge=1)]
# more problems than this is a slip of the keyboard, and no interval can be computed for it
MAX_PROBLEMS = 10**9

OVERALL = "overall"
KS = (4, 8, 16)

Unit = Literal[
    "fraction",
    "percent",
    "pp",
    "config",
    "hours",
    "gpu_hours",
    "cpu_hours",
    "usd",
    "usd_per_gpu_hour",
    "pp_per_gpu_hour",
    "pp_per_cpu_hour",
    "tokens",
    "count",
    "days",
]
EvidenceKind = Literal["measured", "derived", "stated", "declared", "paper"]
Metric = Literal["pass_at_k", "gap_at_k", "delta_pass_at_k", "delta_gap_at_k", "value"]
VerdictName = Literal["GO-SSD", "GO-VERIFIER-AWARE-SSD", "GO-OTHER", "REFUSE"]
OtherMove = Literal["sft_external", "rejection_sampling", "dpo", "grpo", "do_nothing"]
Resolution = Literal["met", "not_met", "unresolved"]
Distribution = Literal["algorithmic", "fill_in_the_middle", "repo_edit", "bug_fix", "competitive", "other"]
Comparator = Literal["sft_external", "rejection_sampling_sft", "dpo", "grpo", "ppo", "other"]
Verifier = Literal["unit_tests", "type_checker", "differential", "none"]
SliceKind = Literal["difficulty", "source"]
Pattern = Literal[
    "always_ssd",
    "never_ssd",
    "same_set_eval",
    "skip_passk",
    "blind_iteration",
    "blurred_filtering",
    "bare_gain",
    "skip_safety_probe",
    "heavy_mix",
    "low_rank_unmeasured",
    "promote_round2",
    "assumed_numbers",
    "pool_from_eval",
    "skip_battery",
    "ship_without_rollback",
]


class Record(BaseModel):
    """Base of all records: frozen, no unknown keys, finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(Record):
    """Where bytes came from: the file's own name (no folder) and its sha256."""

    name: str
    sha256: str


class Interval(Record):
    """A confidence interval in the unit of its quantity. at_least: it holds the truth that often or more often."""

    low: float
    high: float
    level: Fraction = 0.95
    at_least: bool = False
    method: str

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"interval is upside down: [{self.low}, {self.high}]")
        return self


class Quantity(Record):
    """One number with what makes it mean something.

    n is the number of problems (the unit of inference), never of samples. A delta without interval, slice, n
    and the id of its battery cannot be built (BAT-9); `battery="not run"` is the honest way to lack one.
    """

    metric: Metric
    value: float
    unit: Unit
    k: Annotated[int, Field(ge=1)] | None = None
    slice: str = OVERALL
    n: Annotated[int, Field(ge=1)] | None = None
    samples: Annotated[int, Field(ge=1)] | None = None
    ci: Interval | None = None
    band: Interval | None = None
    degenerate: bool = False
    battery: str | None = None

    @property
    def label(self) -> str:
        """Metric as the field writes it: `pass@8`, `gap@8`, `Δpass@8`."""
        head = {"pass_at_k": "pass", "gap_at_k": "gap", "delta_pass_at_k": "Δpass", "delta_gap_at_k": "Δgap"}
        return f"{head[self.metric]}@{self.k}" if self.metric in head else "value"

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.metric != "value" and self.k is None:
            raise ValueError(f"{self.metric} needs its k")
        if self.metric.startswith("delta") and (self.ci is None or self.n is None or self.battery is None):
            raise ValueError("a delta needs interval, n and battery (BAT-9)")
        return self


class Counts(Record):
    """Graded samples, one row per problem: c of n passed.

    ids are unique; slices and clusters are "" where the file names none. Everything printed about pass@k can
    be recomputed from this record alone.
    """

    ids: tuple[str, ...]
    correct: tuple[Count, ...]
    total: tuple[Annotated[int, Field(ge=1)], ...]
    slices: tuple[str, ...]
    clusters: tuple[str, ...]
    source: Source

    @model_validator(mode="after")
    def _aligned(self) -> Self:
        lengths = {len(c) for c in (self.ids, self.correct, self.total, self.slices, self.clusters)}
        if len(lengths) != 1:
            raise ValueError(f"columns differ in length: {sorted(lengths)}")
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("problem ids repeat")
        if any(c > n for c, n in zip(self.correct, self.total, strict=True)):
            raise ValueError("more correct than total")
        return self


class PassTable(Record):
    """pass@k and gap@k with intervals, overall first, then slices in order of first appearance.

    Rows hold `pass_at_k` (fraction) and `gap_at_k` (pp) quantities; `ci` is pointwise, `band` simultaneous over
    all rows of its metric. A (slice, k) that cannot be estimated is absent and `notes` says why.
    """

    problems: Annotated[int, Field(ge=1)]
    samples_min: Annotated[int, Field(ge=1)]
    samples_max: Annotated[int, Field(ge=1)]
    ks: tuple[int, ...]
    slices: tuple[str, ...]
    rows: tuple[Quantity, ...]
    resamples: int
    seed: int
    notes: tuple[str, ...] = ()
    source: Source

    def find(self, metric: Metric, k: int, slice_name: str = OVERALL) -> Quantity | None:
        """The row for (metric, k, slice), or None where it could not be estimated."""
        return next((q for q in self.rows if (q.metric, q.k, q.slice) == (metric, k, slice_name)), None)


class SliceFacts(Record):
    """What a person states about one slice of the held-out set."""

    n: Annotated[int, Field(ge=1, le=MAX_PROBLEMS)] | None = None
    pass_at_1: Fraction | None = None
    pass_at_k: dict[Samples, Fraction] = {}


class GpuHours(Record):
    """GPU-hours over all GPUs."""

    sampling: Annotated[float, Field(ge=0)] | None = None
    finetune: Annotated[float, Field(ge=0)] | None = None
    eval: Annotated[float, Field(ge=0)] | None = None


class Workload(Record):
    """Everything IN-1 to IN-7 asks for, named as in the verdict contract (FORMATS section 4); None is unknown."""

    model: str | None = None
    parameter_count: Positive | None = None
    license: str | None = None
    context_length: Annotated[int, Field(gt=0)] | None = None
    languages: tuple[str, ...] = ()
    problem_distribution: Distribution | None = None
    purpose: str | None = None
    benchmark: str | None = None
    heldout_n: Annotated[int, Field(ge=0, le=MAX_PROBLEMS)] | None = None
    samples_per_problem: Annotated[int, Field(ge=1)] | None = None
    contamination_checked: bool | None = None
    heldout_disjoint_from_pool: bool | None = None
    same_decoding_for_all_k: bool | None = None
    decoding: str | None = None
    pass_at_1: Fraction | None = None
    pass_at_k: dict[Samples, Fraction] = {}
    slices: dict[str, SliceFacts] = {}
    slice_kind: SliceKind | None = None
    gpu_type: str | None = None
    gpu_hours: GpuHours = GpuHours()
    team_size: Annotated[int, Field(ge=1)] | None = None
    first_signal_days: Positive | None = None
    comparator: Comparator | None = None
    failure_cost: str | None = None
    has_rollback: bool | None = None
    has_checkpoint_discipline: bool | None = None
    has_heldout_blocker: bool | None = None
    verifier: Verifier | None = None
    verifier_acceptance: Fraction | None = None
    preference_pairs: Count | None = None
    contaminated_fraction: Fraction | None = None
    grader_noise: Fraction | None = None
    prior_ssd_rounds: Count | None = None
    counts: str | None = None


class Missing(Record):
    """A required fact that is not in, or cannot be used: which, why it matters, how to produce it."""

    field: str
    group: str
    why: str
    how: str


class SliceVerdict(Record):
    """The verdict for one slice; `verdict` is None where the slice is too small to judge."""

    verdict: VerdictName | None
    other: OtherMove | None = None
    resolution: Resolution | None = None
    gap: Quantity | None = None
    why: str


class Verdict(Record):
    """The answer. `why` is one paragraph; a refusal lists `missing`. The verdict, not the model, decides."""

    verdict: VerdictName
    other: OtherMove | None = None
    resolution: Resolution | None = None
    provisional: bool = False
    missing: tuple[Missing, ...] = ()
    slices: dict[str, SliceVerdict] = {}
    gaps: tuple[Quantity, ...] = ()
    passes: tuple[Quantity, ...] = ()
    deciding_k: int | None = None
    only_largest_k_clears: bool = False
    problems_to_resolve: int | None = None
    basis: Literal["measured", "stated"] | None = None
    warnings: tuple[str, ...] = ()
    why: str


class Draft(Record):
    """Evidence before the ledger numbers and chains it.

    name: dotted, for example `intake.pass_at_1`, `passk.row`, `verdict`, `policy.gap_threshold`.
    key: the idempotency key; appending a draft whose key is already in the ledger returns the old entry.
    quantity holds the number, value anything else that is plain JSON. words: the user's exact words, for `stated`.
    """

    kind: EvidenceKind
    name: str
    quantity: Quantity | None = None
    value: JsonValue = None
    words: str | None = None
    inputs: tuple[str, ...] = ()
    tool: str
    version: str
    key: str
    source: Source | None = None

    @model_validator(mode="after")
    def _grounded(self) -> Self:
        if self.kind == "stated" and not self.words:
            raise ValueError("a stated fact keeps the user's exact words (IN-9)")
        if self.kind == "measured" and self.source is None:
            raise ValueError("a measured fact names the bytes it was computed from")
        return self


class Evidence(Draft):
    """One ledger entry: a draft with its id (`E1`, `E2`, ...) and the hash of the entry before it."""

    id: str
    prev: str


class PairedTest(Record):
    """p values of "no difference" in one slice's pass@k: sign flips, and McNemar's exact test at one sample each."""

    k: Annotated[int, Field(ge=1)]
    slice: str
    sign_flip: Fraction
    mcnemar: Fraction | None = None


class DeltaCurve(Record):
    """Tuned minus base pass@k in pp for every k listed, with one band that holds for all of them together.

    last_gain: the last k up to which a gain is certified at every k; first_loss: the first k where a loss is certified.
    """

    ks: tuple[int, ...]
    deltas: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    critical: Positive
    level: Fraction
    last_gain: Annotated[int, Field(ge=1)] | None
    first_loss: Annotated[int, Field(ge=1)] | None


class Comparison(Record):
    """A tuned model against its base on the same problems: overall first, then slices.

    deltas: `delta_pass_at_k` and `delta_gap_at_k` in pp. gained, lost: ids with any success in one arm alone.
    only_base, only_tuned: how many problems had no partner. interaction: k -> p value against "all slices have the same
    delta"; without a small one nobody may say that one slice gains more. detectable: the smallest true change of pass@1
    that these problems would mostly show, in pp (`power.detectable`).
    """

    problems: Annotated[int, Field(ge=1)]
    ks: tuple[int, ...]
    slices: tuple[str, ...]
    deltas: tuple[Quantity, ...]
    tests: tuple[PairedTest, ...]
    interaction: dict[int, Fraction]
    detectable: Quantity
    curve: DeltaCurve
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    only_base: Count
    only_tuned: Count
    resamples: int
    seed: int
    notes: tuple[str, ...]
    base: Source
    tuned: Source

    def find(self, metric: Metric, k: int, slice_name: str = OVERALL) -> Quantity | None:
        """The delta for (metric, k, slice), or None where it could not be estimated."""
        return next((q for q in self.deltas if (q.metric, q.k, q.slice) == (metric, k, slice_name)), None)


class Case(Record):
    """One call or one run of a program, with what should come back.

    args: arguments of the call (JSON); stdin: what the program reads. `expected` is a JSON value for a call and text
    for standard output; None means that the reference solution says it.
    """

    args: tuple[JsonValue, ...] = ()
    stdin: str | None = None
    expected: JsonValue = None


class Problem(Record):
    """A task with tests, in one shape for every format it may have come in.

    prompt: what the model is shown. preamble: code in front of a program (imports; for continuation formats the header
    that the answer continues). checks: Python source that calls the entry point, and raises on a wrong answer. A
    problem has checks or cases. tolerance: absolute, for floats in cases. reference: a whole program that passes.
    """

    id: str
    prompt: str
    kind: Literal["function", "stdin"] = "function"
    entry_point: str | None = None
    preamble: str = ""
    checks: str = ""
    cases: tuple[Case, ...] = ()
    tolerance: Annotated[float, Field(ge=0)] = 0
    reference: str | None = None
    difficulty: str = ""
    source: str = ""
    date: str = ""
    cluster: str = ""

    @model_validator(mode="after")
    def _gradable(self) -> Self:
        if not self.checks and not self.cases:
            raise ValueError("a problem needs tests")
        if self.kind == "function" and not self.entry_point:
            raise ValueError("a function problem names its entry point")
        return self


class Decoding(Record):
    """How tokens are drawn, under vLLM's names; temperature 0 is greedy. Recorded whole with every run."""

    temperature: Annotated[float, Field(ge=0)]
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Samples | None = None
    max_tokens: Samples
    seed: Count = 0
    stop: tuple[str, ...] = ()


class Request(Record):
    """Samples wanted of one prompt: which numbers of the row 0, 1, 2, ... are not there yet.

    total: how long the row is going to be; an engine that draws in fixed batches needs it to draw the same again.
    """

    id: str
    prompt: str
    indices: tuple[Count, ...]
    total: Samples | None = None


class Sample(Record):
    """One answer as the model gave it. Empty and truncated answers are samples too.

    (id, index) names it. seed: what this sample was drawn with, None where the engine has none per sample.
    """

    id: str
    index: Count
    text: str
    finish_reason: str
    tokens: Count | None = None
    prompt_tokens: Count | None = None
    seed: int | None = None


Extraction = Literal["first_fence", "last_fence", "whole", "continuation"]
GradeReason = Literal[
    "passed",
    "wrong",  # a check or a case disagreed
    "error",  # the program raised
    "timeout",
    "memory",
    "output",  # printed more than a program may
    "syntax",
    "no_code",  # nothing to run, or no entry point
    "blocked",  # died on a forbidden system call
    "ungradable",  # the tester itself could not say; never counted as wrong
]
Tier = Literal["bubblewrap", "namespaces", "seccomp", "container", "none"]


class Grade(Record):
    """What became of one sample; `seconds` is CPU time of the program, `detail` a line for a person."""

    id: str
    index: Count
    passed: bool
    reason: GradeReason
    seconds: Annotated[float, Field(ge=0)] = 0
    tier: Tier
    detail: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.passed != (self.reason == "passed"):
            raise ValueError(f"passed is {self.passed} and the reason is {self.reason}")
        return self


class Grading(Record):
    """What a grader found of its problems, of itself and of the samples it was given (SPEC GRD-1).

    ungradable: problem id -> why; counts leave those out. noise: share of repeated runs of references that did not
    pass, None where no problem has one. wrong_passed: programs known to be wrong that got through. reasons: how many
    samples ended how. sensitivity: how many of the same samples pass under each way of finding the code.
    """

    tier: Tier
    extraction: Extraction
    problems: Count
    without_reference: Count
    ungradable: dict[str, str]
    reference_runs: Count
    reference_misses: Count
    noise: Fraction | None
    wrong_runs: Count
    wrong_passed: Count
    reasons: dict[GradeReason, Count]
    timeouts_rerun: Count
    timeouts_recovered: Count
    sensitivity: dict[Extraction, Count]
