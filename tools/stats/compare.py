"""A tuned model against its base on the same problems: paired deltas, and where along k they turn.

Every difference is taken within a problem, so that what makes problems hard cancels. Refuses problems without a partner
unless told otherwise, labels that disagree, and a comparison without any shared problem. What no interval here covers
is said in the notes: both checkpoints are fixed, and another training seed would move them.

Sources: DOMAIN 4.3; the band along k as in Yang, Zhang and Chen 2026, arXiv 2609.22547.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from tools.errors import InvalidInput
from tools.records import KS, OVERALL, Comparison, Counts, DeltaCurve, Metric, PairedTest
from tools.stats import intervals, passk, power
from tools.stats.intervals import FloatArray, Units
from tools.stats.passk import Cell

DELTA: dict[Metric, Metric] = {"pass_at_k": "delta_pass_at_k", "gap_at_k": "delta_gap_at_k"}
# beyond this many samples the curve is drawn on a geometric grid
DENSE = 512
FIXED_CHECKPOINTS = "intervals cover the draw of problems and samples; both checkpoints are fixed"


def compare(
    base: Counts,
    tuned: Counts,
    ks: Sequence[int] = KS,
    *,
    seed: int = 0,
    resamples: int = 10_000,
    level: float = 0.95,
    battery: str = "not run",
    allow_unmatched: bool = False,
) -> Comparison:
    """Tuned minus base in pp for pass@1, pass@k and gap@k, overall and per slice, with intervals and tests.

    battery: id of the probe readings that travel with the deltas (BAT-9). allow_unmatched: leave out problems that only
    one side has, and count them. Raises InvalidInput where the two cannot be paired, or all share one cluster.
    """
    ks = passk.grid(ks)
    rng = np.random.default_rng(seed)
    left, right = _paired(base, tuned, allow_unmatched)
    fewest = np.minimum(left.total, right.total)
    cells = [_difference(b, t) for b, t in zip(passk.cut(left, ks), passk.cut(right, ks), strict=True)]
    if not cells[0].estimable:
        raise InvalidInput("all problems share one cluster", "two clusters or more, for an interval to exist")
    able = [cell for cell in cells if cell.estimable]
    levels = passk.simultaneous_levels(able, level, rng, resamples)
    samples = [int(fewest[cell.rows].min()) for cell in able]
    rows = [passk.quantities(c, levels, n, rng, resamples, battery) for c, n in zip(able, samples, strict=True)]
    deltas = tuple(chain.from_iterable(rows))
    once = max(*left.total, *right.total) == 1
    return Comparison(
        problems=len(left.ids),
        ks=ks,
        slices=tuple(cell.slice for cell in cells[1:]),
        deltas=deltas,
        tests=tuple(test for cell in able for test in _tests(cell, once, rng, resamples)),
        interaction=_interaction(able[1:], int(cells[0].clusters.max()) + 1),
        detectable=power.detectable(deltas[0]),  # of pass@1 overall
        curve=curve(left, right, level, rng, resamples),
        gained=_solved_only_in(right, left),
        lost=_solved_only_in(left, right),
        only_base=len(base.ids) - len(left.ids),
        only_tuned=len(tuned.ids) - len(right.ids),
        resamples=resamples,
        seed=seed,
        notes=(*_notes(left, right, cells, ks), *passk.flat_notes(deltas)),
        base=base.source,
        tuned=tuned.source,
    )


def chance_no_worse(before: Counts, after: Counts, *, seed: int = 0, resamples: int = 10_000) -> float | None:
    """How sure the problems make it that pass@1 is no lower afterwards, in [.001, .999], for draws say no more.

    Of the same paired bootstrap as the intervals, see `intervals.chance`; both checkpoints are fixed. None where no
    problem differs. Raises InvalidInput where the two cannot be paired.
    """
    left, right = _paired(before, after, allow_unmatched=False)
    cell = _difference(passk.cut(left, (1,))[0], passk.cut(right, (1,))[0])
    sample = intervals.units(cell.of("delta_pass_at_k"), cell.clusters)
    found = intervals.chance(sample, -1.0, np.random.default_rng(seed), resamples)
    return None if found is None else min(max(round(found, 3), 0.001), 0.999)


def _paired(base: Counts, tuned: Counts, allow_unmatched: bool) -> tuple[Counts, Counts]:
    """Both sides on their shared problems, in the order of the base, with the labels of both."""
    place = {problem: row for row, problem in enumerate(tuned.ids)}
    rows = [row for row, problem in enumerate(base.ids) if problem in place]
    only = [*(set(base.ids) - set(place)), *(set(place) - set(base.ids))]
    if not rows or (only and not allow_unmatched):
        raise InvalidInput(
            f"{len(base.ids) - len(rows)} problems only in {base.source.name}, "
            f"{len(tuned.ids) - len(rows)} only in {tuned.source.name}, {len(rows)} in both (such as {min(only)!r})",
            "the same problems on both sides",
            "grade both on one problem file" if not rows else "allow unmatched problems to compare the shared ones",
        )
    left, right = _take(base, rows), _take(tuned, [place[base.ids[row]] for row in rows])
    labels = {
        "slices": _agreed("slice", left.ids, left.slices, right.slices),
        "clusters": _agreed("cluster", left.ids, left.clusters, right.clusters),
    }
    return left.model_copy(update=labels), right.model_copy(update=labels)


def _take(counts: Counts, rows: list[int]) -> Counts:
    columns = ("ids", "correct", "total", "slices", "clusters")
    return counts.model_copy(update={name: tuple(getattr(counts, name)[row] for row in rows) for name in columns})


def _agreed(kind: str, ids: tuple[str, ...], left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    """One label per problem: what either side says. Raises InvalidInput where they say different things."""
    for problem, a, b in zip(ids, left, right, strict=True):
        if a and b and a != b:
            raise InvalidInput(f"{problem} is in {kind} {a!r} in one file and {b!r} in the other", f"one {kind} each")
    return tuple(a or b for a, b in zip(left, right, strict=True))


def _difference(base: Cell, tuned: Cell) -> Cell:
    """Tuned minus base in the columns that both can estimate."""
    shared = [column for column in base.columns if column in tuned.columns]
    pick = [cell.values[:, [cell.columns.index(column) for column in shared]] for cell in (base, tuned)]
    columns = tuple((DELTA[metric], k) for metric, k in shared)
    return Cell(base.slice, base.rows, base.clusters, columns, pick[1] - pick[0])


def _solved_only_in(here: Counts, there: Counts) -> tuple[str, ...]:
    """Problems with any success here and none there."""
    rows = zip(here.ids, here.correct, there.correct, strict=True)
    return tuple(problem for problem, ours, theirs in rows if ours and not theirs)


def _tests(cell: Cell, once: bool, rng: np.random.Generator, resamples: int) -> Iterator[PairedTest]:
    """Tests of every delta pass@k of one slice. once: each side has one sample per problem."""
    sample = intervals.units(cell.of("delta_pass_at_k"), cell.clusters)
    ks = [k for metric, k in cell.columns if metric == "delta_pass_at_k"]
    mcnemar = _mcnemar(cell.values[:, 0]) if once and sample.sizes.max() == 1 else None
    for k, p in zip(ks, _sign_flip(sample, rng, resamples), strict=True):
        yield PairedTest(k=k, slice=cell.slice, sign_flip=float(p), mcnemar=mcnemar)


def _sign_flip(sample: Units, rng: np.random.Generator, resamples: int) -> FloatArray:
    """Two-sided p values of the sign-flip permutation test, shape (columns,).

    Of equal units a Binomial(times, 1/2) number keeps its sign. The observed labelling counts as one, so p > 0.
    """
    # a row per group, since numpy prepares a Binomial anew whenever its number changes
    times = sample.times.astype(np.int64)[:, None]
    kept = rng.binomial(times, 0.5, size=(len(times), resamples))
    flipped = (2 * kept - times).T @ sample.sums
    observed = sample.times @ sample.sums
    as_large = (np.abs(flipped) >= np.abs(observed) - 1e-9).sum(axis=0)
    return np.asarray((1 + as_large) / (1 + resamples))


def _mcnemar(differences: FloatArray) -> float:
    """Exact two-sided McNemar test: of the problems on which the two differ, who wins how many?"""
    from scipy.special import bdtr  # start-up, as in intervals

    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return min(1.0, 2 * float(bdtr(min(wins, losses), wins + losses, 0.5))) if wins + losses else 1.0


def _interaction(cells: list[Cell], count: int) -> dict[int, float]:
    """k -> p value of "every slice has the same delta pass@k": a Wald test, F with the smallest slice's freedom."""
    from scipy.special import fdtrc  # start-up, as in intervals

    p_values = {}
    for column in dict.fromkeys(c for cell in cells for c in cell.columns if c[0] == "delta_pass_at_k"):
        values = [(cell, cell.values[:, [cell.columns.index(column)]]) for cell in cells if column in cell.columns]
        varying = [(cell, value) for cell, value in values if np.ptp(value) > 0]
        if len(varying) > 1:
            means = np.array([value.mean() for _, value in varying])
            spread = np.hstack([intervals.influence(value, cell.clusters, count) for cell, value in varying])
            contrast = np.eye(len(means))[1:] - np.eye(len(means))[0]
            apart = contrast @ means
            wald = float(apart @ np.linalg.pinv(contrast @ spread.T @ spread @ contrast.T) @ apart)
            freedom = min(len(set(cell.clusters.tolist())) for cell, _ in varying) - 1
            p_values[column[1]] = float(fdtrc(len(apart), freedom, wald / len(apart)))
    return p_values


def curve(base: Counts, tuned: Counts, level: float, rng: np.random.Generator, resamples: int) -> DeltaCurve:
    """Mean difference of paired sides at every k, plus and minus the sup-t critical value times the standard error.

    At a k where no problem differs there is no error to go by, and the share of those that could differ stands in.
    """
    ks = _every_k(min(*base.total, *tuned.total))
    values = np.column_stack([_passes(tuned, k) - _passes(base, k) for k in ks])
    clusters = passk.cluster_numbers(base)
    units = int(clusters.max()) + 1
    influences = intervals.influence(values, clusters, units)
    critical = intervals.critical_value(influences, level, rng, resamples)
    error = np.sqrt((influences**2).sum(axis=0) * units / max(units - 1, 1))
    tail = np.array((1 - intervals.pointwise_level(critical, level)) / 2)
    reach = np.where(error > 1e-12, critical * error, intervals.unseen(tail, units))
    mean = values.mean(axis=0)
    low, high = np.round(100 * np.array([mean - reach, mean + reach]), 10)
    return DeltaCurve(
        ks=ks,
        deltas=tuple((100 * mean).tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        critical=critical,
        level=level,
        last_gain=_last_of_prefix(ks, low > 0),
        first_loss=next((k for k, end in zip(ks, high, strict=True) if end < 0), None),
    )


def _every_k(most: int) -> tuple[int, ...]:
    if most <= DENSE:
        return tuple(range(1, most + 1))
    return tuple(dict.fromkeys(np.geomspace(1, most, DENSE).round().astype(int).tolist()))


def _passes(counts: Counts, k: int) -> FloatArray:
    return passk.pass_at_k(counts.correct, counts.total, k)


def _last_of_prefix(ks: tuple[int, ...], certified: NDArray[np.bool_]) -> int | None:
    length = len(ks) if certified.all() else int(np.argmin(certified))
    return ks[length - 1] if length else None


def _notes(base: Counts, tuned: Counts, cells: list[Cell], ks: tuple[int, ...]) -> Iterator[str]:
    yield FIXED_CHECKPOINTS
    if base.total != tuned.total:
        yield "the two sides have different numbers of samples; each pass@k uses its own side's"
    totals = np.minimum(base.total, tuned.total)
    for cell in cells:
        yield from passk.cell_notes(cell, totals[cell.rows], ks)
    if totals.min() > DENSE:
        yield f"the curve is drawn on {DENSE} or fewer k from 1 to {totals.min():,}, not on every k"
    if (unlabelled := base.slices.count("")) and len(cells) > 1:
        yield f"{unlabelled:,} of {len(base.ids):,} problems name no slice and count only {OVERALL}"
