// ---- plots: a histogram or bars for each chosen column. Strong: what passes all other filters. Faint: what as many
// examples drawn evenly from the whole gallery would give, so that a difference in shape is a difference of the examples.

const plots = new Map(); // name -> {node, update}
const WIDE = 240; // the drawing's own units
const HIGH = 46;
const MANY = 40; // bars of a categorical column that are drawn

function drawPlots() {
  for (const [name, plot] of plots) {
    if (state.plots.includes(name)) continue;
    plot.node.remove();
    plots.delete(name);
  }
  for (const name of state.plots) {
    if (!plots.has(name)) plots.set(name, makePlot(byName.get(name)));
    $("plotted").append(plots.get(name).node);
  }
  const rest = columns.filter((column) => !state.plots.includes(column.name));
  const pairs = (kinds) =>
    rest.filter((column) => kinds.includes(column.kind)).map((column) => [column.name, column.name]);
  fill(
    $("add"),
    { "": [["", "another column …"]], numbers: pairs(["number"]), "yes or no, text": pairs(["flag", "text"]) },
    "",
  );
}

function updatePlots() {
  for (const plot of plots.values()) plot.update();
}

function makePlot(column) {
  const body = column.kind === "number" ? histogram(column) : bars(column);
  const hide = () => change({ plots: state.plots.filter((name) => name !== column.name) });
  const close = icon("×", `Hide ${cut(column.name, 60)}`, hide);
  const node = el(
    "section",
    { class: "plot", "data-column": column.name, "aria-label": cut(column.name, 60) },
    el("header", {}, el("h2", { title: cut(column.meaning, 300) }, cut(column.name, 60)), body.tools, close),
    body.node,
  );
  return { node, update: body.update };
}

function clearing(column) {
  const node = icon("↺", `Clear the choice of ${cut(column.name, 60)}`, () =>
    change({ brushes: [[column.name, null]] }),
  );
  node.classList.add("clear");
  return node;
}

// ---- numbers

function histogram(column) {
  const b = bins(column);
  const total = counts(b, () => true);
  const all = el("svg:path", { class: "all" });
  const now = el("svg:path", { class: "now" });
  const gaps = el("svg:path", { class: "break" });
  const brush = el("svg:rect", { class: "brush", y: 0, height: HIGH, hidden: true });
  const drawing = el(
    "svg:svg",
    { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", "aria-hidden": true },
    all,
    brush,
    now,
    gaps,
  );
  const from = field("from");
  const to = field("to");
  const none = button("", toggleNone, { class: "none", hidden: !total.none, title: "no number: missing or infinite" });
  const clear = clearing(column);

  function field(which) {
    return el("input", {
      type: "text",
      inputmode: "decimal",
      spellcheck: "false",
      "aria-label": `${cut(column.name, 60)} ${which}`,
      on: { change: typed },
    });
  }

  function typed() {
    const end = (input, otherwise) =>
      input.value.trim() === "" ? otherwise : Number(input.value.replaceAll(",", "").replace("−", "-"));
    const [low, high] = [end(from, -Infinity), end(to, Infinity)];
    if (Number.isNaN(low) || Number.isNaN(high)) return update();
    brushed(low === -Infinity && high === Infinity ? null : { from: low, to: high, none: false });
  }

  function toggleNone() {
    const old = state.brushes.get(column.name);
    if (!old) brushed({ from: NaN, to: NaN, none: true });
    else brushed(Number.isNaN(old.from) ? null : { ...old, none: !old.none });
  }

  const brushed = (range) => change({ brushes: [[column.name, range]] });
  dragging(
    drawing,
    (a, z) => brushed(range(b, Math.min(a, z), Math.max(a, z))),
    () => brushed(null),
  );

  function update() {
    const counted = counts(b, passesBut(column.name));
    const chosen = state.brushes.get(column.name);
    const expected = evenly(total.bars, counted.bars);
    const { highest, broken } = heights(expected.map((n, k) => Math.max(n, counted.bars[k])));
    all.setAttribute("d", skyline(expected, highest));
    now.setAttribute("d", skyline(counted.bars, highest));
    gaps.setAttribute("d", broken.map((k) => `M${(k * WIDE) / b.n} 9l${WIDE / b.n} -4`).join(""));
    none.textContent = `missing ${counted.none.toLocaleString("en")}`;
    none.setAttribute("aria-pressed", String(Boolean(chosen?.none)));
    clear.hidden = !chosen;
    const ranged = chosen && !Number.isNaN(chosen.from);
    brush.toggleAttribute("hidden", !ranged);
    if (ranged) {
      const x = (v) => clamp(((v - b.low) / (b.high - b.low)) * WIDE, 0, WIDE);
      const half = b.whole ? 0.5 : 0;
      const [left, right] = [x(chosen.from - half), x(chosen.to + half)];
      brush.setAttribute("x", left);
      brush.setAttribute("width", Math.max(1.5, right - left));
    }
    // the ends of the axis where nothing is chosen: what could be typed instead
    const ends = [sorted(column)[0] ?? NaN, sorted(column).at(-1) ?? NaN];
    from.value = ranged && chosen.from > -Infinity ? exact(chosen.from) : "";
    to.value = ranged && chosen.to < Infinity ? exact(chosen.to) : "";
    from.placeholder = number(ends[0]);
    to.placeholder = number(ends[1]);
  }

  const node = el(
    "div",
    { class: "histogram" },
    el(
      "div",
      {
        class: `drawing${b.under ? " under" : ""}${b.over ? " over" : ""}`,
        title: b.under || b.over ? "an end bin stands for all values beyond it" : null,
      },
      drawing,
    ),
    el("div", { class: "ends" }, from, none, to),
  );
  return { node, tools: clear, update };
}

/** All digits that a float32 has: what is read back from a field must be what was put there. */
const exact = (x) => String(Number(x.toPrecision(8)));

/** Bins a to z as a range: an end bin that stands for all beyond it has no end of its own. */
function range(b, a, z) {
  const width = (b.high - b.low) / b.n;
  let [from, to] = [b.low + a * width, b.low + (z + 1) * width];
  if (b.whole) [from, to] = [Math.ceil(from), Math.floor(to)];
  const digits = clamp(2 - Math.floor(Math.log10(width)), 0, 12); // finer than a bin, coarse enough to read
  if (!b.whole)
    [from, to] = [Math.floor(from * 10 ** digits) / 10 ** digits, Math.ceil(to * 10 ** digits) / 10 ** digits];
  return { from: b.under && a === 0 ? -Infinity : from, to: b.over && z === b.n - 1 ? Infinity : to, none: false };
}

function counts(b, test) {
  const bars = new Uint32Array(b.n);
  let none = 0;
  for (let i = 0; i < SHOWN; i++) {
    if (!test(i)) continue;
    const k = b.at(i);
    if (k < 0) none++;
    else bars[k]++;
  }
  return { bars, none };
}

/** The counts of the whole, scaled to the sum of a part. */
function evenly(whole, part) {
  const sum = (counts) => counts.reduce((a, b) => a + b, 0);
  const share = sum(part) / Math.max(1, sum(whole));
  return Array.from(whole, (n) => n * share);
}

/** The count that stands at full height. One bin that towers over the others is cut short, and drawn with a break. */
function heights(bars) {
  const [first, second = 0] = Array.from(bars).sort((a, b) => b - a);
  if (first <= 4 * second || second < 3) return { highest: Math.max(1, first), broken: [] };
  return { highest: 1.4 * second, broken: [bars.indexOf(first)] };
}

/** The bars as one path. A bin with anything in it is at least a pixel high: single outliers stay visible. */
function skyline(bars, highest) {
  const width = WIDE / bars.length;
  const gap = bars.length > 1 ? Math.min(1, width * 0.2) : 0;
  return Array.from(bars, (n, k) => {
    if (!n) return "";
    const height = clamp((n / highest) * (HIGH - 2), 1.5, HIGH - 2);
    return `M${(k * width).toFixed(2)} ${HIGH}v${-height.toFixed(2)}h${(width - gap).toFixed(2)}v${height.toFixed(2)}z`;
  }).join("");
}

/** Pointer drag over a drawing of bins: `select(first, last)` while it moves, `clear` for a click on what is chosen. */
function dragging(drawing, select, clear) {
  let start = null;
  let moved = false;
  const share = (event) => {
    const box = drawing.getBoundingClientRect();
    return clamp((event.clientX - box.left) / box.width, 0, 0.999999);
  };
  const bin = (event) => Math.floor(share(event) * plotBins(drawing));
  drawing.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    start = bin(event);
    moved = false;
    drawing.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  let waiting = 0;
  drawing.addEventListener("pointermove", (event) => {
    if (start === null || (bin(event) === start && !moved)) return;
    moved = true;
    const [a, z] = [start, bin(event)];
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => select(a, z));
  });
  drawing.addEventListener("pointerup", (event) => {
    if (start === null) return;
    cancelAnimationFrame(waiting);
    const name = drawing.closest(".plot").dataset.column;
    if (moved || !state.brushes.has(name)) select(start, bin(event));
    else clear();
    start = null;
    toGallery(); // keys go to the gallery again, not to the field they went to before
  });
  drawing.addEventListener("pointercancel", () => (start = null));
}

const plotBins = (drawing) => bins(byName.get(drawing.closest(".plot").dataset.column)).n;

// ---- categories

function bars(column) {
  const { names, of } = categories(column);
  const count = (test) => {
    const found = new Uint32Array(names.length);
    for (let i = 0; i < SHOWN; i++) if (test(i)) for (const k of of(i)) found[k]++;
    return found;
  };
  const total = count(() => true);
  const inOrder = column === roles.label || column === roles.suggested || column.kind === "flag";
  const shown = names.map((_, k) => k).filter((k) => total[k]);
  if (!inOrder) shown.sort((a, b) => total[b] - total[a]);
  const rest = shown.splice(MANY);
  const rows = shown.map((k) => {
    const now = el("i", { class: "now" });
    const all = el("i", { class: "all" });
    const number = el("span", { class: "n" });
    const name = nameOfCategory(names[k]);
    const content = [foreign(name, 60), el("span", { class: "rail" }, all, now), number];
    const node = button(content, () => toggle(names[k]), { class: "bar", title: cut(name, 300) });
    return { k, node, all, now, number };
  });
  const clear = clearing(column);

  function toggle(name) {
    const chosen = new Set(state.brushes.get(column.name)?.names);
    if (!chosen.delete(name)) chosen.add(name);
    change({ brushes: [[column.name, chosen.size ? { names: chosen } : null]] });
  }

  function update() {
    const counted = count(passesBut(column.name));
    const chosen = state.brushes.get(column.name)?.names;
    clear.hidden = !chosen;
    const expected = evenly(total, counted);
    const highest = expected.reduce((most, n, k) => Math.max(most, n, counted[k]), 1e-9);
    for (const { k, node, all, now, number } of rows) {
      all.style.width = `${(100 * expected[k]) / highest}%`;
      now.style.width = `${(100 * counted[k]) / highest}%`;
      now.hidden = !counted[k];
      number.textContent = counted[k].toLocaleString("en");
      node.setAttribute("aria-pressed", String(Boolean(chosen?.has(names[k]))));
      node.classList.toggle("out", Boolean(chosen) && !chosen.has(names[k]));
    }
  }

  const more = rest.length
    ? el(
        "p",
        { class: "more" },
        `and ${rest.length.toLocaleString("en")} more different values; find one by ${cut(column.name, 30)} = "…"`,
      )
    : null;
  return {
    node: el(
      "div",
      { class: "bars", role: "group" },
      rows.map((row) => row.node),
      more,
    ),
    tools: clear,
    update,
  };
}
