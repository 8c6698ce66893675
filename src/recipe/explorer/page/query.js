// A small language, parsed by hand into a test of a row. No part of a filter is ever run as JavaScript.
//
//   query    = either { "or" either }          either = unary { "and" unary }          unary = "not" unary | part
//   part     = "(" query ")" | "missing" "(" column ")" | column of yes/no | column compare operand
//   compare  = "=" "==" "!=" "<" "<=" ">" ">=" "contains" | "in" "(" operand { "," operand } ")"
//   operand  = number | word | "text" | 'text' | column           `a name with blanks` is a column too
//   A single word or text is searched in every column of text.
// A comparison with a missing number is false.

import { anyTextContains, compare, equals } from "./conditions.js";
import { byName, columns, isMissing } from "./data.js";
import { cut } from "./formatting.js";
import { QueryError, tokenize } from "./query-tokens.js";

/** @import { Column, Test } from "./types" */
/** @import { Operand } from "./conditions.js" */
/** @import { Token } from "./query-tokens.js" */
/** @typedef {{ tokens: Token[], next: number, end: number }} Parser */

const COMPARE = ["=", "==", "!=", "<", "<=", ">", ">=", "contains", "in"];

/**
 * Null for an empty query. Throws QueryError with the place of what is wrong.
 * @param {string} source
 */
export function parseQuery(source) {
  const tokens = tokenize(source);
  if (!tokens.length) return null;
  if (tokens.length === 1 && isSearch(tokens[0])) return anyTextContains(tokens[0].text);
  const parser = { tokens, next: 0, end: source.length };
  const test = parseOr(parser);
  const rest = peek(parser);
  if (rest) throw new QueryError(`expected “and” or “or” before “${cut(rest.text, 30)}”`, rest.at);
  return test;
}

/**
 * Whether a query of one token searches for it.
 * @param {Token} token
 */
function isSearch(token) {
  if (token.kind === "text") return true;
  const column = byName.get(token.text);
  if (token.kind !== "word" || column?.kind === "flag") return false;
  if (column)
    throw new QueryError(
      `“${token.text}” is a column: compare it, as in ${token.text} ${column.kind === "text" ? "contains x" : "> 1"}, ` +
        "or quote it to search for the word",
      token.at,
    );
  return true;
}

/** @param {Parser} p @returns {Token | undefined} */
const peek = (p) => p.tokens[p.next];

/** @param {Token | undefined} token @param {string} text */
const isWord = (token, text) =>
  token !== undefined && token.kind !== "text" && token.kind !== "name" && token.text.toLowerCase() === text;

/** @param {Parser} p @param {string} text */
function take(p, text) {
  const token = peek(p);
  if (!token) throw new QueryError(`“${text}” is missing at the end`, p.end);
  if (!isWord(token, text)) throw new QueryError(`“${text}” is missing before “${cut(token.text, 30)}”`, token.at);
  p.next++;
}

/** @param {Parser} p @returns {Test} */
function parseOr(p) {
  let test = parseAnd(p);
  while (isWord(peek(p), "or")) {
    p.next++;
    const [a, b] = [test, parseAnd(p)];
    test = (i) => a(i) || b(i);
  }
  return test;
}

/** @param {Parser} p @returns {Test} */
function parseAnd(p) {
  let test = parseNot(p);
  while (isWord(peek(p), "and")) {
    p.next++;
    const [a, b] = [test, parseNot(p)];
    test = (i) => a(i) && b(i);
  }
  return test;
}

/** @param {Parser} p @returns {Test} */
function parseNot(p) {
  if (!isWord(peek(p), "not")) return parsePart(p);
  p.next++;
  const test = parseNot(p);
  return (i) => !test(i);
}

/** @param {Parser} p @returns {Test} */
function parsePart(p) {
  if (isWord(peek(p), "(")) {
    p.next++;
    const test = parseOr(p);
    take(p, ")");
    return test;
  }
  if (isWord(peek(p), "missing") && isWord(p.tokens[p.next + 1], "(")) {
    p.next += 2;
    const column = parseColumn(p);
    take(p, ")");
    return (i) => isMissing(column, i);
  }
  const column = parseColumn(p);
  const sign = peek(p);
  if (sign && COMPARE.includes(sign.text.toLowerCase()) && sign.kind !== "text") return parseComparison(p, column);
  if (column.kind === "flag") return (i) => column.values[i] === 1;
  throw new QueryError(`expected one of ${COMPARE.join(" ")} after ${column.name}`, sign?.at ?? p.end);
}

/** @param {Token} token */
const columnNamed = (token) =>
  token.kind === "word" || token.kind === "name" ? (byName.get(token.text) ?? null) : null;

/** @param {Parser} p @returns {Column} */
function parseColumn(p) {
  const token = peek(p);
  if (!token) throw new QueryError("a column is missing at the end", p.end);
  const column = columnNamed(token);
  if (!column) throw unknownColumn(token);
  p.next++;
  return column;
}

/** @param {Token} token */
function unknownColumn(token) {
  const nearest = [...byName.keys()]
    .map((name) => /** @type {const} */ ([editDistance(name.toLowerCase(), token.text.toLowerCase()), name]))
    .sort((a, b) => a[0] - b[0])[0];
  const hint = nearest && nearest[0] <= 2 ? ` Did you mean ${nearest[1]}?` : "";
  const names = columns.map((column) => cut(column.name, 30)).join(", ");
  return new QueryError(`there is no column “${cut(token.text, 30)}”.${hint} The columns are ${names}`, token.at);
}

/** @param {Parser} p @returns {Operand} */
function parseOperand(p) {
  const token = peek(p);
  if (!token || token.kind === "sign") throw new QueryError("a value is missing here", token?.at ?? p.end);
  p.next++;
  const column = columnNamed(token);
  if (token.kind === "name" && !column) throw new QueryError(`there is no column “${cut(token.text, 30)}”`, token.at);
  return { column, text: token.text, at: token.at };
}

/** @param {Parser} p @param {Column} column @returns {Test} */
function parseComparison(p, column) {
  const sign = p.tokens[p.next++];
  const name = sign.text.toLowerCase();
  if (name !== "in") return compare(column, name, parseOperand(p), sign.at);
  take(p, "(");
  const tests = [equals(column, parseOperand(p))];
  while (isWord(peek(p), ",")) {
    p.next++;
    tests.push(equals(column, parseOperand(p)));
  }
  take(p, ")");
  return (i) => tests.some((test) => test(i));
}

/**
 * Levenshtein distance.
 * @param {string} a
 * @param {string} b
 */
function editDistance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length];
}
