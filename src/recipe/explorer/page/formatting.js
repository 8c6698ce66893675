// Numbers and texts as a reader sees them.

/** @param {number} x @param {number} low @param {number} high */
export const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

/**
 * At most `limit` characters on one line, without control and direction characters; emoji stay joined.
 * @param {unknown} text
 */
export function cut(text, limit = 80) {
  const line = String(text)
    .slice(0, 4 * limit)
    .replace(/(?:[\p{Cc}\s]|(?!\u200d)\p{Cf})+/gu, " ")
    .trim();
  const letters = Array.from(line);
  return letters.length > limit ? letters.slice(0, limit - 1).join("") + "…" : letters.join("");
}

/** @param {number} x */
export function formatNumber(x) {
  if (Number.isNaN(x)) return "missing";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (Number.isInteger(x))
    return Math.abs(x) < 10000 ? String(x) : Math.abs(x) < 1e15 ? x.toLocaleString("en") : x.toExponential(3);
  if (Math.abs(x) >= 10000 && Math.abs(x) < 1e15) return Math.round(x).toLocaleString("en");
  return String(Number(x.toPrecision(4)));
}

/**
 * All digits of a float32: a number that is read back from a field equals the one that was written into it.
 * @param {number} x
 */
export const exactNumber = (x) => String(Number(x.toPrecision(8)));

/** @param {number} n */
export const formatCount = (n) => n.toLocaleString("en");

/**
 * A count in three or four characters.
 * @param {number} n
 */
export const shortCount = (n) => (n < 1000 ? String(n) : `${n < 9950 ? (n / 1000).toFixed(1) : Math.round(n / 1000)}k`);

/** @param {number} n @param {string} noun in the singular */
export const counted = (n, noun) => `${formatCount(n)} ${noun}${n === 1 ? "" : "s"}`;

/** @param {number} share 0 to 1 */
export const formatPercent = (share) => `${(100 * share).toFixed(1)} %`;

/** @param {string} name of a category */
export const categoryName = (name) => (name === "" ? "(none)" : name);
