/**
 * From what the user gave to `Settings`.
 *
 * In: untrusted values. Out: `Settings`, complete and valid, or one OPTIONS_INVALID error that lists everything wrong at
 * once. No value of `credentials` ever appears in that error (I9).
 */
import { ClsConsumerError } from './errors.ts'
import { Wrong } from './option-kinds.ts'
import { type ConsumerOptions, OPTIONS, type Settings } from './options.ts'

/**
 * Checks everything at once.
 * @throws ClsConsumerError OPTIONS_INVALID that lists every bad, unknown, missing and contradictory option.
 */
export function resolveOptions(input: ConsumerOptions | Readonly<Record<string, unknown>>): Settings {
  const given: Readonly<Record<string, unknown>> = { ...input }
  const values: Record<string, unknown> = {}
  const problems: string[] = []

  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(OPTIONS, name)) problems.push(`unknown option ${name}${didYouMean(name)}`)
  }
  for (const [name, option] of Object.entries(OPTIONS)) {
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
  if (isAbsent(given.endpoint) && isAbsent(given.region)) {
    problems.push('neither endpoint nor region is given: give the region, such as ap-guangzhou')
  }
  problems.push(...contradictions(values))

  if (problems.length > 0) throw invalid(problems)
  if (!isSettings(values)) throw invalid(['the option table left a required option without a value'])
  return values
}

/** What is wrong between options that are each valid by themselves. */
function contradictions(values: Readonly<Record<string, unknown>>): string[] {
  const { endpoint, network, startFrom, stopAt, pullBytes, heldBytesMax } = values
  const problems: string[] = []
  if (endpoint !== undefined && network !== OPTIONS.network.default && network !== undefined) {
    problems.push(`endpoint and network ${network} contradict each other: give one of them`)
  }
  if (typeof startFrom === 'number' && typeof stopAt === 'number' && stopAt <= startFrom) {
    problems.push(`stopAt ${stopAt} is not after startFrom ${startFrom}: nothing would be read`)
  }
  if (stopAt === 'begin') problems.push('stopAt is begin: nothing would be read')
  if (typeof pullBytes === 'number' && typeof heldBytesMax === 'number' && 2 * pullBytes > heldBytesMax) {
    problems.push(
      `heldBytesMax ${heldBytesMax} is less than two pulls of ${pullBytes} bytes: raise it, or lower pullBytes`
    )
  }
  return problems
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}

/** The table's loop has filled every row; here its result gets its type. */
function isSettings(values: object): values is Settings {
  return Object.entries(OPTIONS).every(([name, option]) => !option.required || name in values)
}

function invalid(problems: readonly string[]): ClsConsumerError {
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

function didYouMean(name: string): string {
  const close = Object.keys(OPTIONS).find(known => simplify(known) === simplify(name))
  return close === undefined ? '' : ` (did you mean ${close}?)`
}

function simplify(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z]/g, '')
    .replace(/s$/, '')
}
