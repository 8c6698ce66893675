// The order of the examples.

import { byName, isMissing, SHOWN } from "./data.js";
import { state } from "./state.js";

/**
 * A permutation of the rows that depends on the seed alone (Mulberry32, Fisher-Yates).
 * @param {number} seed
 */
function shuffledRows(seed) {
  let a = seed >>> 0;
  const random = () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const rows = Uint32Array.from({ length: SHOWN }, (_, i) => i);
  for (let i = SHOWN - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [rows[i], rows[j]] = [rows[j], rows[i]];
  }
  return rows;
}

let computedOrder = { key: "", rows: new Uint32Array() };

/** All rows in the chosen order; missing values come last in both directions, equal ones stay shuffled. */
export function orderedRows() {
  const key = `${state.sort}/${state.down}/${state.seed}`;
  if (computedOrder.key === key) return computedOrder.rows;
  const rows = shuffledRows(state.seed);
  const column = byName.get(state.sort);
  if (column) {
    const v = column.values;
    const sign = state.down ? -1 : 1;
    rows.sort((a, b) => {
      const missing = Number(isMissing(column, a)) - Number(isMissing(column, b));
      return missing || (isMissing(column, a) ? 0 : v[a] < v[b] ? -sign : v[a] > v[b] ? sign : 0);
    });
  }
  computedOrder = { key, rows };
  return rows;
}
