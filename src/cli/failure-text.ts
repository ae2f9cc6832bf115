/**
 * What a failed command says, and with which code it exits.
 *
 * In: anything thrown. Out: text for standard error, and 1, or 2 where an option, a file or the processor must be mended.
 * The text says what happened and what to do next; a stack shows only at log level debug, or where the error is not one
 * of ours, which is a bug.
 */
import { ClsConsumerError, type ErrorCode, type Remedy } from '../errors.ts'
import { printable } from '../observe/logger.ts'

export const EXIT = { done: 0, failed: 1, fixInput: 2 } as const

export function exitCodeOf(error: unknown): number {
  // Whoever runs this again and again need not where only a person can mend it.
  return error instanceof ClsConsumerError && error.remedy === 'fix-input' ? EXIT.fixInput : EXIT.failed
}

export function failureText(error: unknown, debug: boolean): string {
  if (!(error instanceof ClsConsumerError)) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return `unexpected error, please report it: ${printableLines(stack)}`
  }
  const advice = ADVICE[error.code] ?? REMEDY_ADVICE[error.remedy]
  const lines = [`${error.code}: ${error.message}`, advice]
  if (debug && error.stack !== undefined) lines.push(error.stack)
  if (debug && error.cause !== undefined) lines.push(`cause: ${describeCause(error.cause)}`)
  return lines.map(printableLines).join('\n')
}

const REMEDY_ADVICE = {
  retry: 'This can pass by itself: start again later.',
  rejoin: 'Start again to join the group anew: what was not committed is read again.',
  stop: 'Starting again will most likely fail the same way: find the cause first.',
  'fix-input': 'Correct it and start again.'
} as const satisfies Record<Remedy, string>

/** Where the code alone tells more than its remedy. */
const ADVICE: Partial<Record<ErrorCode, string>> = {
  OPTIONS_INVALID: 'Correct the options; see --help.',
  USAGE: 'See --help.',
  API_UNREACHABLE: 'Check the endpoint or region, and that this host can connect to it.',
  API_UNAUTHORIZED: 'Check CLS_SECRET_ID, CLS_SECRET_KEY and CLS_TOKEN, and that this key may use the log service.',
  API_NOT_FOUND: 'Check the logset and topic ids, and that they lie in this region.',
  API_INVALID_OFFSET: 'Choose with --on-invalid-offset where to go on: begin or end of the partition.',
  DEAD_LETTER_DIRECTORY: 'Correct it and start again: nothing that should have been written counts as done.',
  DEAD_LETTER_WRITE: 'Mend it and start again: nothing that should have been written counts as done.',
  DEAD_LETTERS_DAMAGED:
    'What breaks off was never taken for written: its batch ran again. What was damaged later is with the service, as long as it keeps logs.',
  PROCESSOR_FAILED:
    'Mend the processor and start again: a batch that failed is read again, what went on after its process returned is not.',
  PROCESSOR_TIMEOUT: 'Let the processor heed context.signal, or give it more time with --process-timeout-ms.',
  PARTITION_PARKED: 'Mend what the line about it names and start again: it goes on there.',
  PARTITION_STALLED: 'Mend what it waits for and start again: nothing is lost.',
  THREAD_LOST:
    'Look at what the processor does there: process.exit, an uncaught error or a lack of memory ends a thread.',
  PROCESSOR_STUCK: 'Find what it waits for, or give it longer with --hook-timeout-ms.',
  BATCH_CLOSED: 'Mend the processor and start again. What it did too late with that batch may be lost.',
  PROCESSOR_START_FAILED: 'Mend what the processor does at its start, and start again.',
  EMULATOR_NOT_STARTED:
    'If its port is in use, name another one, or --port 0 for any that is free; otherwise find the cause first.',
  GROUP_TOPICS: 'Name all topics of the group, or say --update-group to change the group.',
  DEMO_FAILED: 'The demo did not show what it promises.',
  BENCH_FAILED: 'There is no result: a benchmark of a consumer that errs would tell nothing.'
}

function describeCause(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
}

/** Line feeds are kept: messages that list problems have one line for each. */
function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}
