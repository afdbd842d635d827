/** Names that mean the same in every program. */
const KNOWN: ReadonlySet<string> = /* @__PURE__ */ new Set(
  ("Array ArrayBuffer BigInt Boolean Date Error Infinity Intl JSON Map Math NaN Number Object " +
    "RangeError Reflect RegExp Set String Symbol TypeError Uint8Array arguments console isNaN " +
    "parseFloat parseInt structuredClone undefined " +
    // Words of the language that stand in the place of a name.
    "async await break case catch class const constructor continue debugger default delete do " +
    "else extends false finally for function if in instanceof let new null return " +
    "switch throw true try typeof var void while with yield").split(" "),
);

/** Words that are names, too, where no name or text follows: `get x() {}`, and `get(x)`. */
const MODIFIERS: ReadonlySet<string> = /* @__PURE__ */ new Set(["get", "set", "static"]);

/** A word, a text with its quotes, a number, or a sign. */
const TOKEN =
  /\/\/[^\n]*|\/\*[^]*?\*\/|"(?:\\[^]|[^"\\])*"|'(?:\\[^]|[^'\\])*'|`|[\p{ID_Start}$_#][\p{ID_Continue}$\u200c\u200d]*|\d[\w.]*|=>|\+\+|--|\.\.\.|\?\.|==+|!==?|<=|>=|[^\s]/gu;

/** The text before the beginning of a regular expression, where a division cannot be. */
const BEFORE_REGEXP =
  /^(?:[(,=:[!&|?{;+\-*%<>~^]|=>|==+|!==?|<=|>=|return|typeof|case|in|of|else|do|void|delete|throw)$/;

/**
 * A name in the source text of a function that the text does not explain: something around the
 * function has it, so that two functions of the same text may do different things. `undefined` if
 * there is none. It errs on one side: a text that it does not understand has one. It knows no blocks: a
 * name that is declared in one of them counts as declared in all of the text.
 */
export function freeName(source: string): string | undefined {
  const tokens = tokensOf(source);
  if (tokens === undefined) return "`";
  const declared = declaredIn(tokens);
  for (const [at, token] of tokens.entries()) {
    if (!isName(token) || declared.has(token)) continue;
    if (token === "this" || token === "super") return token;
    const before = tokens[at - 1];
    if (KNOWN.has(token) || isWord(tokens, at, declared)) continue;
    const isProperty = before === "." || before === "?.";
    const isKey = tokens[at + 1] === ":" && (before === "{" || before === ",");
    // The name of a method: the whole text is one then.
    const isOwn = tokens[at + 1] === "(" && (at === 0 || at === 1 && before === "async");
    if (!isProperty && !isKey && !isOwn) return token;
  }
  return undefined;
}

/** Whether a token that may be a name is a word of the language in its place. */
function isWord(tokens: readonly string[], at: number, declared: ReadonlySet<string>): boolean {
  const [before = "", after = ""] = [tokens[at - 1], tokens[at + 1]];
  if (MODIFIERS.has(tokens[at]!)) return isName(after) || /^["'\d]/.test(after);
  return tokens[at] === "of" && (declared.has(before) || before === "]" || before === "}");
}

/** `undefined` for what is not understood: a text with expressions in it, or a `/` that may be two things. */
function tokensOf(source: string): string[] | undefined {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (let found = TOKEN.exec(source); found !== null; found = TOKEN.exec(source)) {
    const [token] = found;
    const end = TOKEN.lastIndex;
    if (token.startsWith("//") || token.startsWith("/*")) continue;
    if (token === "`") {
      const text = /^(?:\\[^]|[^`\\$]|\$(?!\{))*`/u.exec(source.slice(end));
      if (text === null) return undefined;
      TOKEN.lastIndex = end + text[0].length;
      continue;
    }
    if (token === "/" && mayBegin(tokens)) return undefined;
    if (token === "/" && BEFORE_REGEXP.test(tokens.at(-1) ?? "(")) {
      const rest = /^(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/\w*/u.exec(source.slice(end));
      if (rest === null) return undefined;
      TOKEN.lastIndex = end + rest[0].length;
      continue;
    }
    tokens.push(token);
  }
  return tokens;
}

/** Whether a `/` behind these tokens divides, or begins a regular expression: behind a block, say. */
function mayBegin(tokens: readonly string[]): boolean {
  const last = tokens.length - 1;
  if (tokens[last] === "}") return true;
  const head = tokens[last] === ")" ? tokens[openingOf(tokens, last) - 1] : undefined;
  return head === "if" || head === "for" || head === "while" || head === "with";
}

function isName(token: string): boolean {
  return /^[\p{ID_Start}$_#]/u.test(token);
}

/** The parameters of all functions in the text, and its variables. */
function declaredIn(tokens: readonly string[]): Set<string> {
  const declared = new Set<string>();
  const add = (from: number, to: number) => addPattern(tokens.slice(from, to), declared);
  for (const [at, token] of tokens.entries()) {
    const before = tokens[at - 1] ?? "";
    if (token === "=>") {
      if (isName(before)) declared.add(before);
      else if (before === ")") add(openingOf(tokens, at - 1) + 1, at - 1);
    } else if (token === "(" && isFunctionHead(tokens, at)) {
      add(at + 1, closingOf(tokens, at));
    } else if (token === "function" && isName(tokens[at + 1] ?? "")) {
      declared.add(tokens[at + 1]!);
    } else if (token === "const" || token === "let" || token === "var") {
      const next = tokens[at + 1] ?? "";
      if (isName(next)) declared.add(next);
      else if (next === "{" || next === "[") add(at + 1, closingOf(tokens, at + 1) + 1);
    }
  }
  return declared;
}

/** Whether the parenthesis at `at` opens the parameters of a function, method or `catch`. */
function isFunctionHead(tokens: readonly string[], at: number): boolean {
  const before = tokens[at - 1];
  if (before === "function" || before === "catch") return true;
  if (tokens[at - 2] === "function") return true;
  // A method: the whole text is one.
  return at === 1 && isName(before ?? "") ||
    at === 2 && tokens[0] === "async" && before !== "function";
}

/** Adds the names that a pattern binds: not its keys, and nothing in its defaults. */
function addPattern(pattern: readonly string[], declared: Set<string>): void {
  let depth = 0;
  /** The depth of the default that is passed over. */
  let within = Infinity;
  for (const [at, token] of pattern.entries()) {
    if (token === "{" || token === "[" || token === "(") depth++;
    else if (token === "}" || token === "]" || token === ")") {
      depth--;
      if (depth < within) within = Infinity;
    } else if (token === "=" && within === Infinity) within = depth;
    else if (token === "," && depth <= within) within = Infinity;
    else if (within === Infinity && isName(token) && pattern[at + 1] !== ":") declared.add(token);
  }
}

function openingOf(tokens: readonly string[], closing: number): number {
  for (let at = closing, depth = 0; at >= 0; at--) {
    if (tokens[at] === ")") depth++;
    else if (tokens[at] === "(" && --depth === 0) return at;
  }
  return closing;
}

function closingOf(tokens: readonly string[], opening: number): number {
  for (let at = opening, depth = 0; at < tokens.length; at++) {
    if ("([{".includes(tokens[at]!)) depth++;
    else if (")]}".includes(tokens[at]!) && --depth === 0) return at;
  }
  return opening;
}
