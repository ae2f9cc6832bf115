/**
 * One `--fault` of the emulator: a rule as JSON, or in short.
 *
 * In: the flag's text. Out: a rule, or what is wrong with it, in the words of the form that it has. The short form is
 * `action:kind[:detail]`, with `*` for any action, then `,name=value` for the other parts of a rule:
 * `pull_log:delay:200,every=3`. Pure.
 */
import { parseJson } from '../cls/json.ts'
import {
  FAULT_KINDS,
  type Fault,
  type FaultRule,
  type Field,
  faultFields,
  isFaultRule,
  RULE_FIELDS,
  ruleProblems
} from '../emulator/fault-rules.ts'

/** Which fields of a fault the parts after its kind are, in order; all others need JSON. */
const DETAILS: Readonly<Record<Fault['kind'], readonly string[]>> = {
  delay: ['ms', 'when'],
  error: ['code', 'status'],
  status: ['status', 'body'],
  drop: ['when'],
  truncate: [],
  corrupt: ['what'],
  'too-large': ['bytes']
}

export const FAULT_EXAMPLES = [
  'pull_log:delay:200',
  'CommitConsumerOffsets:error:InternalError',
  '*:drop:body,every=10',
  '{"consumer":"A","times":1,"fault":{"kind":"drop","when":"answer"}}'
]

/** The other parts of a rule, each `,name=value`; what it strikes stands in front. */
const { action: ACTION, ...SETTINGS } = RULE_FIELDS
export const SETTING_NAMES: readonly string[] = Object.keys(SETTINGS)

/** Each kind of fault as it is written in short: `delay:ms[:before|after]`. */
export function shortForms(): string[] {
  return Object.entries(DETAILS).map(([kind, names]) => shortForm(kind, names))
}

function shortForm(kind: string, names: readonly string[]): string {
  const parts = names.map(name => {
    const field = faultFields(kind)?.[name]
    const part = field?.choices?.join('|') ?? name
    return field?.isRequired === true ? `:${part}` : `[:${part}]`
  })
  return `${kind}${parts.join('')}`
}

export type ParsedFault = { readonly kind: 'rule'; readonly rule: FaultRule } | Unfit

/** What is no rule, and why. */
interface Unfit {
  readonly kind: 'unfit'
  readonly problems: readonly string[]
}

export function parseFaultFlag(text: string): ParsedFault {
  const written = text.startsWith('{') ? parseLong(text) : parseShort(text)
  if (written.kind === 'unfit') return written
  const { value } = written
  return isFaultRule(value) ? { kind: 'rule', rule: value } : unfit(...ruleProblems(value, 'the rule'))
}

/** What stands there in either form; not yet a rule. */
type Written = { readonly kind: 'written'; readonly value: unknown } | Unfit

function unfit(...problems: readonly string[]): Unfit {
  return { kind: 'unfit', problems }
}

function parseLong(text: string): Written {
  try {
    return { kind: 'written', value: parseJson(text) }
  } catch (error) {
    return unfit(`it is not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function parseShort(text: string): Written {
  const [subject = '', ...settings] = text.split(',')
  const [action = '', kind = '', ...details] = subject.split(':')
  return combined([
    ...(action === '*' ? [] : [readPart('action', action, ACTION)]),
    ...readSettings(settings),
    readFault(kind, details)
  ])
}

/** Of a rule or of a fault, by its name. */
type Part = { readonly kind: 'part'; readonly entry: readonly [name: string, value: unknown] } | Unfit

/** One object of all parts, or every problem. */
function combined(parts: readonly Part[]): Written {
  const problems = parts.flatMap(part => (part.kind === 'unfit' ? part.problems : []))
  if (problems.length > 0) return unfit(...problems)
  return {
    kind: 'written',
    value: Object.fromEntries(parts.flatMap(part => (part.kind === 'part' ? [part.entry] : [])))
  }
}

function readSettings(settings: readonly string[]): Part[] {
  const pairs = settings.map(setting => {
    const at = setting.indexOf('=')
    return at === -1 ? { name: setting, text: '' } : { name: setting.slice(0, at), text: setting.slice(at + 1) }
  })
  return pairs.map(({ name, text }, index) => {
    const field = fieldOf(SETTINGS, name)
    if (field === undefined)
      return unfit(`${name || 'an empty part'} cannot stand behind a fault: ${SETTING_NAMES.join(', ')} can`)
    if (pairs.findIndex(other => other.name === name) < index) return unfit(`${name} is given twice`)
    return readPart(name, text, field)
  })
}

function readFault(kind: string, details: readonly string[]): Part {
  const names = isKind(kind) ? DETAILS[kind] : undefined
  const fields = faultFields(kind)
  if (names === undefined || fields === undefined) {
    const found = kind === '' ? 'the kind of fault is missing' : `there is no kind of fault ${JSON.stringify(kind)}`
    return unfit(`${found}: expected ${FAULT_KINDS.join(' or ')}`)
  }
  const form = shortForm(kind, names)
  if (details.length > names.length) return unfit(`${kind} takes no more than ${names.length} parts after it: ${form}`)
  const parts = names.flatMap((name, index): Part[] => {
    const [field, text = ''] = [fieldOf(fields, name), details[index]]
    if (field?.isRequired === true && text === '') return [unfit(`${kind} lacks its ${name}: it is written ${form}`)]
    return field === undefined || index >= details.length ? [] : [readPart(name, text, field)]
  })
  const fault = combined([{ kind: 'part', entry: ['kind', kind] }, ...parts])
  return fault.kind === 'unfit' ? fault : { kind: 'part', entry: ['fault', fault.value] }
}

/** A number where the text itself will not do: a consumer may be called 7. */
function readPart(name: string, text: string, field: Field): Part {
  if (field.check(text) === undefined) return { kind: 'part', entry: [name, text] }
  const value = /^\d{1,15}$/.test(text) ? Number(text) : text
  const expected = field.check(value)
  return expected === undefined
    ? { kind: 'part', entry: [name, value] }
    : unfit(`${name} is ${JSON.stringify(value)}: expected ${expected}`)
}

/** Whatever a user writes: only a key of the table's own is one. */
function fieldOf(fields: Readonly<Record<string, Field>>, name: string): Field | undefined {
  return Object.entries(fields).find(([known]) => known === name)?.[1]
}

function isKind(name: string): name is Fault['kind'] {
  return Object.hasOwn(DETAILS, name)
}
