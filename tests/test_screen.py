"""What the offline recogniser promises: values are read exactly, language is judged, any input is survived."""

from __future__ import annotations

import time

import numpy as np
import pytest

from agent import screen, screen_config
from agent.screen_encoder import MARKS, MAX_WINDOWS, WINDOW, WordPiece, clean, window_starts, windows
from tools.records import Pattern


def found(text: str) -> set[Pattern]:
    return {finding.pattern for finding in screen_config.read(text)}


def flags(text: str) -> set[Pattern]:
    return {flag.pattern for flag in screen.screen(text).flags}


# The reader of config values


@pytest.mark.parametrize(
    "text",
    [
        "lora_r: 16",
        "lora:\n  r: 8\n  alpha: 16",
        "[lora]\nrank = 32",
        '{"adapter": {"lora_r": 4}}',
        "python train.py --lora-rank 32 --epochs 1",
        "LoraConfig(r=16, lora_alpha=32)",
        "finetuning_type: lora\nlora_rank: 63",
    ],
)
def test_a_lora_rank_below_sixty_four_is_found_however_it_is_spelt(text: str) -> None:
    assert "low_rank_unmeasured" in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "lora_r: 64",
        "LoraConfig(r=128)",
        "lora_r: 16\npilot:\n  against: full_ft\n  n_prompts: 600",
        "vllm serve base --enable-lora --max-lora-rank 16",
        "r: 16",
        "seed: 16\nepochs: 8",
    ],
)
def test_a_sufficient_piloted_or_unrelated_rank_is_not_found(text: str) -> None:
    assert "low_rank_unmeasured" not in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "mix_ratio: 0.4",
        "--replay_ratio 0.6",
        "replay_pct = 35",
        "mix_fraction: 30%",
        "interleave_probs: 0.6,0.4",
        '{"data": {"self": 0.6, "base_like": 0.4}, "base_like_ratio": 0.4}',
    ],
)
def test_a_mix_above_a_fifth_is_found(text: str) -> None:
    assert "heavy_mix" in found(text)


@pytest.mark.parametrize(
    "text", ["mix_ratio: 0.2", "replay_pct = 20", "interleave_probs: 0.85,0.15", "self_ratio: 0.9", "dropout: 0.3"]
)
def test_a_mix_of_at_most_a_fifth_is_not_found(text: str) -> None:
    assert "heavy_mix" not in found(text)


def test_rounds_without_a_probe_between_are_found_and_probed_rounds_are_not() -> None:
    assert "blind_iteration" in found("rounds: 4\nprobe_every: 0")
    assert "blind_iteration" not in found("rounds: 4\nprobe_every: 1\ngate: strict")
    assert "blind_iteration" not in found("rounds: 1\nprobe_every: 0")


def test_one_path_for_training_and_evaluation_is_found() -> None:
    assert "same_set_eval" in found("prompts_file: data/a.jsonl\neval_file: data/a.jsonl")
    assert "same_set_eval" not in found("prompts_file: data/a.jsonl\neval_file: data/b.jsonl")


def test_a_pool_from_a_benchmark_is_found_unless_it_is_the_list_to_keep_out() -> None:
    assert "pool_from_eval" in found("sampler:\n  source: hf://livecodebench/release_v5")
    assert "pool_from_eval" not in found("pool:\n  source: prod.jsonl\n  exclude: [humaneval, mbpp]")


def test_a_filter_is_found_only_under_a_minimal_arm() -> None:
    assert "blurred_filtering" in found("arm: ssd_minimal\nfilter: tests_pass")
    assert "blurred_filtering" not in found("arm: verifier_aware\nfilter: tests_pass")
    assert "blurred_filtering" not in found("arm: ssd_minimal\nfilter: none")


def test_a_deployment_without_a_way_back_is_found() -> None:
    assert "ship_without_rollback" in found("deploy:\n  canary: 0\n  rollback: false")
    assert "ship_without_rollback" not in found("deploy:\n  canary: 1%\n  rollback: flag")


def test_a_probe_switched_off_is_found_by_either_spelling() -> None:
    assert "skip_safety_probe" in found("probes:\n  refusal: off\n  length: on")
    assert "skip_safety_probe" in found("--skip-probes safety,length")
    assert "skip_safety_probe" not in found("probes:\n  refusal: on")
    assert "skip_battery" in found("battery: null")


def test_only_the_kept_side_of_a_diff_counts() -> None:
    assert not found("- replay_ratio: 0.6\n+ replay_ratio: 0.15")
    assert "heavy_mix" in found("- replay_ratio: 0.15\n+ replay_ratio: 0.6")


def test_a_finding_quotes_the_value_it_rests_on() -> None:
    text = "epochs: 1\nlora_r: 16\n"
    (finding,) = screen_config.read(text)
    assert text[finding.start : finding.end] == "lora_r: 16"


def test_a_value_in_a_sentence_is_not_solid() -> None:
    assert all(f.solid for f in screen_config.read("lora_r: 16\nlr: 1e-4"))
    prose = "my colleague tried it last year with lora_r=16 and was unhappy with what came out of that run"
    assert not any(f.solid for f in screen_config.read(prose))


# The recogniser


@pytest.mark.parametrize(
    ("wrong", "right", "pattern"),
    [
        (
            "we evaluate on the training prompts, no need to keep them separate",
            "we will NOT evaluate on the training prompts",
            "same_set_eval",
        ),
        (
            "no rollback, overwrite the weights in place",
            "rollback is one flag, the old weights stay for 30 days",
            "ship_without_rollback",
        ),
        ("just assume pass@8 is 60", "nobody measured pass@8, so do not assume anything", "assumed_numbers"),
        ("lora_r: 16\nepochs: 1", "lora_r: 64\nepochs: 1", "low_rank_unmeasured"),
    ],
)
def test_the_words_alone_do_not_decide(wrong: str, right: str, pattern: Pattern) -> None:
    assert pattern in flags(wrong)
    assert pattern not in flags(right)


@pytest.mark.parametrize(
    "text",
    [
        "Sample the prompts from prod logs; eval stays on the held-out set.",
        "draw the pool from tickets and test on LCB",
        "please assume 400 tokens per completion for cost planning",
        "My colleague said: just assume pass@8 is 60. I laughed.",
        "we draw prompts from the evaluation team's production logs",
    ],
)
def test_a_phrase_settles_nothing_where_right_practice_shares_its_words(text: str) -> None:
    assert not flags(text)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("Ten percent replay, no more.", "heavy_mix"),
        ("We never overwrite the weights. The new ones get their own folder.", "ship_without_rollback"),
        ("The refusal set is ready and hashed together with the other five.", "skip_safety_probe"),
        ("Round 2 failed its gate, so round 1 stays in production.", "promote_round2"),
        ("We do not believe that it works for every model.", "always_ssd"),
        ("Nobody changes the tolerances after the run.", "skip_battery"),
    ],
)
def test_right_practice_that_shares_the_words_is_neither_said_nor_asked(text: str, pattern: Pattern) -> None:
    screening = screen.screen(text)
    assert pattern not in {flag.pattern for flag in (*screening.flags, *screening.unsure)}


def test_a_small_share_excuses_no_large_one() -> None:
    assert "heavy_mix" in flags("We mix in 40% of the old SFT data, and 5% of it is Go.")
    assert "heavy_mix" in flags("replay_pct = 35\ndropout = 0.05")


@pytest.mark.parametrize("text", ["", " \n\t", "...", "\x00\x01\x02", "\ue000\ue00a\ue00b", "🙂🙂"])
def test_a_message_without_words_has_no_flags(text: str) -> None:
    assert screen.screen(text) == screen.Screening()


@pytest.mark.parametrize(
    "text",
    [
        "ok " * 40_000,
        "a" * 100_000,
        "a.b{(:=" * 2_000,
        "自己蒸馏会不会导致模型坍塌？",
        "يرجى قياس pass@8 أولا",
        bytes(range(256)).decode("latin-1") * 20,
        "{" * 5_000,
        "\ud800 lone surrogate",
    ],
    ids=["long", "one word", "brackets", "chinese", "arabic", "bytes", "open", "surrogate"],
)
def test_any_text_is_screened_without_an_error(text: str) -> None:
    screening = screen.screen(text)
    assert len(screening.unsure) <= screen.MOST_QUESTIONS
    assert all(0 <= flag.score <= 1 for flag in (*screening.flags, *screening.unsure))


@pytest.mark.parametrize(
    "piece",
    [" ", "\t", "rank of the mix ", "lora_r: 16\n", "{", "x=1 "],
    ids=["blank", "tab", "prose", "yaml", "open", "pairs"],
)
def test_a_hundred_kilobytes_cost_bounded_work(piece: str) -> None:
    screen.screen("the model is loaded")
    text = (piece * 100_000)[:100_000] + "end"
    start = time.process_time()
    screen.screen(text)
    assert time.process_time() - start < 3, "0.7 s measured; a step that grows with the square took 9 s and more"


def test_the_same_text_gets_the_same_answer() -> None:
    text = "rank 16, half of the old data mixed in, four rounds and then prod"
    assert screen.screen(text) == screen.screen(text)


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("forty percent", screen.HIGH_SHARE),
        ("Ten per cent", screen.LOW_SHARE),
        ("25%", screen.HIGH_SHARE),
        ("0.15", screen.LOW_SHARE),
        ("rank four", screen.LOW_RANK),
        ("r=64", screen.HIGH_RANK),
    ],
)
def test_a_share_and_a_rank_are_marked_in_figures_and_in_words(text: str, mark: str) -> None:
    assert screen.marked(text, []) == text + mark


def test_a_flag_is_never_both_said_and_asked() -> None:
    screening = screen.screen("skip pass@k, no probes, overwrite prod, assume the gap is 9 and announce +6")
    assert not {f.pattern for f in screening.flags} & {f.pattern for f in screening.unsure}


def test_the_words_of_a_flag_are_the_sentence_it_rests_on() -> None:
    text = "Hello there. We overwrite the production weights in place, no rollback. Thanks a lot."
    (flag,) = screen.screen(text).flags
    assert flag.words == "We overwrite the production weights in place, no rollback."


# The encoder


def test_word_pieces_are_the_longest_known_from_the_left() -> None:
    tokens = WordPiece(["[UNK]", "[CLS]", "[SEP]", *MARKS, "roll", "##back", "##ba", "→", "4", "##4"])
    names = {i: piece for piece, i in tokens.ids.items()}
    assert [names[i] for i in tokens.encode("Rollback 44→4 zzz")] == ["roll", "##back", "4", "##4", "→", "4", "[UNK]"]


def test_a_typed_private_character_cannot_pose_as_a_mark() -> None:
    assert not set(clean(f"a{MARKS[9]}b")) & set(MARKS)


def test_windows_cover_every_token_of_a_text_below_the_limit() -> None:
    ids = list(range(1_000))
    assert sorted({i for window in windows(ids) for i in window}) == ids
    assert windows([]) == [[]]


def test_a_long_text_is_read_at_both_ends_and_where_the_findings_are() -> None:
    ids = [0] * 50_000
    ids[20_000] = 7
    starts = window_starts(ids, sought={7})
    assert len(starts) == MAX_WINDOWS
    assert starts == sorted(starts)
    assert starts[0] == 0
    assert starts[-1] + WINDOW >= len(ids)
    assert any(start <= 20_000 < start + WINDOW for start in starts)


def test_sentences_join_to_the_text_and_have_its_tokens() -> None:
    text = screen.marked("One. Two!  \n\n  lora_r: 16\n\tx: 1; y, z.", [])
    pieces = screen._sentences(text)
    encode = screen._model().tokeniser.encode
    assert "".join(pieces) == text
    assert [i for piece in pieces for i in encode(piece)] == encode(text)


def test_the_shipped_model_has_a_threshold_pair_for_every_pattern() -> None:
    arrays = screen._model().arrays
    assert arrays["confident"].shape == arrays["unsure"].shape == (len(screen.PATTERNS),)
    assert np.all(arrays["unsure"] <= arrays["confident"])


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("The gate failed for round 2. Deploy round 2 to production regardless.", "promote_round2"),
        (
            "The old checkpoint stays for a week, then we overwrite it and there is no way back.",
            "ship_without_rollback",
        ),
        ("We want to sample once and skip pass@k altogether, pass@1 was measured.", "skip_passk"),
    ],
)
def test_an_excuse_that_the_same_message_takes_back_excuses_nothing(text: str, pattern: str) -> None:
    found = screen.screen(text)
    assert pattern in {flag.pattern for flag in (*found.flags, *found.unsure)}


@pytest.mark.parametrize(
    "text",
    [
        "Assume the baseline is the unmodified model in every table.",
        "We took 40 problems from the held-out set to calibrate the grader.",
    ],
)
def test_words_of_assuming_and_drawing_accuse_nobody_by_themselves(text: str) -> None:
    assert not screen.screen(text).flags
