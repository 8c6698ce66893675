// The controls above the gallery: view, order, captions, count of examples, filters as chips.

import { isGroupable } from "./categories.js";
import { change } from "./change.js";
import { columns, payload, pictured, roles, SHOWN, byName } from "./data.js";
import { byId, button, el, existing, fillSelect, foreign } from "./dom.js";
import { passing } from "./filter.js";
import { redrawKeepingFocus } from "./focus.js";
import { categoryName, cut, formatCount, formatNumber } from "./formatting.js";
import { layout } from "./gallery.js";
import { isMessageShown } from "./message.js";
import { quantile, sortedValues } from "./bins.js";
import { state } from "./state.js";
import { views } from "./views.js";

/** @import { Brush, Child } from "./types" */

const MOST_SEEDS = 2 ** 32;
const sort = byId("sort", HTMLSelectElement);
const turn = byId("turn", HTMLElement);
const group = byId("group", HTMLSelectElement);
const caption = byId("caption", HTMLSelectElement);
const size = byId("size", HTMLInputElement);
const viewButtons = byId("views", HTMLElement);
const queryInput = byId("query", HTMLInputElement);
const chips = byId("chips", HTMLElement);

// ---- at the start

export function connectControls() {
  byId("title", HTMLElement).textContent = cut(payload.title, 120);
  const summary = [payload.counts, cut(payload.summary, 240)].filter(Boolean).join(" · ");
  byId("summary", HTMLElement).textContent = summary;
  fillSelects();
  viewButtons.append(...views.map(([view, text]) => button(text, () => change({ view }), { "data-view": view })));
  queryInput.placeholder = sampleQuery();
  queryInput.addEventListener("input", () => change({ query: queryInput.value }));
  sort.addEventListener("change", () => change({ sort: sort.value, down: true }));
  turn.addEventListener("click", () => (state.sort ? change({ down: !state.down }) : reshuffle()));
  group.addEventListener("change", () => change({ side: group.value, view: "gallery" }));
  caption.addEventListener("change", () => change({ caption: caption.value }));
  size.addEventListener("input", () => change({ size: Number(size.value) }));
}

function fillSelects() {
  /** @param {string[]} kinds @returns {[string, string][]} */
  const options = (...kinds) => columns.filter((column) => kinds.includes(column.kind)).map(({ name }) => [name, name]);
  /** @type {[string, string][]} */
  const groupable = columns.filter(isGroupable).map(({ name }) => [name, name]);
  fillSelect(
    sort,
    { "": [["", "shuffled"]], numbers: options("number"), "yes or no, text": options("flag", "text") },
    "",
  );
  fillSelect(group, { "": [["", "off"], ...groupable] }, "");
  fillSelect(caption, { "": [["", "none"], ...options("number", "flag", "text")] }, "");
}

/** An example of a filter, with columns and values of this page. */
function sampleQuery() {
  const score = byName.get("outlier") ?? roles.suspect ?? columns.find((column) => column.kind === "number");
  const names = payload.entry === "one" ? payload.classes : [];
  const name = names.find((text) => /^[\w-]{1,24}$/.test(text));
  const parts = [];
  if (score?.kind === "number" && /^[\w-]+$/.test(score.name))
    parts.push(`${score.name} > ${formatNumber(quantile(sortedValues(score), 0.95) ?? 0)}`);
  if (roles.label && name) parts.push(`${roles.label.name} = ${name}`);
  return `${parts.join(" and ") || "a column = a value"}, or a word to search`;
}

export function reshuffle() {
  change({ sort: "", seed: (state.seed + 1) % MOST_SEEDS });
}

// ---- after a change

export function updateControls() {
  for (const node of viewButtons.querySelectorAll("button"))
    node.setAttribute("aria-pressed", String(node.dataset.view === state.view));
  updateOrder();
  const isTiled = state.view === "gallery" || state.view === "duplicates";
  existing(group.parentElement).hidden = state.view !== "gallery";
  existing(caption.parentElement).hidden = !isTiled;
  existing(size.parentElement).hidden = !isTiled || !pictured;
  group.value = state.side;
  caption.value = state.caption;
  size.value = String(state.size);
  byId("marked", HTMLElement).textContent = String(state.marks.size);
  const isPlotting = !document.body.classList.contains("noplots");
  byId("show-plots", HTMLElement).setAttribute("aria-expanded", String(isPlotting));
  const summary = layout.summary ? ` · ${layout.summary}` : "";
  const selected = state.selected.size ? ` · ${formatCount(state.selected.size)} selected` : "";
  byId("count", HTMLElement).replaceChildren(
    el("b", {}, formatCount(passing.length)),
    ` of ${formatCount(SHOWN)}${summary}${selected}`,
  );
  redrawKeepingFocus(chips, () => chips.replaceChildren(...listChips()));
}

/** The views of duplicates and of suspects begin with the worst where no order is chosen. */
function updateOrder() {
  const isWorstFirst = state.view === "duplicates" || state.view === "suspects";
  existing(sort.closest(".sort")).toggleAttribute("hidden", state.view === "confusions");
  sort.value = state.sort;
  sort.options[0].textContent = isWorstFirst ? "worst first" : "shuffled";
  turn.hidden = isWorstFirst && !state.sort;
  turn.textContent = state.sort ? (state.down ? "↓" : "↑") : "⤨";
  turn.title = state.sort ? (state.down ? "largest first" : "smallest first") : "shuffle again (s)";
  const direction = state.down ? "Largest first" : "Smallest first";
  turn.setAttribute("aria-label", state.sort ? `${direction}; reverse the order` : "Shuffle again");
}

/** The filters, each with a click that removes it. */
function listChips() {
  const list = [...state.brushes].map(([name, brush]) =>
    chip([el("b", {}, cut(name, 24)), " ", brushText(brush)], () => change({ brushes: [[name, null]] })),
  );
  if (state.query && !isMessageShown()) list.unshift(chip([cut(state.query, 40)], () => change({ query: "" })));
  if (list.length > 1) list.push(button("clear all", clearFilters, { class: "chip all" }));
  return list;
}

/** @param {Child[]} content @param {() => void} remove */
const chip = (content, remove) => button([...content, " ×"], remove, { class: "chip", title: "Remove this filter" });

/** @param {Brush} brush */
function brushText(brush) {
  if (brush.names) {
    const names = [...brush.names].slice(0, 3).map((name) => cut(categoryName(name), 20));
    return foreign([...names, ...(brush.names.size > 3 ? ["…"] : [])].join(", "), 80);
  }
  /** @param {number} x */
  const end = (x) => (Number.isFinite(x) ? formatNumber(x) : "…");
  const range = Number.isNaN(brush.from) ? "" : `${end(brush.from)} to ${end(brush.to)}`;
  return [range, brush.none ? "missing" : ""].filter(Boolean).join(" or ");
}

function clearFilters() {
  change({ query: "", brushes: [...state.brushes.keys()].map((name) => [name, null]) });
}
