/**
 * From what the user gave to `Settings`.
 *
 * In: untrusted values. Out: `Settings`, complete and valid, or one OPTIONS_INVALID error that lists everything wrong at
 * once. No value of `credentials` ever appears in that error (I9).
 */
import { ClsConsumerError } from './errors.ts'
import { type OptionRow, Wrong } from './option-kinds.ts'
import { type ConsumerOptions, OPTIONS, type OptionName, PULLED_SHARE, type Settings } from './options.ts'

type Input = ConsumerOptions | Readonly<Record<string, unknown>>

export const OPTION_NAMES: readonly OptionName[] = Object.keys(OPTIONS).filter(isOptionName)

/**
 * Checks everything at once.
 * @throws ClsConsumerError OPTIONS_INVALID that lists every bad, unknown, missing and contradictory option.
 */
export function resolveOptions(input: Input): Settings {
  return resolveSome(OPTION_NAMES, input)
}

/**
 * The same for who needs only some options: any other is unknown. `found` are problems that the caller knows already.
 * @throws ClsConsumerError OPTIONS_INVALID that lists these, then every one of its own.
 */
export function resolveSome<const N extends OptionName>(
  names: readonly N[],
  input: Input,
  found: readonly string[] = []
): Pick<Settings, N> {
  const wanted: ReadonlySet<string> = new Set(names)
  const given: Readonly<Record<string, unknown>> = { ...input }
  const values: Record<string, unknown> = {}
  const problems = [...found]

  for (const name of Object.keys(given)) {
    if (!wanted.has(name)) problems.push(`unknown option ${name}${didYouMean(name, names)}`)
  }
  for (const name of names) {
    const option: OptionRow<unknown> = OPTIONS[name]
    const value = given[name]
    if (isAbsent(value)) {
      if (option.required) problems.push(`${name} is missing: ${option.help}`)
      values[name] = option.default
      continue
    }
    const parsed = option.parse(value)
    if (parsed instanceof Wrong) problems.push(`${name} is ${show(name, value)}, expected ${parsed.expected}`)
    else values[name] = parsed
  }
  const needsPlace = wanted.has('endpoint') && wanted.has('region')
  if (needsPlace && isAbsent(given.endpoint) && isAbsent(given.region)) {
    problems.push('neither endpoint nor region is given: give the region, such as ap-guangzhou')
  }
  problems.push(...contradictions(values))

  if (problems.length > 0) throw invalidOptions(problems)
  if (!isComplete(values, names)) throw invalidOptions(['the option table left a required option without a value'])
  return values
}

/** What is wrong between options that are each valid by themselves. */
function contradictions(values: Readonly<Record<string, unknown>>): string[] {
  const { endpoint, network, startFrom, stopAt, pullBytes, heldBytesMax, bodyBytesMax, responseBytesMax } = values
  const problems: string[] = []
  if (endpoint !== undefined && network !== OPTIONS.network.default && network !== undefined) {
    problems.push(`endpoint and network ${network} contradict each other: give one of them`)
  }
  if (typeof startFrom === 'number' && typeof stopAt === 'number' && stopAt <= startFrom) {
    problems.push(`stopAt ${stopAt} is not after startFrom ${startFrom}: nothing would be read`)
  }
  if (stopAt === 'begin') problems.push('stopAt is begin: nothing would be read')
  if (typeof pullBytes !== 'number') return problems
  if (typeof heldBytesMax === 'number' && 2 * pullBytes > PULLED_SHARE * heldBytesMax) {
    const needed = Math.ceil((2 * pullBytes) / PULLED_SHARE)
    problems.push(`heldBytesMax ${heldBytesMax} has no room for two pulls of ${pullBytes} bytes: at least ${needed}`)
  }
  if (typeof bodyBytesMax === 'number' && bodyBytesMax < pullBytes) {
    problems.push(`bodyBytesMax ${bodyBytesMax} is less than pullBytes ${pullBytes}: larger responses would be refused`)
  }
  if (typeof responseBytesMax === 'number' && responseBytesMax < pullBytes) {
    problems.push(
      `responseBytesMax ${responseBytesMax} is less than pullBytes ${pullBytes}: larger responses would be refused`
    )
  }
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
function show(name: string, value: unknown): string {
  if (name === 'credentials') return 'not usable'
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  return typeof value === 'function' ? 'a function' : String(value)
}

function didYouMean(name: string, names: readonly OptionName[]): string {
  const close = names.find(known => simplify(known) === simplify(name))
  return close === undefined ? '' : ` (did you mean ${close}?)`
}

function simplify(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z]/g, '')
    .replace(/s$/, '')
}
