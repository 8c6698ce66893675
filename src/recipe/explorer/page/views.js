// The views of this page, and what it begins with.

import { isGroupable } from "./categories.js";
import { byName, columns, isContradicted, payload, pictured, roles, SHOWN } from "./data.js";
import { duplicateGroups } from "./duplicates.js";
import { largestSide } from "./thumbnails.js";

/** @import { Brush, Column, ViewName } from "./types" */

const MOST_PLOTS = 6;

/**
 * [view, what its button says]
 * @returns {[ViewName, string][]}
 */
function listViews() {
  /** @type {[ViewName, string][]} */
  const list = [
    ["gallery", payload.text ? "Texts" : pictured ? "Gallery" : "Cards"],
    ["table", "Table"],
  ];
  if (duplicateGroups().size) list.push(["duplicates", "Duplicates"]);
  if (roles.wrong ? roles.suspect && roles.suggested : anySuspect())
    list.push(["suspects", roles.wrong ? "Mistakes" : "Suspects"]);
  if (roles.label && roles.suggested && payload.entry === "one") list.push(["confusions", "Confusions"]);
  return list;
}

/** Whether another label is suggested for any example. */
function anySuspect() {
  if (!roles.suspect) return false;
  for (let i = 0; i < SHOWN; i++) if (isContradicted(i)) return true;
  return false;
}

export const views = listViews();

/** The columns that are plotted at first. */
function firstPlots() {
  const numbers = columns.filter((column) => column.kind === "number" && column !== roles.suspect);
  const bars = columns.filter((column) => isGroupable(column) && column !== roles.label && column !== roles.suggested);
  const special = [roles.caption, roles.wrong, roles.guarded];
  /** @type {(Column | null | undefined)[]} */
  const plots = [
    // the table of confusions has the labels
    roles.wrong ?? byName.get(payload.measured[0]) ?? roles.label,
    roles.suspect,
    byName.get("flagged"),
    ...bars.filter((column) => column.kind === "text" && column.separator),
    ...(roles.wrong ? bars.filter((column) => !special.includes(column)) : []),
    byName.get("outlier"),
    ...numbers.filter((column) => new Set(column.values).size > 20),
  ];
  const present = plots.flatMap((column) => column?.name ?? []);
  return [...new Set(present)].slice(0, MOST_PLOTS);
}

/** The part of the state that an address without it has. */
export const defaults = {
  view: views[payload.text || pictured ? 0 : 1][0],
  caption: (roles.caption ?? roles.label)?.name ?? "",
  sort: roles.order?.name ?? "",
  size: largestSide <= 16 ? 56 : largestSide <= 32 ? 64 : 80,
  plots: firstPlots(),
};

/**
 * The brushes that the page begins with: of mispredictions, what is wrong.
 * @returns {[string, Brush][]}
 */
export const initialBrushes = () =>
  Object.entries(payload.initialFilter).map(([name, values]) => [name, { names: new Set(values) }]);
