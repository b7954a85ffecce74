"""Confidence intervals for means over problems, or over clusters of problems where those are given.

Holds one method. Every problem (cluster) gets a random Gamma weight, as in Rubin's Bayesian bootstrap, and each limit
adds a fraction of one pseudo-problem. Where the pseudo-problem stands is computed, not chosen: at the distance that
corrects the skew of the sample mean to second order, with one problem at the far end of the scale counted among those
seen. On yes/no data the result lies between Jeffreys and Clopper-Pearson; on smooth data it is the bootstrap. A plain
bootstrap (BCa included) never looks beyond what was seen, which is why it fails on saturated pass@k (DOMAIN 4.2);
bench/stats_results.md has the measured coverage of both. A column in which no problem differs gets the Clopper-Pearson
bound on the share of problems that could; nothing ever gets a zero-width interval. Where so little varies that a few
problems decide, no interval can hold the truth just 95% of the time; ours then holds it about that often or more, and
says so. The spread of a difference that few problems carry is known badly; its limits move out by Student's t with as
many degrees of freedom.

Equal units are exchangeable, so one weight is drawn per distinct value, not per unit: the same bootstrap, far cheaper.

Sources: Rubin 1981, Annals of Statistics 9(1), the weights; Hall 1992, The Bootstrap and Edgeworth Expansion, the skew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

from tools.errors import InvalidInput
from tools.records import Interval

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

METHOD = "Bayesian bootstrap, skew-corrected by a pseudo-problem"
NONE_DIFFERS = "Clopper-Pearson, no problem differs"
WIDEST = "Clopper-Pearson, the widest a stated mean allows"

# a half corrects the skew to second order; the quarter more, always outwards, keeps counts of a few events covered
CORRECTION, CAUTION = 0.5, 0.25
# degrees of freedom from which Student's t is taken: of fewer carriers the pseudo-problem says more than their spread
FEWEST = 5
# below this many events an interval can only be safe, not exact; from here up no measured coverage left .93 to .97
FEW_EVENTS = 3
# a direction with less variance than this, in correlations, has none
NO_VARIANCE = 1e-10
# weights held in memory at once: 64 MB
DRAWS_AT_ONCE = 8_000_000


@dataclass(frozen=True)
class Units:
    """What is resampled, equal units gathered: each row of `sums`, columns summed over a unit, occurs `times` times."""

    times: FloatArray  # (groups,)
    sizes: FloatArray  # (groups,), problems in the unit
    sums: FloatArray  # (groups, columns)

    @property
    def mean(self) -> FloatArray:
        """Mean over problems, shape (columns,): a ratio of sums, so that large clusters weigh as they should."""
        return np.asarray(self.times @ self.sums / (self.times @ self.sizes))

    @property
    def typical(self) -> float:
        """Size of the unit that a problem picked at random belongs to; 1 without clusters."""
        return float(self.times @ self.sizes**2 / (self.times @ self.sizes))

    @property
    def count(self) -> float:
        """How many units of typical size the sample is worth (Kish 1965); the number of problems without clusters."""
        return float(self.times @ self.sizes / self.typical)

    @property
    def deviations(self) -> FloatArray:
        """How far each unit pulls its column from the mean, in typical units; shape (groups, columns)."""
        return np.asarray((self.sums - np.outer(self.sizes, self.mean)) / self.typical)

    @property
    def carriers(self) -> FloatArray:
        """How many units carry the spread of each column, shape (columns,): few, where it lies on few of them."""
        squares = self.deviations**2
        fourth = self.times @ squares**2
        return np.divide((self.times @ squares) ** 2, fourth, out=np.ones_like(fourth), where=fourth > 0)

    def events(self, low: FloatArray, high: FloatArray) -> FloatArray:
        """How many units at the far end of the scale would vary each column as the sample does, shape (columns,).

        low, high: as `bounds` takes them.
        """
        far = np.maximum(self.mean - low, high - self.mean)
        return np.asarray(self.times @ self.deviations**2 / far**2)

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Columns in which no unit differs from another, shape (columns,)."""
        return np.asarray(np.ptp(self.sums / self.sizes[:, None], axis=0) < 1e-12)

    @property
    def mirrored(self) -> Units:
        """The same with every value turned around zero."""
        return replace(self, sums=-self.sums)


@dataclass(frozen=True)
class Draws:
    """Resampled totals, one row per resample, and the weight of the pseudo-unit in its two parts."""

    sums: FloatArray  # (resamples, columns)
    sizes: FloatArray  # (resamples, 1)
    correction: FloatArray  # (resamples, 1)
    caution: FloatArray  # (resamples, 1)

    @property
    def mirrored(self) -> Draws:
        """The same with every value turned around zero."""
        return replace(self, sums=-self.sums)


def units(values: FloatArray, clusters: IntArray) -> Units:
    """Gather problems into clusters, and equal clusters into groups.

    values: shape (problems, columns), no NaN. clusters: shape (problems,), the number of each problem's cluster.
    """
    found, where = np.unique(clusters, return_inverse=True)
    rows = np.zeros((len(found), 1 + values.shape[1]))
    rows[:, 0] = np.bincount(where)
    for j in range(values.shape[1]):
        rows[:, 1 + j] = np.bincount(where, values[:, j])
    distinct, times = np.unique(rows, axis=0, return_counts=True)
    return Units(times.astype(float), distinct[:, 0], distinct[:, 1:])


def bounds(
    sample: Units, low: FloatArray, high: FloatArray, levels: FloatArray, rng: np.random.Generator, resamples: int
) -> FloatArray:
    """Intervals of every column at every level, shape (levels, columns, 2).

    low, high: the least and the greatest value a problem can have, shape (columns,).
    """
    draws, tails = _resample(sample, rng, resamples), (1 - levels) / 2
    signed = bool((low < 0).any())
    stretch = _students(tails, sample.carriers) if signed else np.ones((len(tails), len(low)))
    upper = _upper(sample, draws, high, tails, stretch)
    lower = -_upper(sample.mirrored, draws.mirrored, -low, tails, stretch)
    # twelve digits, for the last bits differ between builds of BLAS; plus zero, for minus zero
    return np.asarray(np.round(np.stack([lower, upper], axis=-1), 12) + 0.0)


def _resample(sample: Units, rng: np.random.Generator, resamples: int) -> Draws:
    correction, caution = rng.standard_gamma([[[CORRECTION]], [[CAUTION]]], size=(2, resamples, 1))
    columns = np.column_stack([sample.sizes, sample.sums])
    step = max(1, DRAWS_AT_ONCE // len(columns))
    parts = [
        rng.standard_gamma(sample.times, size=(min(step, resamples - start), len(columns))) @ columns
        for start in range(0, resamples, step)
    ]
    totals = np.concatenate(parts)
    return Draws(totals[:, 1:], totals[:, :1], correction, caution)


def _students(tails: FloatArray, carriers: FloatArray) -> FloatArray:
    """How much further out Student's t has each tail than the normal law, shape (tails, columns)."""
    from scipy.special import ndtri, stdtrit  # start-up that most commands do not need

    freedom = np.maximum(carriers - 1, FEWEST)
    return np.asarray(stdtrit(freedom, tails[:, None]) / ndtri(tails)[:, None])


def chance(sample: Units, low: float, rng: np.random.Generator, resamples: int) -> float | None:
    """How sure the sample makes it that the mean of its one column is not below zero, in [0, 1].

    It is one minus the tail at which the lower limit of `bounds` reaches zero, so that the two agree, and as cautious:
    what was never seen is allowed for. low: the least value a problem can have. None where every problem is at zero;
    such a sample holds nothing to be sure by.
    """
    mean, turned = float(sample.mean[0]), sample.mirrored
    if sample.constant[0]:
        # where every problem gained, the Clopper-Pearson limit reaches zero at this tail
        return None if abs(mean) < 1e-12 else 1 - (1 - mean / (mean - low)) ** sample.count if mean > 0 else 0.0
    means = np.sort(_means(turned, _resample(sample, rng, resamples).mirrored, np.array([-low])), axis=0)[::-1]
    # no tail is one half, where neither law has a width
    tails = (np.arange(resamples) + 0.25) / resamples
    limits = turned.mean + _students(tails, sample.carriers) * (means - turned.mean)
    return float((limits <= 0).mean())


def _upper(sample: Units, draws: Draws, high: FloatArray, tails: FloatArray, stretch: FloatArray) -> FloatArray:
    """Upper limits, shape (tails, columns), each `stretch` times as far from the mean as its quantile."""
    mean, reach = sample.mean, high - sample.mean
    limits = mean + stretch * (np.quantile(_means(sample, draws, high), 1 - tails, axis=0) - mean)
    alike = mean + np.outer(unseen(tails, sample.count), reach)
    return np.clip(np.where(sample.constant, alike, limits), mean, np.maximum(high, mean))


def _means(sample: Units, draws: Draws, high: FloatArray) -> FloatArray:
    """Resampled means with the pseudo-problem of an upper limit among them, shape (resamples, columns)."""
    mean, reach, typical = sample.mean, high - sample.mean, sample.typical
    shift = _skew_distance(sample, reach)
    outwards = np.minimum(np.abs(shift), reach)
    pseudo = draws.correction * (mean + shift) + draws.caution * (mean + outwards)
    return np.asarray((draws.sums + typical * pseudo) / (draws.sizes + typical * (draws.correction + draws.caution)))


def _skew_distance(sample: Units, reach: FloatArray) -> FloatArray:
    """Third over second moment of the deviations, one unit at `reach` counted in; shape (columns,)."""
    deviations = sample.deviations
    second = sample.times @ deviations**2 + reach**2
    third = sample.times @ deviations**3 + reach**3
    return np.divide(third, second, out=np.zeros_like(third), where=second > 0)


def unseen(tails: FloatArray, count: float) -> FloatArray:
    """Clopper-Pearson's upper limit, at each tail, for the share of units that differ when none of `count` does."""
    return np.asarray(1 - tails ** (1 / count))


def influence(values: FloatArray, clusters: IntArray, count: int) -> FloatArray:
    """What each of `count` clusters contributes to the error of each column's mean, shape (count, columns)."""
    deviations = (values - values.mean(axis=0)) / len(values)
    total = np.zeros((count, values.shape[1]))
    np.add.at(total, clusters, deviations)
    return total


def critical_value(influences: FloatArray, level: float, rng: np.random.Generator, resamples: int) -> float:
    """How many standard errors every column's interval needs so that all hold together with chance `level` (sup-t).

    influences: shape (units, columns). Draws from the multiplier bootstrap's Gaussian limit, through its covariance;
    columns without variance count as independent ones.
    Source: Montiel Olea and Plagborg-Møller 2019, Journal of Applied Econometrics 34(1).
    """
    covariance = influences.T @ influences
    spread = np.sqrt(np.diag(covariance))
    scale = np.where(spread < 1e-12, 1.0, spread)
    correlation = covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation)
    # the symmetric root is unique, so that every LAPACK gives the same draws; but the root of a zero with noise on it
    # is noise a million times larger, and a whole made of its slices always has such a zero
    root = vectors * np.sqrt(np.where(values > NO_VARIANCE, values, 0)) @ vectors.T
    return float(np.quantile(np.abs(rng.standard_normal((resamples, len(root))) @ root).max(axis=1), level))


def pointwise_level(critical: float, level: float) -> float:
    """The level at which one interval alone is `critical` standard errors wide on either side, never below `level`."""
    return max(level, erf(critical / sqrt(2)))


def stated(value: float, n: int, level: float = 0.95) -> Interval:
    """The widest interval that a stated mean of n problems allows, as fractions.

    value: in [0, 1]. Of all samples in [0, 1] with this mean, zeros and ones vary most, so Clopper-Pearson with
    value * n successes (a real number, through the incomplete beta function) is as wide as it can get.
    Raises InvalidInput where value is outside [0, 1] or n < 1.
    """
    if not 0 <= value <= 1 or n < 1:
        raise InvalidInput(f"a mean of {value} over {n} problems", "a fraction in 0..1 over at least one problem")
    from scipy.special import betaincinv  # 100 ms of start-up that most commands do not need

    hits, tail = value * n, (1 - level) / 2
    low = float(betaincinv(hits, n - hits + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return Interval(low=low, high=high, level=level, at_least=True, method=WIDEST)


def gap_ceiling(k: int) -> float:
    """The largest gap@k that the samples of one problem can show, as a fraction: 1 - 1/k.

    With c of n >= k samples correct the gap is largest at one correct of exactly k: any draw of k holds it, one draw
    holds it with chance 1/k. It is never below 0.
    """
    return 1 - 1 / k


def stated_gap(pass_at_1: float, pass_at_k: float, k: int, n: int, level: float = 0.95) -> Interval:
    """The widest interval that two stated rates of n problems allow for their gap, in percentage points.

    On the same samples a problem's gap lies between 0 and `gap_ceiling(k)`; gaps vary most when every problem stands at
    one of these two ends. Raises InvalidInput outside of them.
    """
    gap, ceiling = pass_at_k - pass_at_1, gap_ceiling(max(k, 1))
    if not 0 <= gap <= ceiling + 1e-9 or k < 2:
        raise InvalidInput(
            f"pass@1 = {pass_at_1} with pass@{k} = {pass_at_k}",
            f"a gap from 0 to {100 * ceiling:.1f} pp, all that the same samples allow",
            "check that both were measured on the same problems and samples",
        )
    share = stated(min(1.0, gap / ceiling), n, level)
    scale = 100 * ceiling
    return Interval(low=scale * share.low, high=scale * share.high, level=level, at_least=True, method=WIDEST)
