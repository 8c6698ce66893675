// ---- query: a small language, parsed by hand into a test of a row. Nothing of it is ever run as JavaScript.
//
//   query    = either { "or" either }          either = unary { "and" unary }          unary = "not" unary | part
//   part     = "(" query ")" | "missing" "(" column ")" | column of yes/no | column compare operand
//   compare  = "=" "==" "!=" "<" "<=" ">" ">=" "contains" | "in" "(" operand { "," operand } ")"
//   operand  = number | word | "text" | 'text' | column           `a name with blanks` is a column too
//   A lone word or text is searched in every column of text.
// Nothing compares with a missing number: all such comparisons are false.

class QueryError extends Error {
  constructor(message, at) {
    super(message);
    this.at = at;
  }
}

const TOKEN =
  /\s*(?:(?<text>"(?:[^"]|"")*"|'(?:[^']|'')*')|`(?<name>[^`]*)`|(?<sign><=|>=|!=|==|[=<>(),])|(?<word>[^\s<>=!(),"'`]+))/uy;

function tokens(source) {
  const found = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.trimEnd().length) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(source);
    if (!match) {
      const at = from + source.slice(from).search(/\S/);
      throw new QueryError(
        /["'`]/.test(source[at])
          ? `the text that starts here has no closing ${source[at]}`
          : `“${source[at]}” is not understood here`,
        at,
      );
    }
    const [kind, raw] = Object.entries(match.groups).find(([, part]) => part !== undefined);
    const quote = raw[0];
    const text = kind === "text" ? raw.slice(1, -1).replaceAll(quote + quote, quote) : raw;
    found.push({ kind, text, at: from + match[0].search(/\S/) });
  }
  return found;
}

/** A test of a row, or null for an empty query. Throws QueryError with the place of what is wrong. */
function compile(source) {
  const list = tokens(source);
  if (!list.length) return null;
  if (list.length === 1 && lone(list[0])) return search(list[0].text);
  const parser = { list, next: 0, end: source.length };
  const test = parseOr(parser);
  if (peek(parser))
    throw new QueryError(
      `“${cut(peek(parser).text, 30)}” comes unexpected; before it there must be and, or`,
      peek(parser).at,
    );
  return test;
}

function lone(token) {
  if (token.kind === "text") return true;
  const column = byName.get(token.text);
  if (token.kind !== "word" || (column && column.kind === "flag")) return false;
  if (column)
    throw new QueryError(
      `“${token.text}” is a column: compare it, as in ${token.text} ${column.kind === "text" ? "contains x" : "> 1"}, or quote it to search for the word`,
      token.at,
    );
  return true;
}

const peek = (p) => p.list[p.next];
const is = (token, text) =>
  token && token.kind !== "text" && token.kind !== "name" && token.text.toLowerCase() === text;

function take(p, text) {
  if (!is(peek(p), text))
    throw new QueryError(
      peek(p) ? `“${text}” is missing before “${cut(peek(p).text, 30)}”` : `“${text}” is missing at the end`,
      peek(p)?.at ?? p.end,
    );
  p.next++;
}

function parseOr(p) {
  let test = parseAnd(p);
  while (is(peek(p), "or")) {
    p.next++;
    const [a, b] = [test, parseAnd(p)];
    test = (i) => a(i) || b(i);
  }
  return test;
}

function parseAnd(p) {
  let test = parseNot(p);
  while (is(peek(p), "and")) {
    p.next++;
    const [a, b] = [test, parseNot(p)];
    test = (i) => a(i) && b(i);
  }
  return test;
}

function parseNot(p) {
  if (!is(peek(p), "not")) return parsePart(p);
  p.next++;
  const test = parseNot(p);
  return (i) => !test(i);
}

function parsePart(p) {
  if (is(peek(p), "(")) {
    p.next++;
    const test = parseOr(p);
    take(p, ")");
    return test;
  }
  if (is(peek(p), "missing") && is(p.list[p.next + 1], "(")) {
    p.next += 2;
    const column = parseColumn(p);
    take(p, ")");
    return (i) => missing(column, i);
  }
  const column = parseColumn(p);
  const sign = peek(p);
  if (sign && COMPARE.includes(sign.text.toLowerCase()) && sign.kind !== "text") return parseComparison(p, column);
  if (column.kind === "flag") return (i) => column.values[i] === 1;
  throw new QueryError(`after ${column.name} there must be one of ${COMPARE.join(" ")}`, sign?.at ?? p.end);
}

const COMPARE = ["=", "==", "!=", "<", "<=", ">", ">=", "contains", "in"];

function parseColumn(p) {
  const token = peek(p);
  if (!token) throw new QueryError("a column is missing at the end", p.end);
  const column = token.kind === "word" || token.kind === "name" ? byName.get(token.text) : null;
  if (!column) {
    const near = [...byName.keys()]
      .map((name) => [changes(name.toLowerCase(), token.text.toLowerCase()), name])
      .sort((a, b) => a[0] - b[0])[0];
    const hint = near && near[0] <= 2 ? `; is ${near[1]} meant?` : ".";
    const names = columns.map((c) => cut(c.name, 30)).join(", ");
    throw new QueryError(`no column “${cut(token.text, 30)}”${hint} There are: ${names}`, token.at);
  }
  p.next++;
  return column;
}

function parseOperand(p) {
  const token = peek(p);
  if (!token || token.kind === "sign") throw new QueryError("a value is missing here", token?.at ?? p.end);
  p.next++;
  const column = token.kind === "word" || token.kind === "name" ? byName.get(token.text) : null;
  if (token.kind === "name" && !column) throw new QueryError(`no column “${cut(token.text, 30)}”`, token.at);
  return { column, text: token.text, at: token.at };
}

function parseComparison(p, column) {
  const sign = p.list[p.next++];
  const compare = sign.text.toLowerCase();
  if (compare === "in") {
    take(p, "(");
    const tests = [equal(column, parseOperand(p))];
    while (is(peek(p), ",")) {
      p.next++;
      tests.push(equal(column, parseOperand(p)));
    }
    take(p, ")");
    return (i) => tests.some((test) => test(i));
  }
  const operand = parseOperand(p);
  if (compare === "contains") return contains(column, operand.text);
  if (compare === "=" || compare === "==") return equal(column, operand);
  if (compare === "!=") {
    const test = equal(column, operand);
    return column.kind === "number" ? (i) => !Number.isNaN(column.values[i]) && !test(i) : (i) => !test(i);
  }
  if (column.kind !== "number")
    throw new QueryError(
      `${column.name} holds ${column.kind === "flag" ? "yes or no" : "text"}: it takes = != contains in, not ${compare}`,
      sign.at,
    );
  const other = numbers(column, operand);
  const own = column.values;
  return {
    "<": (i) => own[i] < other(i),
    "<=": (i) => own[i] <= other(i),
    ">": (i) => own[i] > other(i),
    ">=": (i) => own[i] >= other(i),
  }[compare];
}

/** row -> number: of another column, or the one that is written. */
function numbers(column, operand) {
  if (operand.column?.kind === "number") return (i) => operand.column.values[i];
  const x = operand.text.trim() === "" ? NaN : Number(operand.text);
  if (Number.isNaN(x))
    throw new QueryError(`${column.name} holds numbers, and “${cut(operand.text, 30)}” is none`, operand.at);
  const rounded = column.type === "f4" ? Math.fround(x) : x; // as the column's own values are
  return () => rounded;
}

function equal(column, operand) {
  if (column.kind === "number") {
    const other = numbers(column, operand);
    return (i) => column.values[i] === other(i);
  }
  if (operand.column?.kind === "text" && column.kind === "text")
    return (i) => value(column, i) === value(operand.column, i);
  if (column.kind === "text") return perWord(column, (word) => word === operand.text);
  const wanted = { yes: 1, true: 1, 1: 1, no: 0, false: 0, 0: 0 }[operand.text.toLowerCase()];
  if (wanted === undefined)
    throw new QueryError(`${column.name} is yes or no, and “${cut(operand.text, 30)}” is neither`, operand.at);
  return (i) => column.values[i] === wanted;
}

function contains(column, text) {
  const wanted = text.toLowerCase();
  if (column.kind === "text") return perWord(column, (_, k) => lowered(column)[k].includes(wanted));
  return (i) => show(column, i).toLowerCase().includes(wanted);
}

function search(text) {
  const tests = columns.filter((column) => column.kind === "text").map((column) => contains(column, text));
  return (i) => tests.some((test) => test(i));
}

/** The test is done once for every different text, and looked up by row. */
function perWord(column, test) {
  const holds = Uint8Array.from(column.words, (word, k) => (test(word, k) ? 1 : 0));
  return (i) => holds[column.values[i]] === 1;
}

function lowered(column) {
  return (column.lowered ??= column.words.map((word) => word.toLowerCase()));
}

/** Levenshtein's distance, for names that are nearly right. */
function changes(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length];
}
