// The given label of an example, and the suggested one where it is another.

import { isContradicted, labelOf, suggestedOf } from "./data.js";
import { el, foreign } from "./dom.js";
import { categoryName } from "./formatting.js";

/** @param {number} i @param {number} limit characters of a label */
export function labelChange(i, limit) {
  const suggested = isContradicted(i) && [el("span", { class: "to" }, "→"), foreign(suggestedOf(i), limit, "b")];
  return el("p", { class: "change" }, foreign(categoryName(labelOf(i)), limit), suggested);
}
