/**
 * What `produce` says at its end.
 *
 * In: what became of all logs that were read. Out: lines for standard output: first what is stored, then, only where there
 * is any, what was tried again, what may be stored twice, what may or may not be stored, what is not, and what was not as
 * asked. Pure. Must never happen: a log that was read and of which nothing is said, or a duplicate that nobody mentions.
 */
import { count, megabytes, seconds } from './format.ts'
import type { SourceTally } from './log-source.ts'
import type { UploadOutcome } from './upload-logs.ts'

export interface ProduceEnd {
  readonly uploaded: UploadOutcome
  readonly read: SourceTally
  readonly topicCount: number
  readonly ms: number
  readonly isStopped: boolean
  readonly logsPerSecond: number | undefined
  readonly timeField: string | undefined
  readonly keyField: string | undefined
}

export function closingLines(end: ProduceEnd): string[] {
  const { tally } = end.uploaded
  const topics = end.topicCount === 1 ? '1 topic' : `${end.topicCount} topics`
  const stored = `${logs(tally.storedCount)} (${megabytes(tally.storedBytes)}) uploaded to ${topics}`
  const first = `${end.isStopped ? 'stopped: ' : ''}${stored} in ${seconds(end.ms)}`
  return [first, ...[...fates(end.uploaded, end.isStopped), ...oddities(end)].map(line => `  ${line}`)]
}

function fates({ tally, failures, storedThroughLine = 0 }: UploadOutcome, isStopped: boolean): string[] {
  const { retryCount, duplicateCountMax, doubtCount, unstoredCount } = tally
  // So that the rest can be sent by another run, and nothing twice.
  const endedEarly = isStopped || failures.length > 0
  return [
    ...(retryCount === 0 ? [] : [`uploads tried again: ${count(retryCount)}`]),
    ...(duplicateCountMax === 0
      ? []
      : [
          `up to ${count(duplicateCountMax)} duplicates may be stored: answers were lost, and their uploads sent again`
        ]),
    ...(doubtCount === 0 ? [] : [`${logs(doubtCount)} may or may not be stored: the answer to their upload is lost`]),
    ...(unstoredCount === 0 ? [] : [`${logs(unstoredCount)} read, but not stored`]),
    ...(storedThroughLine === 0 || !endedEarly
      ? []
      : [`of the file, all lines up to line ${storedThroughLine} are stored`])
  ]
}

/** Less than this share of the rate asked for is told. Shorter runs show nothing. */
const RATE_SHARE = 0.95
const RATE_MS_MIN = 5000

function oddities({ uploaded, read, ms, logsPerSecond, timeField, keyField }: ProduceEnd): string[] {
  const reached = (uploaded.tally.storedCount * 1000) / ms
  const isSlow = logsPerSecond !== undefined && ms >= RATE_MS_MIN && reached < logsPerSecond * RATE_SHARE
  return [
    ...(isSlow ? [`the rate was not reached: ${count(Math.round(reached))} of ${count(logsPerSecond)} logs/s`] : []),
    ...(read.badLineCount === 0
      ? []
      : [`lines that were not JSON objects, kept as message: ${count(read.badLineCount)}`]),
    ...(read.noTimeCount === 0
      ? []
      : [
          `${logs(read.noTimeCount)} without a readable time in ${JSON.stringify(timeField)}: they have the time of their upload`
        ]),
    ...(read.noKeyCount === 0
      ? []
      : [`${logs(read.noKeyCount)} without ${JSON.stringify(keyField)}: the service chose their partition`])
  ]
}

function logs(logCount: number): string {
  return logCount === 1 ? '1 log' : `${count(logCount)} logs`
}
