// The button that removes the brush of a column.

import { change } from "./change.js";
import { icon } from "./dom.js";
import { cut } from "./formatting.js";

/** @param {string} name of the column */
export function clearButton(name) {
  const node = icon("↺", `Clear the filter on ${cut(name, 60)}`, () => change({ brushes: [[name, null]] }));
  node.classList.add("clear");
  return node;
}
