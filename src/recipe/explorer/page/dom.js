// Elements from plain values. Text reaches the page as text nodes and attributes only, never as HTML.

import { cut } from "./formatting.js";

/** @import { Child, Properties } from "./types" */

/**
 * The element of page.html with this id, which must be of this kind.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const node = document.getElementById(id);
  if (!(node instanceof kind)) throw new Error(`page.html has no ${kind.name} with the id ${id}`);
  return node;
}

/**
 * A value that exists wherever this is called; an error otherwise.
 * @template T
 * @param {T | null | undefined} value
 * @returns {T}
 */
export function existing(value) {
  if (value === null || value === undefined) throw new Error("a value is missing that must exist here");
  return value;
}

/**
 * An element. Properties: `on` = {event: handler}, the rest are attributes; false and null are left out.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Properties} properties
 * @param {...Child} children
 */
export function el(tag, properties = {}, ...children) {
  return complete(document.createElement(tag), properties, children);
}

/**
 * An element of a drawing.
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Properties} properties
 * @param {...Child} children
 */
export function svg(tag, properties = {}, ...children) {
  return complete(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

/**
 * @template {Element} T
 * @param {T} node
 * @param {Properties} properties
 * @param {Child[]} children
 */
function complete(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...flattened(children));
  return node;
}

/** @param {Child[]} children @returns {(string | Node)[]} */
function flattened(children) {
  return children.flatMap((child) =>
    Array.isArray(child) ? flattened(child) : child === null || child === undefined || child === false ? [] : [child],
  );
}

/**
 * The options of a select: [value, text] pairs, under headings where there are several groups.
 * @param {HTMLSelectElement} select
 * @param {Record<string, [string, string][]>} groups by heading
 * @param {string} chosen
 */
export function fillSelect(select, groups, chosen) {
  select.replaceChildren(
    ...Object.entries(groups).flatMap(([heading, pairs]) => {
      const options = pairs.map(([value, text]) => el("option", { value, selected: value === chosen }, cut(text, 48)));
      return heading ? [el("optgroup", { label: heading }, options)] : options;
    }),
  );
  select.value = chosen;
}

/**
 * Text from the data: isolated, so that its direction does not affect the text around it.
 * @param {string} text
 * @param {number} limit
 * @param {"span" | "b"} tag
 * @returns {HTMLElement}
 */
export const foreign = (text, limit, tag = "span") => el(tag, { class: "t" }, cut(text, limit));

/**
 * @param {Child} content
 * @param {(event: MouseEvent) => void} act
 * @param {Properties} properties
 */
export const button = (content, act, properties = {}) => el("button", { ...properties, on: { click: act } }, content);

/**
 * A button that is a symbol; the label says what it does.
 * @param {string} symbol
 * @param {string} label
 * @param {(event: MouseEvent) => void} act
 */
export const icon = (symbol, label, act) => button(symbol, act, { class: "icon", "aria-label": label });
