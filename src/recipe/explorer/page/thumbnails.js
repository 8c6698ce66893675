// Thumbnails: each is a cell of a sheet that the browser decodes once.

import { payload, thumbnailSizes } from "./data.js";
import { existing } from "./dom.js";

/** @type {ImageBitmap[]} decoded sheets, as they arrive */
const bitmaps = [];

/** The longest side of any thumbnail, at least 1. */
export const largestSide = Array.from(thumbnailSizes).reduce((most, n) => Math.max(most, n), 1);

/**
 * The thumbnail in its own pixels, centred in a square; CSS enlarges it.
 * @param {HTMLCanvasElement} canvas
 * @param {number} i
 */
export function drawThumbnail(canvas, i) {
  const { cell, across, each, crisp } = existing(payload.pictures);
  if (canvas.width !== largestSide || canvas.height !== largestSide)
    [canvas.width, canvas.height] = [largestSide, largestSide];
  const context = existing(canvas.getContext("2d"));
  context.clearRect(0, 0, largestSide, largestSide);
  canvas.classList.toggle("crisp", crisp);
  const [width, height] = [thumbnailSizes[2 * i], thumbnailSizes[2 * i + 1]];
  if (!width) return drawCross(context, largestSide);
  const bitmap = bitmaps[Math.floor(i / each)];
  if (!bitmap) return;
  const at = i % each;
  const [x, y] = [(at % across) * cell[0], Math.floor(at / across) * cell[1]];
  const [left, top] = [(largestSide - width) >> 1, (largestSide - height) >> 1];
  context.drawImage(bitmap, x, y, width, height, left, top, width, height);
}

/**
 * Where there is no picture.
 * @param {CanvasRenderingContext2D} context
 * @param {number} side
 */
function drawCross(context, side) {
  context.strokeStyle = "#888";
  context.lineWidth = Math.max(1, side / 32);
  context.beginPath();
  context.moveTo(side * 0.3, side * 0.3);
  context.lineTo(side * 0.7, side * 0.7);
  context.moveTo(side * 0.7, side * 0.3);
  context.lineTo(side * 0.3, side * 0.7);
  context.stroke();
}

/** Decodes the sheets one after the other and fills in the thumbnails that wait for them. */
export async function loadPictures() {
  const { sheets, each } = existing(payload.pictures);
  for (const [k, source] of sheets.entries()) {
    const image = new Image();
    await new Promise((loaded, failed) => Object.assign(image, { onload: loaded, onerror: failed, src: source }));
    bitmaps[k] = await createImageBitmap(image);
    for (const canvas of document.querySelectorAll("canvas")) {
      const i = Number(canvas.dataset.i ?? canvas.parentElement?.dataset.i);
      if (Math.floor(i / each) === k) drawThumbnail(canvas, i);
    }
  }
  sheets.length = 0; // megabytes of text that are not read again
}
