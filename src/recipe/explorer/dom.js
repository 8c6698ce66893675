// ---- dom: elements from plain values. Text reaches the page as text nodes and attributes only, never as HTML.

const $ = (id) => document.getElementById(id);

/** An element. Properties: `class`, `on` = {event: handler}, `style`, the rest as attributes; false and null leave out. */
function el(tag, properties = {}, ...children) {
  const node = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** The options of a select: [value, shown] pairs, under headings where there are several groups. */
function fill(select, groups, chosen) {
  select.replaceChildren(
    ...Object.entries(groups).flatMap(([heading, pairs]) => {
      const options = pairs.map(([value, shown]) =>
        el("option", { value, selected: value === chosen }, cut(shown, 48)),
      );
      return heading ? [el("optgroup", { label: heading }, options)] : options;
    }),
  );
  select.value = chosen;
}

/** At most `most` characters on one line, without control and direction characters; emoji stay joined. */
function cut(text, most = 80) {
  const line = String(text)
    .slice(0, 4 * most)
    .replace(/(?:[\p{Cc}\s]|(?!\u200d)\p{Cf})+/gu, " ")
    .trim();
  const letters = Array.from(line);
  return letters.length > most ? letters.slice(0, most - 1).join("") + "…" : letters.join("");
}

/** Text that is not ours: isolated, so that its direction and length stay its own affair. */
const foreign = (text, most, tag = "span") => el(tag, { class: "t" }, cut(text, most));

const button = (content, act, properties = {}) => el("button", { ...properties, on: { click: act } }, content);

/** A button that is a symbol; the label says what it does. */
const icon = (symbol, label, act) => button(symbol, act, { class: "icon", "aria-label": label });

const whole = (n) => n.toLocaleString("en");
const count = (n, noun) => `${whole(n)} ${noun}${n === 1 ? "" : "s"}`;
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
