// The view of confusions: given against suggested label, over the examples that pass.

import { categories } from "./categories.js";
import { change } from "./change.js";
import { isMissing, labelOf, roles, suggestedOf } from "./data.js";
import { button, el, existing, foreign } from "./dom.js";
import { passing } from "./filter.js";
import { categoryName, counted, cut, formatCount } from "./formatting.js";
import { state } from "./state.js";

/** @import { Brush, Child } from "./types" */
/** @typedef {{ given: string, suggested: string, n: number }} Pair */

const MOST_CLASSES = 30; // of a matrix
const LISTED_CONFUSIONS = 60; // pairs of classes

/** @param {string} given @param {string} suggested */
const pairKey = (given, suggested) => JSON.stringify([given, suggested]);
const suggestedName = () => cut(existing(roles.suggested).name, 24);

export function drawConfusions() {
  const pairs = countPairs();
  const off = [...pairs.values()].filter(({ given, suggested }) => given !== suggested);
  off.sort((a, b) => b.n - a.n || (a.given < b.given ? -1 : 1));
  const most = off.length ? off[0].n : 1;
  const total = off.reduce((sum, { n }) => sum + n, 0);
  const verb = total === 1 ? "has" : "have";
  const examples = `${formatCount(total)} of ${counted(passing.length, "example")}`;
  const sentence = `${examples} ${verb} a ${suggestedName()} label that differs from the given one.`;
  const items = off.slice(0, LISTED_CONFUSIONS).map((pair) => listItem(pair, most));
  return el(
    "div",
    { class: "confusions" },
    el("p", {}, `${sentence} Click a cell to show its examples.`),
    el(
      "div",
      { class: "both" },
      drawMatrix(pairs, most),
      el("section", {}, el("h2", {}, "Most frequent"), el("ol", {}, items)),
    ),
  );
}

/** @returns {Map<string, Pair>} */
function countPairs() {
  const suggestions = existing(roles.suggested);
  const pairs = new Map();
  for (const i of passing) {
    if (isMissing(suggestions, i)) continue;
    const [given, suggested] = [labelOf(i), suggestedOf(i)];
    const key = pairKey(given, suggested);
    pairs.set(key, { given, suggested, n: (pairs.get(key)?.n ?? 0) + 1 });
  }
  return pairs;
}

/** @param {Pair} pair @param {number} most */
function listItem({ given, suggested, n }, most) {
  const names = el("span", { class: "t" }, cut(categoryName(given), 30), " → ", el("b", {}, cut(suggested, 30)));
  const bar = el("span", { class: "rail" }, el("i", { class: "now", style: `width:${(100 * n) / most}%` }));
  return el("li", {}, showButton(given, suggested, [names, bar, el("span", { class: "n" }, formatCount(n))]));
}

/** @param {Map<string, Pair>} pairs @param {number} most */
function drawMatrix(pairs, most) {
  const present = new Set([...pairs.values()].flatMap(({ given, suggested }) => [given, suggested]));
  const names = categories(existing(roles.label)).names.filter((name) => present.has(name));
  if (names.length > MOST_CLASSES || !names.length) return null;
  /** @param {string} given @param {string} suggested */
  const cell = (given, suggested) => {
    const n = pairs.get(pairKey(given, suggested))?.n;
    if (!n) return el("td");
    const shade = given === suggested ? { class: "same" } : { style: `--share:${(18 + 62 * (n / most)).toFixed(0)}%` };
    return el("td", shade, showButton(given, suggested, formatCount(n)));
  };
  const body = names.map((given) => {
    const heading = el("th", { scope: "row", class: "t" }, cut(categoryName(given), 20));
    return el(
      "tr",
      {},
      heading,
      names.map((suggested) => cell(given, suggested)),
    );
  });
  const headings = names.map((name) => el("th", { scope: "col" }, foreign(categoryName(name), 20)));
  const table = el("table", {}, el("caption", {}, `Rows: given label. Columns: ${suggestedName()} label.`));
  table.append(el("thead", {}, el("tr", {}, el("td"), headings)), el("tbody", {}, body));
  return el("div", { class: "scroll" }, table);
}

/**
 * Shows the examples of a pair.
 * @param {string} given
 * @param {string} suggested
 * @param {Child} content
 */
function showButton(given, suggested, content) {
  const names = [existing(roles.label).name, existing(roles.suggested).name];
  /** @type {[string, Brush][]} */
  const brushes = [given, suggested].map((name, k) => [names[k], { names: new Set([name]) }]);
  const show = () => change({ view: "gallery", brushes, plots: [...new Set([...state.plots, ...names])] });
  const label = `${cut(categoryName(given), 40)}, ${suggestedName()} ${cut(suggested, 40)}: show examples`;
  return button(content, show, { "aria-label": label });
}
