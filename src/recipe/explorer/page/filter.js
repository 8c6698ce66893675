// Which examples pass. Every filter has its own mask, so that each plot can leave out the one that is set on itself.

import { categories } from "./categories.js";
import { byName, SHOWN } from "./data.js";
import { existing } from "./dom.js";
import { orderedRows } from "./order.js";
import { state } from "./state.js";

/** @import { Brush, Column, Test } from "./types" */

/** @type {Map<string, Uint8Array>} by "query" or a column: 1 where the row fails */
const masks = new Map();
const failures = new Uint8Array(SHOWN); // masks that the row fails
export let passing = new Uint32Array(); // rows in the chosen order

/** @param {string} key @param {Test | null} test */
export function setMask(key, test) {
  const old = masks.get(key);
  if (old) for (let i = 0; i < SHOWN; i++) failures[i] -= old[i];
  masks.delete(key);
  if (!test) return;
  const mask = new Uint8Array(SHOWN);
  for (let i = 0; i < SHOWN; i++) failures[i] += mask[i] = test(i) ? 0 : 1;
  masks.set(key, mask);
}

/** @param {string} name of a column @param {Brush | null} brush */
export function setBrush(name, brush) {
  if (brush) state.brushes.set(name, brush);
  else state.brushes.delete(name);
  setMask(`brush ${name}`, brush && brushTest(existing(byName.get(name)), brush));
}

/** @param {Column} column @param {Brush} brush @returns {Test} */
function brushTest(column, brush) {
  if (brush.names) {
    if (column.kind === "number") return () => false;
    const { names, of } = categories(column);
    const chosen = names.map((name) => brush.names.has(name));
    return (i) => of(i).some((k) => chosen[k]);
  }
  // float32 as the values of the column are
  const [from, to] = column.type === "f4" ? [Math.fround(brush.from), Math.fround(brush.to)] : [brush.from, brush.to];
  return (i) => {
    const x = column.values[i];
    return Number.isFinite(x) ? x >= from && x <= to : brush.none;
  };
}

/**
 * Whether a row passes all filters but the brushes of these columns.
 * @param {...string} names
 * @returns {Test}
 */
export function passesWithout(...names) {
  const left = names.flatMap((name) => masks.get(`brush ${name}`) ?? []);
  return (i) => failures[i] === left.reduce((sum, mask) => sum + mask[i], 0);
}

/** @param {number} i */
export const passes = (i) => i < SHOWN && failures[i] === 0;

export function applyFilters() {
  passing = orderedRows().filter((i) => failures[i] === 0);
}
