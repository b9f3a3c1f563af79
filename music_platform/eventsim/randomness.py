"""Random numbers that depend on nothing but (seed, purpose, counter), and alias tables to draw from weights.

A draw never depends on how many others were made before it, so results are the same for any chunking of time and
any number of threads. What is drawn, and what for, does not belong here.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

UnsignedArray = npt.NDArray[np.uint64]
IntegerArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

# A listener's counters are its position, shifted by these bits, and the number of draws made for it so far.
COUNTER_BITS = np.uint64(32)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)
_SHIFT_30, _SHIFT_27, _SHIFT_31 = np.uint64(30), np.uint64(27), np.uint64(31)
_SHIFT_32 = np.uint64(32)
_LOW_32_BITS = np.uint64(0xFFFFFFFF)


def stream_key(seed: int, purpose: str) -> np.uint64:
    """The key of an independent stream of random numbers; any integer is a seed."""
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def random_bits(key: np.uint64, counters: UnsignedArray) -> UnsignedArray:
    """64 random bits for each counter: the output function of SplitMix64 (Steele, Lea, Flood 2014)."""
    bits = counters * _GOLDEN
    bits += key
    bits ^= bits >> _SHIFT_30
    bits *= _MULTIPLIER_1
    bits ^= bits >> _SHIFT_27
    bits *= _MULTIPLIER_2
    bits ^= bits >> _SHIFT_31
    return bits


def high_half(bits: UnsignedArray) -> UnsignedArray:
    """The upper 32 bits, as numbers below 2**32."""
    return bits >> _SHIFT_32


def low_half(bits: UnsignedArray) -> UnsignedArray:
    """The lower 32 bits, as numbers below 2**32; independent of the upper ones."""
    return bits & _LOW_32_BITS


def unit_interval(half: UnsignedArray) -> FloatArray:
    """Numbers strictly between 0 and 1 from numbers below 2**32."""
    values = half.astype(np.float64)
    values += 0.5
    values *= 2.0**-32
    return values


def standard_exponential(half: UnsignedArray) -> FloatArray:
    """Exponentially distributed numbers of mean 1 from numbers below 2**32."""
    values = unit_interval(half)
    np.log(values, out=values)
    np.negative(values, out=values)
    return values


def standard_normal(bits: UnsignedArray) -> FloatArray:
    """Normally distributed numbers of mean 0 and deviation 1, by the Box-Muller transform."""
    radius = np.sqrt(2.0 * standard_exponential(high_half(bits)))
    return radius * np.cos(2.0 * np.pi * unit_interval(low_half(bits)))


@dataclass(frozen=True)
class AliasTable:
    """Draws from given weights in constant time (Walker 1977, built as in Vose 1991).

    ``threshold`` (of 2**32) and ``alias`` have one entry for each outcome.
    """

    threshold: UnsignedArray
    alias: IntegerArray

    @classmethod
    def from_weights(cls, weights: npt.ArrayLike) -> "AliasTable":
        """A table over ``len(weights)`` outcomes; raises ``ValueError`` where no weight is above 0 or one is below."""
        raw = np.asarray(weights, dtype=np.float64)
        if raw.ndim != 1 or raw.size == 0 or not np.isfinite(raw).all() or (raw < 0).any() or raw.sum() <= 0:
            raise ValueError("weights must be finite, not negative, and at least one above 0")
        scaled = (raw * (raw.size / raw.sum())).tolist()
        alias = list(range(raw.size))
        small = [index for index, value in enumerate(scaled) if value < 1.0]
        large = [index for index, value in enumerate(scaled) if value >= 1.0]
        while small and large:
            lesser, greater = small.pop(), large[-1]
            alias[lesser] = greater
            scaled[greater] -= 1.0 - scaled[lesser]
            if scaled[greater] < 1.0:
                small.append(large.pop())
        # Rounding leaves a few outcomes over; they are whole, but an outcome of weight 0 must stay impossible.
        heaviest = int(raw.argmax())
        for index in small + large:
            scaled[index] = 1.0
            if raw[index] == 0.0:
                scaled[index], alias[index] = 0.0, heaviest
        threshold = np.rint(np.clip(scaled, 0.0, 1.0) * 2.0**32).astype(np.uint64)
        return cls(threshold=threshold, alias=np.array(alias, dtype=np.int64))

    @classmethod
    def empty(cls) -> "AliasTable":
        """A table without outcomes, which cannot be drawn from."""
        return cls(threshold=np.empty(0, dtype=np.uint64), alias=np.empty(0, dtype=np.int64))

    def draw(self, half: UnsignedArray) -> IntegerArray:
        """One outcome for each number below 2**32."""
        scaled = half * np.uint64(self.alias.size)
        outcome = (scaled >> _SHIFT_32).view(np.int64)
        scaled &= _LOW_32_BITS
        return np.where(scaled < self.threshold.take(outcome), outcome, self.alias.take(outcome))


@dataclass(frozen=True)
class AliasRows:
    """Several alias tables one behind the other, which draw numbers that stand for outcomes.

    ``first`` and ``width``: by row, the position and the number of its cells. By cell: ``threshold`` (of 2**32), and the
    numbers ``below`` it and ``above``.
    """

    first: IntegerArray
    width: UnsignedArray
    threshold: UnsignedArray
    below: IntegerArray
    above: IntegerArray

    @classmethod
    def from_outcomes(cls, rows: Sequence[Sequence[tuple[int, float]]]) -> "AliasRows":
        """One table for each row of (number, weight) pairs.

        All rows are filled up to the longest one by outcomes of weight 0. What is drawn depends on that: the bytes of a
        seed would change without it.
        """
        longest = max(len(row) for row in rows)
        padded = [[*row, *[(0, 0.0)] * (longest - len(row))] for row in rows]
        return cls.from_weights(
            (np.array([number for number, _ in row], dtype=np.int64), np.array([weight for _, weight in row]))
            for row in padded
        )

    @classmethod
    def from_weights(cls, rows: Iterable[tuple[IntegerArray, FloatArray]]) -> "AliasRows":
        """One table for each row of numbers and their weights. A cell takes 24 bytes; a row has as many as numbers.

        A row without numbers takes its place, but cannot be drawn from.
        """
        numbers: list[IntegerArray] = []
        tables: list[AliasTable] = []
        for own, weights in rows:
            numbers.append(own)
            tables.append(AliasTable.from_weights(weights) if own.size else AliasTable.empty())
        width = np.array([own.size for own in numbers], dtype=np.int64)
        return cls(
            first=np.cumsum(width) - width,
            width=width.astype(np.uint64),
            threshold=np.concatenate([table.threshold for table in tables]),
            below=np.concatenate(numbers),
            above=np.concatenate([own[table.alias] for own, table in zip(numbers, tables, strict=True)]),
        )

    def draw(self, rows: npt.NDArray[np.integer[Any]], half: UnsignedArray) -> IntegerArray:
        """One outcome's number for each pair of a row and a number below 2**32."""
        scaled = half * self.width.take(rows)
        cell = self.first.take(rows)
        cell += (scaled >> _SHIFT_32).view(np.int64)
        scaled &= _LOW_32_BITS
        return np.where(scaled < self.threshold.take(cell), self.below.take(cell), self.above.take(cell))
