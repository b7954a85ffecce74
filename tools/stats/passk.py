"""pass@k and the gap from counts: the estimator, and the table with intervals that everything rests on.

The unit of inference is the problem, or the cluster of problems where the counts name clusters (DOMAIN 4.1). A slice
and k in which any problem has fewer than k samples is left out, because it would be estimated on other problems than
pass@1; the notes of the table say how many fell short.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tools.errors import InvalidInput
from tools.records import KS, OVERALL, Counts, Interval, Metric, PassTable, Quantity
from tools.stats import intervals
from tools.stats.intervals import FloatArray, IntArray

# below this a slice gets no verdict (PRE-3), and an interval over clusters is an approximation
FEW = 30


def pass_at_k(correct: ArrayLike, total: ArrayLike, k: int) -> FloatArray:
    """Chance that at least one of k draws passes, per problem.

    correct, total: shape (problems,), counts. Returns shape (problems,), in [0, 1]; NaN where total < k.
    Raises InvalidInput if any count is negative, any correct > total, or k < 1.
    Source: Chen et al. 2021, arXiv 2107.03374, eq. 1.
    """
    c, n = _checked(correct, total, k)
    radix = int(n.max(initial=0)) + 1
    pairs, where = np.unique(n * radix + c, return_inverse=True)
    values = [_one(int(pair % radix), int(pair // radix), k) for pair in pairs]
    return np.array(values, dtype=float)[where]


def _checked(correct: ArrayLike, total: ArrayLike, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    c, n = np.asarray(correct, dtype=np.int64), np.asarray(total, dtype=np.int64)
    if k < 1:
        raise InvalidInput(f"k = {k}", "k of at least 1")
    if c.shape != n.shape or c.ndim != 1:
        raise InvalidInput(f"counts of shapes {c.shape} and {n.shape}", "two lists of the same length")
    if (bad := np.flatnonzero((c < 0) | (c > n))).size:
        raise InvalidInput(f"{c[bad[0]]} correct of {n[bad[0]]}", "0 <= correct <= total", where=f"problem {bad[0]}")
    return c, n


def _one(c: int, n: int, k: int) -> float:
    if n < k:
        return float("nan")
    if n - c < k:
        return 1.0
    # C(n-c, k) / C(n, k) is symmetric in c and k, so the shorter of the two products will do
    return 1 - float(np.prod(1 - max(c, k) / (n - np.arange(min(c, k)))))


@dataclass(frozen=True)
class Cell:
    """One slice, or all problems, with the columns (each a metric and k) that all of its problems can estimate."""

    slice: str
    rows: IntArray  # which problems
    clusters: IntArray  # (rows,), the number of each one's cluster
    columns: tuple[tuple[Metric, int], ...]
    values: FloatArray  # (rows, columns), fractions

    def of(self, metric: Metric) -> FloatArray:
        """The columns of one metric."""
        return self.values[:, [name == metric for name, _ in self.columns]]

    @property
    def estimable(self) -> bool:
        """False where all problems share one cluster: one unit says nothing about others."""
        return len(self.rows) == 1 or len(set(self.clusters.tolist())) > 1


def table(
    counts: Counts, ks: Sequence[int] = KS, *, seed: int = 0, resamples: int = 10_000, level: float = 0.95
) -> PassTable:
    """pass@1, pass@k and gap@k = pass@k - pass@1 with intervals, overall and per slice.

    pass@k rows are fractions; gap rows are percentage points, per-problem differences on the same samples. `ci` is
    pointwise, `band` holds for all rows of its metric together. Raises InvalidInput for no problems, k < 1, or a slice
    named `overall`.
    """
    ks = grid(ks)
    rng = np.random.default_rng(seed)
    cells = cut(counts, ks)
    levels = simultaneous_levels(cells, level, rng, resamples)
    totals = np.array(counts.total)
    rows = [row for cell in cells for row in quantities(cell, levels, int(totals[cell.rows].min()), rng, resamples)]
    return PassTable(
        problems=len(counts.ids),
        samples_min=min(counts.total),
        samples_max=max(counts.total),
        ks=ks,
        slices=tuple(cell.slice for cell in cells[1:]),
        rows=tuple(rows),
        resamples=resamples,
        seed=seed,
        notes=(*_notes(counts, cells, ks), *flat_notes(rows)),
        source=counts.source,
    )


def grid(ks: Sequence[int]) -> tuple[int, ...]:
    """The k to report, ascending and once each. Raises InvalidInput on none or on k < 1."""
    if not ks or min(ks) < 1:
        raise InvalidInput(f"k = {list(ks)}", "one or more k of at least 1")
    return tuple(sorted(set(ks)))


def cut(counts: Counts, ks: tuple[int, ...]) -> list[Cell]:
    """All problems, then each slice in order of first appearance. Raises InvalidInput for no problems."""
    c, n, clusters = np.array(counts.correct), np.array(counts.total), cluster_numbers(counts)
    return [_cell(name, rows, clusters[rows], c[rows], n[rows], ks) for name, rows in slices(counts)]


def slices(counts: Counts) -> list[tuple[str, IntArray]]:
    """`overall` and the named slices, each with its row numbers. Raises InvalidInput if a slice is named `overall`."""
    if not counts.ids:
        raise InvalidInput("no problems", "counts of at least one problem", where=counts.source.name)
    if OVERALL in counts.slices:
        raise InvalidInput(f"a slice is named {OVERALL}", "any other name", "rename it", where=counts.source.name)
    labels = np.array(counts.slices)
    named = [(name, np.flatnonzero(labels == name)) for name in dict.fromkeys(counts.slices) if name]
    return [(OVERALL, np.arange(len(labels))), *named]


def cluster_numbers(counts: Counts) -> IntArray:
    """A number per cluster, shape (problems,); a problem without a cluster is one of its own."""
    names = [name or ("", problem) for name, problem in zip(counts.clusters, counts.ids, strict=True)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=np.intp)


def _cell(
    name: str, rows: IntArray, clusters: IntArray, c: NDArray[np.int64], n: NDArray[np.int64], ks: tuple[int, ...]
) -> Cell:
    passes = {k: pass_at_k(c, n, k) for k in dict.fromkeys((1, *ks)) if (n >= k).all()}
    gaps = {k: passes[k] - passes[1] for k in passes if k > 1}
    columns: list[tuple[Metric, int]] = [("pass_at_k", k) for k in passes]
    columns += [("gap_at_k", k) for k in gaps]
    return Cell(name, rows, clusters, tuple(columns), np.column_stack([*passes.values(), *gaps.values()]))


def simultaneous_levels(
    cells: list[Cell], level: float, rng: np.random.Generator, resamples: int
) -> dict[Metric | None, float]:
    """The level of one interval alone (key None), and the one at which all rows of a metric hold together."""
    count = int(cells[0].clusters.max()) + 1
    levels: dict[Metric | None, float] = {None: level}
    for metric in dict.fromkeys(metric for cell in cells for metric, _ in cell.columns):
        influences = np.hstack([intervals.influence(cell.of(metric), cell.clusters, count) for cell in cells])
        critical = intervals.critical_value(influences, level, rng, resamples)
        levels[metric] = intervals.pointwise_level(critical, level)
    return levels


def quantities(
    cell: Cell,
    levels: dict[Metric | None, float],
    samples: int,
    rng: np.random.Generator,
    resamples: int,
    battery: str | None = None,
) -> Iterator[Quantity]:
    """One slice's rows, with `ci` and `band` unless it is one cluster. levels: as `simultaneous_levels` gives them."""
    sample = intervals.units(cell.values, cell.clusters)
    low, high = np.array([_support(metric, k) for metric, k in cell.columns]).T
    ends = intervals.bounds(sample, low, high, np.array(list(levels.values())), rng, resamples)
    few = sample.events(low, high) < intervals.FEW_EVENTS
    which = {metric: i for i, metric in enumerate(levels)}
    for j, (metric, k) in enumerate(cell.columns):
        scale = 1.0 if metric == "pass_at_k" else 100.0
        method = intervals.NONE_DIFFERS if sample.constant[j] else intervals.METHOD
        ci, band = (scale * ends[i, j] for i in (0, which[metric]))
        yield Quantity(
            metric=metric,
            value=scale * float(sample.mean[j]),
            unit="fraction" if metric == "pass_at_k" else "pp",
            k=k,
            slice=cell.slice,
            n=len(cell.rows),
            samples=samples,
            ci=_interval(ci, levels[None], few[j], method) if cell.estimable else None,
            band=_interval(band, levels[None], few[j], f"{method}, all rows together") if cell.estimable else None,
            degenerate=bool(sample.constant[j]),
            battery=battery,
        )


def _support(metric: Metric, k: int) -> tuple[float, float]:
    """The least and the greatest value one problem can show."""
    widest = intervals.gap_ceiling(k) if "gap" in metric else 1.0
    return (-widest if metric.startswith("delta") else 0.0), widest


def _interval(ends: FloatArray, level: float, at_least: np.bool_, method: str) -> Interval:
    return Interval(low=float(ends[0]), high=float(ends[1]), level=level, at_least=bool(at_least), method=method)


def _notes(counts: Counts, cells: list[Cell], ks: tuple[int, ...]) -> Iterator[str]:
    totals = np.array(counts.total)
    if totals.min() < totals.max():
        yield f"problems have {totals.min():,} to {totals.max():,} samples; pass@k uses each problem's own"
    if len(cells) > 1 and (unlabelled := counts.slices.count("")):
        yield f"{unlabelled:,} of {len(counts.ids):,} problems name no slice and count only overall"
    for cell in cells:
        yield from cell_notes(cell, totals[cell.rows], ks)
    for k in ks:
        if 1 < k <= totals.min() < 2 * k:
            yield f"pass@{k} from {totals.min():,} samples varies most; {2 * k} or more samples would steady it"


def cell_notes(cell: Cell, totals: NDArray[np.int64], ks: tuple[int, ...]) -> Iterator[str]:
    """What a reader of one slice's rows should know. totals: samples of each of its problems."""
    where = cell.slice if cell.slice == OVERALL else f"slice {cell.slice}"
    for k in ks:
        if short := int((totals < k).sum()):
            yield f"{where}: no pass@{k}, since {short:,} of {len(totals):,} problems have fewer than {k} samples"
    if len(totals) < FEW:
        yield f"{where}: {len(totals)} problems, fewer than the {FEW} a verdict needs"
    units = len(set(cell.clusters.tolist()))
    if units < len(totals):
        yield f"{where}: {len(totals):,} problems in {units:,} clusters, which are the unit of resampling"
    if units < FEW and units < len(totals):
        too_few = f"fewer than {FEW} clusters make it approximate"
        yield f"{where}: {too_few if cell.estimable else 'no interval, since one cluster says nothing about others'}"


def flat_notes(rows: Sequence[Quantity]) -> Iterator[str]:
    """One note per slice whose problems all agree in some row."""
    for name in dict.fromkeys(row.slice for row in rows):
        where = name if name == OVERALL else f"slice {name}"
        if flat := [row.label for row in rows if row.slice == name and row.degenerate]:
            yield f"{where}: no two problems differ in {', '.join(flat)}; only unseen problems give these a width"
