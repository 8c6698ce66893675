// ---- layout: examples to rows of known height, so that only the rows in sight need to exist.
//
// A row is {y, height, kind, cells: [{i, x, width}], ...what its kind draws}. `arrange` gives {rows, height, width, head}.

const GAP = 3;
const PAD = 12;
const HEAD = 30;
const CARD = 92;
const CAPTION = 17;

const pictured = Boolean(payload.pictures);
const cellWidth = () => (pictured ? state.size : 250);
const cellHeight = () => (pictured ? state.size + (state.caption && state.size >= 40 ? CAPTION : 0) : CARD);
const gap = () => (pictured ? GAP : 8);

const ARRANGE = {
  gallery: arrangeGallery,
  table: arrangeTable,
  duplicates: arrangeDuplicates,
  suspects: arrangeSuspects,
};

function arrange(width) {
  const layout = ARRANGE[state.view](width);
  let y = layout.top ?? PAD;
  for (const row of layout.rows) {
    row.y = y;
    y += row.height;
  }
  return { width, ...layout, height: y + PAD };
}

function arrangeGallery(width) {
  const side = byName.get(state.side);
  if (side) return sideBySide(side, width);
  const across = Math.max(1, Math.floor((width - 2 * PAD + gap()) / (cellWidth() + gap())));
  const stretched = pictured ? cellWidth() : (width - 2 * PAD + gap()) / across - gap();
  const between = across > 1 ? (width - 2 * PAD - across * stretched) / (across - 1) : gap();
  return { rows: grid(passing, across, PAD, stretched, between) };
}

/** `examples` in rows of `across`. */
function grid(examples, across, left, width = cellWidth(), between = gap()) {
  const rows = [];
  for (let start = 0; start < examples.length; start += across) {
    const cells = Array.from(examples.slice(start, start + across), (i, k) => ({
      i,
      x: left + k * (width + between),
      width,
    }));
    rows.push({ kind: "tiles", height: cellHeight() + gap(), cells });
  }
  return rows;
}

/** A column of tiles for every value of `side`. */
function sideBySide(side, width) {
  const { names, of } = parts(side);
  const members = names.map(() => []);
  for (const i of passing) members[of(i)[0]].push(i);
  const present = names.map((_, k) => k).filter((k) => members[k].length);
  const space = 14;
  const least = pictured ? Math.max(cellWidth(), 84) : 196;
  const each = Math.max(least, (width - 2 * PAD + space) / Math.max(1, present.length) - space);
  const across = Math.max(1, Math.floor((each + gap()) / (cellWidth() + gap())));
  const tile = pictured ? cellWidth() : Math.min(each, 420);
  const rows = [];
  const left = (place) => PAD + place * (each + space);
  present.forEach((k, place) => {
    grid(members[k], across, left(place), tile).forEach((row, r) => {
      if (rows[r]) rows[r].cells.push(...row.cells);
      else rows.push(row);
    });
  });
  const head = present.map((k, place) => ({
    text: nameOfCategory(names[k]),
    more: `${whole(members[k].length)} · ${percent(members[k].length / Math.max(1, passing.length))}`,
    x: left(place),
    width: each,
  }));
  return { rows, head, top: HEAD + 8, width: Math.max(width, left(present.length) - space + PAD) };
}

// ---- a row for every example, a column for every column

function arrangeTable(width) {
  let x = PAD + (pictured ? 40 : 0);
  const chosen = ["text", state.sort, ...state.plots].map((name) => byName.get(name));
  const first = [...new Set([roles.id, roles.label, roles.suggested, ...chosen, ...columns])];
  const head = first.filter(Boolean).map((column) => {
    const wide = columnWidth(column);
    const place = { column, x, width: wide };
    x += wide + 18;
    return place;
  });
  const height = pictured ? 38 : 27;
  const rows = Array.from(passing, (i) => ({ kind: "record", height, cells: [{ i, x: PAD, width: 32 }] }));
  return { rows, head, top: HEAD + 2, width: Math.max(width, x + PAD) };
}

function columnWidth(column) {
  if (column.kind !== "text") return clamp(8 + 7.5 * column.name.length, 84, 150);
  if (column.name === "text") return 360;
  return column === roles.id ? 128 : clamp(24 + 7.5 * longest(column), 92, 220);
}

/** Letters of the longest of the first words: enough to choose a width. */
function longest(column) {
  return column.words.slice(0, 200).reduce((most, word) => Math.max(most, word.length), column.name.length);
}

// ---- duplicates: a group is a row, or several where it is long

function arrangeDuplicates(width) {
  const members = duplicateGroups();
  const seen = new Set();
  const rows = [];
  const left = PAD + (width > 700 ? 170 : 104);
  const across = Math.max(1, Math.floor((width - left - PAD + gap()) / (cellWidth() + gap())));
  const found = [];
  for (const i of passing) {
    const code = roles.group.values[i];
    if (seen.has(code) || !members.has(code)) continue;
    seen.add(code);
    found.push(code);
  }
  const torn = (code) => roles.label && new Set(members.get(code).map(labelOf)).size > 1;
  if (!state.sort) found.sort((a, b) => torn(b) - torn(a) || members.get(b).length - members.get(a).length || a - b);
  for (const code of found) {
    const mine = members.get(code);
    const lines = grid(mine, across, left, pictured ? cellWidth() : Math.min(cellWidth(), width - left - PAD));
    lines.forEach((line, k) =>
      rows.push({
        ...line,
        kind: "group",
        height: Math.max(line.height, k ? 0 : 62) + (k === lines.length - 1 ? 9 : 0),
        head: k === 0 && { code, size: mine.length, torn: torn(code) },
      }),
    );
  }
  return { rows, said: `${count(found.length, "group")} of duplicates` };
}

let groupsOfDuplicates = null;

/** code -> the rows of a group that has more than one on this page. */
function duplicateGroups() {
  if (groupsOfDuplicates) return groupsOfDuplicates;
  const members = new Map();
  for (let i = 0; i < ROWS; i++) {
    if (missing(roles.group, i)) continue;
    const code = roles.group.values[i];
    if (members.has(code)) members.get(code).push(i);
    else members.set(code, [i]);
  }
  for (const [code, rows] of members) if (rows.length < 2) members.delete(code);
  return (groupsOfDuplicates = members);
}

// ---- suspects: the least credible labels first, each with its neighbours

function arrangeSuspects(width) {
  const { suspect } = roles;
  const found = Array.from(passing).filter((i) => !missing(suspect, i) && contradicted(i));
  if (!state.sort) found.sort((a, b) => suspect.values[b] - suspect.values[a] || a - b);
  const narrow = width < 640;
  const own = pictured ? 84 : Math.min(300, width * 0.34);
  const height = narrow ? 206 : 112;
  return {
    rows: found.map((i) => ({ kind: "suspect", height, narrow, cells: [{ i, x: PAD, width: own }] })),
    said: roles.wrong ? `the worst first${neighbours ? ` · ${payload.neighbours.are}` : ""}` : `${count(found.length, "label")} that something else contradicts`,
  };
}
