/**
 * A test reporter: TAP as Node writes it, and right before its summary each failure once more, in one line. Of a long
 * run often only the end of the log is read, or kept.
 *
 * In: the events of a run. Out: the lines of the report. Must never happen: a failure that the summary counts and no line names.
 */
import { relative } from 'node:path'
import { type TestEvent, tap } from 'node:test/reporters'

type Events = AsyncGenerator<TestEvent, void>
type Failure = Extract<TestEvent, { type: 'test:fail' }>['data']

// A generator: any other function Node takes for a class.
export default async function* failuresLast(events: Events): AsyncGenerator<string, void> {
  yield* tap(withFailures(events))
}

async function* withFailures(events: Events): Events {
  const failures: Failure[] = []
  for await (const event of events) {
    // What fails for its subtests alone has named them; what is to do may fail.
    if (event.type === 'test:fail' && !isCountedElsewhere(event.data)) failures.push(event.data)
    if (event.type === 'test:diagnostic' && event.data.nesting === 0 && /^tests \d+$/.test(event.data.message)) {
      for (const failure of failures) {
        yield { type: 'test:diagnostic', data: { ...event.data, message: describeFailure(failure) } }
      }
    }
    yield event
  }
}

function isCountedElsewhere({ todo, details }: Failure): boolean {
  const { error } = details
  return (todo !== undefined && todo !== false) || ('failureType' in error && error.failureType === 'subtestsFailed')
}

function describeFailure({ file, name, details }: Failure): string {
  const place = file === undefined ? '' : `${relative(process.cwd(), file)}: `
  const { cause } = details.error
  const reason = cause instanceof Error ? cause.message : details.error.message
  return `failed: ${place}${name}: ${reason.replaceAll(/\s+/g, ' ')}`
}
