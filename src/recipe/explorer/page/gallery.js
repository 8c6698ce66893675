// The rows in sight.

import { drawConfusions } from "./confusions.js";
import { roles } from "./data.js";
import { byId, el } from "./dom.js";
import { passing } from "./filter.js";
import { redrawKeepingFocus, stage } from "./focus.js";
import { arrange } from "./layout.js";
import { drawHeadings, drawRow } from "./rows.js";
import { state } from "./state.js";
import { recycleTiles, updateTile } from "./tiles.js";

/** @import { Layout } from "./types" */

const CUSHION = 400; // pixels drawn beyond the upper and the lower edge
const SIDEWAYS = 600; // and beyond the left and the right one

const sheet = byId("sheet", HTMLElement);
/** @type {Map<number, HTMLElement>} by index of the row */
const drawnRows = new Map();
/** @type {Layout} */
export let layout = { rows: [], headings: null, width: 0, height: 0, top: 0, summary: "" };
let laidOutWidth = 0; // of the stage
let drawnLeft = 0; // where the stage was when the columns of the table were drawn

export function relayout() {
  redrawKeepingFocus(sheet, drawLayout);
}

function drawLayout() {
  sheet.replaceChildren();
  for (const node of drawnRows.values()) recycleTiles(node);
  drawnRows.clear();
  const isFree = state.view === "confusions"; // takes the height that it needs
  laidOutWidth = stage.clientWidth;
  layout = arrange(laidOutWidth);
  sheet.style.height = isFree ? "auto" : `${layout.height}px`;
  sheet.style.width = isFree ? "auto" : `${layout.width}px`;
  stage.dataset.view = state.view;
  stage.setAttribute("role", isFree ? "group" : "listbox");
  if (isFree) return sheet.append(drawConfusions());
  if (layout.headings) sheet.append(drawHeadings(layout));
  if (!layout.rows.length) sheet.append(el("p", { class: "empty" }, emptyText()));
  paint();
}

function emptyText() {
  if (!passing.length) return "No example passes the filters.";
  const among = "of the examples that pass the filters";
  if (state.view === "duplicates") return `None ${among} is a duplicate.`;
  return roles.wrong ? `None ${among} is a mistake.` : `None ${among} has a label that is contradicted.`;
}

/**
 * First row whose end lies below `y`.
 * @param {number} y
 */
export function rowAt(y) {
  let [a, b] = [0, layout.rows.length];
  while (a < b) {
    const middle = (a + b) >> 1;
    if (layout.rows[middle].y + layout.rows[middle].height < y) a = middle + 1;
    else b = middle;
  }
  return a;
}

/** Draws the rows that come into sight and removes the others; `sideways` redraws all, for the columns of the table. */
export function paint(sideways = false) {
  if (!layout.rows.length) return;
  const first = rowAt(stage.scrollTop - CUSHION);
  const last = rowAt(stage.scrollTop + stage.clientHeight + CUSHION);
  for (const [r, node] of drawnRows) {
    if (r >= first && r <= last && !sideways) continue;
    recycleTiles(node);
    drawnRows.delete(r);
  }
  const added = document.createDocumentFragment();
  const right = stage.scrollLeft + stage.clientWidth + SIDEWAYS;
  const visible = { layout, left: stage.scrollLeft - SIDEWAYS, right };
  for (let r = first; r <= Math.min(last, layout.rows.length - 1); r++) {
    if (drawnRows.has(r)) continue;
    const node = drawRow(layout.rows[r], visible);
    drawnRows.set(r, node);
    added.append(node);
  }
  sheet.append(added);
  announceActive();
}

/** Cursor, selection and marks, without a new layout. */
export function updateTiles() {
  for (const node of /** @type {NodeListOf<HTMLElement>} */ (sheet.querySelectorAll(".tile[data-i], .record")))
    updateTile(node, Number(node.dataset.i), node.id !== "");
  announceActive();
}

function announceActive() {
  const id = `x${state.active}`;
  stage.setAttribute("aria-activedescendant", document.getElementById(id) ? id : "");
}

/** Keeps what is drawn up to date with the size and the scroll position of the stage. */
export function watchStage() {
  stage.addEventListener(
    "scroll",
    () => {
      const sideways = state.view === "table" && Math.abs(stage.scrollLeft - drawnLeft) > SIDEWAYS / 2;
      if (sideways) drawnLeft = stage.scrollLeft;
      paint(sideways);
    },
    { passive: true },
  );
  new ResizeObserver(() => stage.clientWidth !== laidOutWidth && relayout()).observe(stage);
}
