// ---- main: one way to change the view, the controls, the start

function views() {
  return [
    ["gallery", payload.text ? "Texts" : pictured ? "Gallery" : "Cards"],
    ["table", "Table"],
    roles.group && ["duplicates", "Duplicates"],
    roles.suspect && roles.suggested && ["suspects", roles.wrong ? "Mistakes" : "Suspects"],
    roles.label && roles.suggested && ["confusions", "Confusions"],
  ].filter(Boolean);
}

function defaults() {
  const numbers = columns.filter((column) => column.kind === "number" && column !== roles.suspect);
  const bars = columns.filter(
    (column) => column.kind !== "number" && groups(column) && ![roles.label, roles.suggested].includes(column),
  );
  const plots = [
    roles.wrong ?? roles.label, // the table of confusions has the labels
    roles.suspect,
    byName.get("flagged"),
    ...bars.filter((c) => c.separator),
    ...(roles.wrong ? bars.filter((c) => c !== roles.caption && c !== roles.wrong && c !== roles.guarded) : []),
    byName.get("outlier"),
    ...numbers.filter((c) => new Set(c.values).size > 20),
  ];
  const side = pictured ? Math.max(...largestThumbnail) : 0;
  return {
    view: payload.text || pictured ? "gallery" : "table",
    caption: (roles.caption ?? roles.label)?.name ?? "",
    sort: roles.order?.name ?? "",
    size: side <= 16 ? 56 : side <= 32 ? 64 : 80,
    plots: [...new Set(plots.filter(Boolean))].slice(0, 6).map((column) => column.name),
  };
}

/** The brushes that a page begins with: of mispredictions, what is wrong. */
const firstBrushes = () => Object.entries(payload.start).map(([name, chosen]) => [name, { names: new Set(chosen) }]);

/** The only way to change what is shown. Brushes are [name, brush or null] pairs; the rest as in `state`. */
function change(wanted) {
  performance.clearMarks("change");
  performance.mark("change");
  const { brushes = [], query, ...rest } = wanted;
  const old = { ...state };
  Object.assign(state, rest);
  if (rest.open) state.deciding = false;
  if (rest.deciding) state.open = false;
  for (const [name, brush] of brushes) setBrush(name, brush);
  if (query !== undefined) ask(query);
  const changed = (...keys) => keys.some((key) => state[key] !== old[key]);
  const filtered = brushes.length > 0 || query !== undefined;
  const reordered = filtered || changed("sort", "down", "seed", "view", "side");
  if (changed("plots")) drawPlots();
  if (filtered || changed("plots")) updatePlots();
  if (filtered) updateConfusion();
  if (reordered) refilter();
  const panel = document.body.dataset.panel;
  if (changed("open", "active", "deciding", "marks", "selected") || (state.deciding && filtered)) drawPanel();
  const resized = document.body.dataset.panel !== panel;
  if (reordered) [stage.scrollTop, stage.scrollLeft] = [0, 0];
  // cards and the table show the plotted columns
  if (reordered || resized || changed("caption", "size") || (changed("plots") && (!pictured || state.view === "table")))
    relayout();
  else redress();
  if ((resized || changed("active")) && state.active >= 0) reveal(state.active);
  controls();
  remember();
  performance.measure("change", "change");
}

function ask(query) {
  state.query = query;
  const input = $("query");
  if (input.value !== query) input.value = query;
  try {
    setMask("query", compile(query));
    $("error").hidden = true;
    input.removeAttribute("aria-invalid");
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    $("error").textContent = `At ${error.at + 1}: ${error.message}`;
    $("error").hidden = false;
    input.setAttribute("aria-invalid", "true");
  }
}

function notice(text) {
  $("error").textContent = text;
  $("error").hidden = false;
}

// ---- controls

function controls() {
  for (const node of $("views").children) node.setAttribute("aria-pressed", String(node.dataset.view === state.view));
  $("sort").value = state.sort;
  const worst = ["duplicates", "suspects"].includes(state.view);
  $("sort").options[0].textContent = worst ? "worst first" : "shuffled";
  $("turn").hidden = worst && !state.sort;
  $("turn").textContent = state.sort ? (state.down ? "↓" : "↑") : "⤨";
  $("turn").title = state.sort ? (state.down ? "largest first" : "smallest first") : "shuffle again (s)";
  $("turn").setAttribute(
    "aria-label",
    state.sort ? (state.down ? "Largest first; turn round" : "Smallest first; turn round") : "Shuffle again",
  );
  const tiled = ["gallery", "duplicates"].includes(state.view);
  $("sort").closest(".sort").hidden = state.view === "confusions";
  $("group").parentNode.hidden = state.view !== "gallery";
  $("caption").parentNode.hidden = !tiled;
  $("size").parentNode.hidden = !tiled || !pictured;
  $("group").value = state.side;
  $("caption").value = state.caption;
  $("size").value = state.size;
  $("marked").textContent = state.marks.size;
  $("show-plots").setAttribute("aria-expanded", String(!document.body.classList.contains("noplots")));
  const selected = state.selected.size ? ` · ${state.selected.size.toLocaleString("en")} selected` : "";
  const said = layout.said ? ` · ${layout.said}` : "";
  $("count").replaceChildren(
    el("b", {}, passing.length.toLocaleString("en")),
    ` of ${SHOWN.toLocaleString("en")}${said}${selected}`,
  );
  const chips = [...state.brushes].map(([name, brush]) => {
    return chip([el("b", {}, cut(name, 24)), " ", brushed(brush)], () => change({ brushes: [[name, null]] }));
  });
  if (state.query && $("error").hidden) chips.unshift(chip([cut(state.query, 40)], () => change({ query: "" })));
  if (chips.length > 1) chips.push(button("clear all", clearAll, { class: "chip all" }));
  redrawn($("chips"), () => $("chips").replaceChildren(...chips));
}

const chip = (content, remove) => button([...content, " ×"], remove, { class: "chip", title: "Remove" });

/** A brush in words. */
function brushed(brush) {
  if (brush.names) {
    const names = [...brush.names].slice(0, 3).map((name) => cut(nameOfCategory(name), 20));
    return foreign([...names, ...(brush.names.size > 3 ? ["…"] : [])].join(", "), 80);
  }
  const end = (x) => (Number.isFinite(x) ? number(x) : "…");
  const range = Number.isNaN(brush.from) ? "" : `${end(brush.from)} to ${end(brush.to)}`;
  return [range, brush.none ? "missing" : ""].filter(Boolean).join(" or ");
}

function clearAll() {
  change({ query: "", brushes: [...state.brushes.keys()].map((name) => [name, null]) });
}

function setUp() {
  const every = (kinds) =>
    columns.filter((column) => kinds.includes(column.kind)).map((column) => [column.name, column.name]);
  $("title").textContent = cut(payload.title, 120);
  $("summary").textContent = [payload.drawing, cut(payload.summary, 240)].filter(Boolean).join(" · ");
  fill(
    $("sort"),
    { "": [["", "shuffled"]], numbers: every(["number"]), "yes or no, text": every(["flag", "text"]) },
    "",
  );
  fill($("group"), { "": [["", "off"], ...columns.filter(groups).map((column) => [column.name, column.name])] }, "");
  fill($("caption"), { "": [["", "none"], ...columns.map((column) => [column.name, column.name])] }, "");
  $("views").append(...views().map(([view, shown]) => button(shown, () => change({ view }), { "data-view": view })));
  $("query").placeholder = sampleQuery();
  $("sort").addEventListener("change", () => change({ sort: $("sort").value, down: true }));
  $("turn").addEventListener("click", () => (state.sort ? change({ down: !state.down }) : reshuffle()));
  $("group").addEventListener("change", () => change({ side: $("group").value, view: "gallery" }));
  $("caption").addEventListener("change", () => change({ caption: $("caption").value }));
  $("size").addEventListener("input", () => change({ size: Number($("size").value) }));
  $("add").addEventListener("change", () => $("add").value && change({ plots: [$("add").value, ...state.plots] }));
  $("query").addEventListener("input", () => change({ query: $("query").value }));
  $("show-plots").addEventListener("click", () => (document.body.classList.toggle("noplots"), relayout(), controls()));
  $("show-marks").addEventListener("click", () => change({ deciding: !state.deciding }));
  $("show-help").addEventListener("click", () => help());
  stage.addEventListener("click", clicked);
  $("panel").addEventListener("click", clicked);
  // after a click (not after Enter or Space on a button) keys are meant for the gallery
  for (const part of ["controls", "plots", "stage"])
    $(part).addEventListener("click", (event) => event.detail && event.target.closest("button") && toGallery());
  stage.addEventListener("scroll", scrolled, { passive: true });
  addEventListener("keydown", pressed);
  addEventListener("hashchange", addressChanged);
  new ResizeObserver(() => stage.clientWidth !== layout.asked && relayout()).observe(stage);
}

/** What a filter looks like, in this set's own words. */
function sampleQuery() {
  const score = byName.get("outlier") ?? roles.suspect ?? columns.find((column) => column.kind === "number");
  const name = payload.classes.find((text) => /^[\w-]{1,24}$/.test(text));
  const parts = [
    score && /^[\w-]+$/.test(score.name) && `${score.name} > ${number(quantile(sorted(score), 0.95) ?? 0)}`,
    roles.label && name && `${roles.label.name} = ${name}`,
  ];
  return `${parts.filter(Boolean).join(" and ") || "a column = a value"}, or a word to search`;
}

function reshuffle() {
  change({ sort: "", seed: (state.seed + 1) % 4294967296 });
}

let scrolledLeft = 0;

function scrolled() {
  const sideways = state.view === "table" && Math.abs(stage.scrollLeft - scrolledLeft) > SIDEWAYS / 2;
  if (sideways) scrolledLeft = stage.scrollLeft;
  paint(sideways);
}

function clicked(event) {
  const node = event.target.closest("[data-i]");
  if (!node || event.target.closest("button, input, canvas.portrait")) return;
  const i = Number(node.dataset.i);
  if (event.ctrlKey || event.metaKey) return toggleSelected([i]);
  if (event.shiftKey && state.active >= 0) return toggleSelected(between(state.active, i), true);
  change({ active: i, open: true });
}

function toggleSelected(examples, add = false) {
  const selected = new Set(state.selected);
  for (const i of examples) {
    if (add || !selected.has(i)) selected.add(i);
    else selected.delete(i);
  }
  change({ selected, active: examples.at(-1) });
}

// ---- start

state.deciding = false;
Object.assign(state, defaults());
drawConfusion();
if (matchMedia("(max-width: 52rem)").matches) document.body.classList.add("noplots");
setUp();
drawPlots();
change(read(location.hash));
if (state.active >= 0) reveal(state.active);
stage.focus({ preventScroll: true });
if (pictured) loadPictures().then(() => performance.mark("pictures"));
performance.mark("ready");
