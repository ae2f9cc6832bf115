/** Options on the command line: flags over variables, secrets from the environment alone, all problems at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { credentialsFrom, flagsOf, givenOptions, OptionCheck, refuseSecretFlags } from '../../src/cli/option-flags.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { integer, type OptionRow, text } from '../../src/option-kinds.ts'
import { OPTIONS } from '../../src/options.ts'
import { OPTION_NAMES, resolveOptions } from '../../src/resolve-options.ts'
import { REQUIRED } from '../support/settings.ts'

const ROWS: [string, OptionRow<unknown>][] = Object.entries(OPTIONS)

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
  query: 'log_keep(1)',
  onInvalidOffset: 'end',
  logLevel: 'debug',
  processorOptions: '{"key":[1]}'
}

test('every row of the option table but secrets and functions has a flag and a variable of its own', () => {
  const without = ROWS.filter(([, row]) => row.flag === undefined).map(([name]) => name)
  assert.deepEqual(without, ['credentials', 'onResult'])
  const flags = ROWS.flatMap(([, row]) => row.flag ?? [])
  assert.deepEqual(Object.keys(flagsOf(OPTIONS)), flags)
  assert.equal(new Set(flags).size, flags.length)
  const variables = ROWS.flatMap(([, row]) => row.env ?? [])
  assert.equal(variables.length, flags.length)
  assert.equal(new Set(variables).size, variables.length)
})

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

test('defaults are shown but not given to the parser, or no variable could ever win over one', () => {
  for (const [flag, description] of Object.entries(flagsOf(OPTIONS))) {
    assert.ok(!('default' in description), flag)
    assert.ok(!('choices' in description), `${flag}: a bad choice must be reported with all other problems`)
  }
  const flags = flagsOf(OPTIONS)
  assert.equal(flags['pull-bytes']?.defaultDescription, '2097152')
  assert.equal(flags.threads?.defaultDescription, 'one a core')
  assert.match(flags.network?.description ?? '', /public, intranet, international.*\[CLS_NETWORK\]/)
  assert.match(flags['processor-options']?.description ?? '', /\(.*JSON.*\) \[CLS_PROCESSOR_OPTIONS\]/)
})

test('what a whole number may be is told with its step', () => {
  const flags = flagsOf(OPTIONS)
  assert.match(flags['heartbeat-interval-ms']?.description ?? '', /\(ms, 1000 – 300000, multiple of 500\)/)
  assert.match(flags['poll-interval-ms']?.description ?? '', /\(ms, 50 – 60000\)/)
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

test('processor options that are no JSON are told where they were given', () => {
  for (const [args, env, expected] of [
    [{ 'processor-options': 'plain' }, {}, '--processor-options is "plain", expected JSON'],
    [{}, { CLS_PROCESSOR_OPTIONS: '{' }, 'CLS_PROCESSOR_OPTIONS is "{", expected JSON'],
    [{ 'processor-options': ['1', '2'] }, {}, '--processor-options is given more than once, expected JSON'],
    [{ 'processor-options': false }, {}, '--processor-options is false, expected JSON']
  ] as const) {
    const check = new OptionCheck(args, env, OPTIONS)
    assert.equal(check.given(OPTIONS).processorOptions, undefined)
    assert.deepEqual(check.problems, [expected])
  }
})

test('credentials come from the environment, and only as a pair', () => {
  assert.deepEqual(credentialsFrom({ CLS_SECRET_ID: 'i', CLS_SECRET_KEY: 'k' }), { secretId: 'i', secretKey: 'k' })
  assert.deepEqual(credentialsFrom({ CLS_SECRET_ID: 'i', CLS_SECRET_KEY: 'k', CLS_TOKEN: 't' }), {
    secretId: 'i',
    secretKey: 'k',
    token: 't'
  })
  assert.equal(credentialsFrom({ CLS_SECRET_ID: 'i' }), undefined)
  assert.equal(credentialsFrom({ CLS_SECRET_ID: 'i', CLS_SECRET_KEY: '' }), undefined)
})

test('I9: a flag that looks like a secret is refused without its value', () => {
  for (const argument of ['--secret-key=hush', '--secretId=hush', '--token=hush', '--SECRET-KEY=hush', '-token=hush']) {
    assert.throws(
      () => refuseSecretFlags(['run', argument]),
      error => {
        assert.ok(error instanceof ClsConsumerError)
        assert.equal(error.code, 'USAGE')
        assert.ok(!error.message.includes('hush'), error.message)
        assert.match(error.message, /CLS_SECRET_KEY/)
        return true
      }
    )
  }
  refuseSecretFlags(['run', '--group', 'secret', '--topic', 'token'])
})

const COUNT = integer({ flag: 'count', help: 'h', min: 1, max: 10, unit: 'logs' })
const FILE = text({ flag: 'file', help: 'h' })
const OWN = { count: COUNT, file: FILE }

test("a command's own problems and the table's come in one error, with the flags that mend them", () => {
  const check = new OptionCheck({ count: '11', file: ['a', 'b'] }, {}, OWN)
  check.take(COUNT)
  check.take(FILE)
  const given = { region: 'ap-guangzhou', pullBytes: '12x', logsetId: 'l', group: 'g', processor: 'p' }
  assert.throws(
    () => check.finishWith(OPTION_NAMES, given),
    error => {
      assert.ok(error instanceof ClsConsumerError)
      assert.equal(error.code, 'OPTIONS_INVALID')
      assert.equal(error.message.match(/invalid option/g)?.length, 1, 'one list')
      for (const part of [
        /^5 invalid options:/,
        /--count is "11", expected a whole number of logs from 1 to 10/,
        /--file is given more than once/,
        /pullBytes is "12x"/,
        /topicIds is missing/,
        /credentials is missing/,
        /pullBytes: --pull-bytes or CLS_PULL_BYTES/,
        /topicIds: --topic or CLS_TOPIC_IDS/,
        /credentials: CLS_SECRET_ID and CLS_SECRET_KEY in the environment/
      ]) {
        assert.match(error.message, part)
      }
      assert.doesNotMatch(error.message, /group: --group/)
      return true
    }
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
