/**
 * Faults that an emulator plays, as a user writes them down.
 *
 * In: rules from code, a flag or the admin endpoint, untrusted. Out: the same with their types, or what is wrong with
 * each. Pure.
 */
import { ACTION_NAMES } from './action-names.ts'

/** Type aliases, so that a rule prints as JSON. */
export type FaultRule = {
  // What it strikes; each absent part means any.
  /** `SendConsumerHeartbeat`, `CommitConsumerOffsets`, …, `pull_log`, `structuredlog`. */
  readonly action?: string
  /** Of pulls, uploads, and control requests that name it anywhere in their body. */
  readonly topicId?: string
  /** Likewise; with a topic, of that topic. */
  readonly partition?: number
  /** Of control requests. */
  readonly consumer?: string
  /** Lets so many matching requests pass first; default 0. */
  readonly after?: number
  /** Strikes so often; default: for ever. */
  readonly times?: number
  /** Strikes every Nth matching request; default 1. */
  readonly every?: number
  readonly fault: Fault
}

export type Fault = DelayFault | StrikingFault

/**
 * Before or after the request takes effect; default before. A request that waits before it takes effect does so even
 * where its client has gone meanwhile.
 */
export type DelayFault = { readonly kind: 'delay'; readonly ms: number; readonly when?: 'before' | 'after' }

/** All but delays, which add up with the fault that follows. */
export type StrikingFault =
  | ErrorFault
  /** Not executed, and nothing of the service in the answer; default html. */
  | { readonly kind: 'status'; readonly status: number; readonly body?: 'html' | 'empty' | 'json' }
  /**
   * before: not executed, no byte. headers: executed, headers and no body. body: executed, half of the body. answer:
   * executed, no byte: an answer lost after it took effect. The connection is then cut.
   */
  | { readonly kind: 'drop'; readonly when: 'before' | 'headers' | 'body' | 'answer' }
  /** Executed; whole HTTP, but half of the body's bytes. */
  | { readonly kind: 'truncate' }
  | CorruptFault
  /** Executed; the body of a pull decompresses to at least so many bytes. */
  | { readonly kind: 'too-large'; readonly bytes: number }

/**
 * Not executed. Control: HTTP 200 with `Response.Error` unless `status` says otherwise. Data: the flat error with its
 * documented status. `wrapped`, of a pull alone: a 200 with `{"Response":{"Error":…}}`, in the clear or compressed.
 */
export type ErrorFault = {
  readonly kind: 'error'
  readonly code: string
  readonly message?: string
  readonly status?: number
  readonly wrapped?: 'plain' | 'snappy' | 'lz4'
}

/**
 * Executed; one layer of a pull's body is damaged, and the outer layers are packed anew. Of other actions, and of a
 * pull that is refused, the bytes. Where a pull has no message to damage, its JSON. Default bytes.
 */
export type CorruptFault = {
  readonly kind: 'corrupt'
  readonly what?: 'bytes' | 'json' | 'base64' | 'header' | 'protobuf'
}

/** Longer than any test waits. */
const DELAY_MS_MAX = 3_600_000
/** Held at once in text and bytes, several times over. */
const PADDED_BYTES_MAX = 256 * 1024 * 1024
const RULE_COUNT_MAX = 1000

interface Check {
  /** What a value should be, where it is not. */
  readonly check: (value: unknown) => string | undefined
  /** All there are, where they can be named. */
  readonly choices?: readonly string[]
}

export interface Field extends Check {
  readonly isRequired: boolean
}

/** All but the fault. */
export const RULE_FIELDS: Readonly<Record<keyof Omit<FaultRule, 'fault'>, Field>> = {
  action: optional(oneOf(ACTION_NAMES)),
  topicId: optional(text()),
  partition: optional(wholeNumber(0, 1_000_000)),
  consumer: optional(text()),
  after: optional(wholeNumber(0, Number.MAX_SAFE_INTEGER)),
  times: optional(wholeNumber(1, Number.MAX_SAFE_INTEGER)),
  every: optional(wholeNumber(1, Number.MAX_SAFE_INTEGER))
}

const STATUS = wholeNumber(200, 599)

/** Fields of each fault besides its kind. */
const FAULT_FIELDS = {
  delay: { ms: required(wholeNumber(1, DELAY_MS_MAX)), when: optional(oneOf(['before', 'after'])) },
  error: {
    code: required(text()),
    message: optional(text()),
    status: optional(STATUS),
    wrapped: optional(oneOf(['plain', 'snappy', 'lz4']))
  },
  status: { status: required(STATUS), body: optional(oneOf(['html', 'empty', 'json'])) },
  drop: { when: required(oneOf(['before', 'headers', 'body', 'answer'])) },
  truncate: {},
  corrupt: { what: optional(oneOf(['bytes', 'json', 'base64', 'header', 'protobuf'])) },
  'too-large': { bytes: required(wholeNumber(1, PADDED_BYTES_MAX)) }
} as const satisfies Record<Fault['kind'], Readonly<Record<string, Field>>>

export const FAULT_KINDS: readonly string[] = Object.keys(FAULT_FIELDS)

/** By name, besides the kind; `undefined` for what is no kind of fault. */
export function faultFields(kind: unknown): Readonly<Record<string, Field>> | undefined {
  const kinds: readonly (readonly [string, Readonly<Record<string, Field>>])[] = Object.entries(FAULT_FIELDS)
  return kinds.find(([name]) => name === kind)?.[1]
}

/** What is wrong with a list of rules, each with the place. */
export function faultRuleProblems(given: unknown): string[] {
  if (!Array.isArray(given)) return ['faults is not a list of rules']
  if (given.length > RULE_COUNT_MAX) return [`faults has ${given.length} rules: ${RULE_COUNT_MAX} at most`]
  return given.flatMap((rule: unknown, index) => ruleProblems(rule, `faults[${index}]`))
}

export function isFaultRules(given: unknown): given is readonly FaultRule[] {
  return faultRuleProblems(given).length === 0
}

/** `place`: how the problems name the rule. */
export function ruleProblems(rule: unknown, place: string): string[] {
  if (!isObject(rule)) return [`${place} is not an object`]
  const { fault, ...rest } = rule
  const problems = [...fieldProblems(rest, RULE_FIELDS, place), ...faultProblems(fault, `${place}.fault`)]
  return problems.length === 0 ? wrapProblems(rule, place) : problems
}

export function isFaultRule(rule: unknown): rule is FaultRule {
  return ruleProblems(rule, 'the rule').length === 0
}

function faultProblems(fault: unknown, place: string): string[] {
  if (!isObject(fault)) return [`${place} is not an object with a kind`]
  const { kind, ...rest } = fault
  const fields = faultFields(kind)
  if (fields !== undefined) return fieldProblems(rest, fields, place)
  return [`${place}.kind is ${shown(kind)}: expected ${FAULT_KINDS.join(' or ')}`]
}

/** Only a pull has an error inside a compressed 200, and that 200 is its status. */
function wrapProblems({ action, fault }: Readonly<Record<string, unknown>>, place: string): string[] {
  if (!isObject(fault) || fault.wrapped === undefined) return []
  return [
    ...(action === 'pull_log' ? [] : [`${place}.fault.wrapped is of pulls alone: set action to pull_log`]),
    ...(fault.status === undefined ? [] : [`${place}.fault has both wrapped, which is a 200, and a status`])
  ]
}

function fieldProblems(
  given: Readonly<Record<string, unknown>>,
  fields: Readonly<Record<string, Field>>,
  place: string
): string[] {
  const unknown = Object.keys(given).filter(name => given[name] !== undefined && !Object.hasOwn(fields, name))
  const known = Object.entries(fields).flatMap(([name, { check, isRequired }]) => {
    const value = given[name]
    if (value === undefined) return isRequired ? [`${place}.${name} is missing`] : []
    const expected = check(value)
    return expected === undefined ? [] : [`${place}.${name} is ${shown(value)}: expected ${expected}`]
  })
  const names = Object.keys(fields)
  const others = names.length === 0 ? 'no others' : names.join(', ')
  return [...unknown.map(name => `${place} has no ${name}: there is ${others}`), ...known]
}

function required(check: Check): Field {
  return { isRequired: true, ...check }
}

function optional(check: Check): Field {
  return { isRequired: false, ...check }
}

function oneOf(choices: readonly string[]): Check {
  const isOne = (value: unknown): boolean => typeof value === 'string' && choices.includes(value)
  return { choices, check: value => (isOne(value) ? undefined : choices.join(' or ')) }
}

function text(): Check {
  return { check: value => (typeof value === 'string' && value !== '' ? undefined : 'a text that is not empty') }
}

function wholeNumber(min: number, max: number): Check {
  const range = max === Number.MAX_SAFE_INTEGER ? `, ${min} or more` : ` from ${min} to ${max}`
  const isOne = (value: unknown): boolean =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max
  return { check: value => (isOne(value) ? undefined : `a whole number${range}`) }
}

function shown(value: unknown): string {
  return typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value))
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
