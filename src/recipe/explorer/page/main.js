// The start of the page: what a change draws, and which events lead where.

import { followAddress, parseFragment, scheduleAddress } from "./address.js";
import { change, onChange } from "./change.js";
import { drawConfusionSidebar, updateConfusionSidebar } from "./confusion-sidebar.js";
import { connectControls, updateControls } from "./controls.js";
import { clickExample, reveal } from "./cursor.js";
import { pictured } from "./data.js";
import { byId } from "./dom.js";
import { applyFilters } from "./filter.js";
import { focusGallery, stage } from "./focus.js";
import { relayout, updateTiles, watchStage } from "./gallery.js";
import { toggleHelp } from "./help.js";
import { pressKey } from "./keys.js";
import { drawPanel } from "./panel.js";
import { connectAddSelect, drawPlots, updatePlots } from "./plots.js";
import { state } from "./state.js";
import { loadPictures } from "./thumbnails.js";
import { defaults } from "./views.js";

/** @import { State } from "./types" */

/**
 * Draws what a change concerns.
 * @param {State} before
 * @param {boolean} filtered
 */
function draw(before, filtered) {
  /** @param {...keyof State} keys */
  const changed = (...keys) => keys.some((key) => state[key] !== before[key]);
  const reordered = filtered || changed("sort", "down", "seed", "view", "side");
  if (changed("plots")) drawPlots();
  if (filtered || changed("plots")) updatePlots();
  if (filtered) updateConfusionSidebar();
  if (reordered) applyFilters();
  const concernsPanel = changed("open", "active", "deciding", "marks", "selected") || (state.deciding && filtered);
  const resized = concernsPanel && drawPanel();
  if (reordered) [stage.scrollTop, stage.scrollLeft] = [0, 0];
  // cards and the table show the plotted columns
  const concernsTiles = changed("caption", "size") || (changed("plots") && (!pictured || state.view === "table"));
  if (reordered || resized || concernsTiles) relayout();
  else updateTiles();
  if ((resized || changed("active")) && state.active >= 0) reveal(state.active);
  updateControls();
  scheduleAddress();
}

function togglePlots() {
  document.body.classList.toggle("noplots");
  relayout();
  updateControls();
}

function connectEvents() {
  connectControls();
  connectAddSelect();
  watchStage();
  byId("show-plots", HTMLElement).addEventListener("click", togglePlots);
  byId("show-marks", HTMLElement).addEventListener("click", () => change({ deciding: !state.deciding }));
  byId("show-help", HTMLElement).addEventListener("click", toggleHelp);
  stage.addEventListener("click", clickExample);
  byId("panel", HTMLElement).addEventListener("click", clickExample);
  // after a click (not after Enter or Space on a button) keys are meant for the gallery
  for (const id of ["controls", "plots", "stage"])
    byId(id, HTMLElement).addEventListener("click", (event) => {
      if (event.detail && /** @type {Element} */ (event.target).closest("button")) focusGallery();
    });
  addEventListener("keydown", pressKey);
  addEventListener("hashchange", followAddress);
}

Object.assign(state, defaults);
if (matchMedia("(max-width: 52rem)").matches) document.body.classList.add("noplots");
onChange(draw);
connectEvents();
drawConfusionSidebar();
drawPlots();
change(parseFragment(location.hash));
if (state.active >= 0) reveal(state.active);
focusGallery();
if (pictured) loadPictures().then(() => performance.mark("pictures"));
performance.mark("ready");
