/**
 * `context.log` of a processor.
 *
 * In: messages and fields of user code. Out: port messages that can certainly be posted. A log line must never fail a
 * batch: what is no plain value is written as text.
 */
import { inspect } from 'node:util'
import type { LogMessage } from '../src/dispatch/messages.ts'
import type { ProcessorLog } from './define-processor.ts'

export function createProcessorLog(post: (message: LogMessage) => void): ProcessorLog {
  const write = (level: LogMessage['level']) => (message: unknown, fields?: unknown) => {
    post({ kind: 'log', level, message: typeof message === 'string' ? message : show(message), fields: plain(fields) })
  }
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}

function plain(fields: unknown): LogMessage['fields'] {
  if (typeof fields !== 'object' || fields === null) return fields === undefined ? {} : { value: show(fields) }
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, toField(value)]))
}

function toField(value: unknown): LogMessage['fields'][string] {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
    case 'boolean':
    case 'undefined':
      return value
    default:
      return value === null ? null : show(value)
  }
}

function show(value: unknown): string {
  return inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY })
}
