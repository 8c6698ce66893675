// The plot of a column of categories: a click on a bar filters by its value.

import { scaledToSum } from "./bins.js";
import { categories } from "./categories.js";
import { change } from "./change.js";
import { clearButton } from "./clear-button.js";
import { roles, SHOWN } from "./data.js";
import { button, el, foreign } from "./dom.js";
import { passesWithout } from "./filter.js";
import { categoryName, cut, formatCount } from "./formatting.js";
import { state } from "./state.js";

/** @import { FlagColumn, Plot, Test, TextColumn } from "./types" */

const LISTED_VALUES = 40; // bars; more values are counted below

/** @param {FlagColumn | TextColumn} column @param {Test} test */
function countCategories(column, test) {
  const { names, of } = categories(column);
  const counts = new Uint32Array(names.length);
  for (let i = 0; i < SHOWN; i++) if (test(i)) for (const k of of(i)) counts[k]++;
  return counts;
}

/** @param {FlagColumn | TextColumn} column @returns {Plot} */
export function barPlot(column) {
  const { names } = categories(column);
  const whole = countCategories(column, () => true);
  const inOrder = column === roles.label || column === roles.suggested || column.kind === "flag";
  const present = [...names.keys()].filter((k) => whole[k]);
  if (!inOrder) present.sort((a, b) => whole[b] - whole[a]);
  const rest = present.splice(LISTED_VALUES).length;
  const rows = present.map((k) => createBar(column, names[k], k));
  const clear = clearButton(column.name);

  function update() {
    const counts = countCategories(column, passesWithout(column.name));
    const chosen = state.brushes.get(column.name)?.names;
    clear.hidden = !chosen;
    const expected = scaledToSum(whole, counts);
    const highest = expected.reduce((most, n, k) => Math.max(most, n, counts[k]), 1e-9);
    for (const { k, node, all, now, number } of rows) {
      all.style.width = `${(100 * expected[k]) / highest}%`;
      now.style.width = `${(100 * counts[k]) / highest}%`;
      now.hidden = !counts[k];
      number.textContent = formatCount(counts[k]);
      node.setAttribute("aria-pressed", String(Boolean(chosen?.has(names[k]))));
      node.classList.toggle("out", chosen !== undefined && !chosen.has(names[k]));
    }
  }

  const more = rest
    ? el(
        "p",
        { class: "more" },
        `and ${formatCount(rest)} more distinct values; to filter by one: ${cut(column.name, 30)} = "…"`,
      )
    : null;
  const node = el(
    "div",
    { class: "bars", role: "group" },
    rows.map((row) => row.node),
    more,
  );
  return { node, tools: clear, update };
}

/** @param {FlagColumn | TextColumn} column @param {string} value @param {number} k its place among the categories */
function createBar(column, value, k) {
  const [all, now] = ["all", "now"].map((name) => el("i", { class: name }));
  const number = el("span", { class: "n" });
  const name = categoryName(value);
  const content = [foreign(name, 60), el("span", { class: "rail" }, all, now), number];
  const toggle = () => {
    const chosen = new Set(state.brushes.get(column.name)?.names);
    if (!chosen.delete(value)) chosen.add(value);
    change({ brushes: [[column.name, chosen.size ? { names: chosen } : null]] });
  };
  return { k, node: button(content, toggle, { class: "bar", title: cut(name, 300) }), all, now, number };
}
