// ---- marks: what a person decides, as lines for decisions.csv. A decision needs a reason; one without has no line yet.

const ACTIONS = { drop: "drop", relabel: "relabel", keep: "keep" };
const LISTED = 300; // marks with a field of their own; all of them have their lines
let reason = ""; // what the next marks get

function mark(examples, action, label = "") {
  for (const i of examples)
    state.marks.set(i, { action: ACTIONS[action], label, reason: state.marks.get(i)?.reason || reason });
  marked();
}

function unmark(examples) {
  for (const i of examples) state.marks.delete(i);
  marked();
}

function marked() {
  $("marked").textContent = state.marks.size;
  redress();
  drawPanel();
  remember();
}

/** Marks, or first asks for the class where the action is to relabel. */
function decide(examples, action) {
  if (!examples.length) return;
  if (action !== "relabel") return mark(examples, action);
  if (!payload.classes.length) return notice("There are no class names to choose from: this set has none.");
  const panel = $("panel");
  const [i] = examples;
  const start = contradicted(i) ? value(roles.suggested, i) : state.marks.get(i)?.label || labelOf(i);
  const select = el("select", { id: "relabel", "aria-label": "New label" });
  fill(
    select,
    { "": payload.classes.map((name) => [name, name]) },
    payload.classes.includes(start) ? start : payload.classes[0],
  );
  const leave = () => (form.remove(), stage.focus());
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
    el(
      "label",
      {},
      `Relabel ${examples.length === 1 ? cut(idOf(i), 24) : count(examples.length, "example")} to `,
      select,
    ),
    el("button", { type: "submit" }, "Relabel"),
    button("Cancel", leave, { type: "button" }),
  );
  document.querySelector("form.relabel")?.remove();
  (panel.hidden ? document.body : panel).prepend(form);
  form.classList.toggle("floating", panel.hidden);
  select.focus();
}

// ---- the lines

/** A cell as Python's csv module reads it back. */
function quoted(cell) {
  return /[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function lines() {
  const ready = [...state.marks].filter(([, { reason }]) => reason.trim());
  const rows = ready.map(([i, { action, label, reason }]) =>
    [idOf(i), action, label, reason.trim()].map(quoted).join(","),
  );
  return ["id,action,label,reason", ...rows].join("\n") + "\n";
}

function drawDecisions(panel) {
  const why = el("input", {
    id: "reason",
    type: "text",
    value: reason,
    placeholder: "e.g. blurred beyond recognition",
    autocomplete: "off",
  });
  const output = el("textarea", {
    id: "lines",
    readonly: true,
    rows: 10,
    wrap: "off",
    spellcheck: "false",
    "aria-label": "Lines for decisions.csv",
  });
  const list = el("ul", { class: "marks" });
  const told = el("p", { class: "told", role: "status" });
  const warned = el("p", { class: "guard" });
  const waiting = () => [...state.marks.values()].filter((m) => !m.reason.trim()).length;
  const refresh = () => {
    output.value = lines();
    const risky = [...state.marks].filter(([i, { action }]) => action !== "keep" && guarded(i)).length;
    warned.hidden = !risky;
    if (risky) warned.textContent = `${risky} of them ${roles.guarded.name}: ${roles.guarded.meaning}.`;
    if (!state.marks.size) told.textContent = "Nothing is marked. On an example: d drop, r relabel, c keep.";
    else if (waiting())
      told.textContent = `${waiting()} of ${count(state.marks.size, "mark")} without a reason: no line yet.`;
    else
      told.textContent = `${count(state.marks.size, "line")} for decisions.csv: select, copy, paste below its header.`;
  };
  why.addEventListener("input", () => ((reason = why.value), remember()));
  const give = (all) => {
    for (const m of state.marks.values()) if (all || !m.reason.trim()) m.reason = reason;
    drawPanel();
    remember();
  };
  why.addEventListener("keydown", (event) => event.key === "Enter" && give(false));
  for (const [i, m] of [...state.marks].slice(0, LISTED)) {
    const id = cut(idOf(i), 24);
    const write = (event) => {
      m.reason = event.target.value;
      refresh();
      remember();
    };
    const field = el("input", {
      type: "text",
      value: m.reason,
      placeholder: "reason",
      "aria-label": `Reason for ${id}`,
      on: { input: write },
    });
    list.append(
      el(
        "li",
        { "data-mark": m.action },
        pictured ? tile(i, 32, { cursor: false, caption: "" }) : null,
        el(
          "div",
          {},
          el("code", {}, id),
          foreign(m.action === "relabel" ? `relabel to ${m.label}` : m.action, 50),
          field,
        ),
        icon("×", `Undo the mark of ${id}`, () => unmark([i])),
      ),
    );
  }
  const chosen = state.selected.size ? [...state.selected] : Array.from(passing);
  const ids = el("textarea", { id: "ids", readonly: true, rows: 3, spellcheck: "false", "aria-label": "Ids to copy" });
  ids.value = chosen.map(idOf).join("\n");
  refresh();
  panel.replaceChildren(
    el(
      "header",
      {},
      el("h2", {}, "Decisions"),
      icon("×", "Close", () => change({ deciding: false })),
    ),
    el("label", { for: "reason" }, "Reason for the next marks"),
    why,
    el(
      "div",
      { class: "acts" },
      button("Give to those without", () => give(false)),
      button("Give to all", () => give(true)),
    ),
    told,
    warned,
    output,
    el(
      "div",
      { class: "acts" },
      button("Select the lines", () => output.select()),
      state.marks.size ? button("Undo all", () => unmark([...state.marks.keys()])) : null,
    ),
    list,
    el(
      "section",
      { class: "strip" },
      el("h2", {}, `Ids of the ${whole(chosen.length)} ${state.selected.size ? "selected" : "that pass"}`),
      ids,
    ),
  );
}
