/** Options from flags over variables over a file: what was given, and all problems at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONFIG } from '../../src/config/config-file.ts'
import { credentialsFrom } from '../../src/config/env-credentials.ts'
import { OptionCheck } from '../../src/config/option-check.ts'
import type { Rows } from '../../src/config/option-sources.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { integer, type OptionRow, text } from '../../src/option-kinds.ts'
import { OPTIONS } from '../../src/options.ts'
import { OPTION_NAMES, resolveOptions } from '../../src/resolve-options.ts'
import { REQUIRED } from '../support/settings.ts'

const ROWS: [string, OptionRow<unknown>][] = Object.entries(OPTIONS)

/** What a command with these rows takes. */
function givenOptions(rows: Rows, args: Record<string, unknown>, env: Record<string, string>) {
  const check = new OptionCheck(args, env, rows)
  const given = check.given(rows)
  assert.deepEqual(check.problems, [])
  return given
}

/** Something valid for each row, as text. */
const VALID: Record<string, string> = {
  endpoint: 'http://127.0.0.1:9',
  region: 'ap-guangzhou',
  network: 'intranet',
  logsetId: 'l',
  topicIds: 't1,t2',
  group: 'g',
  consumer: 'c',
  updateGroup: 'true',
  processor: './p.js',
  startFrom: 'begin',
  stopAt: 'now',
  threadHeapMb: '512',
  deadLetterDirectory: './dead',
  query: 'log_keep(1)',
  onInvalidOffset: 'end',
  logLevel: 'debug',
  processorOptions: '{"key":[1]}'
}

test('each option can be given by its flag and by its variable, with the same meaning', () => {
  for (const [name, row] of ROWS) {
    if (row.flag === undefined || row.env === undefined) continue
    const value = VALID[name] ?? String(row.default)
    const byVariable = givenOptions(OPTIONS, {}, { [row.env]: value })
    const byFlag = givenOptions(OPTIONS, { [row.flag]: row.kind === 'list' ? [value] : value }, {})
    assert.deepEqual(Object.keys(byVariable), [name])
    assert.deepEqual(Object.keys(byFlag), [name])
    assert.deepEqual(row.parse(byFlag[name]), row.parse(byVariable[name]), name)
  }
})

test('a flag wins over its variable, and an empty variable is none', () => {
  const rows = { group: OPTIONS.group, topicIds: OPTIONS.topicIds, region: OPTIONS.region, query: OPTIONS.query }
  const given = givenOptions(
    rows,
    { group: 'flag', topic: ['a', 'b, c'] },
    { CLS_GROUP: 'variable', CLS_TOPIC_IDS: 'd', CLS_REGION: 'ap-beijing', CLS_QUERY: '' }
  )
  assert.deepEqual(given, { group: 'flag', topicIds: ['a', 'b', 'c'], region: 'ap-beijing' })
})

test('processor options from a flag or variable are JSON; from code, a text stays the text it is', () => {
  for (const value of ['plain', '{"a":1}', '7', '', 'null']) {
    assert.equal(resolveOptions({ ...REQUIRED, processorOptions: value }).processorOptions, value)
  }
  const givenTo = (args: Record<string, unknown>, env = {}) => new OptionCheck(args, env, OPTIONS).given(OPTIONS)
  assert.deepEqual(givenTo({ 'processor-options': '{"a":1}' }), { processorOptions: { a: 1 } })
  assert.deepEqual(givenTo({}, { CLS_PROCESSOR_OPTIONS: '"plain"' }), { processorOptions: 'plain' })
  assert.deepEqual(givenTo({}, { CLS_PROCESSOR_OPTIONS: '' }), {})
})

test('I9: processor options that are not JSON are told where they were given, but not what they are', () => {
  for (const [args, env, expected] of [
    [{ 'processor-options': 'plain' }, {}, '--processor-options is a text of length 5, expected JSON'],
    [{}, { CLS_PROCESSOR_OPTIONS: '{' }, 'CLS_PROCESSOR_OPTIONS is a text of length 1, expected JSON'],
    [{ 'processor-options': ['1', '2'] }, {}, '--processor-options is given more than once, expected JSON'],
    [{ 'processor-options': false }, {}, '--processor-options is false, expected JSON']
  ] as const) {
    const check = new OptionCheck(args, env, OPTIONS)
    assert.equal(check.given(OPTIONS).processorOptions, undefined)
    assert.deepEqual(check.problems, [expected])
  }
})

const COUNT = integer({ flag: 'count', help: 'h', min: 1, max: 10, unit: 'logs' })
const FILE = text({ flag: 'file', help: 'h', env: 'CLS_FILE' })
const OWN = { count: COUNT, file: FILE }

function problemsOf(run: () => unknown): string[] {
  let found: string[] | undefined
  assert.throws(run, error => {
    assert.ok(error instanceof ClsConsumerError)
    assert.equal(error.code, 'OPTIONS_INVALID')
    const [heading, ...lines] = error.message.split('\n')
    found = lines.map(line => line.replace(/^ {2}- /, ''))
    assert.equal(heading, lines.length === 1 ? 'invalid option:' : `${lines.length} invalid options:`)
    return true
  })
  return found ?? assert.fail('no problems')
}

test("a command's own problems and the table's come in one error, each with where it stands or how to give it", () => {
  const rows = { ...OPTIONS, ...OWN }
  const args = { count: '11', file: ['a', 'b'], topic: [''], group: false }
  const env = { CLS_PULL_BYTES: '12x', CLS_LOGSET_ID: 'l', CLS_SECRET_ID: 'i' }
  const check = new OptionCheck(args, env, rows)
  check.take(COUNT)
  check.take(FILE)
  const given = check.given(OPTIONS)
  assert.deepEqual(
    problemsOf(() => check.finishWith(OPTION_NAMES, { ...given, credentials: credentialsFrom(env) })),
    [
      '--count is "11", expected a whole number of logs from 1 to 10',
      '--file is given more than once, expected a text that is not empty',
      '--topic is "", expected a list of topic ids, each a text that is not empty',
      '--group is false, expected a name of at most 255 letters, digits, "_", "-"',
      'CLS_PULL_BYTES is "12x", expected a whole number of bytes from 1024 to 10485760',
      `credentials is missing: ${OPTIONS.credentials.help} (CLS_SECRET_KEY is not set)`,
      `processor is missing: ${OPTIONS.processor.help} (--processor, CLS_PROCESSOR)`,
      'neither endpoint nor region is given: give the region, such as ap-guangzhou (--region, CLS_REGION)'
    ]
  )
})

test("a command's own problem alone is an error too", () => {
  const valid = {
    region: 'ap-guangzhou',
    credentials: { secretId: 'i', secretKey: 'k' },
    logsetId: 'l',
    topicIds: ['t'],
    group: 'g',
    processor: 'p'
  }
  assert.equal(new OptionCheck({}, {}, OWN).finishWith(OPTION_NAMES, valid).group, 'g')
  const check = new OptionCheck({ count: '0' }, {}, OWN)
  assert.equal(check.take(COUNT), undefined)
  assert.throws(() => check.finishWith(OPTION_NAMES, valid), { code: 'OPTIONS_INVALID', message: /--count/ })
  assert.throws(() => check.finish(), { code: 'OPTIONS_INVALID', message: /--count/ })
})

test('what a weightier source outweighs is judged too', () => {
  const env = { CLS_THREADS: 'many', CLS_PULL_BYTES: '65536', CLS_FILE: '' }
  const check = new OptionCheck({ threads: '2', 'pull-bytes': '2048' }, env, OPTIONS)
  assert.deepEqual(check.given({ threads: OPTIONS.threads, pullBytes: OPTIONS.pullBytes }), {
    threads: '2',
    pullBytes: '2048'
  })
  assert.deepEqual(check.problems, ['CLS_THREADS is "many", expected a whole number of threads from 1 to 256'])
})

test('what contradicts another option is told with where both were given', () => {
  const env = { CLS_ENDPOINT: 'http://127.0.0.1:1', CLS_STOP_AT: '1000', CLS_PULL_BYTES: '10485760' }
  const args = { network: 'intranet', 'start-from': '1000', 'held-bytes-max': '4194304', 'body-bytes-max': '1024' }
  const check = new OptionCheck(args, env, OPTIONS)
  const names = ['endpoint', 'network', 'startFrom', 'stopAt', 'pullBytes', 'heldBytesMax', 'bodyBytesMax'] as const
  assert.deepEqual(
    problemsOf(() =>
      check.finishWith(names, check.given(Object.fromEntries(names.map(name => [name, OPTIONS[name]]))))
    ),
    [
      'endpoint (CLS_ENDPOINT) and network intranet (--network) contradict each other: give one of them',
      'stopAt 1000 (CLS_STOP_AT) is not after startFrom 1000 (--start-from): nothing would be read',
      'heldBytesMax 4194304 (--held-bytes-max) has no room for two pulls of pullBytes 10485760 (CLS_PULL_BYTES): at least 33554432',
      'bodyBytesMax 1024 (--body-bytes-max) is less than pullBytes 10485760 (CLS_PULL_BYTES): larger responses would be refused'
    ]
  )
})

test('dead letters without a directory are told with where they were asked for, and how to name one', () => {
  const check = new OptionCheck({ 'on-failure': 'dead-letter' }, {}, { ...OPTIONS, ...CONFIG })
  const given = { ...REQUIRED, ...check.given(OPTIONS) }
  assert.throws(() => check.finishWith(OPTION_NAMES, given), {
    message: [
      'invalid option:',
      'onFailure is dead-letter (--on-failure), and there is no deadLetterDirectory: name one (--dead-letter-directory, CLS_DEAD_LETTER_DIRECTORY, deadLetterDirectory in a config file), or give another onFailure'
    ].join('\n  - ')
  })
})

test('a value that is refused is neither missing nor replaced by its default in what follows', () => {
  // With the default of pullBytes there would be no room for two pulls, which is not what is wrong.
  const check = new OptionCheck({ 'pull-bytes': 'x', 'held-bytes-max': '4194304', endpoint: 'x' }, {}, OPTIONS)
  const names = ['endpoint', 'region', 'pullBytes', 'heldBytesMax'] as const
  const given = check.given({ ...OPTIONS })
  const lines = problemsOf(() => check.finishWith(names, given))
  assert.deepEqual(
    lines.map(line => line.split(' ')[0]),
    ['--endpoint', '--pull-bytes']
  )
})
