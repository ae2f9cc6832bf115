/** An error in a log line: what happened, and each part of its place once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClsConsumerError, fromFailure, toFailure } from '../../src/errors.ts'
import { errorFields } from '../../src/observe/error-fields.ts'
import { createLogger } from '../../src/observe/logger.ts'

const PLACE = { topicId: 't', partition: 3, offset: 100n, requestId: 'r-1' }
const ERROR = new ClsConsumerError('API_UNAVAILABLE', 'the service is busy', PLACE)

function lineOf(error: ClsConsumerError): string {
  const lines: string[] = []
  const log = createLogger({ level: 'warn', write: line => lines.push(line), clock: { now: () => 0 } })
  log.warn('retried', errorFields(error, { topicId: 't', partition: 3 }))
  return lines.join('')
}

const LINE =
  '1970-01-01T00:00:00.000Z WARN  retried topicId=t partition=3 offset=100 requestId=r-1 code=API_UNAVAILABLE ' +
  'error="the service is busy"\n'

test('a line says the place of its error once, in fields', () => {
  assert.equal(lineOf(ERROR), LINE)
})

test('so it does of an error that has crossed a thread boundary, with what was known on either side of it', () => {
  const { offset: _, ...known } = PLACE
  const failure = toFailure(
    new ClsConsumerError('API_UNAVAILABLE', 'the service is busy', known),
    'BODY_CORRUPT',
    PLACE
  )
  const error = fromFailure(structuredClone(failure))
  assert.deepEqual(errorFields(error), { ...PLACE, code: 'API_UNAVAILABLE', error: 'the service is busy' })
  assert.match(error.message, /^the service is busy \(/, 'by itself it is complete')
  assert.equal(fromFailure(toFailure(new TypeError('no'), 'PROCESSOR_FAILED', PLACE)).what, 'TypeError: no')
})

test('where line and error name a place by different values, the line has its own', () => {
  assert.deepEqual(errorFields(ERROR, { offset: undefined, partition: 4 }), {
    ...PLACE,
    offset: undefined,
    partition: 4,
    code: 'API_UNAVAILABLE',
    error: 'the service is busy'
  })
})
