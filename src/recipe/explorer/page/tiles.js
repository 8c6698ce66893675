// One example as a tile: a picture, a text, or its first columns. Tiles of pictures come from a pool.

import { byName, formatValue, idOf, labelOf, payload, pictured, roles, textOf } from "./data.js";
import { el, foreign } from "./dom.js";
import { passes } from "./filter.js";
import { categoryName, cut } from "./formatting.js";
import { state } from "./state.js";
import { drawThumbnail } from "./thumbnails.js";

/** @import { Child } from "./types" */

const CARD_FACTS = 6; // columns on a card
/** @type {HTMLElement[]} tiles that are out of sight */
const pool = [];

/**
 * The tiles in `node` can be used again.
 * @param {HTMLElement} node
 */
export function recycleTiles(node) {
  if (pictured) pool.push(.../** @type {NodeListOf<HTMLElement>} */ (node.querySelectorAll(".tile:not(.elsewhere)")));
  node.remove();
}

/**
 * `inGallery`: whether the cursor can move to it, and it can be selected.
 * @param {number} i
 * @param {number} width
 */
export function tile(i, width, { inGallery = true, caption = state.caption } = {}) {
  const node = pictured ? pictureTile(i, width, caption) : cardTile(i);
  node.style.cssText = `width:${width}px`; // a tile from the pool still has its former place
  node.dataset.i = String(i);
  if (inGallery) node.id = `x${i}`;
  else node.removeAttribute("id");
  node.setAttribute("role", inGallery ? "option" : "button");
  updateTile(node, i, inGallery);
  return node;
}

/**
 * A tile beside another example.
 * @param {number} i
 * @param {number} width
 * @param {boolean} highlighted
 */
export function relatedTile(i, width, highlighted) {
  if (i < 0) return el("div", { class: "tile elsewhere", style: `width:${width}px` }, "not on this page");
  const node = tile(i, width, { inGallery: false, caption: roles.label?.name ?? "" });
  node.classList.toggle("agrees", highlighted);
  node.tabIndex = 0;
  return node;
}

/** @template {HTMLElement} T @param {T} node @param {number} x */
export function placeAt(node, x) {
  node.style.left = `${x}px`;
  return node;
}

/**
 * What changes without a new layout: cursor, selection and mark.
 * @param {HTMLElement} node
 * @param {number} i
 * @param {boolean} inGallery
 */
export function updateTile(node, i, inGallery) {
  node.setAttribute("aria-label", tileLabel(i));
  if (inGallery) node.setAttribute("aria-selected", String(state.selected.has(i)));
  else node.removeAttribute("aria-selected");
  node.classList.toggle("active", inGallery && state.active === i);
  node.classList.toggle("away", !passes(i));
  node.dataset.mark = state.marks.get(i)?.action ?? "";
}

/**
 * What a screen reader says.
 * @param {number} i
 */
function tileLabel(i) {
  const mark = state.marks.get(i);
  return [idOf(i), labelOf(i), mark ? `marked ${mark.action} ${mark.label}` : ""]
    .filter(Boolean)
    .map((part) => cut(part, 60))
    .join(", ");
}

/** @param {number} i @param {number} width @param {string} caption */
function pictureTile(i, width, caption) {
  const node = pool.pop() ?? el("div", {}, el("canvas"), el("span", { class: "t" }));
  const canvas = /** @type {HTMLCanvasElement} */ (node.firstElementChild);
  const text = /** @type {HTMLElement} */ (node.lastElementChild);
  node.className = "tile";
  node.removeAttribute("tabindex");
  canvas.style.width = canvas.style.height = `${width}px`;
  drawThumbnail(canvas, i);
  const column = byName.get(caption);
  text.hidden = !column || width < 40;
  if (column && !text.hidden) text.textContent = cut(formatValue(column, i), 40);
  return node;
}

/** @param {number} i */
function cardTile(i) {
  const text = byName.get("text");
  const label = roles.label ? foreign(categoryName(labelOf(i)), 40, "b") : null;
  const column = byName.get(state.caption);
  const caption = column && column !== roles.label ? foreign(formatValue(column, i), 30) : null;
  /** @type {Child} */
  let body;
  if (payload.text && text?.kind === "text")
    body = el("p", { class: "t words", dir: "auto" }, cut(textOf(text, i), 400) || "(empty)");
  else body = el("dl", {}, cardFacts(i));
  return el("div", { class: "tile card" }, el("header", {}, label, caption, el("code", {}, cut(idOf(i), 24))), body);
}

/** @param {number} i */
function cardFacts(i) {
  return state.plots
    .flatMap((name) => byName.get(name) ?? [])
    .filter((column) => column !== roles.label && column.name !== "text")
    .slice(0, CARD_FACTS)
    .map((column) => el("div", {}, el("dt", {}, cut(column.name, 24)), el("dd", {}, cut(formatValue(column, i), 24))));
}
