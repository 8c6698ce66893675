// ---- views: what a row of the table, of a duplicate group and of a suspect draws; the table of confusions

/** The line above columns: sortable in the table, the name of the value where they stand side by side. */
function head({ head, width }) {
  const cells = head.map(({ column, text, more, x, width }) => {
    const style = `left:${x}px;width:${width}px`;
    if (!column)
      return el(
        "span",
        { style, title: cut(text, 300) },
        el("b", { class: "t" }, cut(text, 60)),
        el("small", {}, more),
      );
    const sorted = state.sort === column.name;
    const turn = () => change(sorted ? { down: !state.down } : { sort: column.name, down: true });
    const properties = {
      style,
      class: column.kind === "number" ? "n" : "",
      title: cut(column.meaning, 300),
      "aria-label": `Sort by ${cut(column.name, 60)}`,
    };
    return button([cut(column.name, 40), sorted ? (state.down ? " ↓" : " ↑") : ""], turn, properties);
  });
  return el("div", { class: "heads", style: `width:${width}px` }, cells);
}

function drawRecord(row, node) {
  const i = row.cells[0].i;
  node.dataset.i = i;
  node.id = `x${i}`;
  node.setAttribute("role", "option");
  if (pictured) node.append(place(tile(i, 32, { cursor: false, caption: "" }), PAD));
  const [left, right] = [stage.scrollLeft - SIDEWAYS, stage.scrollLeft + stage.clientWidth + SIDEWAYS];
  for (const { column, x, width } of layout.head) {
    if (x + width < left || x > right) continue;
    const kind = column === roles.id ? "id" : column.kind === "number" ? "n" : "t";
    node.append(
      el(
        "span",
        { class: kind, style: `left:${x}px;width:${width}px` },
        missing(column, i) ? "–" : cut(show(column, i), 120),
      ),
    );
  }
  dress(node, i, true);
}

function drawGroup(row, node) {
  if (row.head) {
    const { code, size, torn } = row.head;
    node.append(
      el(
        "div",
        { class: "about" },
        el("b", {}, count(size, "example")),
        torn ? el("span", { class: "warm" }, "labels differ") : null,
        el("code", {}, cut(roles.group.words[code], 24)),
      ),
    );
  }
  drawTiles(row, node);
}

/** The example, the two labels, what to decide, and the neighbours: those with the suggested label stand out. */
function drawSuspect(row, node) {
  const { i, x, width } = row.cells[0];
  const suggested = value(roles.suggested, i);
  node.append(place(tile(i, width, { caption: "" }), x));
  const offer = (action, label, text) => button(text, () => mark([i], action, label), { "data-act": action });
  node.append(
    el(
      "div",
      { class: "about", style: `left:${x + width + 14}px` },
      labels(i, 26),
      el(
        "p",
        { class: "facts" },
        `${cut(roles.suspect.name, 24)} ${number(value(roles.suspect, i))} · `,
        guarded(i) ? `${cut(roles.guarded.name, 24)} · ` : "",
        el("code", {}, cut(idOf(i), 24)),
      ),
      el(
        "p",
        { class: "acts" },
        offer("relabel", suggested, "Relabel"),
        offer("keep", "", "Keep"),
        offer("drop", "", "Drop"),
      ),
    ),
  );
  const size = pictured ? 64 : 190;
  const start = row.narrow ? PAD : x + width + 14 + 236;
  const top = row.narrow ? 104 : 8;
  neighboursOf(i).forEach((other, k) => {
    const left = start + k * (size + 8);
    if (left + size > layout.width) return;
    const beside = companion(other, size, other >= 0 && labelOf(other) === suggested);
    beside.style.top = `${top}px`;
    node.append(place(beside, left));
  });
}

const suggestedWord = () => cut(roles.suggested.name, 24);

// ---- confusions: given label against suggested label, over what passes

function confusions() {
  const table = new Map();
  for (const i of passing) {
    if (missing(roles.suggested, i)) continue;
    const key = JSON.stringify([labelOf(i), value(roles.suggested, i)]);
    table.set(key, (table.get(key) ?? 0) + 1);
  }
  const cells = [...table].map(([key, n]) => [...JSON.parse(key), n]);
  const off = cells
    .filter(([given, suggested]) => given !== suggested)
    .sort((a, b) => b[2] - a[2] || (a[0] < b[0] ? -1 : 1));
  const most = off.length ? off[0][2] : 1;
  const pairs = off.slice(0, 60).map(([given, suggested, n]) => {
    const names = el("span", { class: "t" }, cut(nameOfCategory(given), 30), " → ", el("b", {}, cut(suggested, 30)));
    const bar = el("span", { class: "rail" }, el("i", { class: "now", style: `width:${(100 * n) / most}%` }));
    return el("li", {}, confusionButton(given, suggested, [names, bar, el("span", { class: "n" }, whole(n))]));
  });
  const total = off.reduce((sum, cell) => sum + cell[2], 0);
  return el(
    "div",
    { class: "confusions" },
    el(
      "p",
      {},
      `Of ${count(passing.length, "example")}, ${total.toLocaleString("en")} ${total === 1 ? "has" : "have"} a ${suggestedWord()} label that is not the given one. A cell shows its examples.`,
    ),
    el(
      "div",
      { class: "both" },
      matrix(cells, most),
      el("section", {}, el("h2", {}, "Most frequent"), el("ol", {}, pairs)),
    ),
  );
}

function matrix(cells, most) {
  const names = categories(roles.label).names.filter((name) => cells.some(([a, b]) => a === name || b === name));
  if (names.length > 30 || !names.length) return null;
  const found = new Map(cells.map(([a, b, n]) => [JSON.stringify([a, b]), n]));
  const cell = (given, suggested) => {
    const n = found.get(JSON.stringify([given, suggested]));
    if (!n) return el("td");
    const shade = given === suggested ? { class: "same" } : { style: `--share:${(18 + 62 * (n / most)).toFixed(0)}%` };
    return el("td", shade, confusionButton(given, suggested, whole(n)));
  };
  const body = names.map((given) => {
    const name = el("th", { scope: "row", class: "t" }, cut(nameOfCategory(given), 20));
    return el(
      "tr",
      {},
      name,
      names.map((suggested) => cell(given, suggested)),
    );
  });
  const heads = names.map((name) => el("th", { scope: "col" }, foreign(nameOfCategory(name), 20)));
  const table = el("table", {}, el("caption", {}, `given label down, ${suggestedWord()} label across`));
  table.append(el("thead", {}, el("tr", {}, el("td"), heads)), el("tbody", {}, body));
  return el("div", { class: "scroll" }, table);
}

function confusionButton(given, suggested, content) {
  const both = [roles.label.name, roles.suggested.name];
  const brushes = [given, suggested].map((name, k) => [both[k], { names: new Set([name]) }]);
  const look = () => change({ view: "gallery", brushes, plots: [...new Set([...state.plots, ...both])] });
  const label = `${cut(nameOfCategory(given), 40)}, ${suggestedWord()} ${cut(suggested, 40)}: show them`;
  return button(content, look, { "aria-label": label });
}
