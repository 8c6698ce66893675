// The panel of decisions: marks as lines for decisions.csv. A mark without a reason has no line.

import { scheduleAddress } from "./address.js";
import { change } from "./change.js";
import { idOf, isGuarded, pictured, roles } from "./data.js";
import { button, el, foreign, icon } from "./dom.js";
import { passing } from "./filter.js";
import { categoryName, counted, cut } from "./formatting.js";
import { getNextReason, setNextReason, unmark } from "./marks.js";
import { state } from "./state.js";
import { tile } from "./tiles.js";

/** @import { Mark } from "./types" */

const LISTED_MARKS = 300; // marks with a field for their reason; all of them have their lines

/**
 * A cell as Python's csv module reads it.
 * @param {string} cell
 */
function csvCell(cell) {
  return /[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function csvLines() {
  const ready = [...state.marks].filter(([, { reason }]) => reason.trim());
  const rows = ready.map(([i, { action, label, reason }]) =>
    [idOf(i), action, label, reason.trim()].map(csvCell).join(","),
  );
  return ["id,action,label,reason", ...rows].join("\n") + "\n";
}

/** What is true of the marks now. */
function statusText() {
  const waiting = [...state.marks.values()].filter((mark) => !mark.reason.trim()).length;
  if (!state.marks.size) return "No decisions yet. Keys on an example: d drop, r relabel, c keep.";
  if (waiting) return `${waiting} of ${counted(state.marks.size, "mark")} without a reason: they have no line yet.`;
  return `${counted(state.marks.size, "line")} for decisions.csv: select, copy and paste below its header.`;
}

function warningText() {
  const guarded = [...state.marks].filter(([i, { action }]) => action !== "keep" && isGuarded(i)).length;
  if (!guarded) return "";
  return `${counted(guarded, "decision")} with a warning. ${roles.guarded?.name}: ${roles.guarded?.meaning}.`;
}

/** @param {boolean} all whether marks that have a reason get the new one too */
function applyReason(all) {
  const marks = new Map(state.marks);
  for (const [i, mark] of marks) if (all || !mark.reason.trim()) marks.set(i, { ...mark, reason: getNextReason() });
  change({ marks });
}

/** The content of the panel. */
export function decisionsPanel() {
  const output = linesField();
  const status = el("p", { class: "status", role: "status" });
  const warning = el("p", { class: "guard" });
  const refresh = () => {
    output.value = csvLines();
    status.textContent = statusText();
    warning.textContent = warningText();
    warning.hidden = !warning.textContent;
  };
  refresh();
  return [
    el(
      "header",
      {},
      el("h2", {}, "Decisions"),
      icon("×", "Close", () => change({ deciding: false })),
    ),
    el("label", { for: "reason" }, "Reason for the next marks"),
    reasonField(),
    el(
      "div",
      { class: "acts" },
      button("Apply to marks without one", () => applyReason(false)),
      button("Apply to all marks", () => applyReason(true)),
    ),
    status,
    warning,
    output,
    el(
      "div",
      { class: "acts" },
      button("Select the lines", () => output.select()),
      state.marks.size ? button("Undo all", () => unmark([...state.marks.keys()])) : null,
    ),
    el(
      "ul",
      { class: "marks" },
      [...state.marks].slice(0, LISTED_MARKS).map(([i, mark]) => markItem(i, mark, refresh)),
    ),
    idsSection(),
  ];
}

function linesField() {
  return el("textarea", {
    id: "lines",
    readonly: true,
    rows: 10,
    wrap: "off",
    spellcheck: "false",
    "aria-label": "Lines for decisions.csv",
  });
}

function reasonField() {
  const field = el("input", {
    id: "reason",
    type: "text",
    value: getNextReason(),
    placeholder: "e.g. blurred beyond recognition",
    autocomplete: "off",
    on: {
      input: () => setNextReason(field.value),
      keydown: (event) => event.key === "Enter" && applyReason(false),
    },
  });
  return field;
}

/**
 * A mark with a field for its reason, which changes without drawing the panel again: the cursor stays in the field.
 * @param {number} i
 * @param {Mark} mark
 * @param {() => void} refresh
 */
function markItem(i, mark, refresh) {
  const id = cut(idOf(i), 24);
  const field = el("input", {
    type: "text",
    value: mark.reason,
    placeholder: "reason",
    "aria-label": `Reason for ${id}`,
    on: {
      input: () => {
        mark.reason = field.value;
        refresh();
        scheduleAddress();
      },
    },
  });
  return el(
    "li",
    { "data-mark": mark.action },
    pictured ? tile(i, 32, { inGallery: false, caption: "" }) : null,
    el(
      "div",
      {},
      el("code", {}, id),
      foreign(mark.action === "relabel" ? `relabel to ${categoryName(mark.label)}` : mark.action, 50),
      field,
    ),
    icon("×", `Undo the decision on ${id}`, () => unmark([i])),
  );
}

/** Ids to copy: of the selection, or of all examples that pass the filters. */
function idsSection() {
  const rows = state.selected.size ? [...state.selected] : Array.from(passing);
  const ids = el("textarea", { id: "ids", readonly: true, rows: 3, spellcheck: "false", "aria-label": "Ids to copy" });
  ids.value = rows.map(idOf).join("\n");
  const which = state.selected.size ? "that are selected" : "that pass the filters";
  return el("section", { class: "strip" }, el("h2", {}, `Ids of the ${counted(rows.length, "example")} ${which}`), ids);
}
