// The cursor in the gallery, and the selection that it extends.

import { change } from "./change.js";
import { stage } from "./focus.js";
import { clamp } from "./formatting.js";
import { layout, paint, rowAt } from "./gallery.js";
import { PAD } from "./layout.js";
import { state } from "./state.js";

/** @typedef {"first" | "last" | "next" | "previous" | "up" | "down" | "pageup" | "pagedown"} Move */

/**
 * [row, cell] of the example in the layout; null where it is not in this view.
 * @param {number} i
 * @returns {[number, number] | null}
 */
function positionOf(i) {
  for (const [r, row] of layout.rows.entries()) {
    const c = row.cells.findIndex((cell) => cell.i === i);
    if (c >= 0) return [r, c];
  }
  return null;
}

/**
 * The example that the cursor comes to; -1 in an empty view.
 * @param {Move} move
 */
function exampleAfter(move) {
  const { rows } = layout;
  if (!rows.length) return -1;
  if (move === "first") return rows[0].cells[0].i;
  if (move === "last") return rows[rows.length - 1].cells.at(-1)?.i ?? -1;
  const position = positionOf(state.active);
  if (!position) return rows[Math.min(rowAt(stage.scrollTop + 1), rows.length - 1)].cells[0].i;
  const [r, c] = position;
  const { cells } = rows[r];
  if (move === "next") return (cells[c + 1] ?? rows[r + 1]?.cells[0] ?? cells[c]).i;
  if (move === "previous") return (cells[c - 1] ?? rows[r - 1]?.cells.at(-1) ?? cells[c]).i;
  const page = Math.max(1, Math.floor(stage.clientHeight / rows[r].height) - 1);
  const target = rows[clamp(r + { up: -1, down: 1, pageup: -page, pagedown: page }[move], 0, rows.length - 1)];
  const { x } = cells[c];
  return target.cells.reduce((best, cell) => (Math.abs(cell.x - x) < Math.abs(best.x - x) ? cell : best)).i;
}

/** @param {Move} move @param {boolean} extend whether the examples on the way are selected */
export function moveCursor(move, extend) {
  const next = exampleAfter(move);
  if (next < 0) return;
  if (!extend) return change({ active: next });
  const from = state.active < 0 ? next : state.active;
  change({ active: next, selected: new Set([...state.selected, ...examplesBetween(from, next)]) });
}

/**
 * Scrolls to the example.
 * @param {number} i
 */
export function reveal(i) {
  const position = positionOf(i);
  if (!position) return;
  const row = layout.rows[position[0]];
  const cell = row.cells[position[1]];
  const top = (layout.headings ? layout.top : 0) + 4;
  if (row.y < stage.scrollTop + top) stage.scrollTop = row.y - top;
  else if (row.y + row.height > stage.scrollTop + stage.clientHeight)
    stage.scrollTop = row.y + row.height - stage.clientHeight + 4;
  if (layout.width > stage.clientWidth && state.view === "gallery") {
    if (cell.x < stage.scrollLeft) stage.scrollLeft = cell.x - PAD;
    else if (cell.x + cell.width > stage.scrollLeft + stage.clientWidth)
      stage.scrollLeft = cell.x + cell.width - stage.clientWidth + PAD;
  }
  paint();
}

/**
 * Every example of this view from one to the other, in its order.
 * @param {number} a
 * @param {number} z
 */
function examplesBetween(a, z) {
  const all = layout.rows.flatMap((row) => row.cells.map((cell) => cell.i));
  const [from, to] = [all.indexOf(a), all.indexOf(z)].sort((x, y) => x - y);
  return from < 0 ? [z] : all.slice(from, to + 1);
}

/** @param {number[]} examples @param {boolean} add whether those that are selected stay so */
export function toggleSelected(examples, add = false) {
  const selected = new Set(state.selected);
  for (const i of examples) {
    if (add || !selected.has(i)) selected.add(i);
    else selected.delete(i);
  }
  change({ selected, active: examples.at(-1) ?? state.active });
}

/**
 * A click on a tile, wherever it is: opens the example; with Ctrl or Shift it selects.
 * @param {MouseEvent} event
 */
export function clickExample(event) {
  const target = /** @type {Element} */ (event.target);
  const node = /** @type {HTMLElement | null} */ (target.closest("[data-i]"));
  if (!node || target.closest("button, input, canvas.portrait")) return;
  const i = Number(node.dataset.i);
  if (event.ctrlKey || event.metaKey) return toggleSelected([i]);
  if (event.shiftKey && state.active >= 0) return toggleSelected(examplesBetween(state.active, i), true);
  change({ active: i, open: true });
}
