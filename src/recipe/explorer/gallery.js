// ---- gallery: the rows in sight, tiles from a pool, and the cursor

let layout = { rows: [], height: 0, width: 0 };
const drawn = new Map(); // index of a row -> its element
const spare = []; // tiles that are out of sight
const bitmaps = []; // decoded sheets of thumbnails, as they arrive

const stage = $("stage");
const sheet = $("sheet");
const CUSHION = 400; // pixels drawn beyond each edge
const SIDEWAYS = 600;

const toGallery = () => stage.focus({ preventScroll: true });

/** Draws anew what is in `node`. A focus that was in it and is gone passes to the gallery, not to the top of the page. */
function redrawn(node, draw) {
  const focused = node.contains(document.activeElement);
  draw();
  if (focused && (node.hidden || !node.contains(document.activeElement))) toGallery();
}

function relayout() {
  redrawn(sheet, layOut);
}

function layOut() {
  sheet.replaceChildren();
  for (const node of drawn.values()) recycle(node);
  drawn.clear();
  layout = state.view === "confusions" ? { rows: [], height: 0, width: 0 } : arrange(stage.clientWidth);
  sheet.style.height = state.view === "confusions" ? "auto" : `${layout.height}px`;
  sheet.style.width = state.view === "confusions" ? "auto" : `${layout.width}px`;
  layout.asked = stage.clientWidth;
  stage.dataset.view = state.view;
  stage.setAttribute("role", state.view === "confusions" ? "group" : "listbox");
  if (state.view === "confusions") return void sheet.append(confusions());
  if (layout.head) sheet.append(head(layout));
  if (!layout.rows.length) sheet.append(el("p", { class: "empty" }, nothing()));
  paint();
}

function nothing() {
  if (!passing.length) return "No example passes the filters.";
  if (state.view === "suspects" && roles.wrong) return "No mistake among these.";
  return state.view === "suspects" ? "No label among these is contradicted." : "No duplicates among these.";
}

/** First row whose end lies below `y`. */
function rowAt(y) {
  let [a, b] = [0, layout.rows.length];
  while (a < b) {
    const middle = (a + b) >> 1;
    if (layout.rows[middle].y + layout.rows[middle].height < y) a = middle + 1;
    else b = middle;
  }
  return a;
}

/** Brings the drawn rows to those in sight; `sideways` redraws all, for rows that draw only some of their columns. */
function paint(sideways = false) {
  if (!layout.rows.length) return;
  const first = rowAt(stage.scrollTop - CUSHION);
  const last = rowAt(stage.scrollTop + stage.clientHeight + CUSHION);
  for (const [r, node] of drawn) {
    if (r >= first && r <= last && !sideways) continue;
    recycle(node);
    drawn.delete(r);
  }
  const fresh = document.createDocumentFragment();
  for (let r = first; r <= Math.min(last, layout.rows.length - 1); r++) {
    if (drawn.has(r)) continue;
    const row = layout.rows[r];
    const node = el("div", {
      class: `line ${row.kind}`,
      role: "presentation",
      style: `top:${row.y}px;height:${row.height}px`,
    });
    DRAW[row.kind](row, node);
    drawn.set(r, node);
    fresh.append(node);
  }
  sheet.append(fresh);
  stage.setAttribute("aria-activedescendant", state.active >= 0 && $(`x${state.active}`) ? `x${state.active}` : "");
}

function recycle(node) {
  for (const tile of node.querySelectorAll(".tile")) spare.push(tile);
  node.remove();
}

const DRAW = { tiles: drawTiles, group: drawGroup, record: drawRecord, suspect: drawSuspect };

function drawTiles(row, node) {
  for (const cell of row.cells) node.append(place(tile(cell.i, cell.width), cell.x));
}

function place(node, x) {
  node.style.left = `${x}px`;
  return node;
}

// ---- one example: a picture, a text, or its first columns

function tile(i, width, { cursor = true, caption = state.caption } = {}) {
  const node = pictured ? pictureTile(i, width, caption) : cardTile(i);
  node.style.cssText = `width:${width}px`; // a tile from the pool still stands where it was
  node.dataset.i = i;
  if (cursor) node.id = `x${i}`;
  else node.removeAttribute("id");
  node.setAttribute("role", cursor ? "option" : "button");
  dress(node, i, cursor);
  return node;
}

/** A tile beside another example; `marked` stands out. */
function companion(i, width, marked) {
  if (i < 0) return el("div", { class: "tile elsewhere", style: `width:${width}px` }, "not on this page");
  const node = tile(i, width, { cursor: false, caption: roles.label?.name ?? "" });
  node.classList.toggle("agrees", marked);
  node.tabIndex = 0;
  return node;
}

/** What changes without a new layout: cursor, selection and mark. */
function dress(node, i, cursor) {
  const mark = state.marks.get(i);
  node.setAttribute("aria-label", spoken(i));
  if (cursor) node.setAttribute("aria-selected", String(state.selected.has(i)));
  else node.removeAttribute("aria-selected");
  node.classList.toggle("active", cursor && state.active === i);
  node.classList.toggle("away", !passes(i));
  node.dataset.mark = mark ? mark.action : "";
}

function redress() {
  for (const node of sheet.querySelectorAll(".tile, .record")) dress(node, Number(node.dataset.i), node.id !== "");
  stage.setAttribute("aria-activedescendant", state.active >= 0 && $(`x${state.active}`) ? `x${state.active}` : "");
}

function spoken(i) {
  const mark = state.marks.get(i);
  return [idOf(i), labelOf(i), mark && `marked ${mark.action} ${mark.label}`]
    .filter(Boolean)
    .map((part) => cut(part, 60))
    .join(", ");
}

function pictureTile(i, width, caption) {
  const node = spare.pop() ?? el("div", { class: "tile" }, el("canvas"), el("span", { class: "t" }));
  const [canvas, text] = node.children;
  node.className = "tile";
  node.removeAttribute("tabindex");
  canvas.style.width = canvas.style.height = `${width}px`;
  drawThumbnail(canvas, i);
  const column = byName.get(caption);
  text.hidden = !column || width < 40;
  if (!text.hidden) text.textContent = cut(show(column, i), 40);
  return node;
}

/** The thumbnail in its own pixels, centred in a square; CSS enlarges it. */
function drawThumbnail(canvas, i) {
  const { cell, across, each, crisp } = payload.pictures;
  const side = Math.max(...cell.map((_, axis) => largestThumbnail[axis]));
  if (canvas.width !== side || canvas.height !== side) [canvas.width, canvas.height] = [side, side];
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, side, side);
  canvas.classList.toggle("crisp", crisp);
  const [width, height] = [thumbnailSizes[2 * i], thumbnailSizes[2 * i + 1]];
  const bitmap = bitmaps[Math.floor(i / each)];
  if (!width) return nopicture(context, side);
  if (!bitmap) return;
  const at = i % each;
  context.drawImage(
    bitmap,
    (at % across) * cell[0],
    Math.floor(at / across) * cell[1],
    width,
    height,
    (side - width) >> 1,
    (side - height) >> 1,
    width,
    height,
  );
}

const largestThumbnail = [0, 1].map((axis) => {
  let most = 1;
  if (thumbnailSizes) for (let i = axis; i < thumbnailSizes.length; i += 2) most = Math.max(most, thumbnailSizes[i]);
  return most;
});

function nopicture(context, side) {
  context.strokeStyle = "#888";
  context.lineWidth = Math.max(1, side / 32);
  context.beginPath();
  context.moveTo(side * 0.3, side * 0.3);
  context.lineTo(side * 0.7, side * 0.7);
  context.moveTo(side * 0.7, side * 0.3);
  context.lineTo(side * 0.3, side * 0.7);
  context.stroke();
}

/** Decodes the sheets one after the other and fills in the tiles that wait for them. */
async function loadPictures() {
  const { sheets, each } = payload.pictures;
  for (const [k, source] of sheets.entries()) {
    const image = new Image();
    await new Promise((done, failed) => Object.assign(image, { onload: done, onerror: failed, src: source }));
    bitmaps[k] = await createImageBitmap(image);
    for (const canvas of document.querySelectorAll("canvas[data-i], .tile > canvas")) {
      const i = Number(canvas.dataset.i ?? canvas.parentNode.dataset.i);
      if (Math.floor(i / each) === k) drawThumbnail(canvas, i);
    }
  }
  payload.pictures.sheets = null;
}

function cardTile(i) {
  const text = byName.get("text");
  const row = (...cells) => el("div", {}, cells);
  const label = roles.label ? foreign(nameOfCategory(labelOf(i)), 40, "b") : null;
  const facts = state.plots
    .map((name) => byName.get(name))
    .filter((column) => column !== roles.label && column !== text);
  const body = payload.text
    ? el("p", { class: "t words", dir: "auto" }, cut(value(text, i), 400) || "(empty)")
    : el(
        "dl",
        {},
        facts
          .slice(0, 6)
          .map((column) => row(el("dt", {}, cut(column.name, 24)), el("dd", {}, cut(show(column, i), 24)))),
      );
  const caption = byName.get(state.caption);
  const more = caption && caption !== roles.label ? foreign(show(caption, i), 30) : null;
  return el("div", { class: "tile card" }, el("header", {}, label, more, el("code", {}, cut(idOf(i), 24))), body);
}

// ---- the cursor

/** [row, cell] of the example in the layout; null where it is not in this view. */
function find(i) {
  for (let r = 0; r < layout.rows.length; r++) {
    const c = layout.rows[r].cells.findIndex((cell) => cell.i === i);
    if (c >= 0) return [r, c];
  }
  return null;
}

/** The example `steps` rows or cells away from the cursor. */
function neighbourInView(move) {
  const { rows } = layout;
  if (!rows.length) return -1;
  const at = find(state.active);
  if (!at && !["first", "last"].includes(move))
    return rows[Math.min(rowAt(stage.scrollTop + 1), rows.length - 1)].cells[0].i;
  const [r, c] = at ?? [0, 0];
  const page = Math.max(1, Math.floor(stage.clientHeight / rows[r].height) - 1);
  if (move === "first") return rows[0].cells[0].i;
  if (move === "last") return rows.at(-1).cells.at(-1).i;
  if (move === "next") return (rows[r].cells[c + 1] ?? rows[r + 1]?.cells[0] ?? rows[r].cells[c]).i;
  if (move === "previous") return (rows[r].cells[c - 1] ?? rows[r - 1]?.cells.at(-1) ?? rows[r].cells[c]).i;
  const target = rows[clamp(r + { up: -1, down: 1, pageup: -page, pagedown: page }[move], 0, rows.length - 1)];
  const x = rows[r].cells[c].x;
  return target.cells.reduce((best, cell) => (Math.abs(cell.x - x) < Math.abs(best.x - x) ? cell : best)).i;
}

function reveal(i) {
  const at = find(i);
  if (!at) return;
  const row = layout.rows[at[0]];
  const cell = row.cells[at[1]];
  const top = (layout.top ?? 0) + 4;
  if (row.y < stage.scrollTop + top) stage.scrollTop = row.y - top;
  else if (row.y + row.height > stage.scrollTop + stage.clientHeight)
    stage.scrollTop = row.y + row.height - stage.clientHeight + 4;
  if (layout.width > stage.clientWidth && state.view === "gallery") {
    if (cell.x < stage.scrollLeft) stage.scrollLeft = cell.x - PAD;
    else if (cell.x + cell.width > stage.scrollLeft + stage.clientWidth)
      stage.scrollLeft = cell.x + cell.width - stage.clientWidth + PAD;
  }
  paint();
}

/** Every example of this view between two, in its order. */
function between(a, z) {
  const all = layout.rows.flatMap((row) => row.cells.map((cell) => cell.i));
  const [from, to] = [all.indexOf(a), all.indexOf(z)].sort((x, y) => x - y);
  return from < 0 ? [z] : all.slice(from, to + 1);
}
