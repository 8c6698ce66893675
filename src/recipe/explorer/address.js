// ---- address: the view as the fragment of the page's address, and back. In a sandbox the address may be out of reach.

const LONGEST = 6000; // marks that would make it longer stay out
let waiting = 0;
let known = location.hash; // as this page last wrote or read it

const part = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);

function written() {
  const parts = [];
  const put = (key, ...texts) => parts.push(`${key}=${texts.map(part).join(",")}`);
  const first = defaults();
  if (state.view !== first.view) put("view", state.view);
  if (state.query) put("q", state.query);
  if (state.sort !== first.sort || (state.sort && !state.down)) put("sort", state.sort, state.down ? "down" : "up");
  if (state.seed !== payload.seed) put("seed", String(state.seed));
  if (state.side) put("side", state.side);
  if (state.caption !== first.caption) put("caption", state.caption);
  if (state.size !== first.size) put("size", String(state.size));
  if (state.plots.join("\n") !== first.plots.join("\n")) put("plots", ...state.plots);
  for (const [name, brush] of firstBrushes()) if (!state.brushes.has(name)) put("among", name);
  for (const [name, brush] of state.brushes) {
    if (same(brush, new Map(firstBrushes()).get(name))) continue;
    if (brush.names) put("among", name, ...brush.names);
    else put("range", name, String(brush.from), String(brush.to), brush.none ? "none" : "");
  }
  if (state.active >= 0) put(state.open ? "open" : "at", idOf(state.active));
  if (state.deciding) put("decisions", "open");
  const marks = [];
  for (const [i, m] of state.marks) marks.push(`mark=${[idOf(i), m.action, m.label, m.reason].map(part).join(",")}`);
  const all = [...parts, ...marks].join("&");
  return all.length <= LONGEST ? all : parts.join("&");
}

const same = (brush, other) => Boolean(other) && [...(brush.names ?? [])].sort().join() === [...other.names].sort().join();

/** Soon, and once for many changes: browsers refuse an address that changes too often. */
function remember() {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const fragment = `#${written()}`;
    const field = $("address");
    if (field && document.activeElement !== field) field.value = fragment;
    // an address that someone else has just changed is read first: its event is on the way
    if (fragment === (location.hash || "#") || location.hash !== known) return;
    try {
      history.replaceState(null, "", fragment);
      known = location.hash;
    } catch {
      // out of reach here; the field among the keys still shows it
    }
  }, 200);
}

function addressChanged() {
  known = location.hash;
  if (location.hash.slice(1) !== written()) change(read(location.hash));
}

/** The state that a fragment asks for. What it names and this page does not have is left out. */
function read(fragment) {
  const brushes = [...state.brushes.keys()].map((name) => [name, null]);
  brushes.push(...firstBrushes());
  const order = { query: "", down: true, seed: payload.seed, side: "", brushes };
  const asked = { ...defaults(), ...order, active: -1, open: false, deciding: false };
  const marks = new Map();
  for (const [key, texts] of pairs(fragment)) {
    const [text, ...more] = texts;
    if (key === "view" && views().some(([name]) => name === text)) asked.view = text;
    if (key === "q") asked.query = text;
    if (key === "sort" && (text === "" || byName.has(text))) [asked.sort, asked.down] = [text, more[0] !== "up"];
    if (key === "seed" && Number.isFinite(Number(text))) asked.seed = Number(text);
    if (key === "side" && byName.has(text) && groups(byName.get(text))) asked.side = text;
    if (key === "caption" && (text === "" || byName.has(text))) asked.caption = text;
    if (key === "size" && Number(text)) asked.size = clamp(Number(text), 24, 192);
    if (key === "plots") asked.plots = texts.filter((name) => byName.has(name));
    if (key === "range" && byName.get(text)?.kind === "number")
      asked.brushes.push([text, { from: Number(more[0]), to: Number(more[1]), none: more[2] === "none" }]);
    if (key === "among" && byName.has(text) && byName.get(text).kind !== "number")
      asked.brushes.push([text, more.length ? { names: new Set(more) } : null]);
    if ((key === "at" || key === "open") && rowOf.has(text))
      [asked.active, asked.open] = [rowOf.get(text), key === "open"];
    if (key === "decisions") asked.deciding = true;
    if (key === "mark" && rowOf.has(text) && ACTIONS[more[0]])
      marks.set(rowOf.get(text), { action: ACTIONS[more[0]], label: more[1] ?? "", reason: more[2] ?? "" });
  }
  return { ...asked, marks };
}

function pairs(fragment) {
  const found = [];
  for (const piece of fragment.replace(/^#/, "").split("&")) {
    const [key, ...rest] = piece.split("=");
    try {
      if (key) found.push([key, rest.join("=").split(",").map(decodeURIComponent)]);
    } catch {
      // a broken % escape: this piece says nothing
    }
  }
  return found;
}
