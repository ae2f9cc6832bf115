/**
 * From what the user gave to `Settings`.
 *
 * In: untrusted values. Out: `Settings`, complete and valid, or one OPTIONS_INVALID error that lists everything wrong at
 * once. No value of `credentials` and no password of a URL ever appears in that error (I9).
 */
import { ClsConsumerError } from './errors.ts'
import { didYouMean, nearest } from './nearest.ts'
import { type OptionRow, Wrong } from './option-kinds.ts'
import { type ConsumerOptions, OPTIONS, type OptionName, PULLED_SHARE, type Settings } from './options.ts'
import { maskText } from './secrets.ts'

type Input = ConsumerOptions | Readonly<Record<string, unknown>>

export const OPTION_NAMES: readonly OptionName[] = Object.keys(OPTIONS).filter(isOptionName)

/** What the caller of `resolveSome` knows of the options, where they were not all given in code. */
export interface Known {
  /** Problems found before: they are listed first. */
  readonly problems: readonly string[]
  /** Options whose values are among these problems: they are neither used nor missing. */
  readonly refused: ReadonlySet<string>
  /** Whether something could not be read that may give an option that seems to be missing. */
  readonly mayBeGiven: (name: OptionName) => boolean
  /** What an option is, where the caller does something else with it than the option table says. */
  readonly help: (name: OptionName) => string
  /** Where an option was given, for the middle of a sentence about several: ` (--stop-at)`. */
  readonly place: (name: OptionName) => string
  /** How to give an option that is missing: ` (--group or CLS_GROUP)`. */
  readonly cure: (name: OptionName) => string
}

const IN_CODE: Known = {
  problems: [],
  refused: new Set(),
  mayBeGiven: () => false,
  help: name => OPTIONS[name].help,
  place: () => '',
  cure: () => ''
}

/**
 * Checks everything at once.
 * @throws ClsConsumerError OPTIONS_INVALID that lists every bad, unknown, missing and contradictory option.
 */
export function resolveOptions(input: Input): Settings {
  return resolveSome(OPTION_NAMES, input)
}

/**
 * The same for who needs only some options: any other is unknown.
 * @throws ClsConsumerError OPTIONS_INVALID that lists the known problems, then every one of its own.
 */
export function resolveSome<const N extends OptionName>(
  names: readonly N[],
  input: Input,
  known: Partial<Known> = {}
): Pick<Settings, N> {
  const { problems: found, refused, mayBeGiven, help, place, cure } = { ...IN_CODE, ...known }
  const wanted: ReadonlySet<string> = new Set(names)
  const given: Readonly<Record<string, unknown>> = { ...input }
  const values: Record<string, unknown> = {}
  const problems = [...found]
  const isMissing = (name: OptionName) => isAbsent(given[name]) && !refused.has(name) && !mayBeGiven(name)

  for (const name of Object.keys(given)) {
    if (wanted.has(name)) continue
    problems.push(`unknown option ${name}${didYouMean(nearest(name, [...wanted].map(toCandidate)))}`)
  }
  for (const name of names) {
    const option: OptionRow<unknown> = OPTIONS[name]
    const value = given[name]
    if (refused.has(name)) continue
    if (isAbsent(value)) {
      if (option.required && isMissing(name)) problems.push(`${name} is missing: ${help(name)}${cure(name)}`)
      values[name] = option.default
      continue
    }
    const parsed = option.parse(value)
    if (parsed instanceof Wrong) problems.push(`${name} is ${showValue(name, value)}, expected ${parsed.expected}`)
    else values[name] = parsed
  }
  if (wanted.has('endpoint') && wanted.has('region') && isMissing('endpoint') && isMissing('region')) {
    problems.push(`neither endpoint nor region is given: give the region, such as ap-guangzhou${cure('region')}`)
  }
  if (values.onFailure === 'dead-letter' && wanted.has('deadLetterDirectory') && isMissing('deadLetterDirectory')) {
    const told = `onFailure is dead-letter${place('onFailure')}, and there is no deadLetterDirectory`
    problems.push(`${told}: name one${cure('deadLetterDirectory')}, or give another onFailure`)
  }
  problems.push(...contradictions(values, place))

  if (problems.length > 0) throw invalidOptions(problems)
  if (!isComplete(values, names)) throw invalidOptions(['the option table left a required option without a value'])
  return values
}

function toCandidate(name: string): { name: string } {
  return { name }
}

/** What is wrong between options that are each valid by themselves. */
function contradictions(values: Readonly<Record<string, unknown>>, place: (name: OptionName) => string): string[] {
  const { endpoint, network, startFrom, stopAt, pullBytes, heldBytesMax, bodyBytesMax, responseBytesMax } = values
  const problems: string[] = []
  const told = (name: OptionName) => `${name} ${values[name]}${place(name)}`
  if (endpoint !== undefined && network !== OPTIONS.network.default && network !== undefined) {
    problems.push(`endpoint${place('endpoint')} and ${told('network')} contradict each other: give one of them`)
  }
  if (typeof startFrom === 'number' && typeof stopAt === 'number' && stopAt <= startFrom) {
    problems.push(`${told('stopAt')} is not after ${told('startFrom')}: nothing would be read`)
  }
  if (stopAt === 'begin') problems.push(`stopAt is begin${place('stopAt')}: nothing would be read`)
  if (typeof pullBytes !== 'number') return problems
  if (typeof heldBytesMax === 'number' && 2 * pullBytes > PULLED_SHARE * heldBytesMax) {
    const needed = Math.ceil((2 * pullBytes) / PULLED_SHARE)
    problems.push(`${told('heldBytesMax')} has no room for two pulls of ${told('pullBytes')}: at least ${needed}`)
  }
  const tooSmall = (name: OptionName, bytesMax: unknown) => {
    if (typeof bytesMax !== 'number' || bytesMax >= pullBytes) return
    problems.push(`${told(name)} is less than ${told('pullBytes')}: larger responses would be refused`)
  }
  tooSmall('bodyBytesMax', bodyBytesMax)
  tooSmall('responseBytesMax', responseBytesMax)
  return problems
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}

function isOptionName(name: string): name is OptionName {
  return Object.hasOwn(OPTIONS, name)
}

/** The table's loop has filled every row; here its result gets its type. */
function isComplete<N extends OptionName>(values: object, names: readonly N[]): values is Pick<Settings, N> {
  return names.every(name => !OPTIONS[name].required || name in values)
}

/** One error for all of them. */
export function invalidOptions(problems: readonly string[]): ClsConsumerError {
  const heading = problems.length === 1 ? 'invalid option' : `${problems.length} invalid options`
  return new ClsConsumerError('OPTIONS_INVALID', `${heading}:\n${problems.map(line => `  - ${line}`).join('\n')}`)
}

/** The value as the user would recognise it; never a secret (I9). */
export function showValue(name: string, value: unknown): string {
  if (name === 'credentials') return 'not usable'
  if (typeof value === 'string') {
    const text = maskText(value)
    return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
  }
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  return typeof value === 'function' ? 'a function' : String(value)
}
