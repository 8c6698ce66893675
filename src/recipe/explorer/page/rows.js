// What a row of the gallery, of the table, of the duplicates and of the suspects draws.

import { change } from "./change.js";
import {
  formatValue,
  idOf,
  isGuarded,
  isMissing,
  labelOf,
  neighboursOf,
  payload,
  pictured,
  roles,
  suggestedOf,
  textOf,
} from "./data.js";
import { button, el, existing, foreign } from "./dom.js";
import { counted, cut, formatNumber } from "./formatting.js";
import { labelChange } from "./labels.js";
import { PAD } from "./layout.js";
import { mark } from "./marks.js";
import { decide } from "./relabel.js";
import { state } from "./state.js";
import { placeAt, relatedTile, tile, updateTile } from "./tiles.js";

/** @import { Action, ColumnHeading, GroupRow, Heading, Layout, LayoutRow, RecordRow, SuspectRow } from "./types" */
/** @typedef {{ layout: Layout, left: number, right: number }} Visible the pixels between which columns are drawn */

/** @param {LayoutRow} row @param {Visible} visible */
export function drawRow(row, visible) {
  const style = `top:${row.y}px;height:${row.height}px`;
  const node = el("div", { class: `line ${row.kind}`, role: "presentation", style });
  if (row.kind === "record") drawRecord(row, node, visible);
  else if (row.kind === "suspect") drawSuspect(row, node, visible);
  else {
    if (row.kind === "group") drawGroupHead(row, node);
    for (const cell of row.cells) node.append(placeAt(tile(cell.i, cell.width), cell.x));
  }
  return node;
}

/**
 * The line above columns: sortable in the table, the name of the value where columns are side by side.
 * @param {Layout} layout
 */
export function drawHeadings({ headings, width }) {
  return el("div", { class: "heads", style: `width:${width}px` }, headings?.map(drawHeading));
}

/** @param {Heading} heading */
function drawHeading(heading) {
  const style = `left:${heading.x}px;width:${heading.width}px`;
  if (heading.column) return sortButton(heading, style);
  const name = el("b", { class: "t" }, cut(heading.text, 60));
  return el("span", { style, title: cut(heading.text, 300) }, name, el("small", {}, heading.more));
}

/** @param {ColumnHeading} heading @param {string} style */
function sortButton({ column }, style) {
  const sorted = state.sort === column.name;
  const sort = () => change(sorted ? { down: !state.down } : { sort: column.name, down: true });
  return button([cut(column.name, 40), sorted ? (state.down ? " ↓" : " ↑") : ""], sort, {
    style,
    class: column.kind === "number" ? "n" : "",
    title: cut(column.meaning, 300),
    "aria-label": `Sort by ${cut(column.name, 60)}`,
  });
}

/** @param {RecordRow} row @param {HTMLElement} node @param {Visible} visible */
function drawRecord(row, node, { layout, left, right }) {
  const { i } = row.cells[0];
  node.dataset.i = String(i);
  node.id = `x${i}`;
  node.setAttribute("role", "option");
  if (pictured) node.append(placeAt(tile(i, 32, { inGallery: false, caption: "" }), PAD));
  for (const { column, x, width } of layout.headings ?? []) {
    if (!column || x + width < left || x > right) continue;
    const kind = column === roles.id ? "id" : column.kind === "number" ? "n" : "t";
    const text = isMissing(column, i) ? "–" : cut(formatValue(column, i), 120);
    node.append(el("span", { class: kind, style: `left:${x}px;width:${width}px` }, text));
  }
  updateTile(node, i, true);
}

/** @param {GroupRow} row @param {HTMLElement} node */
function drawGroupHead({ head }, node) {
  if (!head) return;
  node.append(
    el(
      "div",
      { class: "about" },
      el("b", {}, counted(head.size, "example")),
      head.labelsDiffer ? el("span", { class: "warm" }, "labels differ") : null,
      el("code", {}, cut(existing(roles.group).words[head.code], 24)),
    ),
  );
}

/**
 * The example, the two labels, what to decide, and the neighbours: those with the suggested label are highlighted.
 * @param {SuspectRow} row
 * @param {HTMLElement} node
 * @param {Visible} visible
 */
function drawSuspect(row, node, { layout }) {
  const { i, x, width } = row.cells[0];
  node.append(placeAt(tile(i, width, { caption: "" }), x), placeAt(aboutSuspect(i), x + width + 14));
  const size = pictured ? 64 : 190;
  const start = row.narrow ? PAD : x + width + 14 + 236;
  neighboursOf(i).forEach((other, k) => {
    const left = start + k * (size + 8);
    if (left + size > layout.width) return;
    const neighbour = relatedTile(other, size, other >= 0 && labelOf(other) === suggestedOf(i));
    neighbour.style.top = `${row.narrow ? 104 : 8}px`;
    node.append(placeAt(neighbour, left));
  });
}

/** @param {number} i */
function aboutSuspect(i) {
  const score = roles.residual ?? existing(roles.suspect);
  /** @param {Action} action @param {string} label @param {string} text */
  const offer = (action, label, text) => button(text, () => mark([i], action, label), { "data-act": action });
  return el(
    "div",
    { class: "about" },
    labelChange(i, 26),
    el(
      "p",
      { class: "facts" },
      `${cut(score.name, 24)} ${formatNumber(score.values[i])} · `,
      roles.doubt && !isMissing(roles.doubt, i) ? [foreign(textOf(roles.doubt, i), 26), " · "] : "",
      isGuarded(i) ? `${cut(roles.guarded?.name, 24)} · ` : "",
      el("code", {}, cut(idOf(i), 24)),
    ),
    el(
      "p",
      { class: "acts" },
      payload.entry === "number"
        ? button("Relabel …", () => decide([i], "relabel"), { "data-act": "relabel" })
        : offer("relabel", suggestedOf(i), "Relabel"),
      offer("keep", "", "Keep"),
      offer("drop", "", "Drop"),
    ),
  );
}
