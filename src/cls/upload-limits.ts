/**
 * The service's documented limits of one upload.
 *
 * In: logs or log groups. Out: nothing, or OPTIONS_INVALID that says which limit, what was found and what is taken. Pure.
 * Must never happen: a value cut to fit, or a request sent that the service would refuse for its size.
 */
import { ClsConsumerError, type ErrorPlace } from '../errors.ts'
import type { Log, LogGroup } from './log-group.ts'

export const UPLOAD_LIMITS = {
  groupsPerBody: 10,
  logsPerGroup: 10_000,
  valueBytes: 1024 * 1024,
  valueBytesPerGroup: 5 * 1024 * 1024,
  bodyBytes: 6 * 1024 * 1024
} as const

/** Of a body, for what a group carries beside its logs. */
const GROUP_RESERVE_BYTES = 64 * 1024

/** @throws ClsConsumerError OPTIONS_INVALID */
export function checkGroups(groups: readonly LogGroup[], place: ErrorPlace): void {
  checkLimit('log groups in one body', groups.length, UPLOAD_LIMITS.groupsPerBody, place)
  for (const { logs } of groups) {
    checkLimit('logs in one group', logs.length, UPLOAD_LIMITS.logsPerGroup, place)
    let groupBytes = 0
    for (const log of logs) groupBytes += checkValues(log, place)
    checkLimit('bytes of values in one group', groupBytes, UPLOAD_LIMITS.valueBytesPerGroup, place)
  }
}

/** @throws ClsConsumerError OPTIONS_INVALID */
export function checkBody(plain: Uint8Array, place: ErrorPlace): void {
  checkLimit('bytes in the body, uncompressed', plain.length, UPLOAD_LIMITS.bodyBytes, place)
}

/**
 * Whether the service takes the log at all, be it in an upload of its own. Returns its `logBytes`.
 * @throws ClsConsumerError OPTIONS_INVALID
 */
export function checkLog(log: Log, place: ErrorPlace): number {
  checkLimit('bytes of values in one log', checkValues(log, place), UPLOAD_LIMITS.valueBytesPerGroup, place)
  const bytes = logBytes(log)
  checkLimit('bytes in one log with its keys', bytes, UPLOAD_LIMITS.bodyBytes - GROUP_RESERVE_BYTES, place)
  return bytes
}

/** Tags and lengths of the encoding, at most: of a log with its time, and of one of its contents. */
const LOG_FRAME_BYTES = 16
const CONTENT_FRAME_BYTES = 15

/** What a log takes in a body, uncompressed: never less than in truth. */
export function logBytes({ contents }: Log): number {
  let bytes = LOG_FRAME_BYTES
  for (const { key, value } of contents) {
    bytes += CONTENT_FRAME_BYTES + Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  return bytes
}

/** Returns the sum of all values' bytes. */
function checkValues({ contents }: Log, place: ErrorPlace): number {
  let bytes = 0
  for (const { value } of contents) {
    const valueBytes = Buffer.byteLength(value)
    checkLimit('bytes in one value', valueBytes, UPLOAD_LIMITS.valueBytes, place)
    bytes += valueBytes
  }
  return bytes
}

function checkLimit(what: string, found: number, max: number, place: ErrorPlace): void {
  if (found <= max) return
  throw new ClsConsumerError(
    'OPTIONS_INVALID',
    `${found} ${what} are more than the ${max} that the service takes`,
    place
  )
}
