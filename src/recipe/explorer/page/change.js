// The only way to change what is shown.

import { setBrush, setMask } from "./filter.js";
import { byId } from "./dom.js";
import { hideMessage, showMessage } from "./message.js";
import { parseQuery } from "./query.js";
import { QueryError } from "./query-tokens.js";
import { state } from "./state.js";

/** @import { State, Update } from "./types" */

const queryField = byId("query", HTMLInputElement);

/** @type {(before: State, filtered: boolean) => void} */
let drawChanges = () => {};

/**
 * Draws every change. `filtered`: whether the filters may have changed.
 * @param {(before: State, filtered: boolean) => void} draw
 */
export function onChange(draw) {
  drawChanges = draw;
}

/** @param {Update} update */
export function change(update) {
  performance.clearMarks("change");
  performance.mark("change");
  const { brushes = [], query, ...rest } = update;
  const before = { ...state };
  Object.assign(state, rest);
  if (rest.open) state.deciding = false;
  if (rest.deciding) state.open = false;
  for (const [name, brush] of brushes) setBrush(name, brush);
  if (query !== undefined) setQuery(query);
  drawChanges(before, brushes.length > 0 || query !== undefined);
  performance.measure("change", "change");
}

/**
 * A query with an error leaves the last valid one in place.
 * @param {string} query
 */
function setQuery(query) {
  state.query = query;
  if (queryField.value !== query) queryField.value = query;
  try {
    setMask("query", parseQuery(query));
    hideMessage();
    queryField.removeAttribute("aria-invalid");
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    showMessage(`Character ${error.at + 1}: ${error.message}`);
    queryField.setAttribute("aria-invalid", "true");
  }
}
