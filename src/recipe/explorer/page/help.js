// The help: keys, the language of the filter, the address of the view, the meaning of each column.

import { currentFragment, parseFragment } from "./address.js";
import { change } from "./change.js";
import { columns } from "./data.js";
import { byId, el, icon } from "./dom.js";
import { stage } from "./focus.js";
import { cut } from "./formatting.js";

const KEYS = [
  ["← ↑ → ↓  j k", "move the cursor"],
  ["PgUp PgDn Home End", "move it by a page, to an end"],
  ["Enter", "open the example: all its columns"],
  ["Esc", "close, then clear the selection"],
  ["Space", "select; with Shift and arrows, several"],
  ["d r c", "mark: drop, relabel, keep"],
  ["u", "undo a mark"],
  ["m", "show the decisions"],
  ["s", "shuffle again"],
  ["/", "go to the filter"],
  ["1 … 5", "change the view"],
  ["?", "show this help"],
];
const LANGUAGE = [
  ["outlier > 4 and class = cat", "numbers and texts; and, or, not, ( )"],
  ['class != "ice cream"', "quotes around text with blanks"],
  ["id contains 3fa", "part of a text, upper or lower case"],
  ["class in (cat, dog)", "one of several values"],
  ["missing(near_ratio)", "no number, or an empty text"],
  ["near_label != label", "a comparison of two columns"],
  ["`a b` < 3", "a column name with blanks"],
  ["horse", "a single word: search all text columns"],
];
const NOTE =
  "A comparison with a missing number is false. Drag over a histogram to filter by a range; click a bar to filter by " +
  "its value.";

const help = byId("help", HTMLElement);
const helpButton = byId("show-help", HTMLElement);

export const isHelpOpen = () => !help.hidden;

export function toggleHelp() {
  help.hidden = !help.hidden;
  helpButton.setAttribute("aria-expanded", String(!help.hidden));
  if (help.hidden) return stage.focus();
  help.replaceChildren(
    el("header", {}, el("h2", {}, "Keys"), icon("×", "Close", toggleHelp)),
    definitions(KEYS, "kbd"),
    el("h2", {}, "The filter"),
    definitions(LANGUAGE, "code"),
    el("p", {}, NOTE),
    el("h2", {}, "This view"),
    el("label", { for: "address" }, "The address of this view; paste another to go there"),
    addressField(),
    el("h2", {}, "Columns"),
    columnList(),
  );
  help.querySelector("button")?.focus();
}

/** @param {string[][]} pairs @param {"kbd" | "code"} tag */
function definitions(pairs, tag) {
  const rows = pairs.map(([term, meaning]) => el("div", {}, el("dt", {}, el(tag, {}, term)), el("dd", {}, meaning)));
  return el("dl", {}, rows);
}

function addressField() {
  const field = el("input", {
    id: "address",
    type: "text",
    value: `#${currentFragment()}`,
    spellcheck: "false",
    on: { change: () => change(parseFragment(field.value)) },
  });
  return field;
}

function columnList() {
  const rows = columns.map(({ name, meaning }) =>
    el("div", {}, el("dt", {}, el("code", {}, cut(name, 60))), el("dd", {}, cut(meaning, 300))),
  );
  return el("dl", { class: "columns" }, rows);
}
