// ---- filter: which examples pass, in which order. A filter is a mask of its own, so each plot can leave its own one out.

const state = {
  view: "gallery",
  query: "",
  sort: "", // a column, "" is shuffled
  down: true,
  seed: payload.seed,
  side: "", // the column whose values stand side by side
  caption: roles.label ? roles.label.name : "",
  size: 64,
  plots: [],
  brushes: new Map(), // column -> {from, to, none} of numbers, or {names: Set}
  active: -1, // the example under the cursor
  open: false, // whether its panel is open
  selected: new Set(),
  marks: new Map(), // row -> {action, label, reason}
};

const masks = new Map(); // "query" or a column's name -> Uint8Array, 1 where the row fails
const fails = new Uint8Array(SHOWN); // how many masks fail the row
let passing = [];

function setMask(key, test) {
  const old = masks.get(key);
  if (old) for (let i = 0; i < SHOWN; i++) fails[i] -= old[i];
  masks.delete(key);
  if (!test) return;
  const mask = new Uint8Array(SHOWN);
  for (let i = 0; i < SHOWN; i++) fails[i] += mask[i] = test(i) ? 0 : 1;
  masks.set(key, mask);
}

function setBrush(name, brush) {
  if (brush) state.brushes.set(name, brush);
  else state.brushes.delete(name);
  setMask(`brush ${name}`, brush && brushTest(byName.get(name), brush));
}

function brushTest(column, brush) {
  if (brush.names) {
    const { names, of } = categories(column);
    const chosen = names.map((name) => brush.names.has(name));
    return (i) => of(i).some((k) => chosen[k]);
  }
  const [from, to] = column.type === "f4" ? [Math.fround(brush.from), Math.fround(brush.to)] : [brush.from, brush.to];
  return (i) => {
    const x = column.values[i];
    return Number.isFinite(x) ? x >= from && x <= to : brush.none;
  };
}

/** Whether the row passes everything but the brushes of these columns: what their own plot counts. */
function passesBut(...names) {
  const own = names.map((name) => masks.get(`brush ${name}`)).filter(Boolean);
  return (i) => fails[i] === own.reduce((sum, mask) => sum + mask[i], 0);
}

function passes(i) {
  return i < SHOWN && fails[i] === 0;
}

// ---- order

/** A permutation of the rows that depends on the seed alone (Mulberry32, Fisher-Yates). */
function shuffled(seed) {
  let a = seed >>> 0;
  const random = () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const rows = Uint32Array.from({ length: SHOWN }, (_, i) => i);
  for (let i = SHOWN - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [rows[i], rows[j]] = [rows[j], rows[i]];
  }
  return rows;
}

let order = { key: null, rows: null };

/** All rows in the chosen order; missing values come last in both directions, equal ones stay shuffled. */
function ordered() {
  const key = `${state.sort}/${state.down}/${state.seed}`;
  if (order.key === key) return order.rows;
  const rows = shuffled(state.seed);
  const column = byName.get(state.sort);
  if (column) {
    const v = column.values;
    const turn = state.down ? -1 : 1;
    rows.sort(
      (a, b) =>
        missing(column, a) - missing(column, b) ||
        (missing(column, a) ? 0 : v[a] < v[b] ? -turn : v[a] > v[b] ? turn : 0),
    );
  }
  order = { key, rows };
  return rows;
}

function refilter() {
  passing = ordered().filter((i) => fails[i] === 0);
}
