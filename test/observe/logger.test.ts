/** The log's format: one record, one line, whatever is in it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger, type LoggerSetup, wantsColour } from '../../src/observe/logger.ts'

const NOW_MS = Date.UTC(2026, 0, 31, 8, 0, 0, 123)

function capture(setup: Partial<LoggerSetup> = {}) {
  const lines: string[] = []
  const log = createLogger({
    level: 'debug',
    write: line => void lines.push(line),
    clock: { now: () => NOW_MS },
    ...setup
  })
  return { log, lines }
}

test('a line is time, level, message and key=value fields', () => {
  const { log, lines } = capture()
  log.info('assigned', { topic: 'a-1', partition: 3, start: 9007199254740993n, bounded: false, end: null })
  assert.deepEqual(lines, [
    '2026-01-31T08:00:00.123Z INFO  assigned topic=a-1 partition=3 start=9007199254740993 bounded=false end=null\n'
  ])
})

test('a field that is undefined is left out', () => {
  const { log, lines } = capture()
  log.warn('retried', { action: undefined, code: 'API_TIMEOUT' })
  assert.deepEqual(lines, ['2026-01-31T08:00:00.123Z WARN  retried code=API_TIMEOUT\n'])
})

test('a value whose end a reader could not see is quoted', () => {
  const { log, lines } = capture()
  log.error('x', { empty: '', space: 'a b', quote: 'a"b', equals: 'a=b', backslash: 'a\\b', chinese: '日志' })
  assert.deepEqual(lines, [
    '2026-01-31T08:00:00.123Z ERROR x empty="" space="a b" quote="a\\"b" equals="a=b" backslash="a\\\\b" chinese=日志\n'
  ])
})

test('a record stays one line, and cannot command the terminal', () => {
  const { log, lines } = capture()
  log.info('first\nsecond\r\u2028third\x1b[2J\x9b1A', { stack: 'Error: a\n    at b', bell: 'x\x07' })
  assert.equal(lines.length, 1)
  assert.equal(
    lines[0],
    '2026-01-31T08:00:00.123Z INFO  first\\nsecond\\r\\u2028third\\u001b[2J\\u009b1A ' +
      'stack="Error: a\\n    at b" bell="x\\u0007"\n'
  )
})

test('only lines of the level or above are written', () => {
  const written = (level: LoggerSetup['level']) => {
    const { log, lines } = capture({ level })
    log.debug('d')
    log.info('i')
    log.warn('w')
    log.error('e')
    return lines.map(line => line.trimEnd().at(-1)).join('')
  }
  assert.equal(written('debug'), 'diwe')
  assert.equal(written('info'), 'iwe')
  assert.equal(written('warn'), 'we')
  assert.equal(written('error'), 'e')
  assert.equal(written('silent'), '')
})

test('colour is for terminals that want it', () => {
  assert.equal(wantsColour({ isTTY: true }, {}), true)
  assert.equal(wantsColour({ isTTY: true }, { NO_COLOR: '' }), true)
  assert.equal(wantsColour({ isTTY: true }, { NO_COLOR: '1' }), false)
  assert.equal(wantsColour({ isTTY: true }, { TERM: 'dumb' }), false)
  assert.equal(wantsColour({}, {}), false)
  const { log, lines } = capture({ colour: true })
  log.warn('careful')
  assert.deepEqual(lines, ['2026-01-31T08:00:00.123Z \x1b[33mWARN \x1b[39m careful\n'])
})
