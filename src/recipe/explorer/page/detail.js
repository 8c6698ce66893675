// The panel of one example: everything that is known of it, and its place in every distribution.

import { bins, percentileRank, sortedValues, wholeCounts } from "./bins.js";
import { categories } from "./categories.js";
import { change } from "./change.js";
import {
  byName,
  columns,
  formatValue,
  idOf,
  isGuarded,
  labelOf,
  neighboursOf,
  oncePerColumn,
  payload,
  pictured,
  roles,
  SHOWN,
  textOf,
} from "./data.js";
import { button, el, foreign, icon, svg } from "./dom.js";
import { duplicatesOf } from "./duplicates.js";
import { categoryName, cut, formatPercent } from "./formatting.js";
import { labelChange } from "./labels.js";
import { unmark } from "./marks.js";
import { decide } from "./relabel.js";
import { barScale, HEIGHT, skyline, VIEW_BOX, WIDTH } from "./skyline.js";
import { state } from "./state.js";
import { drawThumbnail } from "./thumbnails.js";
import { relatedTile } from "./tiles.js";

/** @import { Action, Column, FlagColumn, NumberColumn, TextColumn } from "./types" */

const LISTED_DUPLICATES = 24;

/**
 * The content of the panel.
 * @param {number} i
 * @returns {Node[]}
 */
export function examplePanel(i) {
  const text = byName.get("text");
  const parts = [
    el(
      "header",
      {},
      el("code", { class: "id" }, idOf(i)),
      i >= SHOWN ? el("small", {}, "a neighbour, not in the gallery") : null,
      icon("×", "Close", () => change({ open: false })),
    ),
    pictured ? portrait(i) : null,
    payload.text && text?.kind === "text"
      ? el("blockquote", { class: "t", dir: "auto", tabindex: 0 }, textOf(text, i) || "(empty)")
      : null,
    roles.label ? labelChange(i, 60) : null,
    decisionButtons(i),
    strip(payload.neighbours?.heading ?? "", neighboursOf(i), i, payload.entry !== "number"),
    strip("Duplicates", duplicatesOf(i), i, true),
    el(
      "dl",
      { class: "facts" },
      columns.filter((column) => column.name !== "text").map((column) => fact(column, i)),
    ),
  ];
  return parts.filter((part) => part !== null);
}

/** @param {number} i */
function portrait(i) {
  const canvas = el("canvas", {
    class: "portrait",
    "data-i": i,
    role: "img",
    "aria-label": `picture of ${cut(idOf(i), 60)}`,
  });
  drawThumbnail(canvas, i);
  return canvas;
}

/** @param {number} i */
function decisionButtons(i) {
  const made = state.marks.get(i);
  /** @param {Action} action @param {string} text @param {string} key */
  const offer = (action, text, key) =>
    button([text, el("kbd", {}, key)], () => decide([i], action), {
      "data-act": action,
      "aria-pressed": String(made?.action === action),
    });
  return el(
    "div",
    { class: "acts", role: "group", "aria-label": "Decision" },
    offer("drop", "Drop ", "d"),
    offer("relabel", "Relabel ", "r"),
    offer("keep", "Keep ", "c"),
    made ? button(["Undo ", el("kbd", {}, "u")], () => unmark([i])) : null,
    made?.action === "relabel" ? foreign(`to ${categoryName(made.label)}`, 40) : null,
    isGuarded(i) ? el("p", { class: "guard" }, `${roles.guarded?.name}: ${roles.guarded?.meaning}.`) : null,
  );
}

/**
 * A row of related examples. `compared`: those with another label are highlighted; neighbours need not have equal
 * numbers.
 * @param {string} heading
 * @param {number[]} examples
 * @param {number} i
 * @param {boolean} compared
 */
function strip(heading, examples, i, compared) {
  if (!examples.length || (i >= SHOWN && examples.every((other) => other < 0))) return null;
  /** @param {number} other */
  const differs = (other) => compared && other >= 0 && labelOf(other) !== labelOf(i);
  const tiles = examples.slice(0, LISTED_DUPLICATES).map((other) => relatedTile(other, 56, differs(other)));
  const differ = examples.filter(differs).length;
  return el(
    "section",
    { class: "strip" },
    el("h2", {}, heading, differ ? el("small", {}, `${differ} with another label`) : null),
    el("div", { class: "set" }, tiles),
  );
}

/**
 * A column of the example: name, value, its place in the distribution, what the column means.
 * @param {Column} column
 * @param {number} i
 */
function fact(column, i) {
  const text = formatValue(column, i);
  const plot = () => change({ plots: [...new Set([column.name, ...state.plots])] });
  return el(
    "div",
    {},
    el("dt", {}, button(cut(column.name, 60), plot, { class: "t", title: "Show the distribution of this column" })),
    el("dd", { class: column.kind === "number" ? "n" : "t" }, text.length > 300 ? `${text.slice(0, 300)}…` : text),
    el("dd", { class: "where" }, column.kind === "number" ? smallHistogram(column, i) : shareBar(column, i)),
    column.meaning ? el("dd", { class: "meaning" }, cut(column.meaning, 400)) : null,
  );
}

/** @param {NumberColumn} column @param {number} i */
function smallHistogram(column, i) {
  const b = bins(column);
  const counts = wholeCounts(column).bars;
  const x = column.values[i];
  const bin = b.at(i);
  const at = ((bin + 0.5) / b.n) * WIDTH;
  const isRanked = Number.isFinite(x) && sortedValues(column).length > 1;
  return [
    svg(
      "svg",
      VIEW_BOX,
      svg("path", { class: "all", d: skyline(counts, barScale(counts).highest) }),
      bin < 0 ? null : svg("path", { class: "tick", d: `M${at.toFixed(1)} 0V${HEIGHT}` }),
    ),
    el(
      "small",
      { title: "percentile: share of the examples with a smaller value" },
      isRanked ? `${Math.round(100 * percentileRank(column, x))} %` : "",
    ),
  ];
}

/** Examples of the gallery in each category. */
const categoryCounts = oncePerColumn(
  /** @param {FlagColumn | TextColumn} column */
  (column) => {
    const { names, of } = categories(column);
    const counts = new Uint32Array(names.length);
    for (let row = 0; row < SHOWN; row++) for (const k of of(row)) counts[k]++;
    return counts;
  },
);

/**
 * The share of the examples with the same value; of a list, with its rarest value.
 * @param {FlagColumn | TextColumn} column
 * @param {number} i
 */
function shareBar(column, i) {
  if (i >= SHOWN) return null;
  const counts = categoryCounts(column);
  const n = Math.min(
    ...categories(column)
      .of(i)
      .map((k) => counts[k]),
  );
  if (n === 1) return el("small", {}, "unique");
  return [
    el("span", { class: "rail" }, el("i", { class: "now", style: `width:${(100 * n) / SHOWN}%` })),
    el("small", {}, formatPercent(n / SHOWN)),
  ];
}
