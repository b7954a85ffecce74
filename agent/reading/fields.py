"""From a path of keys, such as (`slices`, `hard`, `pass@8`), to the field it names."""

from __future__ import annotations

import re
from functools import lru_cache

from agent.reading.marks import WHOLE

KEYS: tuple[tuple[str, str], ...] = (
    (
        "n",
        r"#|n|problems?|n_?problems|num_?problems|#_?problems|count|size|tasks?|n_?tasks|questions|items"
        r"|no_of_problems|number_of_problems",
    ),
    (
        "heldout_n",
        r"(?:held_?out|eval(?:uation)?|test|dev|benchmark)(?:_set|_suite)?(?:_n|_size|_problems|_tasks"
        r"|_count)?|n_(?:held_?out|eval|test)(?:_problems)?|eval_set_size",
    ),
    (
        "samples_per_problem",
        r"samples(?:_per_(?:problem|task|prompt))?|n_?samples|num_?samples|samples_problem|n_samples_per_\w+"
        r"|draws(?:_per_problem)?",
    ),
    ("model_name", r"(?:base_?)?model(?:_?name|_id)?|checkpoint|base|base_checkpoint"),
    (
        "parameter_count",
        r"#?_?param(?:eter)?s?(?:_?count)?|n_?params|num_?param(?:eter)?s|model_size|size_params"
        r"|number_of_param(?:eter)?s",
    ),
    ("license", r"(?:model_)?licen[cs]e"),
    (
        "context_length",
        r"(?:max_)?(?:context|ctx)(?:_?length|_?len|_window|_size|_tokens)?|max_model_len|n_ctx|num_ctx"
        r"|max_seq_len(?:gth)?|seq_?len(?:gth)?|sequence_length",
    ),
    ("languages", r"(?:programming_)?lang(?:uage)?s?(?:\(s\))?"),
    (
        "problem_distribution",
        r"(?:problem_)?distribution|task_?(?:family|type)|problem_?(?:type|kind|family)|family|kind_of_(?:task"
        r"|problem)s?",
    ),
    ("purpose", r"purpose|(?:product_)?surface|use_?case|why(?:_it_matters)?|product"),
    (
        "contamination_checked",
        r"contamination(?:_?check(?:ed)?|_checked|_status)?|decontaminated|decontamination"
        r"|contam(?:_check(?:ed)?)?|contamination_free",
    ),
    (
        "gpu_hours.sampling",
        r"(?:gpu_?(?:hours|h)_?)(?:sampling|generation)|(?:sampling|generation)_(?:gpu_?(?:hours|h)|budget)",
    ),
    (
        "gpu_hours.finetune",
        r"(?:gpu_?(?:hours|h)_?)(?:fine_?tun(?:e|ing)|train(?:ing)?|sft)|(?:fine_?tun(?:e|ing)"
        r"|train(?:ing)?)_(?:gpu_?(?:hours|h)|budget)",
    ),
    ("gpu_hours.eval", r"(?:gpu_?(?:hours|h)_?)eval(?:uation)?|eval(?:uation)?_(?:gpu_?(?:hours|h)|budget)"),
    ("gpu_hours.total", r"(?:total_)?gpu_?(?:hours|h)(?:_total|_budget)?|gpu_budget|budget_gpu_?(?:hours|h)"),
    ("gpu_type", r"gpu(?:s|_type|_model)?|hardware|accelerators?|hw|cards?|node_type"),
    ("team_size", r"team(?:_?size)?|people|headcount|engineers|team_members|fte"),
    (
        "first_signal_days",
        r"(?:days_to_)?first_signal(?:_in)?(?:_days)?|signal_days|days_to_(?:first_)?signal"
        r"|time_to_(?:first_)?signal|signal",
    ),
    ("comparator", r"comparator|alternative(?:_move)?|plan_b|fallback|otherwise|non_ssd_move"),
    (
        "failure_cost",
        r"failure_?cost|cost_of_failure|if_(?:it_gets_)?worse|if_model_gets_worse|worst_case|blast_radius"
        r"|what_if_worse|on_regression",
    ),
    ("has_rollback", r"(?:has_)?roll_?back(?:_plan|_path)?"),
    ("has_checkpoint_discipline", r"(?:has_)?(?:checkpoint|ckpt)(?:s|ing)?(?:_discipline|_policy)?"),
    ("has_heldout_blocker", r"(?:has_)?(?:held_?out|release)_(?:blocker|gate)"),
    ("verifier", r"verifiers?(?:_type)?|verification"),
    ("heldout_disjoint_from_pool", r"heldout_disjoint_from_pool|disjoint(?:_from_pool)?"),
    ("same_decoding_for_all_k", r"same_decoding(?:_for_all_k)?"),
    ("slice_kind", r"slice_kind"),
    ("preference_pairs", r"preference_pairs|n_preference_pairs"),
    ("prior_ssd_rounds", r"prior_ssd_rounds|prior_rounds"),
    ("verifier_acceptance", r"verifier_acceptance|acceptance_rate"),
)
KEY = tuple((name, re.compile(pattern)) for name, pattern in KEYS)
PASS_KEY = re.compile(
    r"(?:pass|p|acc|pass_rate)_?(?:@|\^|_?at_?)_?(?:k_?=?_?)?(?P<k>\d{1,4})|pass(?P<glued>1|4|8|10|16|32)"
    r"|@(?P<bare>\d{1,3})|k_?=?_?(?P<letter>\d{1,3})"
)
PASS_PARENT = re.compile(r"pass(?:_?(?:@|at)_?k?)?|pass_rates?|p@k|pass@k")
GPU_PARENT = re.compile(
    r"(?:gpu|compute|budget)(?:_?(?:hours|h|budget|hrs))?(?:_budget)?|budget(?:_\w+)?|h100_hours|a100_hours"
    r"|infra\w*|budget_and_infrastructure"
)
STAGES = {
    "sampling": ("sampling", "generation", "sample"),
    "finetune": ("finetune", "fine_tune", "finetuning", "fine_tuning", "training", "train", "sft"),
    "eval": ("eval", "evaluation"),
    "total": ("total", "all", "sum"),
}
STAGE = {word: stage for stage, words in STAGES.items() for word in words}
SLICES_PARENT = re.compile(
    r"slices?|by_difficulty|per_slice|splits?|buckets?|by_source|per_difficulty|difficulty|breakdown|tiers?|strata"
)
SLICE_NAME = re.compile(
    r"easy|medium|mid|hard|very_hard|introductory|interview|competition|codeforces|atcoder|leetcode|beginner"
    r"|advanced|expert"
)
N_PARENT = re.compile(r"held_?out\w*|eval\w*|test\w*|results?|benchmark|diagnostics|data(?:set)?|slices?|overall")
ROUND_KEY = re.compile(r"(?:after_)?(?:round|r|iter(?:ation)?)_?(?P<n>[12])|(?:ssd_)?round(?P<m>[12])")


def plain_key(key: str) -> str:
    """A key as letters and digits with underscores: `Pass@1 (%)` becomes `pass@1`."""
    bare = re.sub(r"\(.*?\)|\[.*?\]|%", " ", key.lower()).strip(" \t\"'`*_#:-|>")
    return re.sub(r"[^a-z0-9@^=#]+", "_", bare or key.strip().lower()).strip("_")


@lru_cache(maxsize=4096)
def field_of(key: str) -> str | None:
    """The field of one key, or None."""
    norm = plain_key(key)
    if match := PASS_KEY.fullmatch(norm):
        k = int(match["k"] or match["glued"] or match["bare"] or match["letter"])
        return "pass_at_1" if k == 1 else f"pass_at_k.{k}" if 1 < k <= 2048 else None
    return next((name for name, pattern in KEY if pattern.fullmatch(norm)), None)


def measured(key: str) -> str | None:
    """The measured field of a head or a label of a table, or None: there, `base` is an arm and `all` a row."""
    name = field_of(key)
    return name if name is not None and (_is_rate(name) or name in ("heldout_n", "samples_per_problem")) else None


def resolve(path: tuple[str, ...]) -> str | None:
    """The field of a path such as (`slices`, `hard`, `pass@8`); None where it is none of ours."""
    keys = [plain_key(key) for key in path]
    last, parents = keys[-1], keys[:-1]
    prefix, slice_name = _scope(path)
    name = (field_of(f"{path[-2]}_{path[-1]}") if parents else None) or field_of(path[-1])
    if parents and PASS_PARENT.fullmatch(parents[-1]) and re.fullmatch(r"k?_?=?\d{1,4}", last):
        k = int(re.sub(r"\D", "", last))
        name = "pass_at_1" if k == 1 else f"pass_at_k.{k}"
    elif last in STAGE and any(GPU_PARENT.fullmatch(p) for p in parents):
        name = f"gpu_hours.{STAGE[last]}"
    elif (
        parents
        and (outer := field_of(path[-2]))
        and _is_rate(outer)
        and (SLICE_NAME.fullmatch(last) or WHOLE.fullmatch(path[-1].strip()))
    ):
        name, slice_name = outer, "" if WHOLE.search(last) else last
    if name == "n" and parents and not slice_name and not N_PARENT.fullmatch(parents[-1]):
        name = "n" if last in ("n", "problems", "n_problems") else None
    if name == "n":
        name = "n" if slice_name else "heldout_n" if not prefix else None
    if (
        name is None
        or (slice_name and not (name == "n" or _is_rate(name)))
        or (prefix and not (name == "n" or _is_rate(name)))
    ):
        return None
    return f"{prefix}slices.{slice_name}.{name}" if slice_name else f"{prefix}{name}"


def _is_rate(name: str) -> bool:
    return name == "n" or name == "pass_at_1" or name.startswith("pass_at_k.")


def _scope(path: tuple[str, ...]) -> tuple[str, str]:
    """The round and the slice that the parents of a path name."""
    prefix = slice_name = ""
    for i, key in enumerate(path[:-1]):
        norm = plain_key(key)
        if match := ROUND_KEY.fullmatch(norm):
            prefix = f"round{match['n'] or match['m']}."
        elif SLICES_PARENT.fullmatch(norm) and i + 2 < len(path):
            slice_name = path[i + 1].strip(" \"'`*").lower()
        elif SLICE_NAME.fullmatch(norm):
            slice_name = norm
    return prefix, "" if WHOLE.fullmatch(slice_name) or slice_name in ("all", "overall") else slice_name
