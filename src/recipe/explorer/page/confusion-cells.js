// The cells of the table beside the gallery: every cell of few classes, the most frequent wrong pairs of many.

import { button, el, foreign } from "./dom.js";
import { categoryName, cut, formatCount, shortCount } from "./formatting.js";

/** @import { Child } from "./types" */
/**
 * @typedef {object} Table
 * @property {string[]} names of the classes
 * @property {() => number} chosenCell -1 for none
 * @property {(cell: number | null) => void} chooseCell
 */
/** @typedef {Map<number, number>} Counts examples in each cell that has any */

const LISTED_PAIRS = 20;
/** @type {Record<string, [number, number]>} */
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/**
 * [given, suggested] of a cell.
 * @param {number} cell
 * @param {number} classes
 */
const classesOf = (cell, classes) => [Math.floor(cell / classes), cell % classes];

/**
 * Cells of wrong answers, the most frequent first.
 * @param {Counts} counts
 * @param {number} classes
 */
function wrongCells(counts, classes) {
  const wrong = [...counts].filter(([cell]) => Math.floor(cell / classes) !== cell % classes);
  return wrong.sort((x, y) => y[1] - x[1]);
}

/**
 * @param {Table} table
 * @param {number} cell
 * @param {Child} content
 * @param {Record<string, string | number>} properties
 */
function cellButton({ names, chosenCell, chooseCell }, cell, content, properties) {
  const [a, b] = classesOf(cell, names.length).map((k) => cut(categoryName(names[k]), 40));
  const pressed = chosenCell() === cell;
  return button(content, () => chooseCell(pressed ? null : cell), {
    "data-cell": cell,
    "aria-pressed": String(pressed),
    "aria-label": `${a} classified as ${b}`,
    title: `${a} → ${b}`,
    ...properties,
  });
}

// ---- few classes: every cell. One cell is a tab stop; the arrows go from it to the others, Enter and Space choose.

/** @param {Table} table */
export function createMatrix(table) {
  const { names } = table;
  const rows = names.map((_, a) => names.map((_, b) => el("td", { class: a === b ? "same" : "" })));
  const node = matrixTable(names, rows);
  node.addEventListener("keydown", walk);
  let stop = -1; // the cell that Tab comes to

  /** @param {Counts} counts */
  function update(counts) {
    const focused = node.contains(document.activeElement) ? document.activeElement?.getAttribute("data-cell") : null;
    const wrong = wrongCells(counts, names.length);
    const most = Math.max(1, ...wrong.map(([, n]) => n));
    if (!counts.has(stop)) {
      const first = wrong[0] ?? [...counts][0] ?? [-1];
      stop = counts.has(table.chosenCell()) ? table.chosenCell() : first[0];
    }
    rows.forEach((tds, a) =>
      tds.forEach((td, b) => {
        const cell = a * names.length + b;
        const n = counts.get(cell);
        td.style.setProperty("--share", a === b || !n ? "0%" : `${(12 + (40 * n) / most).toFixed(0)}%`);
        td.replaceChildren(
          ...(n ? [cellButton(table, cell, shortCount(n), { tabindex: cell === stop ? 0 : -1 })] : []),
        );
      }),
    );
    if (focused) /** @type {HTMLElement | null} */ (node.querySelector(`[data-cell="${focused}"]`))?.focus();
  }

  /** @param {KeyboardEvent} event */
  function walk(event) {
    const step = STEPS[event.key];
    const target = /** @type {HTMLElement} */ (event.target);
    if (!step || !target.dataset.cell) return;
    event.preventDefault();
    event.stopPropagation();
    const next = nextButton(rows, classesOf(Number(target.dataset.cell), names.length), step);
    if (!next) return;
    target.tabIndex = -1;
    stop = Number(next.dataset.cell);
    next.tabIndex = 0;
    next.focus();
  }

  return { node: el("div", { class: "scroll" }, node), update };
}

/**
 * The button of the next cell in a direction that has one; null at the edge.
 * @param {HTMLElement[][]} rows cells
 * @param {number[]} start
 * @param {[number, number]} step
 */
function nextButton(rows, start, step) {
  for (let [a, b] = [start[0] + step[0], start[1] + step[1]]; rows[a]?.[b]; a += step[0], b += step[1]) {
    const content = /** @type {HTMLElement | null} */ (rows[a][b].firstChild);
    if (content) return content;
  }
  return null;
}

/** @param {string[]} names @param {HTMLElement[][]} rows cells */
function matrixTable(names, rows) {
  const short = names.every((name) => Array.from(name).length <= 2);
  const headings = names.map((name) => el("th", { scope: "col" }, foreign(categoryName(name), 14)));
  const body = names.map((name, a) => {
    const title = cut(categoryName(name), 60);
    const heading = el("th", { scope: "row", class: "t", title }, cut(categoryName(name), 14));
    return el("tr", {}, heading, rows[a]);
  });
  const head = el("thead", {}, el("tr", {}, el("td"), headings));
  const node = el("table", { class: short ? "short" : "" }, head, el("tbody", {}, body));
  node.style.setProperty("--n", String(names.length));
  return node;
}

// ---- many classes: the most frequent wrong pairs

/** @param {Table} table */
export function createPairList(table) {
  const { names } = table;
  const node = el("ol");
  /** @param {Counts} counts */
  function update(counts) {
    const wrong = wrongCells(counts, names.length).sort((x, y) => y[1] - x[1] || x[0] - y[0]);
    const items = wrong.slice(0, LISTED_PAIRS).map(([cell, n]) => {
      const [a, b] = classesOf(cell, names.length).map((k) => cut(categoryName(names[k]), 24));
      const text = el("span", { class: "t" }, a, " → ", b);
      const bar = el("span", { class: "rail" }, el("i", { class: "now", style: `width:${(100 * n) / wrong[0][1]}%` }));
      const content = [text, bar, el("span", { class: "n" }, formatCount(n))];
      return el("li", {}, cellButton(table, cell, content, { class: "bar" }));
    });
    node.replaceChildren(...items);
  }
  return { node, update };
}
