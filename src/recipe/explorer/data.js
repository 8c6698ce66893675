// ---- data: the payload as typed arrays. The first SHOWN rows are the gallery, the rest are neighbours of theirs.

const ARRAYS = {
  i1: Int8Array,
  u1: Uint8Array,
  i2: Int16Array,
  u2: Uint16Array,
  i4: Int32Array,
  u4: Uint32Array,
  f4: Float32Array,
  f8: Float64Array,
};

function unpack({ type, data }) {
  const binary = atob(data);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return new ARRAYS[type](bytes.buffer);
}

const payload = JSON.parse($("payload").textContent);
$("payload").remove(); // megabytes of text that nobody reads again
const ROWS = payload.rows;
const SHOWN = payload.shown;
const columns = payload.columns.map((spec) => ({ ...spec, values: unpack(spec) }));
const byName = new Map(columns.map((column) => [column.name, column]));
const roles = Object.fromEntries(Object.entries(payload.roles).map(([role, name]) => [role, byName.get(name) ?? null]));
const neighbours = payload.neighbours && { k: payload.neighbours.k, rows: unpack(payload.neighbours) };
const thumbnailSizes = payload.pictures && unpack(payload.pictures.sizes);
const rowOf = new Map(Array.from({ length: ROWS }, (_, i) => [idOf(i), i]));

function idOf(i) {
  return roles.id.words[roles.id.values[i]];
}

function labelOf(i) {
  return roles.label ? value(roles.label, i) : "";
}

function neighboursOf(i) {
  return neighbours ? Array.from(neighbours.rows.subarray(i * neighbours.k, (i + 1) * neighbours.k)) : [];
}

/** Number, boolean or text. */
function value(column, i) {
  const v = column.values[i];
  return column.kind === "text" ? column.words[v] : column.kind === "flag" ? v === 1 : v;
}

function missing(column, i) {
  return column.kind === "text"
    ? column.words[column.values[i]] === ""
    : column.kind === "number" && Number.isNaN(column.values[i]);
}

// ---- values as a reader meets them

function number(x) {
  if (Number.isNaN(x)) return "missing";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (Number.isInteger(x))
    return Math.abs(x) < 10000 ? String(x) : Math.abs(x) < 1e15 ? x.toLocaleString("en") : x.toExponential(3);
  if (Math.abs(x) >= 10000 && Math.abs(x) < 1e15) return Math.round(x).toLocaleString("en");
  return String(Number(x.toPrecision(4)));
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function show(column, i) {
  const v = value(column, i);
  return column.kind === "number" ? number(v) : column.kind === "flag" ? (v ? "yes" : "no") : v === "" ? "(none)" : v;
}

// ---- a column as categories: a flag, a text, or a text that lists several values

/** {names, of: row -> indices into names}, computed once. Names of classes keep the order of the classes. */
function categories(column) {
  return (column.categories ??= makeCategories(column));
}

function makeCategories(column) {
  if (column.kind === "flag") return { names: ["no", "yes"], of: (i) => [column.values[i]] };
  const listed = column.words.map((word) =>
    column.separator && word ? word.split(column.separator).map((w) => w.trim()) : [word],
  );
  const all = [...new Set(listed.flat())];
  const places = new Map(payload.classes.map((name, place) => [name, place]));
  if (all.every((name) => places.has(name) || name === ""))
    all.sort((a, b) => (places.get(a) ?? Infinity) - (places.get(b) ?? Infinity));
  const index = new Map(all.map((name, k) => [name, k]));
  const codes = listed.map((names) => names.map((name) => index.get(name)));
  return { names: all, of: (i) => codes[column.values[i]] };
}

const nameOfCategory = (name) => (name === "" ? "(none)" : name);

/** The different values of a column, a list being a value of its own: every row has exactly one. */
function parts(column) {
  return column.separator ? { names: column.words, of: (i) => [column.values[i]] } : categories(column);
}

/** Whether a column has few enough different values to stand in columns side by side. */
function groups(column) {
  return column.kind !== "number" && parts(column).names.length <= 60 && parts(column).names.length > 1;
}

// ---- a column of numbers as bins

const BINS = 44;

/** {low, high, n, at: row -> bin or -1 where there is no finite number, under, over: whether an end bin holds more}. */
function bins(column) {
  return (column.bins ??= makeBins(column));
}

function makeBins(column) {
  const finite = sorted(column);
  const none = { low: 0, high: 1, n: 1, whole: false, under: false, over: false, at: () => -1 };
  if (!finite.length) return none;
  let [low, high] = [finite[0], finite[finite.length - 1]];
  const whole = finite.every(Number.isInteger);
  // a few extreme values would leave everything else in one bin: the ends then stand for all beyond them
  const [inner, outer] = [quantile(finite, 0.005), quantile(finite, 0.995)];
  const width = outer - inner;
  const far = !(whole && high - low < BINS) && width > 0;
  const under = far && inner - low > width;
  const over = far && high - outer > width;
  [low, high] = [under ? inner : low, over ? outer : high];
  if (whole) {
    const width = Math.ceil((high - low + 1) / BINS); // as many whole numbers in every bin
    const n = Math.ceil((high - low + 1) / width);
    return bounded(column, low - 0.5, low - 0.5 + n * width, n, true, under, over);
  }
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  return bounded(column, low, high, BINS, whole, under, over);
}

function bounded(column, low, high, n, whole, under, over) {
  const at = (i) => {
    const x = column.values[i];
    return Number.isFinite(x) ? clamp(Math.floor(((x - low) / (high - low)) * n), 0, n - 1) : -1;
  };
  return { low, high, n, whole, under, over, at };
}

/** The finite numbers of the gallery in ascending order, computed once. */
function sorted(column) {
  return (column.sorted ??= column.values.slice(0, SHOWN).filter(Number.isFinite).sort());
}

function quantile(ascending, share) {
  return ascending[Math.round(share * (ascending.length - 1))];
}

/** Share of the gallery's finite values below `x`, plus half of those equal to it: 0 to 1. */
function standing(column, x) {
  const ascending = sorted(column);
  const below = (limit, orEqual) => {
    let [a, b] = [0, ascending.length];
    while (a < b) {
      const middle = (a + b) >> 1;
      if (ascending[middle] < limit || (orEqual && ascending[middle] === limit)) a = middle + 1;
      else b = middle;
    }
    return a;
  };
  return (below(x, false) + below(x, true)) / 2 / Math.max(1, ascending.length);
}
