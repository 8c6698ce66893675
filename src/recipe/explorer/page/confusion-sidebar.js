// A small table of given against suggested labels beside the gallery, where a page has a role `wrong`.
//
// It counts what passes all filters but its own and the one on what is wrong, so that its diagonal is there too. A cell
// filters by both labels.

import { categories } from "./categories.js";
import { change } from "./change.js";
import { createMatrix, createPairList } from "./confusion-cells.js";
import { payload, roles, SHOWN } from "./data.js";
import { byId, el, icon } from "./dom.js";
import { passesWithout } from "./filter.js";
import { redrawKeepingFocus } from "./focus.js";
import { formatCount, formatPercent } from "./formatting.js";
import { state } from "./state.js";

/** @import { Brush, FlagColumn, TextColumn } from "./types" */

const WIDEST = 24; // classes; of more, the most frequent pairs are listed

let update = () => {};
export const updateConfusionSidebar = () => update();

export function drawConfusionSidebar() {
  const { label, suggested, wrong } = roles;
  if (label && suggested && wrong) update = createSidebar(label, suggested, wrong);
}

/**
 * Draws the table; the result updates it. A cell is numbered given * classes + suggested.
 * @param {TextColumn} label
 * @param {TextColumn} suggested
 * @param {FlagColumn} wrong
 */
function createSidebar(label, suggested, wrong) {
  const names = payload.classes.length ? payload.classes : categories(label).names;
  const columns = [label, suggested];
  const [given, answered] = columns.map((column) => column.words.map((word) => names.indexOf(word)));
  const table = { names, chosenCell, chooseCell };
  const body = names.length > WIDEST ? createPairList(table) : createMatrix(table);
  const clear = icon("↺", "Show all cells", () => chooseCell(null));
  clear.classList.add("clear");
  const summary = el("p", { class: "more" });
  const section = byId("confusion", HTMLElement);
  section.hidden = false;
  section.append(el("header", {}, el("h2", {}, "Confusions"), clear), body.node, summary);

  /** The cell that the brushes on both labels choose; -1 where they choose none or several. */
  function chosenCell() {
    const [a, b] = columns.map((column) => [...(state.brushes.get(column.name)?.names ?? [])]);
    return a.length === 1 && b.length === 1 ? names.indexOf(a[0]) * names.length + names.indexOf(b[0]) : -1;
  }

  /** @param {number | null} cell */
  function chooseCell(cell) {
    const classes = cell === null ? null : [Math.floor(cell / names.length), cell % names.length];
    /** @type {[string, Brush | null][]} */
    const brushes = columns.map((column, k) => [column.name, classes && { names: new Set([names[classes[k]]]) }]);
    if (classes && classes[0] === classes[1]) brushes.push([wrong.name, null]); // a right answer shows only among all
    change({ brushes });
  }

  return () => {
    /** @type {Map<number, number>} */
    const counts = new Map();
    const passes = passesWithout(label.name, suggested.name, wrong.name);
    let [all, mistakes] = [0, 0];
    for (let i = 0; i < SHOWN; i++) {
      if (!passes(i)) continue;
      const cell = given[label.values[i]] * names.length + answered[suggested.values[i]];
      counts.set(cell, (counts.get(cell) ?? 0) + 1);
      all += 1;
      mistakes += wrong.values[i];
    }
    clear.hidden = chosenCell() === -1;
    const share = payload.sampled
      ? "the others are a sample, so no error rate"
      : formatPercent(mistakes / Math.max(1, all));
    const axes = `Rows: ${label.name}. Columns: ${suggested.name}.`;
    summary.textContent = `${formatCount(mistakes)} of ${formatCount(all)} wrong (${share}). ${axes}`;
    redrawKeepingFocus(body.node, () => body.update(counts));
  };
}
