// Bars as one path of a drawing.

import { clamp } from "./formatting.js";

export const WIDTH = 240; // units of the drawing
export const HEIGHT = 46;
export const VIEW_BOX = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": true };

/**
 * The count that is drawn at full height. A bin more than four times as high as all others is cut, and drawn with a
 * break.
 * @param {ArrayLike<number>} bars
 */
export function barScale(bars) {
  const counts = Array.from(bars);
  const [first, second = 0] = [...counts].sort((a, b) => b - a);
  /** @type {number[]} */
  const broken = [];
  if (first <= 4 * second || second < 3) return { highest: Math.max(1, first), broken };
  return { highest: 1.4 * second, broken: [counts.indexOf(first)] };
}

/**
 * A bin with anything in it is at least a pixel high: single outliers stay visible.
 * @param {ArrayLike<number>} bars
 * @param {number} highest
 */
export function skyline(bars, highest) {
  const width = WIDTH / bars.length;
  const gap = bars.length > 1 ? Math.min(1, width * 0.2) : 0;
  return Array.from(bars, (n, k) => {
    if (!n) return "";
    const height = clamp((n / highest) * (HEIGHT - 2), 1.5, HEIGHT - 2);
    return `M${(k * width).toFixed(2)} ${HEIGHT}v${-height.toFixed(2)}h${(width - gap).toFixed(2)}v${height.toFixed(2)}z`;
  }).join("");
}
