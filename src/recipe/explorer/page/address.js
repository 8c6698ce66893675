// The view as the fragment of the page's address, and back. In a sandbox the address may be out of reach.

import { isGroupable } from "./categories.js";
import { change } from "./change.js";
import { byName, idOf, payload, rowOf } from "./data.js";
import { clamp } from "./formatting.js";
import { isAction } from "./marks.js";
import { state } from "./state.js";
import { defaults, initialBrushes, views } from "./views.js";

/** @import { Brush, Mark, Update } from "./types" */

const LONGEST = 6000; // characters; marks that would make it longer are left out
const DELAY = 200; // milliseconds; browsers refuse an address that changes too often
let timer = 0;
let lastKnown = location.hash; // as this page last wrote or read it

/** @param {string} text */
const encode = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);

/** The fragment of the current view, without the #. */
export function currentFragment() {
  /** @type {string[]} */
  const pieces = [];
  /** @param {string} key @param {...string} texts */
  const put = (key, ...texts) => pieces.push(`${key}=${texts.map(encode).join(",")}`);
  if (state.view !== defaults.view) put("view", state.view);
  if (state.query) put("q", state.query);
  if (state.sort !== defaults.sort || (state.sort && !state.down)) put("sort", state.sort, state.down ? "down" : "up");
  if (state.seed !== payload.seed) put("seed", String(state.seed));
  if (state.side) put("side", state.side);
  if (state.caption !== defaults.caption) put("caption", state.caption);
  if (state.size !== defaults.size) put("size", String(state.size));
  if (state.plots.join("\n") !== defaults.plots.join("\n")) put("plots", ...state.plots);
  for (const [name] of initialBrushes()) if (!state.brushes.has(name)) put("among", name);
  for (const [name, brush] of state.brushes) {
    if (isInitial(name, brush)) continue;
    if (brush.names) put("among", name, ...brush.names);
    else put("range", name, String(brush.from), String(brush.to), brush.none ? "none" : "");
  }
  if (state.active >= 0) put(state.open ? "open" : "at", idOf(state.active));
  if (state.deciding) put("decisions", "open");
  const marks = [...state.marks].map(
    ([i, { action, label, reason }]) => `mark=${[idOf(i), action, label, reason].map(encode).join(",")}`,
  );
  const all = [...pieces, ...marks].join("&");
  return all.length <= LONGEST ? all : pieces.join("&");
}

/**
 * Whether the page begins with this brush.
 * @param {string} name
 * @param {Brush} brush
 */
function isInitial(name, brush) {
  const initial = new Map(initialBrushes()).get(name)?.names;
  if (!initial || !brush.names || initial.size !== brush.names.size) return false;
  return [...initial].every((value) => brush.names.has(value));
}

/** Writes the address soon, and once for many changes. The mark "address" says that it is up to date. */
export function scheduleAddress() {
  performance.clearMarks("address");
  clearTimeout(timer);
  timer = setTimeout(() => {
    writeAddress(`#${currentFragment()}`);
    performance.mark("address");
  }, DELAY);
}

/** @param {string} fragment */
function writeAddress(fragment) {
  const field = /** @type {HTMLInputElement | null} */ (document.getElementById("address")); // while the help is open
  if (field && document.activeElement !== field) field.value = fragment;
  // an address that the user has just changed is read first: its event is on the way
  if (fragment === (location.hash || "#") || location.hash !== lastKnown) return;
  try {
    history.replaceState(null, "", fragment);
    lastKnown = location.hash;
  } catch {
    // out of reach here; the field in the help shows it
  }
}

/** Shows the view of an address that the user has changed. */
export function followAddress() {
  lastKnown = location.hash;
  if (location.hash.slice(1) !== currentFragment()) change(parseFragment(location.hash));
}

/**
 * The state that a fragment describes. What it names and this page does not have is left out.
 * @param {string} fragment
 * @returns {Update}
 */
export function parseFragment(fragment) {
  /** @type {[string, Brush | null][]} */
  const brushes = [...state.brushes.keys()].map((name) => [name, null]);
  brushes.push(...initialBrushes());
  /** @type {Map<number, Mark>} */
  const marks = new Map();
  /** @type {Update} */
  const update = { ...defaults, query: "", down: true, seed: payload.seed, side: "", active: -1, open: false };
  Object.assign(update, { deciding: false, brushes, marks });
  for (const [key, texts] of fragmentPieces(fragment)) {
    const [text, ...more] = texts;
    readLook(update, key, texts);
    if (key === "range" && byName.get(text)?.kind === "number")
      brushes.push([text, { from: Number(more[0]), to: Number(more[1]), none: more[2] === "none" }]);
    if (key === "among" && byName.has(text) && byName.get(text)?.kind !== "number")
      brushes.push([text, more.length ? { names: new Set(more) } : null]);
    if (key === "decisions") update.deciding = true;
    const row = rowOf.get(text);
    if (row === undefined) continue;
    if (key === "at" || key === "open") [update.active, update.open] = [row, key === "open"];
    if (key === "mark" && isAction(more[0]))
      marks.set(row, { action: more[0], label: more[1] ?? "", reason: more[2] ?? "" });
  }
  return update;
}

/**
 * View, order and captions.
 * @param {Update} update
 * @param {string} key
 * @param {string[]} texts
 */
function readLook(update, key, texts) {
  const [text, direction] = texts;
  const view = views.find(([name]) => name === text);
  const column = byName.get(text);
  if (key === "view" && view) update.view = view[0];
  if (key === "q") update.query = text;
  if (key === "sort" && (text === "" || column)) [update.sort, update.down] = [text, direction !== "up"];
  if (key === "seed" && Number.isFinite(Number(text))) update.seed = Number(text);
  if (key === "side" && column && isGroupable(column)) update.side = text;
  if (key === "caption" && (text === "" || column)) update.caption = text;
  if (key === "size" && Number(text)) update.size = clamp(Number(text), 24, 192);
  if (key === "plots") update.plots = texts.filter((name) => byName.has(name));
}

/** @param {string} fragment @returns {[string, string[]][]} */
function fragmentPieces(fragment) {
  return fragment
    .replace(/^#/, "")
    .split("&")
    .flatMap((piece) => {
      const [key, ...rest] = piece.split("=");
      try {
        return key
          ? [/** @type {[string, string[]]} */ ([key, rest.join("=").split(",").map(decodeURIComponent)])]
          : [];
      } catch {
        return []; // a broken % escape
      }
    });
}
