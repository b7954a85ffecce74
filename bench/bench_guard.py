"""How much the claim guard catches and how much it lets through: `python bench/bench_guard.py`.

Attacks and harmless texts by corpus, with the ledger of tests/data/guard_case.json; every row judged wrongly is
listed. `bench/guard_results.md` says who wrote which corpus, and which of them were read while the guard was written.
Then the time of 400 characters and of 100,000.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tools import guard

DATA = Path(__file__).parent.parent / "tests" / "data"
CASE: dict[str, Any] = json.loads((DATA / "guard_case.json").read_text("utf-8"))
ATTACKS = ("first_attacks", "taxonomy", "final_attacks")
HARMLESS = ("harmless", "final_harmless")


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of one corpus."""
    return [json.loads(line) for line in (DATA / f"guard_{name}.jsonl").read_text("utf-8").splitlines()]


def allowed(row: dict[str, Any]) -> bool:
    """Whether the guard lets a text through, with the ledger of this bench."""
    return bool(guard.contract({**CASE, **row})["allowed"])


def report(name: str, harmless: bool) -> None:
    """How many rows of a corpus are judged rightly, and the others."""
    corpus = rows(name)
    wrong = [row for row in corpus if allowed(row) is not harmless]
    print(f"{name}: {len(corpus) - len(wrong)} of {len(corpus)} {'passed' if harmless else 'blocked'}")
    for row in wrong:
        print(f"    {row['family']}: {row['text']}")


def seconds(text: str, times: int) -> float:
    """Processor seconds of one check."""
    start = time.process_time()
    for _ in range(times):
        guard.check(text, ())
    return (time.process_time() - start) / times


def main() -> None:
    """Print the figures."""
    for name in ATTACKS:
        report(name, harmless=False)
    for name in HARMLESS:
        report(name, harmless=True)
    text = " ".join(row["text"] for row in rows("harmless") if allowed(row))
    print(f"400 characters: {seconds(text[:400], 100) * 1000:.2f} ms")
    print(f"100,000 characters: {seconds((text * 10)[:100_000], 1):.2f} s")


if __name__ == "__main__":
    main()
