// Decisions, and the form for a new label: one of the classes, any of the labels, or a number for each quantity.

import { byName, idOf, isContradicted, labelOf, payload, suggestedOf } from "./data.js";
import { button, byId, el, existing, fillSelect } from "./dom.js";
import { stage } from "./focus.js";
import { counted, cut, exactNumber } from "./formatting.js";
import { mark } from "./marks.js";
import { showMessage } from "./message.js";
import { state } from "./state.js";

/** @import { Action } from "./types" */
/** @typedef {{ nodes: HTMLElement[], read: () => string }} Fields what the form shows, and the label that it holds */

const LABEL_JOINT = "; "; // as recipe.tasks.labels joins the names of labels
const NUMBER_JOINT = ";"; // and numbers

/**
 * Marks; where the action is to relabel, after the new label is entered.
 * @param {number[]} examples
 * @param {Action} action
 */
export function decide(examples, action) {
  if (!examples.length) return;
  if (action !== "relabel") return mark(examples, action);
  if (!payload.classes.length) return showMessage("This data set has no names to choose from.");
  openForm(examples);
}

/**
 * The label that the form begins with: that of an earlier decision, else the suggested one, else the given one. A
 * prediction does not replace a measured number.
 * @param {number} i
 */
function proposedLabel(i) {
  const marked = state.marks.get(i);
  if (marked?.action === "relabel") return marked.label;
  if (payload.entry === "number") return payload.measured.map((name) => measuredText(name, i)).join(NUMBER_JOINT);
  return isContradicted(i) ? suggestedOf(i) : labelOf(i);
}

/** @param {string} name @param {number} i */
function measuredText(name, i) {
  const column = existing(byName.get(name));
  return column.type === "f4" ? exactNumber(column.values[i]) : String(column.values[i]);
}

/** @param {string} proposed @returns {Fields} */
function classField(proposed) {
  const select = el("select", { id: "relabel", "aria-label": "New label" });
  const chosen = payload.classes.includes(proposed) ? proposed : payload.classes[0];
  fillSelect(select, { "": payload.classes.map((name) => [name, name]) }, chosen);
  return { nodes: [select], read: () => payload.classes[select.selectedIndex] };
}

/** @param {string} proposed @returns {Fields} */
function labelFields(proposed) {
  const given = new Set(proposed.split(LABEL_JOINT.trim()).map((name) => name.trim()));
  const boxes = payload.classes.map((name) => el("input", { type: "checkbox", checked: given.has(name) }));
  const names = boxes.map((box, k) => el("label", { class: "t" }, box, " ", cut(payload.classes[k], 40)));
  const read = () => payload.classes.filter((_, k) => boxes[k].checked).join(LABEL_JOINT);
  return { nodes: [el("fieldset", { "aria-label": "New labels" }, names)], read };
}

/** @param {string} proposed @returns {Fields} */
function numberFields(proposed) {
  const values = proposed.split(NUMBER_JOINT);
  const fields = payload.classes.map((name, k) =>
    el("input", { type: "number", step: "any", required: true, value: values[k] ?? "", "aria-label": cut(name, 60) }),
  );
  const nodes = fields.map((field, k) => el("label", { class: "t" }, cut(payload.classes[k], 40), " ", field));
  return { nodes, read: () => fields.map((field) => field.value).join(NUMBER_JOINT) };
}

/**
 * The form for a new label of these examples.
 * @param {number[]} examples
 */
function openForm(examples) {
  const panel = byId("panel", HTMLElement);
  const [i] = examples;
  const { nodes, read } = { one: classField, any: labelFields, number: numberFields }[payload.entry](proposedLabel(i));
  const leave = () => (form.remove(), stage.focus());
  const examplesText = examples.length === 1 ? cut(idOf(i), 24) : counted(examples.length, "example");
  const form = el(
    "form",
    {
      class: "relabel",
      on: {
        submit: (event) => {
          event.preventDefault();
          const label = read();
          leave();
          mark(examples, "relabel", label);
        },
        keydown: (event) => {
          event.stopPropagation();
          if (event.key === "Escape") leave();
          if (event.key !== "Enter" || event.target instanceof HTMLButtonElement) return;
          event.preventDefault();
          form.requestSubmit();
        },
      },
    },
    el("span", {}, `Relabel ${examplesText} to `),
    nodes,
    el("button", { type: "submit" }, "Relabel"),
    button("Cancel", leave, { type: "button" }),
  );
  document.querySelector("form.relabel")?.remove();
  (panel.hidden ? document.body : panel).prepend(form);
  form.classList.toggle("floating", panel.hidden);
  const field = form.querySelector("select, input");
  if (field instanceof HTMLElement) field.focus();
  if (field instanceof HTMLInputElement && field.type === "number") field.select();
}
