// Marks: what the user decides about examples.

import { change } from "./change.js";
import { state } from "./state.js";

/** @import { Action } from "./types" */

/** @type {readonly string[]} */
const ACTIONS = ["drop", "relabel", "keep"];
let nextReason = ""; // of the marks that come next

export const getNextReason = () => nextReason;
/** @param {string} reason */
export function setNextReason(reason) {
  nextReason = reason;
}

/** @param {string} text @returns {text is Action} */
export const isAction = (text) => ACTIONS.includes(text);

/**
 * A mark keeps the reason that it has.
 * @param {number[]} examples
 * @param {Action} action
 * @param {string} label
 */
export function mark(examples, action, label = "") {
  const marks = new Map(state.marks);
  for (const i of examples) marks.set(i, { action, label, reason: marks.get(i)?.reason || nextReason });
  change({ marks });
}

/** @param {number[]} examples */
export function unmark(examples) {
  const marks = new Map(state.marks);
  for (const i of examples) marks.delete(i);
  change({ marks });
}
