// The line below the filter: what is wrong with it, or why something cannot be done.

import { byId } from "./dom.js";

const line = byId("error", HTMLElement);

/** @param {string} text */
export function showMessage(text) {
  line.textContent = text;
  line.hidden = false;
}

export function hideMessage() {
  line.hidden = true;
}

export const isMessageShown = () => !line.hidden;
