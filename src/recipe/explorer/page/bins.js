// A column of numbers as bins.

import { oncePerColumn, SHOWN } from "./data.js";
import { clamp } from "./formatting.js";

/** @import { Bins, Numbers, NumberColumn, Test } from "./types" */

const BINS = 44;

/** @param {NumberColumn} column @returns {Bins} */
function computeBins(column) {
  const finite = sortedValues(column);
  if (!finite.length) return { low: 0, high: 1, n: 1, whole: false, under: false, over: false, at: () => -1 };
  let [low, high] = [finite[0], finite[finite.length - 1]];
  const whole = finite.every(Number.isInteger);
  // a few extreme values would leave everything else in one bin: the end bins then hold all values beyond them
  const [inner, outer] = [quantile(finite, 0.005), quantile(finite, 0.995)];
  const width = outer - inner;
  const far = !(whole && high - low < BINS) && width > 0;
  const under = far && inner - low > width;
  const over = far && high - outer > width;
  [low, high] = [under ? inner : low, over ? outer : high];
  let n = BINS;
  if (whole) {
    const each = Math.ceil((high - low + 1) / BINS); // as many whole numbers in every bin
    n = Math.ceil((high - low + 1) / each);
    [low, high] = [low - 0.5, low - 0.5 + n * each];
  } else if (low === high) [low, high] = [low - 0.5, high + 0.5];
  /** @param {number} i */
  const at = (i) => {
    const x = column.values[i];
    return Number.isFinite(x) ? clamp(Math.floor(((x - low) / (high - low)) * n), 0, n - 1) : -1;
  };
  return { low, high, n, whole, under, over, at };
}

export const bins = oncePerColumn(computeBins);

/** The finite numbers of the gallery in ascending order. */
export const sortedValues = oncePerColumn(
  /** @param {NumberColumn} column @returns {Numbers} */
  (column) =>
    column.values
      .slice(0, SHOWN)
      .filter((x) => Number.isFinite(x))
      .sort(),
);

/** @param {Numbers} ascending @param {number} share 0 to 1 */
export function quantile(ascending, share) {
  return ascending[Math.round(share * (ascending.length - 1))];
}

/**
 * Share of the gallery's finite values below `x`, plus half of those equal to it: 0 to 1.
 * @param {NumberColumn} column
 * @param {number} x
 */
export function percentileRank(column, x) {
  const ascending = sortedValues(column);
  /** @param {boolean} orEqual */
  const below = (orEqual) => {
    let [a, b] = [0, ascending.length];
    while (a < b) {
      const middle = (a + b) >> 1;
      if (ascending[middle] < x || (orEqual && ascending[middle] === x)) a = middle + 1;
      else b = middle;
    }
    return a;
  };
  return (below(false) + below(true)) / 2 / Math.max(1, ascending.length);
}

/**
 * Rows of the gallery in each bin, and those without a finite number.
 * @param {Bins} b
 * @param {Test} test
 */
export function countBins(b, test) {
  const bars = new Uint32Array(b.n);
  let none = 0;
  for (let i = 0; i < SHOWN; i++) {
    if (!test(i)) continue;
    const k = b.at(i);
    if (k < 0) none++;
    else bars[k]++;
  }
  return { bars, none };
}

/** Rows of the gallery in each bin, without any filter. */
export const wholeCounts = oncePerColumn(
  /** @param {NumberColumn} column */
  (column) => countBins(bins(column), () => true),
);

/**
 * The counts of the whole, scaled to the sum of a part.
 * @param {Uint32Array} whole
 * @param {Uint32Array} part
 */
export function scaledToSum(whole, part) {
  /** @param {Uint32Array} counts */
  const sum = (counts) => counts.reduce((a, b) => a + b, 0);
  const share = sum(part) / Math.max(1, sum(whole));
  return Array.from(whole, (n) => n * share);
}
