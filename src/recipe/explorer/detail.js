// ---- detail: one example with everything that is known of it, and where it stands among the others

function drawPanel() {
  const panel = $("panel");
  const wanted = state.open && state.active >= 0 ? "example" : state.deciding ? "decisions" : "";
  document.body.dataset.panel = wanted;
  panel.setAttribute("aria-label", wanted === "decisions" ? "Decisions" : "Example");
  $("show-marks").setAttribute("aria-expanded", String(wanted === "decisions"));
  redrawn(panel, () => {
    panel.hidden = !wanted;
    if (wanted === "example") panel.replaceChildren(...example(state.active));
    if (wanted === "decisions") drawDecisions(panel);
  });
}

function example(i) {
  const close = icon("×", "Close", () => change({ open: false }));
  return [
    el(
      "header",
      {},
      el("code", { class: "id" }, idOf(i)),
      i >= SHOWN ? el("small", {}, "a neighbour, not in the gallery") : null,
      close,
    ),
    payload.pictures ? portrait(i) : null,
    payload.text
      ? el("blockquote", { class: "t", dir: "auto", tabindex: 0 }, value(byName.get("text"), i) || "(empty)")
      : null,
    roles.label ? labels(i, 60) : null,
    deciding(i),
    strip(payload.neighbours?.are, neighboursOf(i), i),
    strip(
      "Duplicates",
      roles.group ? (duplicateGroups().get(roles.group.values[i]) ?? []).filter((other) => other !== i) : [],
      i,
    ),
    el(
      "dl",
      { class: "facts" },
      columns.filter((column) => column.name !== "text").map((column) => fact(column, i)),
    ),
  ].filter(Boolean);
}

const contradicted = (i) => roles.suggested && !missing(roles.suggested, i) && value(roles.suggested, i) !== labelOf(i);

/** The given label, and the suggested one where it is another. */
function labels(i, most) {
  const suggested = contradicted(i) && [
    el("span", { class: "to" }, "→"),
    foreign(value(roles.suggested, i), most, "b"),
  ];
  return el("p", { class: "change" }, foreign(nameOfCategory(labelOf(i)), most), suggested);
}

function portrait(i) {
  const canvas = el("canvas", {
    class: "portrait",
    "data-i": i,
    role: "img",
    "aria-label": `picture of ${cut(idOf(i), 60)}`,
  });
  drawThumbnail(canvas, i);
  return canvas;
}

function deciding(i) {
  const made = state.marks.get(i);
  const offer = (action, text, key) => {
    const properties = { "data-act": action, "aria-pressed": String(made?.action === action) };
    return button([text, el("kbd", {}, key)], () => decide([i], action), properties);
  };
  return el(
    "div",
    { class: "acts", role: "group", "aria-label": "Decision" },
    offer("drop", "Drop ", "d"),
    offer("relabel", "Relabel ", "r"),
    offer("keep", "Keep ", "c"),
    made ? button(["Undo ", el("kbd", {}, "u")], () => unmark([i])) : null,
    made?.action === "relabel" ? foreign(`to ${made.label}`, 40) : null,
    guarded(i) ? el("p", { class: "guard" }, `${roles.guarded.name}: ${roles.guarded.meaning}.`) : null,
  );
}

/** Whether a decision about the example comes with a warning. */
const guarded = (i) => Boolean(roles.guarded) && roles.guarded.values[i] === 1;

function strip(heading, examples, of) {
  if (!examples.length || (of >= SHOWN && examples.every((other) => other < 0))) return null;
  const differs = (other) => other >= 0 && labelOf(other) !== labelOf(of);
  const tiles = examples.slice(0, 24).map((other) => companion(other, 56, differs(other)));
  const differ = examples.filter(differs).length;
  return el(
    "section",
    { class: "strip" },
    el("h2", {}, heading, differ ? el("small", {}, `${differ} with another label`) : null),
    el("div", { class: "set" }, tiles),
  );
}

/** A column of the example: name, value, its place in the distribution, what the column means. */
function fact(column, i) {
  const shown = show(column, i);
  const plot = () => change({ plots: [...new Set([column.name, ...state.plots])] });
  return el(
    "div",
    {},
    el("dt", {}, button(cut(column.name, 60), plot, { class: "t", title: "Show the distribution of this column" })),
    el("dd", { class: column.kind === "number" ? "n" : "t" }, shown.length > 300 ? `${shown.slice(0, 300)}…` : shown),
    el("dd", { class: "where" }, column.kind === "number" ? smallHistogram(column, i) : share(column, i)),
    column.meaning ? el("dd", { class: "meaning" }, cut(column.meaning, 400)) : null,
  );
}

function smallHistogram(column, i) {
  const b = bins(column);
  b.total ??= counts(b, () => true).bars;
  const { highest } = heights(b.total);
  const x = value(column, i);
  const bin = b.at(i);
  const at = bin < 0 ? 0 : ((bin + 0.5) / b.n) * WIDE;
  const rank = Number.isFinite(x) && sorted(column).length > 1 ? `${Math.round(100 * standing(column, x))} %` : "";
  return [
    el(
      "svg:svg",
      { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", "aria-hidden": true },
      el("svg:path", { class: "all", d: skyline(b.total, highest) }),
      bin < 0 ? null : el("svg:path", { class: "tick", d: `M${at.toFixed(1)} 0V${HIGH}` }),
    ),
    el("small", { title: "share of the examples that lie below" }, rank),
  ];
}

function share(column, i) {
  if (i >= SHOWN) return null;
  const { names, of } = categories(column);
  if (!column.shares) {
    column.shares = new Uint32Array(names.length);
    for (let row = 0; row < SHOWN; row++) for (const k of of(row)) column.shares[k]++;
  }
  const n = Math.min(...of(i).map((k) => column.shares[k]));
  if (n === 1) return el("small", {}, "only here");
  return [
    el("span", { class: "rail" }, el("i", { class: "now", style: `width:${(100 * n) / SHOWN}%` })),
    el("small", {}, percent(n / SHOWN)),
  ];
}
