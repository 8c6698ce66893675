// ---- keys: everything that can be done without a mouse, and the page that says so

const MOVES = {
  ArrowLeft: "previous",
  ArrowRight: "next",
  ArrowUp: "up",
  ArrowDown: "down",
  PageUp: "pageup",
  PageDown: "pagedown",
  Home: "first",
  End: "last",
  j: "next",
  k: "previous",
};

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input, textarea, select");
  if (event.key === "Escape") return void escape(typing);
  if (typing || (event.target.closest("button, summary") && [" ", "Enter"].includes(event.key))) return;
  if (MOVES[event.key]) return void (event.preventDefault(), move(MOVES[event.key], event.shiftKey));
  const chosen = state.selected.size ? [...state.selected] : state.active >= 0 ? [state.active] : [];
  const tabbed = event.target.closest("[data-i][tabindex]");
  const keys = {
    Enter: () =>
      tabbed ? change({ active: Number(tabbed.dataset.i), open: true }) : state.active >= 0 && change({ open: true }),
    " ": () => state.active >= 0 && toggleSelected([state.active]),
    d: () => decide(chosen, "drop"),
    r: () => decide(chosen, "relabel"),
    c: () => decide(chosen, "keep"),
    u: () => unmark(chosen),
    s: reshuffle,
    m: () => change({ deciding: !state.deciding }),
    "/": () => $("query").focus(),
    "?": () => help(),
  };
  views().forEach(([name], k) => (keys[k + 1] = () => change({ view: name })));
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
}

function move(where, extend) {
  const next = neighbourInView(where);
  if (next < 0) return;
  if (!extend) return change({ active: next });
  const from = state.active < 0 ? next : state.active;
  change({ active: next, selected: new Set([...state.selected, ...between(from, next)]) });
}

/** Leaves one thing at a time: a field, the help, the panel, the selection. */
function escape(typing) {
  if (typing) return stage.focus();
  if (!$("help").hidden) return help();
  if (state.open || state.deciding) return (change({ open: false, deciding: false }), stage.focus());
  change({ selected: new Set() });
}

const KEYS = [
  ["← ↑ → ↓  j k", "move"],
  ["PgUp PgDn Home End", "move far"],
  ["Enter", "the whole row of an example"],
  ["Esc", "close, then clear the selection"],
  ["Space", "select; with Shift and arrows, several"],
  ["d r c", "mark: drop, relabel, keep"],
  ["u", "undo a mark"],
  ["m", "the decisions"],
  ["s", "shuffle again"],
  ["/", "filter"],
  ["1 … 5", "the views"],
  ["?", "this"],
];
const LANGUAGE = [
  ["outlier > 4 and class = cat", "numbers and texts; and, or, not, ( )"],
  ['class != "ice cream"', "quotes around blanks"],
  ["id contains 3fa", "a part of it, any case"],
  ["class in (cat, dog)", "one of several"],
  ["missing(near_ratio)", "no number, or an empty text"],
  ["near_label != label", "two columns"],
  ["`a b` < 3", "a name with blanks"],
  ["horse", "a lone word: any text column"],
];

function help() {
  const node = $("help");
  node.hidden = !node.hidden;
  $("show-help").setAttribute("aria-expanded", String(!node.hidden));
  if (node.hidden) return stage.focus();
  const rows = (pairs, tag) =>
    el(
      "dl",
      {},
      pairs.map(([a, b]) => el("div", {}, el("dt", {}, el(tag, {}, a)), el("dd", {}, b))),
    );
  const address = el("input", {
    id: "address",
    type: "text",
    value: `#${written()}`,
    spellcheck: "false",
    on: { change: (event) => change(read(event.target.value)) },
  });
  node.replaceChildren(
    el(
      "header",
      {},
      el("h2", {}, "Keys"),
      icon("×", "Close", () => help()),
    ),
    rows(KEYS, "kbd"),
    el("h2", {}, "The filter"),
    rows(LANGUAGE, "code"),
    el(
      "p",
      {},
      "Nothing compares with a missing number. Drag over a histogram to filter by it; click a bar to choose it.",
    ),
    el("h2", {}, "This view"),
    el("label", { for: "address" }, "Its address; paste another to go there"),
    address,
    el("h2", {}, "Columns"),
    el(
      "dl",
      { class: "columns" },
      columns.map((column) =>
        el("div", {}, el("dt", {}, el("code", {}, cut(column.name, 60))), el("dd", {}, cut(column.meaning, 300))),
      ),
    ),
  );
  node.querySelector("button").focus();
}
