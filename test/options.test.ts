import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Wrong } from '../src/option-kinds.ts'
import { OPTIONS, type OptionName } from '../src/options.ts'

const rows = Object.entries(OPTIONS)

describe('the option table', () => {
  test('every default passes its own validation', () => {
    for (const [name, row] of rows) {
      if (row.default === undefined) continue
      const parsed: unknown = row.parse(row.default)
      assert.ok(!(parsed instanceof Wrong), `${name}: ${parsed instanceof Wrong ? parsed.expected : ''}`)
      assert.deepEqual(parsed, row.default, name)
    }
  })

  test('environment variables and flags are unique, and made of the option’s name', () => {
    const variables = rows.flatMap(([, { env }]) => (env === undefined ? [] : [env]))
    const flags = rows.flatMap(([, { flag }]) => (flag === undefined ? [] : [flag]))
    assert.equal(new Set(variables).size, variables.length)
    assert.equal(new Set(flags).size, flags.length)
    for (const variable of variables) assert.match(variable, /^CLS_[A-Z_]+$/)
    for (const flag of flags) assert.match(flag, /^[a-z-]+$/)
    for (const [name, { env }] of rows) {
      if (env !== undefined) assert.equal(env, `CLS_${name.replace(/[A-Z]/g, capital => `_${capital}`).toUpperCase()}`)
    }
  })

  test('I9: a secret has no flag, since command lines are seen by others', () => {
    assert.equal(OPTIONS.credentials.flag, undefined)
    for (const [name, { flag }] of rows) assert.ok(!/secret|token|key/i.test(`${name} ${flag}`), name)
  })

  test('I8: every wait, size and count is bounded on both sides', () => {
    const limits = rows.filter(([name]) => /(Ms|Bytes|BytesMax|PerThread|threads)$/.test(name))
    assert.ok(limits.length >= 14)
    for (const [name, row] of limits) {
      assert.equal(row.kind, 'integer', name)
      assert.notEqual(row.default, undefined, name)
      for (const value of [-1, Number.MAX_SAFE_INTEGER])
        assert.ok(row.parse(value) instanceof Wrong, `${name} ${value}`)
    }
  })

  test('no row throws, whatever it is given', () => {
    const values = [
      undefined,
      null,
      '',
      'x',
      -1,
      0,
      1.5,
      Number.NaN,
      10n,
      true,
      [],
      {},
      () => 1,
      Symbol('s'),
      new Date(Number.NaN)
    ]
    for (const [, row] of rows) for (const value of values) assert.doesNotThrow(() => row.parse(value))
  })

  test('every row has help, and only what must be given is required', () => {
    for (const [name, { help }] of rows) assert.ok(help.length > 10 && !help.endsWith('.'), name)
    const required: OptionName[] = ['credentials', 'logsetId', 'topicIds', 'group', 'processor']
    assert.deepEqual(
      rows.filter(([, row]) => row.required).map(([name]) => name),
      required
    )
  })

  test('flags of truth take words and digits, and nothing else', () => {
    const { parse } = OPTIONS.updateGroup
    assert.deepEqual([true, 'true', '1', false, 'false', '0'].map(parse), [true, true, true, false, false, false])
    for (const value of ['yes', '', 1, 0, null]) assert.ok(parse(value) instanceof Wrong)
  })
})
