/**
 * The time that a field of a log tells.
 *
 * In: text and, if known, its unit. Out: the log's time as the upload API takes it, int64: milliseconds, or microseconds
 * where it is finer than that. `undefined` where it is no time that a reader, who infers the unit from the magnitude,
 * would read as the same. Pure; exact: nothing goes through a double.
 */
import { parseAccessTime } from './access-log.ts'

export const TIME_UNITS = ['s', 'ms', 'us', 'ns'] as const
export type TimeUnit = (typeof TIME_UNITS)[number]

/** Unix seconds to nanoseconds, with or without a fraction; ISO 8601 (without a zone: local time); an access log's. */
export function parseTimeField(text: string, unit: TimeUnit | undefined): bigint | undefined {
  const trimmed = text.trim()
  const us = parseNumber(trimmed, unit) ?? parseIso(trimmed) ?? parseAccess(trimmed)
  if (us === undefined || us < EARLIEST_US || us >= LATEST_US) return undefined
  return us % 1000n === 0n ? us / 1000n : us
}

/**
 * 1973: before it, milliseconds would be taken for seconds. 2200: far below the next such bound, so that dates written as
 * a number, such as 20260131080000, are no times.
 */
const EARLIEST_US = 100_000_000_000_000n
const LATEST_US = 7_258_118_400_000_000n

/** Where each unit ends; what is larger is the next one's. */
const MAGNITUDES: readonly (readonly [number, TimeUnit])[] = [
  [1e11, 's'],
  [1e14, 'ms'],
  [1e17, 'us'],
  [1e20, 'ns']
]

/** Powers of ten from a unit to microseconds. */
const TO_US = { s: 6, ms: 3, us: 0, ns: -3 } as const satisfies Record<TimeUnit, number>

const NUMBER = /^(\d{1,30})(?:\.(\d{0,30}))?(?:[eE]([+-]?\d{1,2}))?$/

function parseNumber(text: string, given: TimeUnit | undefined): bigint | undefined {
  const [, whole, fraction = '', exponent = '0'] = NUMBER.exec(text) ?? []
  if (whole === undefined) return undefined
  const unit = given ?? MAGNITUDES.find(([below]) => Number(text) < below)?.[1]
  if (unit === undefined) return undefined
  const digits = BigInt(whole + fraction)
  const shift = Number(exponent) - fraction.length + TO_US[unit]
  return shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift)
}

const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?: ?(Z|z|[+-]\d\d(?::?\d\d)?))?)?$/

function parseIso(text: string): bigint | undefined {
  const [, year, month, day, hour, minute = '00', second = '00', fraction = '', zone] = ISO.exec(text) ?? []
  if (year === undefined || month === undefined || day === undefined || !isDay(year, month, day)) return undefined
  const time = hour === undefined ? '' : `T${hour}:${minute}:${second}${printZone(zone)}`
  const wholeMs = Date.parse(`${year}-${month}-${day}${time}`)
  if (Number.isNaN(wholeMs)) return undefined
  return BigInt(wholeMs) * 1000n + BigInt(fraction.slice(0, 6).padEnd(6, '0'))
}

/** `Date.parse` takes 30 February for 2 March. */
function isDay(year: string, month: string, day: string): boolean {
  const lastDay = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()
  return Number(day) >= 1 && Number(day) <= lastDay
}

/** As `Date.parse` takes it: `+08`, `+0800` and `+08:00` are the same. */
function printZone(zone: string | undefined): string {
  if (zone === undefined) return ''
  if (zone === 'Z' || zone === 'z') return 'Z'
  return `${zone.slice(0, 3)}:${zone.slice(3).replace(':', '') || '00'}`
}

function parseAccess(text: string): bigint | undefined {
  const unixMs = parseAccessTime(text)
  return unixMs === undefined ? undefined : BigInt(unixMs) * 1000n
}
