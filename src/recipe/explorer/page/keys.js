// The keyboard: everything on the page can be done without a mouse.

import { change } from "./change.js";
import { reshuffle } from "./controls.js";
import { moveCursor, toggleSelected } from "./cursor.js";
import { byId } from "./dom.js";
import { stage } from "./focus.js";
import { isHelpOpen, toggleHelp } from "./help.js";
import { unmark } from "./marks.js";
import { decide } from "./relabel.js";
import { chosenExamples, state } from "./state.js";
import { views } from "./views.js";

/** @import { Move } from "./cursor.js" */

/** @type {Map<string, Move>} */
const MOVES = new Map([
  ["ArrowLeft", "previous"],
  ["ArrowRight", "next"],
  ["ArrowUp", "up"],
  ["ArrowDown", "down"],
  ["PageUp", "pageup"],
  ["PageDown", "pagedown"],
  ["Home", "first"],
  ["End", "last"],
  ["j", "next"],
  ["k", "previous"],
]);

/** @type {Map<string, (target: Element) => void>} */
const COMMANDS = new Map([
  ["Enter", openExample],
  [" ", () => state.active >= 0 && toggleSelected([state.active])],
  ["d", () => decide(chosenExamples(), "drop")],
  ["r", () => decide(chosenExamples(), "relabel")],
  ["c", () => decide(chosenExamples(), "keep")],
  ["u", () => unmark(chosenExamples())],
  ["s", reshuffle],
  ["m", () => change({ deciding: !state.deciding })],
  ["/", () => byId("query", HTMLInputElement).focus()],
  ["?", toggleHelp],
  ...views.map(([view], k) => /** @type {[string, () => void]} */ ([String(k + 1), () => change({ view })])),
]);

/**
 * The example with the focus, or else the active one.
 * @param {Element} target
 */
function openExample(target) {
  const focused = /** @type {HTMLElement | null} */ (target.closest("[data-i][tabindex]"));
  if (focused) change({ active: Number(focused.dataset.i), open: true });
  else if (state.active >= 0) change({ open: true });
}

/** @param {KeyboardEvent} event */
export function pressKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.target instanceof Element)) return;
  const isTyping = event.target.closest("input, textarea, select") !== null;
  if (event.key === "Escape") return leave(isTyping);
  if (isTyping || (event.target.closest("button, summary") && [" ", "Enter"].includes(event.key))) return;
  const move = MOVES.get(event.key);
  const command = COMMANDS.get(event.key);
  if (!move && !command) return;
  event.preventDefault();
  if (move) moveCursor(move, event.shiftKey);
  else command?.(event.target);
}

/**
 * Leaves one thing at a time: a field, the help, the panel, the selection.
 * @param {boolean} isTyping
 */
function leave(isTyping) {
  if (isTyping) return stage.focus();
  if (isHelpOpen()) return toggleHelp();
  if (!state.open && !state.deciding) return change({ selected: new Set() });
  change({ open: false, deciding: false });
  stage.focus();
}
