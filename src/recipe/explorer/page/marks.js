// Marks: what the user decides about examples.

import { change } from "./change.js";
import { idOf, isContradicted, labelOf, payload, suggestedOf } from "./data.js";
import { button, byId, el, fillSelect } from "./dom.js";
import { stage } from "./focus.js";
import { counted, cut } from "./formatting.js";
import { showMessage } from "./message.js";
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

/**
 * Marks; where the action is to relabel, after a choice of the class.
 * @param {number[]} examples
 * @param {Action} action
 */
export function decide(examples, action) {
  if (!examples.length) return;
  if (action !== "relabel") return mark(examples, action);
  if (!payload.classes.length) return showMessage("This data set has no class names to choose from.");
  chooseClass(examples);
}

/**
 * A form with the classes.
 * @param {number[]} examples
 */
function chooseClass(examples) {
  const panel = byId("panel", HTMLElement);
  const [i] = examples;
  const proposed = isContradicted(i) ? suggestedOf(i) : state.marks.get(i)?.label || labelOf(i);
  const select = el("select", { id: "relabel", "aria-label": "New label" });
  fillSelect(
    select,
    { "": payload.classes.map((name) => [name, name]) },
    payload.classes.includes(proposed) ? proposed : payload.classes[0],
  );
  const leave = () => (form.remove(), stage.focus());
  const examplesText = examples.length === 1 ? cut(idOf(i), 24) : counted(examples.length, "example");
  const form = el(
    "form",
    {
      class: "relabel",
      on: {
        submit: (event) => {
          event.preventDefault();
          const label = payload.classes[select.selectedIndex];
          leave();
          mark(examples, "relabel", label);
        },
        keydown: (event) => {
          event.stopPropagation();
          if (event.key === "Escape") leave();
          if (event.key === "Enter") form.requestSubmit();
        },
      },
    },
    el("label", {}, `Relabel ${examplesText} to `, select),
    el("button", { type: "submit" }, "Relabel"),
    button("Cancel", leave, { type: "button" }),
  );
  document.querySelector("form.relabel")?.remove();
  (panel.hidden ? document.body : panel).prepend(form);
  form.classList.toggle("floating", panel.hidden);
  select.focus();
}
