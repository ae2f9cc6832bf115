/**
 * Access-log lines in the combined format, both ways.
 *
 * In: one line of text. Out: its fields, or undefined where it is not such a line; and from fields the line. Values stay
 * as written (escapes included): printing what was parsed gives the line back, or `parseAccessLine` says that it does not.
 */

export interface AccessFields {
  readonly ip: string
  readonly user: string
  /** As written, such as `17/May/2015:10:05:03 +0000`. */
  readonly time: string
  /** The request as one text; also where it has no method, path and protocol. */
  readonly request: string
  readonly status: string
  readonly bytes: string
  /** Absent where the line ends before it. */
  readonly referrer?: string
  readonly agent?: string
}

// A quoted value ends at the first quote without a backslash. The last quote may be missing: writers get cut off.
const QUOTED = '((?:[^"\\\\]|\\\\.)*)'
const LINE = new RegExp(
  `^(\\S+) \\S+ (\\S+) \\[([^\\]]+)\\] "${QUOTED}" (\\d{3}) (\\d+|-)(?: "${QUOTED}(?:" "${QUOTED})?"?)?$`
)

/** `exact`: the fields hold all of the line, so that it need not be kept. */
export function parseAccessLine(line: string): { readonly fields: AccessFields; readonly exact: boolean } | undefined {
  const match = LINE.exec(line)
  if (match === null) return undefined
  const [, ip, user, time, request, status, bytes, referrer, agent] = match
  if (ip === undefined || user === undefined || time === undefined) return undefined
  if (request === undefined || status === undefined || bytes === undefined) return undefined
  const fields = {
    ip,
    user,
    time,
    request,
    status,
    bytes,
    ...(referrer === undefined ? {} : { referrer }),
    ...(agent === undefined ? {} : { agent })
  }
  return { fields, exact: printAccessLine(fields) === line }
}

export function printAccessLine(fields: AccessFields): string {
  const { ip, user, time, request, status, bytes, referrer, agent } = fields
  const line = `${ip} - ${user} [${time}] "${request}" ${status} ${bytes}`
  return referrer === undefined ? line : `${line} "${referrer}"${agent === undefined ? '' : ` "${agent}"`}`
}

/** `GET /path HTTP/1.1` in its parts; undefined for what scanners send instead. */
export function splitRequest(request: string): { method: string; path: string; protocol: string } | undefined {
  const [, method, path, protocol] = /^([A-Z]+) (\S+) (HTTP\/\d(?:\.\d)?)$/.exec(request) ?? []
  return method === undefined || path === undefined || protocol === undefined ? undefined : { method, path, protocol }
}

const MONTHS: readonly string[] = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const TIME = /^(\d\d)\/([A-Z][a-z]{2})\/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d\d)(\d\d)$/

/** Unix milliseconds, or undefined where it is no time. */
export function parseAccessTime(text: string): number | undefined {
  const [, day, monthName, year, clock, zoneHours, zoneMinutes] = TIME.exec(text) ?? []
  const month = MONTHS.indexOf(monthName ?? '') + 1
  if (month === 0) return undefined
  const unixMs = Date.parse(`${year}-${String(month).padStart(2, '0')}-${day}T${clock}${zoneHours}:${zoneMinutes}`)
  return Number.isNaN(unixMs) ? undefined : unixMs
}

export function printAccessTime(unixMs: number): string {
  const [date = '', clock = ''] = new Date(unixMs).toISOString().split('T')
  const [year, month, day] = date.split('-')
  return `${day}/${MONTHS[Number(month) - 1]}/${year}:${clock.slice(0, 8)} +0000`
}
