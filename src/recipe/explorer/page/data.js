// The payload as typed arrays. The first SHOWN rows are the gallery, the rest are neighbours of them.

import { byId } from "./dom.js";
import { formatNumber } from "./formatting.js";

/** @import { Column, Numbers, Packed, Payload, Roles, TextColumn } from "./types" */

const ARRAYS = {
  i1: Int8Array,
  u1: Uint8Array,
  i2: Int16Array,
  u2: Uint16Array,
  i4: Int32Array,
  u4: Uint32Array,
  f4: Float32Array,
  f8: Float64Array,
};

/** @returns {Payload} */
function readPayload() {
  const node = byId("payload", HTMLScriptElement);
  const content = JSON.parse(node.text);
  node.remove(); // megabytes of text that are not read again
  return content;
}

/** @param {Packed} packed @returns {Numbers} */
function unpack({ type, data }) {
  const binary = atob(data);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return new ARRAYS[type](bytes.buffer);
}

export const payload = readPayload();
export const SHOWN = payload.shown;
/** @type {Column[]} */
export const columns = payload.columns.map((packed) => ({ ...packed, values: unpack(packed) }));
export const byName = new Map(columns.map((column) => [column.name, column]));
export const roles = /** @type {Roles} */ (
  /** @type {unknown} */ (
    Object.fromEntries(Object.entries(payload.roles).map(([role, name]) => [role, byName.get(name) ?? null]))
  )
);
export const pictured = payload.pictures !== null;
export const thumbnailSizes = payload.pictures ? unpack(payload.pictures.sizes) : new Uint8Array();

const neighbourRows = payload.neighbours && unpack(payload.neighbours);

/** The row of an example with this id. */
export const rowOf = new Map(Array.from({ length: payload.rows }, (_, i) => [idOf(i), i]));

/** @param {number} i */
export function idOf(i) {
  return roles.id.words[roles.id.values[i]];
}

/** @param {number} i */
export function labelOf(i) {
  return roles.label ? textOf(roles.label, i) : "";
}

/** @param {number} i */
export function suggestedOf(i) {
  return roles.suggested ? textOf(roles.suggested, i) : "";
}

/**
 * Whether another label is suggested than the given one.
 * @param {number} i
 */
export function isContradicted(i) {
  return roles.suggested !== null && suggestedOf(i) !== "" && suggestedOf(i) !== labelOf(i);
}

/**
 * Whether a decision about the example comes with a warning.
 * @param {number} i
 */
export const isGuarded = (i) => roles.guarded !== null && roles.guarded.values[i] === 1;

/**
 * Rows of its nearest neighbours, -1 for those that are not on the page.
 * @param {number} i
 * @returns {number[]}
 */
export function neighboursOf(i) {
  if (!payload.neighbours || !neighbourRows) return [];
  const { k } = payload.neighbours;
  return Array.from(neighbourRows.subarray(i * k, (i + 1) * k));
}

/** @param {TextColumn} column @param {number} i */
export function textOf(column, i) {
  return column.words[column.values[i]];
}

/** @param {Column} column @param {number} i */
export function isMissing(column, i) {
  return column.kind === "text"
    ? column.words[column.values[i]] === ""
    : column.kind === "number" && Number.isNaN(column.values[i]);
}

/**
 * The value as a reader sees it.
 * @param {Column} column
 * @param {number} i
 */
export function formatValue(column, i) {
  const code = column.values[i];
  if (column.kind === "number") return formatNumber(code);
  return column.kind === "flag" ? (code === 1 ? "yes" : "no") : column.words[code] || "(none)";
}

/**
 * A function of a column that is computed once for each column.
 * @template {Column} C
 * @template R
 * @param {(column: C) => R} compute
 * @returns {(column: C) => R}
 */
export function oncePerColumn(compute) {
  /** @type {Map<C, R>} */
  const results = new Map();
  return (column) => {
    const known = results.get(column);
    if (known !== undefined) return known;
    const result = compute(column);
    results.set(column, result);
    return result;
  };
}
