// Examples as rows of known height, so that only the rows in sight need to exist.

import { distinctValues, isGroupable } from "./categories.js";
import { byName, columns, isContradicted, isMissing, payload, pictured, roles } from "./data.js";
import { existing } from "./dom.js";
import { duplicateGroups, haveDifferentLabels } from "./duplicates.js";
import { passing } from "./filter.js";
import { categoryName, clamp, counted, formatCount, formatPercent } from "./formatting.js";
import { state } from "./state.js";

/** @import { Column, FlagColumn, Heading, Layout, LayoutRow, TextColumn, TileRow } from "./types" */

export const PAD = 12; // pixels, as all lengths here
const HEADINGS = 30;
const CARD = 92;
const CAPTION = 17;
const GAP = pictured ? 3 : 8;
const COLUMN_SPACE = 14; // between columns side by side

const cellWidth = () => (pictured ? state.size : 250);
const cellHeight = () => (pictured ? state.size + (state.caption && state.size >= 40 ? CAPTION : 0) : CARD);
/**
 * Tiles that fit.
 * @param {number} width
 */
const tilesAcross = (width) => Math.max(1, Math.floor((width + GAP) / (cellWidth() + GAP)));

/**
 * The layout of the current view.
 * @param {number} width of the gallery
 * @returns {Layout}
 */
export function arrange(width) {
  const layout = { headings: null, top: PAD, summary: "", width, height: 0, ...arrangeView(width) };
  let y = layout.top;
  for (const row of layout.rows) {
    row.y = y;
    y += row.height;
  }
  return { ...layout, height: y + PAD };
}

/** @param {number} width @returns {Partial<Layout> & { rows: LayoutRow[] }} */
function arrangeView(width) {
  if (state.view === "table") return arrangeTable(width);
  if (state.view === "duplicates") return arrangeDuplicates(width);
  if (state.view === "suspects") return arrangeSuspects(width);
  if (state.view === "confusions") return { rows: [] };
  const side = byName.get(state.side);
  return side && isGroupable(side) ? arrangeSideBySide(side, width) : arrangeGallery(width);
}

/** @param {number} width */
function arrangeGallery(width) {
  const across = tilesAcross(width - 2 * PAD);
  const stretched = pictured ? cellWidth() : (width - 2 * PAD + GAP) / across - GAP;
  const between = across > 1 ? (width - 2 * PAD - across * stretched) / (across - 1) : GAP;
  return { rows: grid(passing, across, PAD, stretched, between) };
}

/**
 * `examples` in rows of `across`.
 * @param {ArrayLike<number>} examples
 * @param {number} across
 * @param {number} left
 * @returns {TileRow[]}
 */
function grid(examples, across, left, width = cellWidth(), between = GAP) {
  const cells = Array.from(examples, (i, k) => ({ i, x: left + (k % across) * (width + between), width }));
  /** @type {TileRow[]} */
  const rows = [];
  for (let start = 0; start < cells.length; start += across)
    rows.push({ kind: "tiles", y: 0, height: cellHeight() + GAP, cells: cells.slice(start, start + across) });
  return rows;
}

/**
 * A column of tiles for every value of `side`.
 * @param {FlagColumn | TextColumn} side
 * @param {number} width
 */
function arrangeSideBySide(side, width) {
  const { names, of } = distinctValues(side);
  /** @type {number[][]} */
  const members = names.map(() => []);
  for (const i of passing) members[of(i)[0]].push(i);
  const present = [...names.keys()].filter((k) => members[k].length);
  const least = pictured ? Math.max(cellWidth(), 84) : 196;
  const each = Math.max(least, (width - 2 * PAD + COLUMN_SPACE) / Math.max(1, present.length) - COLUMN_SPACE);
  const tileWidth = pictured ? cellWidth() : Math.min(each, 420);
  /** @param {number} place */
  const left = (place) => PAD + place * (each + COLUMN_SPACE);
  /** @type {TileRow[]} */
  const rows = [];
  present.forEach((k, place) => {
    grid(members[k], tilesAcross(each), left(place), tileWidth).forEach((row, r) => {
      if (rows[r]) rows[r].cells.push(...row.cells);
      else rows.push(row);
    });
  });
  const headings = present.map((k, place) => ({
    text: categoryName(names[k]),
    more: `${formatCount(members[k].length)} · ${formatPercent(members[k].length / Math.max(1, passing.length))}`,
    x: left(place),
    width: each,
  }));
  return { rows, headings, top: HEADINGS + 8, width: Math.max(width, left(present.length) - COLUMN_SPACE + PAD) };
}

// ---- table: a row for every example, a column for every column

/** @param {number} width */
function arrangeTable(width) {
  let x = PAD + (pictured ? 40 : 0);
  const chosen = ["text", state.sort, ...state.plots].map((name) => byName.get(name));
  const inOrder = new Set([roles.id, roles.label, roles.suggested, ...chosen, ...columns]);
  /** @type {Heading[]} */
  const headings = [];
  for (const column of inOrder) {
    if (!column) continue;
    headings.push({ column, x, width: columnWidth(column) });
    x += columnWidth(column) + 18;
  }
  const height = pictured ? 38 : 27;
  /** @type {LayoutRow[]} */
  const rows = Array.from(passing, (i) => ({ kind: "record", y: 0, height, cells: [{ i, x: PAD, width: 32 }] }));
  return { rows, headings, top: HEADINGS + 2, width: Math.max(width, x + PAD) };
}

/** @param {Column} column */
function columnWidth(column) {
  if (column.kind !== "text") return clamp(8 + 7.5 * column.name.length, 84, 150);
  if (column.name === "text") return 360;
  if (column === roles.id) return 128;
  const sample = column.words.slice(0, 200); // enough to choose a width
  return clamp(24 + 7.5 * Math.max(column.name.length, ...sample.map((word) => word.length)), 92, 220);
}

// ---- duplicates: a group is a row, or several where it is long

/** @param {number} width */
function arrangeDuplicates(width) {
  const groups = duplicateGroups();
  const left = PAD + (width > 700 ? 170 : 104);
  const tileWidth = pictured ? cellWidth() : Math.min(cellWidth(), width - left - PAD);
  const rowsOf = (/** @type {number} */ code) => groups.get(code) ?? [];
  const group = existing(roles.group);
  const codes = [...new Set(Array.from(passing, (i) => group.values[i]))].filter((code) => groups.has(code));
  const differ = new Map(codes.map((code) => [code, haveDifferentLabels(rowsOf(code))]));
  if (!state.sort)
    codes.sort((a, b) => Number(differ.get(b)) - Number(differ.get(a)) || rowsOf(b).length - rowsOf(a).length || a - b);
  /** @type {LayoutRow[]} */
  const rows = [];
  for (const code of codes) {
    const lines = grid(rowsOf(code), tilesAcross(width - left - PAD), left, tileWidth);
    const head = { code, size: rowsOf(code).length, labelsDiffer: differ.get(code) === true };
    lines.forEach((line, k) => {
      const height = Math.max(line.height, k ? 0 : 62) + (k === lines.length - 1 ? 9 : 0);
      rows.push({ ...line, kind: "group", height, head: k ? null : head });
    });
  }
  return { rows, summary: `${counted(codes.length, "group")} of duplicates` };
}

/** @param {number} count of suspects */
function suspectsSummary(count) {
  if (roles.wrong) return ["worst first", payload.neighbours?.heading].filter(Boolean).join(" · ");
  if (payload.entry === "number") return "measured → predicted, the furthest apart first";
  const differ = count === 1 ? "differs" : "differ";
  return `${counted(count, "label")} that ${differ} from “${existing(roles.suggested).name}”`;
}

// ---- suspects: the least credible labels first, each with its neighbours

/** @param {number} width */
function arrangeSuspects(width) {
  const suspect = existing(roles.suspect);
  const examples = Array.from(passing).filter((i) => !isMissing(suspect, i) && isContradicted(i));
  if (!state.sort) examples.sort((a, b) => suspect.values[b] - suspect.values[a] || a - b);
  const narrow = width < 640;
  const tileWidth = pictured ? 84 : Math.min(300, width * 0.34);
  const height = narrow ? 206 : 112;
  /** @type {LayoutRow[]} */
  const rows = examples.map((i) => ({
    kind: "suspect",
    y: 0,
    height,
    narrow,
    cells: [{ i, x: PAD, width: tileWidth }],
  }));
  return { rows, summary: suspectsSummary(examples.length) };
}
