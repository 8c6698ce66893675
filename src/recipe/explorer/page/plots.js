// A histogram or bars for each chosen column. Strong: what passes all other filters. Faint: the whole gallery, scaled
// to the same number of examples, so that a difference in shape is a difference of the examples.

import { barPlot } from "./bar-plot.js";
import { change } from "./change.js";
import { byName, columns } from "./data.js";
import { byId, el, fillSelect, icon } from "./dom.js";
import { cut } from "./formatting.js";
import { histogram } from "./histogram.js";
import { state } from "./state.js";

/** @import { Column } from "./types" */

const list = byId("plotted", HTMLElement);
const addSelect = byId("add", HTMLSelectElement);
/** @type {Map<string, { node: HTMLElement, update: () => void }>} by column */
const drawnPlots = new Map();

/** A plot for every chosen column, in their order. */
export function drawPlots() {
  for (const [name, plot] of drawnPlots) {
    if (state.plots.includes(name)) continue;
    plot.node.remove();
    drawnPlots.delete(name);
  }
  for (const name of state.plots) {
    const column = byName.get(name);
    if (!column) continue;
    const plot = drawnPlots.get(name) ?? createPlot(column);
    drawnPlots.set(name, plot);
    list.append(plot.node);
  }
  const rest = columns.filter((column) => !state.plots.includes(column.name));
  /** @param {string[]} kinds @returns {[string, string][]} */
  const options = (...kinds) =>
    rest.filter((column) => kinds.includes(column.kind)).map((column) => [column.name, column.name]);
  fillSelect(
    addSelect,
    { "": [["", "another column …"]], numbers: options("number"), "yes or no, text": options("flag", "text") },
    "",
  );
}

export function updatePlots() {
  for (const plot of drawnPlots.values()) plot.update();
}

export function connectAddSelect() {
  addSelect.addEventListener("change", () => {
    if (addSelect.value) change({ plots: [addSelect.value, ...state.plots] });
  });
}

/** @param {Column} column */
function createPlot(column) {
  const plot = column.kind === "number" ? histogram(column) : barPlot(column);
  const name = cut(column.name, 60);
  const hide = () => change({ plots: state.plots.filter((other) => other !== column.name) });
  const header = el(
    "header",
    {},
    el("h2", { title: cut(column.meaning, 300) }, name),
    plot.tools,
    icon("×", `Hide ${name}`, hide),
  );
  const properties = { class: "plot", "data-column": column.name, "aria-label": name };
  return { node: el("section", properties, header, plot.node), update: plot.update };
}
