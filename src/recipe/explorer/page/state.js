// What is shown. Changes go through change.js.

import { payload } from "./data.js";

/** @import { State } from "./types" */

/** @type {State} */
export const state = {
  view: "gallery",
  query: "",
  sort: "",
  down: true,
  seed: payload.seed,
  side: "",
  caption: "",
  size: 64,
  plots: [],
  brushes: new Map(),
  active: -1,
  open: false,
  deciding: false,
  selected: new Set(),
  marks: new Map(),
};

/** The selected examples, or else the active one. */
export function chosenExamples() {
  return state.selected.size ? [...state.selected] : state.active >= 0 ? [state.active] : [];
}
