// Groups of duplicates that have more than one example on this page.

import { isMissing, labelOf, payload, roles } from "./data.js";

/** @type {Map<number, number[]> | null} */
let computedGroups = null;

/** code of the group -> its rows */
export function duplicateGroups() {
  if (computedGroups) return computedGroups;
  /** @type {Map<number, number[]>} */
  const groups = new Map();
  if (roles.group)
    for (let i = 0; i < payload.rows; i++) {
      if (isMissing(roles.group, i)) continue;
      const code = roles.group.values[i];
      const rows = groups.get(code);
      if (rows) rows.push(i);
      else groups.set(code, [i]);
    }
  for (const [code, rows] of groups) if (rows.length < 2) groups.delete(code);
  return (computedGroups = groups);
}

/**
 * The other examples of its group.
 * @param {number} i
 */
export function duplicatesOf(i) {
  if (!roles.group) return [];
  return (duplicateGroups().get(roles.group.values[i]) ?? []).filter((other) => other !== i);
}

/**
 * Whether examples with these rows have different labels.
 * @param {number[]} rows
 */
export const haveDifferentLabels = (rows) => roles.label !== null && new Set(rows.map(labelOf)).size > 1;
