/** Option rows as flags: what the parser and its help are given, and which flags are refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { demoFlags } from '../../src/cli/demo.ts'
import { flagsOf, refuseSecretFlags } from '../../src/cli/option-flags.ts'
import { produceFlags } from '../../src/cli/produce.ts'
import { runFlags } from '../../src/cli/run.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import type { OptionRow } from '../../src/option-kinds.ts'
import { OPTIONS } from '../../src/options.ts'

const ROWS: [string, OptionRow<unknown>][] = Object.entries(OPTIONS)

test('every row of the option table but secrets and functions has a flag and a variable of its own', () => {
  const without = ROWS.filter(([, row]) => row.flag === undefined).map(([name]) => name)
  assert.deepEqual(without, ['credentials', 'onResult', 'sharedThreads'])
  const flags = ROWS.flatMap(([, row]) => row.flag ?? [])
  assert.deepEqual(Object.keys(flagsOf(OPTIONS)), flags)
  assert.equal(new Set(flags).size, flags.length)
  const variables = ROWS.flatMap(([, row]) => row.env ?? [])
  assert.equal(variables.length, flags.length)
  assert.equal(new Set(variables).size, variables.length)
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
  assert.match(produceFlags.seed?.description ?? '', /\(0 – 4294967295\)/)
})

test('I9: a flag that looks like a secret is refused without its value', () => {
  for (const [argument, flag] of [
    ['--secret-key=hush', '--secret-key'],
    ['--secretId=hush', '--secretId'],
    ['--token=hush', '--token'],
    ['--SECRET-KEY=hush', '--SECRET-KEY'],
    ['-token=hush', '-token'],
    ['--passwd=hush', '--passwd'],
    ['--db-pwd', '--db-pwd'],
    ['--api_key=hush', '--api_key'],
    ['--password hush', '--password'],
    ['--password:hush', '--password']
  ] as const) {
    assert.throws(
      () => refuseSecretFlags(['run', argument, 'hush']),
      error => {
        assert.ok(error instanceof ClsConsumerError)
        assert.equal(error.code, 'USAGE')
        assert.ok(error.message.startsWith(`${flag} is not taken`), error.message)
        assert.ok(!error.message.includes('hush'), error.message)
        assert.match(error.message, /CLS_SECRET_KEY/)
        return true
      }
    )
  }
})

test('no flag that there is looks like a secret, nor does what stands behind one', () => {
  const flags = Object.keys({ ...runFlags, ...produceFlags, ...demoFlags })
  refuseSecretFlags(flags.map(flag => `--${flag}=token`))
  refuseSecretFlags(['run', '--group', 'secret', '--topic', 'token', '-', '--', 'password=x'])
})
