// The words and signs of a filter's text.

/**
 * @typedef {object} Token
 * @property {string} kind text (quoted), name (in backticks), sign or word
 * @property {string} text
 * @property {number} at where it begins, from 0
 */

export class QueryError extends Error {
  /** @param {string} message @param {number} at the character that is wrong, from 0 */
  constructor(message, at) {
    super(message);
    this.at = at;
  }
}

const TOKEN =
  /\s*(?:(?<text>"(?:[^"]|"")*"|'(?:[^']|'')*')|`(?<name>[^`]*)`|(?<sign><=|>=|!=|==|[=<>(),])|(?<word>[^\s<>=!(),"'`]+))/uy;

/** @param {string} source @returns {Token[]} */
export function tokenize(source) {
  const tokens = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.trimEnd().length) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(source);
    if (!match) throw unreadable(source, from + source.slice(from).search(/\S/));
    const [kind, raw] = Object.entries(match.groups ?? {}).find(([, part]) => part !== undefined) ?? ["word", ""];
    const quote = raw[0];
    const text = kind === "text" ? raw.slice(1, -1).replaceAll(quote + quote, quote) : raw;
    tokens.push({ kind, text, at: from + match[0].search(/\S/) });
  }
  return tokens;
}

/** @param {string} source @param {number} at */
function unreadable(source, at) {
  const sign = source[at];
  return new QueryError(
    /["'`]/.test(sign) ? `the quoted text that starts here has no closing ${sign}` : `“${sign}” has no meaning here`,
    at,
  );
}
