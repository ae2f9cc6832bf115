/** The JSON schema of the config file agrees with what is taken, judged by a validator of its own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { configSchema } from '../../src/cli/config-schema.ts'
import { readEntries, WRITABLE } from '../../src/config/config-file.ts'
import { type OptionRow, parseWritten, Wrong } from '../../src/option-kinds.ts'
import { OPTIONS } from '../../src/options.ts'
import { resolveOptions } from '../../src/resolve-options.ts'
import { REQUIRED } from '../support/settings.ts'
import { startCli } from './command.ts'

const schema = configSchema()
// Strict: a keyword that is unknown, or does nothing where it stands, throws.
const accepts = new Ajv2020({ strict: true, allowUnionTypes: false }).compile(schema)

test('the schema is sound by its own draft, and has exactly the options that a file can give', () => {
  assert.equal(schema.$schema, 'https://json-schema.org/draft/2020-12/schema')
  assert.deepEqual(Object.keys(schema.properties), ['$schema', ...WRITABLE.map(([name]) => name)])
  for (const name of ['credentials', 'onResult', 'sharedThreads']) assert.ok(!accepts({ [name]: 'x' }), name)
  assert.ok(!accepts({ colour: 'red' }))
  assert.ok(accepts({}) && accepts({ $schema: './schema.json' }))
  for (const document of [[], 'group: g', 5, null]) assert.ok(!accepts(document))
})

test('each option has its bounds, its default and its help from the option table', () => {
  const { heartbeatIntervalMs, network, region, threads, topicIds } = schema.properties
  const { help, default: fallback } = OPTIONS.heartbeatIntervalMs
  assert.deepEqual(heartbeatIntervalMs, {
    description: `${help}. (--heartbeat-interval-ms, CLS_HEARTBEAT_INTERVAL_MS)`,
    type: 'integer',
    minimum: 1000,
    maximum: 300_000,
    multipleOf: 500,
    default: fallback
  })
  assert.deepEqual(network?.enum, ['public', 'intranet', 'international'])
  assert.equal(region?.pattern, '^[a-z0-9-]+$')
  assert.ok(!('default' in (threads ?? {})), 'the default depends on the host')
  assert.match(threads?.description ?? '', /Default: one a core\./)
  assert.deepEqual(topicIds?.items, { type: 'string', minLength: 1 })
})

/** Values that are near to what options take: right ones, and all kinds of wrong ones. */
const NEAR = fc.oneof(
  fc.jsonValue({ maxDepth: 1 }),
  fc.integer(),
  fc.nat({ max: 5000 }),
  fc.nat({ max: 700 }).map(times => times * 500),
  fc.constantFrom(-1, -0, 0.5, 1e3, 1e21, 253_402_300_799, 253_402_300_800, 4_194_303, 4_194_304, 10_485_761),
  fc.constantFrom(...WRITABLE.flatMap(([, { choices = [] }]) => choices), 'now', 'true', '7', 'a,b', ''),
  fc.constantFrom(
    'ap-guangzhou',
    'AP',
    'a b',
    './p.js',
    '日志',
    '\n',
    'http://h',
    'https://h:1/',
    'http://h/p',
    'x'.repeat(256)
  ),
  fc.constantFrom(['a', 'a'], ['a', 'b'], [], ['']),
  fc.array(fc.oneof(fc.string({ maxLength: 3 }), fc.nat()), { maxLength: 3 }),
  // From 1971: whether the first hours of 1970 come before 0 depends on the time zone.
  fc
    .date({ min: new Date('1971-01-01'), max: new Date('9999-12-30'), noInvalidDate: true })
    .chain(date => fc.constantFrom(...timesOf(date.toISOString()))),
  fc.constantFrom('2026-13-01', '2026-01-32', '2026-01-01T24:00:00Z', '2026-01-01T08:61', '1969-12-31', '2026-1-1')
)

function timesOf(iso: string): string[] {
  return [iso, iso.slice(0, 10), iso.slice(0, 16), iso.replace('Z', '+08:00'), iso.replace('Z', '-0330'), `${iso} `]
}

const ROWS: readonly (readonly [string, OptionRow<unknown>])[] = WRITABLE

test('what the schema accepts of a value is what is taken of it, and no more', () => {
  const seen = new Map<string, { accepted: number; refused: number }>()
  const about = (name: string) => {
    const counts = seen.get(name) ?? { accepted: 0, refused: 0 }
    seen.set(name, counts)
    return counts
  }
  fc.assert(
    fc.property(fc.constantFrom(...ROWS), NEAR, ([name, row], value) => {
      const accepted = accepts({ [name]: value })
      const { problems } = readEntries(JSON.stringify({ [name]: value }), 'json', 'c.json')
      const isTaken = problems.length === 0 && !(parseWritten(row, JSON.parse(JSON.stringify(value))) instanceof Wrong)
      assert.equal(accepted, isTaken, `${name}: ${JSON.stringify(value)}`)
      about(name)[accepted ? 'accepted' : 'refused'] += 1
    }),
    { numRuns: 20_000 }
  )
  // Or the values would be too far from all options to try anything.
  for (const [name] of ROWS) {
    const { accepted, refused } = about(name)
    assert.ok(accepted > 0 && (refused > 0 || name === 'processorOptions'), `${name}: ${accepted} and ${refused}`)
  }
})

test('what the schema accepts, resolveOptions accepts; what it refuses, only as the text of a flag or variable', () => {
  // No value of one option contradicts these.
  const { endpoint: _, ...rest } = REQUIRED
  const base = { ...rest, region: 'ap-guangzhou', pullBytes: 1024, deadLetterDirectory: 'dead' }
  fc.assert(
    fc.property(fc.constantFrom(...ROWS), NEAR, ([name, { kind }], value) => {
      fc.pre(!(name === 'stopAt' && value === 'begin') && value !== null)
      // With an endpoint no network but the default one may be given, and the other way round.
      const { region, ...withoutRegion } = base
      const options = name === 'endpoint' ? withoutRegion : { ...withoutRegion, region }
      let isTaken = true
      try {
        resolveOptions({ ...options, [name]: value })
      } catch {
        isTaken = false
      }
      const isText = typeof value === 'string' && ['integer', 'flag', 'list', 'position'].includes(kind)
      if (accepts({ [name]: value })) assert.ok(isTaken, `${name}: ${JSON.stringify(value)}`)
      else assert.ok(!isTaken || isText, `${name}: ${JSON.stringify(value)}`)
    }),
    { numRuns: 5000 }
  )
})

test('a day that its month does not have is the one thing that only the consumer refuses', () => {
  for (const startFrom of ['2026-02-30', '2026-02-29T00:00:00Z', '2026-11-31']) {
    assert.ok(accepts({ startFrom }))
    assert.ok(parseWritten(OPTIONS.startFrom, startFrom) instanceof Wrong)
  }
})

test('`config-schema` prints it, and takes no flags', { timeout: 30_000 }, async t => {
  const cli = startCli(['config-schema'], { signal: t.signal })
  assert.deepEqual(await cli.ended, { code: 0, signal: null }, cli.err())
  assert.deepEqual(JSON.parse(cli.out()), JSON.parse(JSON.stringify(schema)))
  const wrong = startCli(['config-schema', '--group', 'g'], { signal: t.signal })
  assert.deepEqual(await wrong.ended, { code: 2, signal: null })
  assert.equal(wrong.out(), '')
  assert.match(wrong.err(), /unknown flag --group/)
})
