// A column as categories: yes or no, a text, or a text that lists several values.

import { oncePerColumn, payload } from "./data.js";

/** @import { Categories, Column, FlagColumn, TextColumn } from "./types" */

const MOST_GROUPS = 60; // distinct values that are shown side by side

/** @param {FlagColumn | TextColumn} column @returns {Categories} */
function listedValues(column) {
  if (column.kind === "flag") return { names: ["no", "yes"], of: (i) => [column.values[i]] };
  const lists = column.words.map((word) =>
    column.separator && word ? word.split(column.separator).map((name) => name.trim()) : [word],
  );
  const all = [...new Set(lists.flat())];
  const places = new Map(payload.classes.map((name, place) => [name, place]));
  if (all.every((name) => places.has(name) || name === ""))
    all.sort((a, b) => (places.get(a) ?? Infinity) - (places.get(b) ?? Infinity));
  const index = new Map(all.map((name, k) => [name, k]));
  const codes = lists.map((names) => names.map((name) => index.get(name) ?? -1));
  return { names: all, of: (i) => codes[column.values[i]] };
}

/** Names of classes keep the order of the classes. */
export const categories = oncePerColumn(listedValues);

/**
 * The distinct values of a column, where a list is one value: every row has exactly one.
 * @param {FlagColumn | TextColumn} column
 * @returns {Categories}
 */
export function distinctValues(column) {
  if (column.kind === "flag" || !column.separator) return categories(column);
  return { names: column.words, of: (i) => [column.values[i]] };
}

/**
 * Whether a column has few enough distinct values to be shown side by side.
 * @param {Column} column
 * @returns {column is FlagColumn | TextColumn}
 */
export function isGroupable(column) {
  if (column.kind === "number") return false;
  const { length } = distinctValues(column).names;
  return length > 1 && length <= MOST_GROUPS;
}
