/**
 * From lines to logs.
 *
 * In: a line of text. Out: a log as the upload API takes it. Nothing of a line is lost: what the fields do not hold
 * word for word stays in `message`.
 */
import type { Log } from '../cls/log-group.ts'
import { parseAccessLine, parseAccessTime, splitRequest } from './access-log.ts'

/** `nowMs` is the log's time where the line tells none. `id`, if given, becomes the first field. */
export function lineToLog(line: string, nowMs: number, id?: number): Log {
  const contents: { key: string; value: string }[] = []
  const add = (key: string, value: string | undefined) => {
    if (value !== undefined) contents.push({ key, value })
  }
  add('id', id?.toString())

  const parsed = parseAccessLine(line)
  if (parsed === undefined || !parsed.exact) add('message', line)
  if (parsed === undefined) return { time: BigInt(nowMs), contents }

  const { ip, user, time, request, status, bytes, referrer, agent } = parsed.fields
  const parts = splitRequest(request)
  add('ip', ip)
  add('user', user)
  add('time', time)
  add('method', parts?.method)
  add('path', parts?.path)
  add('protocol', parts?.protocol)
  if (parts === undefined) add('request', request)
  add('status', status)
  add('bytes', bytes)
  add('referrer', referrer)
  add('agent', agent)
  return { time: BigInt(parseAccessTime(time) ?? nowMs), contents }
}
