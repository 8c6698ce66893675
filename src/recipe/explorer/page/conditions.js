// Tests of a row: what a comparison in a filter means.

import { columns, formatValue, oncePerColumn, textOf } from "./data.js";
import { cut } from "./formatting.js";
import { QueryError } from "./query-tokens.js";

/** @import { Column, NumberColumn, Test, TextColumn } from "./types" */
/** @typedef {{ column: Column | null, text: string, at: number }} Operand a column, or what is written */

const YES_OR_NO = new Map([
  ...["yes", "true", "1"].map((word) => /** @type {const} */ ([word, 1])),
  ...["no", "false", "0"].map((word) => /** @type {const} */ ([word, 0])),
]);

/** @param {Column} column @param {string} sign @param {Operand} operand @param {number} at @returns {Test} */
export function compare(column, sign, operand, at) {
  if (sign === "contains") return contains(column, operand.text);
  if (sign === "=" || sign === "==") return equals(column, operand);
  if (sign === "!=") {
    const test = equals(column, operand);
    return column.kind === "number" ? (i) => !Number.isNaN(column.values[i]) && !test(i) : (i) => !test(i);
  }
  if (column.kind !== "number")
    throw new QueryError(
      `${column.name} is ${column.kind === "flag" ? "yes or no" : "text"}: ` +
        `compare it with = != contains in, not ${sign}`,
      at,
    );
  const other = numberOf(column, operand);
  const { values } = column;
  if (sign === "<") return (i) => values[i] < other(i);
  if (sign === "<=") return (i) => values[i] <= other(i);
  if (sign === ">") return (i) => values[i] > other(i);
  return (i) => values[i] >= other(i);
}

/**
 * The number of another column, or the one that is written.
 * @param {NumberColumn} column
 * @param {Operand} operand
 */
function numberOf(column, operand) {
  const other = operand.column;
  if (other?.kind === "number") return (/** @type {number} */ i) => other.values[i];
  const x = operand.text.trim() === "" ? NaN : Number(operand.text);
  if (Number.isNaN(x))
    throw new QueryError(`${column.name} is numeric, and “${cut(operand.text, 30)}” is not a number`, operand.at);
  const rounded = column.type === "f4" ? Math.fround(x) : x; // as the values of the column are
  return () => rounded;
}

/** @param {Column} column @param {Operand} operand @returns {Test} */
export function equals(column, operand) {
  if (column.kind === "number") {
    const number = numberOf(column, operand);
    return (i) => column.values[i] === number(i);
  }
  const other = operand.column;
  if (other?.kind === "text" && column.kind === "text") return (i) => textOf(column, i) === textOf(other, i);
  if (column.kind === "text") return wordTest(column, (word) => word === operand.text);
  const code = YES_OR_NO.get(operand.text.toLowerCase());
  if (code === undefined)
    throw new QueryError(`${column.name} is yes or no, and “${cut(operand.text, 30)}” is neither`, operand.at);
  return (i) => column.values[i] === code;
}

/** @param {Column} column @param {string} text @returns {Test} */
function contains(column, text) {
  const part = text.toLowerCase();
  if (column.kind !== "text") return (i) => formatValue(column, i).toLowerCase().includes(part);
  const words = lowerCaseWords(column);
  return wordTest(column, (_, k) => words[k].includes(part));
}

/**
 * Whether any column of text contains it.
 * @param {string} text
 * @returns {Test}
 */
export function anyTextContains(text) {
  const tests = columns.filter((column) => column.kind === "text").map((column) => contains(column, text));
  return (i) => tests.some((test) => test(i));
}

/**
 * The test is made once for each distinct text, and looked up by row.
 * @param {TextColumn} column
 * @param {(word: string, k: number) => boolean} test
 * @returns {Test}
 */
function wordTest(column, test) {
  const results = Uint8Array.from(column.words, (word, k) => (test(word, k) ? 1 : 0));
  return (i) => results[column.values[i]] === 1;
}

const lowerCaseWords = oncePerColumn(
  /** @param {TextColumn} column */
  (column) => column.words.map((word) => word.toLowerCase()),
);
