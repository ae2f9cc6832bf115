/**
 * YAML and JSON as text: the only file that knows how they are written.
 *
 * In: the text of a config file, or a value to write. Out: the keys at its top with their values and lines, and every
 * problem with its line; or YAML. YAML 1.2 with its core schema: `no` is a text, `0o17` a number, a time a text, `<<` an
 * ordinary key. Pure. Must never happen: a text that costs more memory or stack than its size (nesting and aliases are
 * bounded), a problem that quotes the text, which may hold a secret (I9).
 */
import {
  type ErrorCode,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
  parseDocument,
  stringify,
  visit,
  type YAMLMap
} from 'yaml'

export type ConfigFormat = 'yaml' | 'json'

export interface WrittenValue {
  readonly key: string
  readonly value: unknown
  /** Told as a problem; the value is one of several. */
  readonly isRepeated: boolean
  /** Of the key, from 1. */
  readonly line: number
  /** What stands without quotes and is no text, if anything: the value itself or the first such item of a list. */
  readonly unquoted: { readonly text: string; readonly line: number } | undefined
}

export interface TextProblem {
  readonly what: string
  /** From 1. */
  readonly line?: number
  readonly column?: number
}

export interface ConfigText {
  /** In the order of the file; none where it cannot be parsed. */
  readonly values: readonly WrittenValue[]
  readonly problems: readonly TextProblem[]
  readonly isParsed: boolean
}

/** Deeper nesting than any configuration has; the parser works on the stack. */
const DEPTH_MAX = 64
/** Values that aliases may stand for in all. */
const ALIASED_MAX = 100

export function readConfigText(text: string, format: ConfigFormat): ConfigText {
  if (depthBound(text) > DEPTH_MAX) return unparsed([{ what: `is nested deeper than ${DEPTH_MAX}` }])
  const lines = new LineCounter()
  const document = parseDocument(text, {
    version: '1.2',
    schema: format === 'json' ? 'json' : 'core',
    merge: false,
    stringKeys: true,
    resolveKnownTags: false,
    // Found by `collectProblems`, with the key and its first line.
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter: lines,
    // 'silent' would let a second document pass.
    logLevel: 'error'
  })
  const at = (position: number) => {
    const { line, col } = lines.linePos(position)
    return { line, column: col }
  }
  const slips = [...document.errors, ...document.warnings].map(({ code, message, pos }) => ({
    what: format === 'json' && code === 'TAG_RESOLVE_FAILED' ? UNQUOTED_JSON : wordsFor(code, message),
    ...at(pos[0])
  }))
  if (slips.length > 0) return unparsed(slips)
  if (format === 'json' && text.trim() !== '' && !isJson(text)) {
    const slip = jsonSlip(text)
    return unparsed([{ what: NOT_JSON, ...(slip === undefined ? {} : at(slip)) }])
  }

  const root = document.contents
  if (root === null || (isScalar(root) && root.value === null)) return { values: [], problems: [], isParsed: true }
  if (!isMap(root)) {
    return unparsed([{ what: 'has no options at its top: write one a line, such as group: error-count' }])
  }
  const lineOf = (node: Node) => at(node.range?.[0] ?? 0).line
  const problems = collectProblems(root, lineOf)
  if (problems.some(({ isFatal }) => isFatal)) return { values: [], problems, isParsed: false }
  const plain = toPlain(() => document.toJS({ maxAliasCount: ALIASED_MAX }))
  if (plain === undefined) return unparsed([{ what: `has aliases that stand for more than ${ALIASED_MAX} values` }])
  return { values: valuesOf(root, plain, lineOf), problems, isParsed: true }
}

/** The value as block YAML, one line for each text however long, without anchors. Ends with a line feed. */
export function writeYaml(value: unknown): string {
  return stringify(value, {
    version: '1.2',
    schema: 'core',
    lineWidth: 0,
    blockQuote: false,
    doubleQuotedMinMultiLineLength: Number.MAX_SAFE_INTEGER,
    aliasDuplicateObjects: false
  })
}

function unparsed(problems: readonly TextProblem[]): ConfigText {
  return { values: [], problems, isParsed: false }
}

/** At least as large as the real depth: by brackets (also those in texts), or by indentation and what nests in a line. */
function depthBound(text: string): number {
  let depth = 0
  let deepest = 0
  for (const bracket of text.match(/[[\]{}]/g) ?? []) {
    depth = bracket === '[' || bracket === '{' ? depth + 1 : Math.max(0, depth - 1)
    deepest = Math.max(deepest, depth)
  }
  for (const [, indentation = '', nesting = ''] of text.matchAll(/^( *)((?:[-?:] +)*)/gm)) {
    deepest = Math.max(deepest, indentation.length / 2 + nesting.replaceAll(' ', '').length)
  }
  return deepest
}

/** Only what keeps the values from being made is fatal. */
interface NodeProblem extends TextProblem {
  readonly isFatal: boolean
}

/** Keys given twice, at any depth, and aliases that stand for nothing or for what they are part of. */
function collectProblems(root: ParsedNode, lineOf: (node: Node) => number): NodeProblem[] {
  const problems: NodeProblem[] = []
  const anchored = new Map<string, unknown>()
  const keep = (node: { readonly anchor?: string }) => {
    if (node.anchor !== undefined) anchored.set(node.anchor, node)
  }
  visit(root, {
    Scalar: (_, scalar) => keep(scalar),
    Seq: (_, list) => keep(list),
    Map: (_, map) => {
      keep(map)
      problems.push(...repeatedKeys(map, lineOf))
    },
    Alias: (_, alias, path) => {
      const source = anchored.get(alias.source)
      if (source !== undefined && !path.some(ancestor => ancestor === source)) return
      const what =
        source === undefined ? 'an alias stands for nothing above it' : 'an alias is part of what it stands for'
      problems.push({ what, line: lineOf(alias), isFatal: true })
    }
  })
  return problems
}

function repeatedKeys(map: YAMLMap, lineOf: (node: Node) => number): NodeProblem[] {
  const firstLines = new Map<string, number>()
  const problems: NodeProblem[] = []
  for (const { key } of map.items) {
    if (!isScalar(key)) continue
    const line = lineOf(key)
    const name = String(key.value)
    const firstLine = firstLines.get(name)
    if (firstLine === undefined) firstLines.set(name, line)
    else problems.push({ what: `${name} is given twice, first in line ${firstLine}`, line, isFatal: false })
  }
  return problems
}

/** Undefined where the aliases stand for too much; the library says so by a ReferenceError. */
function toPlain(make: () => unknown): Readonly<Record<string, unknown>> | undefined {
  try {
    const plain = make()
    return typeof plain === 'object' && plain !== null ? Object.fromEntries(Object.entries(plain)) : undefined
  } catch (error) {
    if (error instanceof ReferenceError) return undefined
    throw error
  }
}

function valuesOf(
  root: YAMLMap,
  plain: Readonly<Record<string, unknown>>,
  lineOf: (node: Node) => number
): WrittenValue[] {
  const values = new Map<string, WrittenValue>()
  for (const { key, value } of root.items) {
    if (!isScalar(key)) continue
    const name = String(key.value)
    const parts = isSeq(value) ? value.items : [value]
    const bare = parts.find(part => isScalar(part) && part.type === 'PLAIN' && typeof part.value !== 'string')
    const unquoted = isScalar(bare) && bare.source !== undefined ? { text: bare.source, line: lineOf(bare) } : undefined
    const isRepeated = values.has(name)
    values.set(name, { key: name, value: plain[name], isRepeated, line: lineOf(key), unquoted })
  }
  return [...values.values()]
}

const NOT_JSON = 'is not JSON: look for a comment, a quote other than ", a bracket that is missing, or a comma too many'
const UNQUOTED_JSON = 'a value is missing, or a text stands without quotes'

function isJson(text: string): boolean {
  try {
    JSON.parse(text.replace(/^\ufeff/, ''))
    return true
  } catch {
    return false
  }
}

const JSON_PART =
  /[ \t\r\n]*([{}[\]:,]|"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/uy

/** Where a text that is sound YAML stops being JSON: a comment, a quote of another kind, a comma too many. */
function jsonSlip(text: string): number | undefined {
  const start = text.startsWith('\ufeff') ? 1 : 0
  const end = text.trimEnd().length
  let commaAt: number | undefined
  for (let at = start; at < end; at = JSON_PART.lastIndex) {
    JSON_PART.lastIndex = at
    const [, part] = JSON_PART.exec(text) ?? []
    if (part === undefined) return at + (/^\s*/.exec(text.slice(at))?.[0].length ?? 0)
    if (commaAt !== undefined && (part === '}' || part === ']')) return commaAt
    commaAt = part === ',' ? JSON_PART.lastIndex - 1 : undefined
  }
  return undefined
}

/** The library's own words quote nothing of the text for these. */
const TOLD_AS_IS: readonly ErrorCode[] = [
  'ALIAS_PROPS',
  'BAD_ALIAS',
  'BAD_INDENT',
  'KEY_OVER_1024_CHARS',
  'MISSING_CHAR',
  'MULTIPLE_ANCHORS',
  'MULTIPLE_TAGS'
]

const WORDS: Partial<Record<ErrorCode, string>> = {
  BAD_DIRECTIVE: 'a line that begins with % is not a directive that YAML knows',
  BAD_DQ_ESCAPE: 'a backslash in double quotes begins no escape: write two, or use single quotes',
  BAD_SCALAR_START: 'a value without quotes cannot begin with this character: put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a value without quotes holds ": ", or its line is indented wrongly: put it in quotes',
  BLOCK_IN_FLOW: 'a comma or a closing bracket is missing before this',
  MULTILINE_IMPLICIT_KEY: 'a key goes over several lines: look at the quotes, and at the indentation',
  MULTIPLE_DOCS: 'a second document begins: a config file is one',
  NON_STRING_KEY: 'a key is not a text',
  RESOURCE_EXHAUSTION: 'is nested too deep',
  TAB_AS_INDENT: 'a tab indents: use spaces',
  TAG_RESOLVE_FAILED: 'a tag is unknown, or does not fit its value: leave it out',
  UNEXPECTED_TOKEN: 'something stands here that cannot: look at the quotes, brackets and indentation around it'
}

function wordsFor(code: ErrorCode, message: string): string {
  return WORDS[code] ?? (TOLD_AS_IS.includes(code) ? message : `cannot be parsed (${code})`)
}
