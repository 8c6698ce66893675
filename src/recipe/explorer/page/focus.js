// Where the keys go.

import { byId } from "./dom.js";

export const stage = byId("stage", HTMLElement); // the gallery's scrolling area

export const focusGallery = () => stage.focus({ preventScroll: true });

/**
 * Draws the content of `node` anew. A focus that was in it and is gone moves to the gallery, not to the top of the
 * page.
 * @param {HTMLElement} node
 * @param {() => void} draw
 */
export function redrawKeepingFocus(node, draw) {
  const focused = node.contains(document.activeElement);
  draw();
  if (focused && (node.hidden || !node.contains(document.activeElement))) focusGallery();
}
