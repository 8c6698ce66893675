// The plot of a column of numbers. A drag over it filters by a range, two fields hold the ends of the range.

import { bins, countBins, scaledToSum, sortedValues, wholeCounts } from "./bins.js";
import { change } from "./change.js";
import { clearButton } from "./clear-button.js";
import { button, el, svg } from "./dom.js";
import { passesWithout } from "./filter.js";
import { focusGallery } from "./focus.js";
import { clamp, cut, exactNumber, formatNumber } from "./formatting.js";
import { barScale, HEIGHT, skyline, VIEW_BOX, WIDTH } from "./skyline.js";
import { state } from "./state.js";

/** @import { Bins, NumberColumn, Plot, RangeBrush } from "./types" */

/** @param {NumberColumn} column @returns {RangeBrush | undefined} */
function brushOf(column) {
  const brush = state.brushes.get(column.name);
  return brush && !brush.names ? brush : undefined;
}

/** @param {NumberColumn} column @param {RangeBrush | null} brush */
const setRange = (column, brush) => change({ brushes: [[column.name, brush]] });

/** @param {NumberColumn} column @returns {Plot} */
export function histogram(column) {
  const b = bins(column);
  const drawing = createDrawing(column);
  const [from, to] = ["from", "to"].map((end) => rangeField(column, end, readRange));
  const none = button("", () => toggleNone(column), { class: "none", title: "no number: missing or infinite" });
  none.hidden = !wholeCounts(column).none;
  const clear = clearButton(column.name);

  function readRange() {
    const [low, high] = [typedNumber(from, -Infinity), typedNumber(to, Infinity)];
    if (Number.isNaN(low) || Number.isNaN(high)) return update();
    setRange(column, low === -Infinity && high === Infinity ? null : { from: low, to: high, none: false });
  }

  function update() {
    const counts = countBins(b, passesWithout(column.name));
    const brush = brushOf(column);
    const range = brush && !Number.isNaN(brush.from) ? brush : null;
    drawing.update(counts.bars, range);
    none.textContent = `missing ${counts.none.toLocaleString("en")}`;
    none.setAttribute("aria-pressed", String(Boolean(brush?.none)));
    clear.hidden = !brush;
    const ascending = sortedValues(column);
    from.value = range && range.from > -Infinity ? exactNumber(range.from) : "";
    to.value = range && range.to < Infinity ? exactNumber(range.to) : "";
    from.placeholder = formatNumber(ascending[0] ?? NaN);
    to.placeholder = formatNumber(ascending[ascending.length - 1] ?? NaN);
  }

  const beyond = b.under || b.over ? "an end bin also holds all values beyond it" : null;
  const node = el(
    "div",
    { class: "histogram" },
    el("div", { class: `drawing${b.under ? " under" : ""}${b.over ? " over" : ""}`, title: beyond }, drawing.node),
    el("div", { class: "ends" }, from, none, to),
  );
  return { node, tools: clear, update };
}

/** @param {NumberColumn} column */
function createDrawing(column) {
  const b = bins(column);
  const whole = wholeCounts(column).bars;
  const all = svg("path", { class: "all" });
  const now = svg("path", { class: "now" });
  const gaps = svg("path", { class: "break" });
  const brushed = svg("rect", { class: "brush", y: 0, height: HEIGHT, hidden: true });
  const node = svg("svg", VIEW_BOX, all, brushed, now, gaps);
  filterByDrag(node, column);
  /** @param {Uint32Array} counts @param {RangeBrush | null} range */
  function update(counts, range) {
    const expected = scaledToSum(whole, counts);
    const { highest, broken } = barScale(expected.map((n, k) => Math.max(n, counts[k])));
    all.setAttribute("d", skyline(expected, highest));
    now.setAttribute("d", skyline(counts, highest));
    gaps.setAttribute("d", broken.map((k) => `M${(k * WIDTH) / b.n} 9l${WIDTH / b.n} -4`).join(""));
    brushed.toggleAttribute("hidden", !range);
    if (!range) return;
    /** @param {number} value */
    const x = (value) => clamp(((value - b.low) / (b.high - b.low)) * WIDTH, 0, WIDTH);
    const half = b.whole ? 0.5 : 0;
    const [left, right] = [x(range.from - half), x(range.to + half)];
    brushed.setAttribute("x", String(left));
    brushed.setAttribute("width", String(Math.max(1.5, right - left)));
  }
  return { node, update };
}

/**
 * One end of the range.
 * @param {NumberColumn} column
 * @param {string} end
 * @param {() => void} read
 */
function rangeField(column, end, read) {
  return el("input", {
    type: "text",
    inputmode: "decimal",
    spellcheck: "false",
    "aria-label": `${cut(column.name, 60)} ${end}`,
    on: { change: read },
  });
}

/**
 * The number in a field; NaN where it holds something else.
 * @param {HTMLInputElement} field
 * @param {number} whenEmpty
 */
const typedNumber = (field, whenEmpty) =>
  field.value.trim() === "" ? whenEmpty : Number(field.value.replaceAll(",", "").replace("−", "-"));

/**
 * Whether rows without a finite number pass too.
 * @param {NumberColumn} column
 */
function toggleNone(column) {
  const brush = brushOf(column);
  if (!brush) setRange(column, { from: NaN, to: NaN, none: true });
  else setRange(column, Number.isNaN(brush.from) ? null : { ...brush, none: !brush.none });
}

/**
 * Bins a to z as a range: an end bin that also holds all values beyond it makes the range endless.
 * @param {Bins} b
 * @param {number} a
 * @param {number} z
 * @returns {RangeBrush}
 */
function binRange(b, a, z) {
  const width = (b.high - b.low) / b.n;
  let [from, to] = [b.low + a * width, b.low + (z + 1) * width];
  const digits = clamp(2 - Math.floor(Math.log10(width)), 0, 12); // finer than a bin, coarse enough to read
  if (b.whole) [from, to] = [Math.ceil(from), Math.floor(to)];
  else [from, to] = [Math.floor(from * 10 ** digits) / 10 ** digits, Math.ceil(to * 10 ** digits) / 10 ** digits];
  return { from: b.under && a === 0 ? -Infinity : from, to: b.over && z === b.n - 1 ? Infinity : to, none: false };
}

/**
 * A drag over the drawing sets the range while it moves; a click chooses a bin, or clears a range.
 * @param {SVGElement} drawing
 * @param {NumberColumn} column
 */
function filterByDrag(drawing, column) {
  const b = bins(column);
  /** @type {number | null} the bin where the drag began */
  let start = null;
  let moved = false;
  let waiting = 0;
  /** @param {number} a @param {number} z */
  const select = (a, z) => setRange(column, binRange(b, Math.min(a, z), Math.max(a, z)));
  /** @param {PointerEvent} event */
  const binAt = (event) => {
    const box = drawing.getBoundingClientRect();
    return Math.floor(clamp((event.clientX - box.left) / box.width, 0, 0.999999) * b.n);
  };
  drawing.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    start = binAt(event);
    moved = false;
    drawing.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  drawing.addEventListener("pointermove", (event) => {
    if (start === null || (binAt(event) === start && !moved)) return;
    moved = true;
    const [a, z] = [start, binAt(event)];
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => select(a, z));
  });
  drawing.addEventListener("pointerup", (event) => {
    if (start === null) return;
    cancelAnimationFrame(waiting);
    if (moved || !state.brushes.has(column.name)) select(start, binAt(event));
    else setRange(column, null);
    start = null;
    focusGallery(); // keys go to the gallery again, not to the field they went to before
  });
  drawing.addEventListener("pointercancel", () => (start = null));
}
