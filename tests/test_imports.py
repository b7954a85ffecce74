"""Results of other harnesses read into counts: every format tells the same story, and nothing is guessed."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from result_files import PROBLEMS, SAMPLES, SLICELESS, WRITERS, counts_jsonl, lm_eval

from tools.errors import InvalidInput
from tools.measure import imports


def read(text: str | bytes, name: str = "results", form: str | None = None) -> imports.Results:
    return imports.read(text.encode() if isinstance(text, str) else text, name, form)


def seen_in(text: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize("harness", WRITERS)
def test_every_format_gives_the_same_counts(harness: str, tmp_path: Path) -> None:
    form, write = WRITERS[harness]
    path = write(tmp_path)
    results = imports.read(path.read_bytes(), path.name)
    assert results.format == form
    assert results.counts.ids == tuple(i for i, _, _ in PROBLEMS)
    assert results.counts.correct == tuple(c for _, _, c in PROBLEMS)
    assert set(results.counts.total) == {SAMPLES}
    expected = ("",) * len(PROBLEMS) if harness in SLICELESS else tuple(s for _, s, _ in PROBLEMS)
    assert results.counts.slices == expected


def test_every_registered_format_has_a_fixture() -> None:
    assert {form for form, _ in WRITERS.values()} == set(imports.FORMATS)


def test_a_gzipped_file_reads_as_the_plain_one(tmp_path: Path) -> None:
    data = counts_jsonl(tmp_path).read_bytes()
    assert read(gzip.compress(data)).counts.correct == read(data).counts.correct


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=30))
def test_canonical_counts_read_back_as_themselves(rows: list[tuple[int, int]]) -> None:
    lines = [json.dumps({"id": f"p{i}", "c": min(c, n), "n": n, "slice": "s"}) for i, (c, n) in enumerate(rows)]
    counts = read("\n".join(lines)).counts
    again = read(imports.canonical(counts)).counts
    assert (again.ids, again.correct, again.total, again.slices) == (
        counts.ids,
        counts.correct,
        counts.total,
        counts.slices,
    )


@pytest.mark.parametrize(
    "header",
    ["problem_id,n_correct,n_samples", "Task ID;Correct;Total", "id\tc\tn", "question-id,passes,attempts"],
)
def test_obvious_spellings_of_a_csv_header_are_read(header: str) -> None:
    delimiter = next(d for d in ",;\t" if d in header)
    counts = read(header + "\n" + delimiter.join(["p1", "3", "8"]) + "\n").counts
    assert (counts.ids, counts.correct, counts.total) == (("p1",), (3,), (8,))


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ('{"id": "a", "c": 9, "n": 8}', "9 correct of 8"),
        ('{"id": "a", "c": 0, "n": 0}', "0 correct of 0"),
        ('{"id": "a", "c": -1, "n": 8}', "key c is -1"),
        ('{"id": "a", "c": 1.5, "n": 8}', "key c is 1.5"),
        ('{"id": "a", "c": NaN, "n": 8}', "key c is nan"),
        ('{"id": "a", "c": true, "n": 8}', "key c is True"),
        ('{"id": "a", "c": "many", "n": 8}', "key c is 'many'"),
        ('{"id": ["a"], "c": 1, "n": 8}', "key id is ['a']"),
        ('{"id": "", "c": 1, "n": 8}', "has no id"),
        ('{"id": "a", "c": 1}', "has no n"),
        ('{"id": "a", "c": 1, "n": ', "is not JSON"),
        ("[1, 2]", "is a list"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(row: str, complaint: str) -> None:
    message = seen_in('{"id": "good", "c": 1, "n": 8}\n' + row + '\n{"id": "z", "c": 1, "n": 8}')
    assert "results:2" in message
    assert complaint in message


def test_a_repeated_id_in_a_counts_file_is_refused_not_added_up() -> None:
    assert "repeats (first at results:1)" in seen_in('{"id":"a","c":1,"n":8}\n{"id":"a","c":2,"n":8}')


def test_a_slice_that_changes_within_a_problem_is_refused() -> None:
    rows = [{"task_id": "a", "passed": True, "difficulty": d} for d in ("easy", "hard")]
    assert "'hard' here and 'easy'" in seen_in("\n".join(map(json.dumps, rows)))


@pytest.mark.parametrize("text", ["", "  \n ", "hello there", "a,b\n1,2\n", "[]", "{}", '{"results": {"pass@1": 0.4}}'])
def test_what_is_no_result_file_is_refused(text: str) -> None:
    assert "expected" in seen_in(text)


def test_ungraded_generations_are_told_apart_from_results() -> None:
    assert "none of the result formats" in seen_in('[["def f(): ...", "def f(): pass"]]')


@pytest.mark.parametrize("data", [b"\xff\xfe\x00junk", b"\x1f\x8b\x08broken", b"PK\x03\x04broken", b"[" * 100_000])
def test_binary_junk_and_bombs_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        read(data)


def test_a_csv_row_with_a_missing_cell_is_refused() -> None:
    assert "results:3" in seen_in("id,c,n\na,1,8\nb,1\n")


def test_evalplus_with_plus_tests_on_some_samples_only_is_refused() -> None:
    runs = [{"base_status": "pass", "plus_status": "pass"}, {"base_status": "pass", "plus_status": None}]
    assert "some samples only" in seen_in(json.dumps({"eval": {"a": runs}}))


def test_evalplus_without_plus_tests_counts_base_and_says_so() -> None:
    runs = [{"base_status": "pass", "plus_status": None}, {"base_status": "timeout", "plus_status": None}]
    results = read(json.dumps({"eval": {"a": runs}}))
    assert (results.counts.correct, results.counts.total) == ((1,), (2,))
    assert results.notes == ("graded on base tests only",)


def test_an_early_evalplus_file_is_read() -> None:
    runs = {"nfiles": 2, "base": [["pass", []], ["pass", []]], "plus": [["pass", []], ["failed", []]]}
    results = read(json.dumps({"eval": {"a": runs}}))
    assert (results.counts.correct, results.counts.total) == ((1,), (2,))


def test_an_unknown_status_is_refused() -> None:
    assert "'skipped'" in seen_in(json.dumps({"eval": {"a": [{"base_status": "skipped", "plus_status": None}]}}))


def test_an_lm_eval_log_with_two_filters_is_refused(tmp_path: Path) -> None:
    lines = lm_eval(tmp_path).read_text()
    assert "several filters" in seen_in(lines + lines.replace("create_test", "take_first"))


def test_an_lm_eval_share_that_is_no_whole_number_of_samples_is_refused() -> None:
    row = {"doc_id": 0, "resps": [["a", "b"]], "filtered_resps": [["a", "b"]], "metrics": ["pass@1"], "pass@1": 0.3}
    assert "0.3 over 2 samples" in seen_in(json.dumps(row))


def test_repeated_lm_eval_documents_are_samples() -> None:
    rows = [{"doc_id": 7, "filtered_resps": ["x"], "metrics": ["exact_match"], "exact_match": v} for v in (1.0, 0.0)]
    counts = read("\n".join(map(json.dumps, rows))).counts
    assert (counts.ids, counts.correct, counts.total) == (("7",), (1,), (2,))


def test_a_forced_format_is_obeyed_and_an_unknown_one_refused(tmp_path: Path) -> None:
    data = counts_jsonl(tmp_path).read_bytes()
    assert read(data, form="counts").format == "counts"
    with pytest.raises(InvalidInput, match="no format named 'csv'"):
        read(data, form="csv")


def test_problem_ids_of_a_pool_are_read_in_order() -> None:
    assert imports.problem_ids(b'{"task_id": "b"}\n{"id": 7}\n', "pool.jsonl") == ("b", "7")


def test_a_pool_row_without_an_id_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"pool\.jsonl:2"):
        imports.problem_ids(b'{"id": "a"}\n{"prompt": "x"}\n', "pool.jsonl")


def test_a_whole_number_too_large_to_count_is_refused_with_its_line() -> None:
    with pytest.raises(InvalidInput, match="results:1: key n"):
        read('{"id": "a", "c": 1, "n": 1' + "0" * 400 + "}\n")


def test_an_evalplus_sample_that_is_null_is_refused_with_its_problem() -> None:
    with pytest.raises(InvalidInput, match=r"eval\[a\]: a sample is None"):
        read('{"eval": {"a": [{"base_status": "pass"}, null]}}')


def test_an_entry_of_a_list_that_is_no_object_is_refused_and_not_dropped() -> None:
    with pytest.raises(InvalidInput, match=r"results\[1\]: is None"):
        read('[{"id": "a", "c": 1, "n": 2}, null]')


def test_blank_lines_before_a_csv_header_are_passed_over() -> None:
    assert read("\r\nid,c,n\r\na,1,8\r\n").counts.ids == ("a",)


@pytest.mark.parametrize(
    "runs", [{"nfiles": 1, "base": 5}, {"nfiles": 2, "base": [["pass"], ["pass"]], "plus": [["pass"]]}]
)
def test_an_early_evalplus_file_whose_lists_do_not_pair_is_refused(runs: dict[str, object]) -> None:
    assert "do not pair up" in seen_in(json.dumps({"eval": {"a": runs}}))


def test_a_csv_column_that_is_there_twice_is_refused() -> None:
    assert "column 'n_correct' is there twice" in seen_in("problem_id,n_samples,n_correct,n_correct \na,16,1,2\n")
