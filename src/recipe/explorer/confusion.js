// ---- confusion: a small table of given against suggested labels beside the gallery, where a page has a role `wrong`.
//
// It counts what passes all filters but its own and that of what is wrong, so that its diagonal is there too. A cell
// filters by both labels. One cell is a tab stop; the arrows go from it to the others, Enter and Space choose.

const WIDEST = 24; // classes; of more, the most frequent pairs are listed
const LISTED_PAIRS = 20;
let updateConfusion = () => {};

function drawConfusion() {
  if (!roles.wrong || !roles.label || !roles.suggested) return;
  const { label, suggested, wrong } = roles;
  const names = payload.classes.length ? payload.classes : categories(label).names;
  const [given, answered] = [label, suggested].map((column) => column.words.map((word) => names.indexOf(word)));
  const cellOf = (i) => given[label.values[i]] * names.length + answered[suggested.values[i]];
  const body = names.length > WIDEST ? pairList() : cells();
  const clear = icon("↺", "Show all cells", () => choose(null));
  const told = el("p", { class: "more" });
  clear.classList.add("clear");
  const section = $("confusion");
  section.hidden = false;
  section.append(el("header", {}, el("h2", {}, "Confusions"), clear), body.node, told);

  updateConfusion = () => {
    const counted = new Map();
    const passing = passesBut(label.name, suggested.name, wrong.name);
    let [all, mistakes] = [0, 0];
    for (let i = 0; i < SHOWN; i++) {
      if (!passing(i)) continue;
      counted.set(cellOf(i), (counted.get(cellOf(i)) ?? 0) + 1);
      all += 1;
      mistakes += wrong.values[i];
    }
    clear.hidden = chosen() === -1;
    const share = payload.sampled ? "the right ones are a sample" : percent(mistakes / Math.max(1, all));
    told.textContent = `${whole(mistakes)} of ${whole(all)} wrong, ${share}. Label down, ${suggested.name} across.`;
    redrawn(body.node, () => body.update(counted));
  };

  /** The cell that the brushes on both labels choose; -1 where they choose none or several. */
  function chosen() {
    const [a, b] = [label, suggested].map((column) => [...(state.brushes.get(column.name)?.names ?? [])]);
    return a.length === 1 && b.length === 1 ? names.indexOf(a[0]) * names.length + names.indexOf(b[0]) : -1;
  }

  function choose(cell) {
    const [a, b] = [Math.floor(cell / names.length), cell % names.length];
    const brush = (k) => (cell === null ? null : { names: new Set([names[k]]) });
    const right = cell !== null && a === b; // a right answer shows only among all
    const brushes = [[label.name, brush(a)], [suggested.name, brush(b)]]; // prettier-ignore
    change({ brushes: right ? [...brushes, [wrong.name, null]] : brushes });
  }

  function cellButton(cell, content, properties = {}) {
    const [a, b] = [names[Math.floor(cell / names.length)], names[cell % names.length]].map((n) => cut(nameOfCategory(n), 40));
    const pressed = chosen() === cell;
    return button(content, () => choose(pressed ? null : cell), {
      "data-cell": cell,
      "aria-pressed": String(pressed),
      "aria-label": `${a} answered as ${b}`,
      title: `${a} → ${b}`,
      ...properties,
    });
  }

  // ---- few classes: every cell

  function cells() {
    const short = names.every((name) => Array.from(name).length <= 2);
    const heads = names.map((name) => el("th", { scope: "col" }, foreign(nameOfCategory(name), 14)));
    const rows = names.map((name, a) => {
      const tds = names.map((_, b) => el("td", { class: a === b ? "same" : "" }));
      const head = el("th", { scope: "row", class: "t", title: cut(nameOfCategory(name), 60) }, cut(nameOfCategory(name), 14));
      return { node: el("tr", {}, head, tds), tds };
    });
    const node = el(
      "table",
      { class: short ? "short" : "", on: { keydown: walked } },
      el("thead", {}, el("tr", {}, el("td"), heads)),
      el(
        "tbody",
        {},
        rows.map((row) => row.node),
      ),
    );
    node.style.setProperty("--n", names.length);
    let stop = -1; // the cell that Tab comes to

    function update(counted) {
      const focused = node.contains(document.activeElement) ? Number(document.activeElement.dataset.cell) : -1;
      const off = [...counted].filter(([cell]) => Math.floor(cell / names.length) !== cell % names.length);
      const most = Math.max(1, ...off.map(([, n]) => n));
      if (!counted.has(stop)) stop = counted.has(chosen()) ? chosen() : ((off.sort((x, y) => y[1] - x[1])[0] ?? [...counted][0] ?? [-1])[0]);
      rows.forEach(({ tds }, a) =>
        tds.forEach((td, b) => {
          const cell = a * names.length + b;
          const n = counted.get(cell);
          td.style.setProperty("--share", a === b || !n ? "0%" : `${(12 + (40 * n) / most).toFixed(0)}%`);
          td.replaceChildren(...(n ? [cellButton(cell, fewLetters(n), { tabindex: cell === stop ? 0 : -1 })] : []));
        }),
      );
      if (focused >= 0) node.querySelector(`[data-cell="${focused}"]`)?.focus();
    }

    /** From cell to cell that has something in it, in the arrow's direction. */
    function walked(event) {
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      const cell = Number(event.target.dataset.cell);
      if (!step || Number.isNaN(cell)) return;
      event.preventDefault();
      event.stopPropagation();
      let [a, b] = [Math.floor(cell / names.length), cell % names.length];
      for (;;) {
        [a, b] = [a + step[0], b + step[1]];
        if (a < 0 || b < 0 || a >= names.length || b >= names.length) return;
        const next = rows[a].tds[b].firstChild;
        if (!next) continue;
        event.target.tabIndex = -1;
        stop = Number(next.dataset.cell);
        next.tabIndex = 0;
        return next.focus();
      }
    }

    return { node: el("div", { class: "scroll" }, node), update };
  }

  // ---- many classes: the most frequent wrong pairs

  function pairList() {
    const node = el("ol");
    return {
      node,
      update(counted) {
        const off = [...counted].filter(([cell]) => Math.floor(cell / names.length) !== cell % names.length);
        off.sort((x, y) => y[1] - x[1] || x[0] - y[0]);
        const items = off.slice(0, LISTED_PAIRS).map(([cell, n]) => {
          const [a, b] = [names[Math.floor(cell / names.length)], names[cell % names.length]];
          const text = el("span", { class: "t" }, cut(nameOfCategory(a), 24), " → ", cut(nameOfCategory(b), 24));
          const bar = el("span", { class: "rail" }, el("i", { class: "now", style: `width:${(100 * n) / off[0][1]}%` }));
          return el("li", {}, cellButton(cell, [text, bar, el("span", { class: "n" }, whole(n))], { class: "bar" }));
        });
        node.replaceChildren(...items);
      },
    };
  }
}

/** A count in three or four letters. */
const fewLetters = (n) => (n < 1000 ? String(n) : `${n < 9950 ? (n / 1000).toFixed(1) : Math.round(n / 1000)}k`);
