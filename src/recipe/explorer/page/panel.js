// The panel beside the gallery: an example, or the decisions.

import { decisionsPanel } from "./decisions.js";
import { examplePanel } from "./detail.js";
import { byId } from "./dom.js";
import { redrawKeepingFocus } from "./focus.js";
import { state } from "./state.js";

const panel = byId("panel", HTMLElement);
const decisionsButton = byId("show-marks", HTMLElement);
let content = ""; // what it shows: example, decisions or nothing

/** True where the panel opens, closes or changes between the two: the gallery may have another width. */
export function drawPanel() {
  const before = content;
  content = state.open && state.active >= 0 ? "example" : state.deciding ? "decisions" : "";
  panel.setAttribute("aria-label", content === "decisions" ? "Decisions" : "Example");
  decisionsButton.setAttribute("aria-expanded", String(content === "decisions"));
  redrawKeepingFocus(panel, () => {
    panel.hidden = !content;
    if (content === "example") panel.replaceChildren(...examplePanel(state.active));
    if (content === "decisions") panel.replaceChildren(...decisionsPanel());
  });
  return content !== before;
}
