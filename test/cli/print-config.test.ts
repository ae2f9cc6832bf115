/** `--print-config`: what is in force and why, in 80 columns, without a secret, and as a config file that gives it again. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { printConfig, type Sources } from '../../src/cli/print-config.ts'
import { runOptions } from '../../src/cli/run.ts'
import { OPTIONS, type Settings } from '../../src/options.ts'
import { OPTION_NAMES, resolveOptions } from '../../src/resolve-options.ts'
import { settingsWith } from '../support/settings.ts'
import { startCli } from './command.ts'

const folder = mkdtempSync(join(tmpdir(), 'cls-print-'))
after(() => rmSync(folder, { recursive: true }))

const NO_SOURCES: Sources = { originOf: () => undefined, credentials: ['CLS_SECRET_ID', 'CLS_SECRET_KEY'] }
const KEY = { CLS_SECRET_ID: 'AKID-hush', CLS_SECRET_KEY: 'hush', CLS_TOKEN: 'hush' }

function printed(args: Record<string, unknown>, env: Record<string, string>, file?: string): string {
  if (file !== undefined) writeFileSync(join(folder, 'consumer.yaml'), file)
  const config = file === undefined ? {} : { config: 'consumer.yaml' }
  const options = runOptions({ ...args, ...config, 'print-config': true }, { ...KEY, ...env }, folder)
  return options.config ?? assert.fail('nothing to print')
}

/** The settings that a printed config gives, without the access key. */
function readBack(text: string): Partial<Settings> {
  const config = join(folder, 'again.yaml')
  writeFileSync(config, text)
  const { credentials: _, ...settings } = runOptions({ config }, KEY, '/').settings
  return settings
}

test('every value stands there with where it is from', () => {
  const file = ['logsetId: "1e5"', '', 'topicIds: [a, "b # c"]', 'group: by-file', 'threads: 2', 'processor: ./p.js']
  const text = printed(
    { group: 'by-flag', 'start-from': '2026-01-31T08:00:00Z' },
    { CLS_REGION: 'ap-guangzhou', CLS_GROUP: 'by-variable', CLS_PROCESSOR_OPTIONS: '{"a": {"b": [1]}}' },
    file.join('\n')
  )
  const lines = text.split('\n')
  for (const line of [
    '# endpoint:                         # not set',
    'region: ap-guangzhou                # CLS_REGION',
    'network: public                     # default',
    '# credentials: ***                  # CLS_SECRET_ID, CLS_SECRET_KEY, CLS_TOKEN',
    'logsetId: "1e5"                     # consumer.yaml:1',
    'topicIds:                           # consumer.yaml:3',
    '  - b # c'.replace('b # c', '"b # c"'),
    'group: by-flag                      # --group',
    'processorOptions:                   # CLS_PROCESSOR_OPTIONS',
    '    b:',
    'startFrom: 1769846400               # --start-from, 2026-01-31T08:00:00Z',
    '# stopAt:                           # default: never',
    'threads: 2                          # consumer.yaml:5',
    'pullBytes: 2097152                  # default'
  ]) {
    assert.ok(lines.includes(line), `${line}\n\n${text}`)
  }
  assert.match(text, new RegExp(`^processor: ${join(folder, 'p.js')} +# consumer\\.yaml:6$`, 'm'))
  // Each option once, but what nobody can write down.
  const names = [...text.matchAll(/^(?:# )?(\w+):/gm)].map(([, name]) => name)
  assert.deepEqual(
    names,
    OPTION_NAMES.filter(name => name !== 'onResult' && name !== 'sharedThreads')
  )
})

test('lines end within 80 columns where the value lets them; a comment has room above a long one', () => {
  const query = 'x'.repeat(70)
  const text = printed(
    { query, topic: 't' },
    { CLS_REGION: 'r', CLS_LOGSET_ID: 'l', CLS_GROUP: 'g', CLS_PROCESSOR: 'p' }
  )
  for (const line of text.split('\n')) assert.ok(line.length <= 80 || line.includes(folder), line)
  assert.match(text, new RegExp(`\\n# --query\\nquery: ${query}\\n`))
})

test('I9: no secret is printed, neither of the key nor of what users fill, and a masked one cannot be used', () => {
  const env = {
    CLS_ENDPOINT: 'http://me:hush@127.0.0.1:1',
    CLS_LOGSET_ID: 'l',
    CLS_TOPIC_IDS: 't',
    CLS_GROUP: 'g',
    CLS_PROCESSOR: 'p',
    CLS_PROCESSOR_OPTIONS: JSON.stringify({
      db: { password: 'hush', url: 'pg://me:hush@db/x', main: 'Server=x;Password=hush;' },
      apiKeys: ['hush'],
      sk: 'hush',
      connectionString: 'Server=x;hush',
      hook: 'https://h/?token=hush&x=1'
    })
  }
  const text = printed({}, env)
  assert.ok(!text.includes('hush'), text)
  assert.match(text, /^endpoint: http:\/\/\*\*\*@127\.0\.0\.1:1 +# CLS_ENDPOINT, \*\*\* stands for a secret$/m)
  assert.match(text, /^ {4}password: "\*\*\*"$/m)
  assert.throws(() => readBack(text), {
    code: 'OPTIONS_INVALID',
    message: /2 invalid options:\n.*: endpoint holds \*\*\*.*\n.*: processorOptions holds \*\*\*/
  })
})

test('nothing that is printed can command a terminal', () => {
  const odd = '\u001b[31m\u009b5m\u2028\u202e"'
  const text = printConfig(settingsWith({ query: odd, logsetId: odd, processorOptions: { [odd]: [odd] } }), {
    ...NO_SOURCES,
    originOf: name => (name === 'query' ? { kind: 'file', file: `${odd}.yaml`, line: 1 } : undefined)
  })
  for (const character of odd.slice(0, -1).replace(/[\w[]/g, ''))
    assert.ok(!text.includes(character), JSON.stringify(text))
  const { query, logsetId, processorOptions } = readBack(text)
  assert.deepEqual([query, logsetId, processorOptions], [odd, odd, { [odd]: [odd] }])
})

test('what is printed is a config file that gives the same settings, whatever they are', () => {
  const text = fc.oneof(
    fc.string({ minLength: 1, unit: 'binary' }),
    fc.constantFrom(
      'no',
      '1e5',
      '0o17',
      '~',
      'null',
      '# x',
      'a: b',
      '- a',
      '*a',
      '%',
      '2026-01-01',
      '{',
      '[]',
      '"',
      "'",
      ' x'
    )
  )
  const name = fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/)
  const options = fc.record(
    {
      endpoint: fc.constantFrom('http://127.0.0.1:1', 'https://host/'),
      logsetId: text,
      topicIds: fc.uniqueArray(text, { minLength: 1, maxLength: 3 }),
      group: name,
      consumer: name,
      processorOptions: fc.jsonValue({ maxDepth: 2 }).filter(value => value !== null),
      query: text,
      startFrom: fc.oneof(fc.constantFrom('begin' as const, 'end' as const), fc.nat()),
      onInvalidOffset: fc.constantFrom('stop' as const, 'begin' as const),
      updateGroup: fc.boolean(),
      threads: fc.integer({ min: 1, max: 256 }),
      heartbeatIntervalMs: fc.integer({ min: 2, max: 600 }).map(half => half * 500)
    },
    { requiredKeys: ['endpoint', 'logsetId', 'topicIds', 'group'] }
  )
  fc.assert(
    fc.property(options, given => {
      const processor = join(folder, 'p.mjs')
      const settings = resolveOptions({ credentials: { secretId: 'i', secretKey: 'k' }, processor, ...given })
      const shown = printConfig(settings, NO_SOURCES)
      // What is masked is not there any more, and so many brackets are taken for nesting.
      fc.pre(!shown.includes('***@') && !shown.includes('"***"') && (shown.match(/[[{]/g) ?? []).length < 60)
      const { credentials: _, ...rest } = settings
      assert.deepEqual(readBack(shown), rest)
    }),
    { numRuns: 300 }
  )
})

test('`run --print-config` connects to nothing and exits 0', { timeout: 30_000 }, async t => {
  let connectionCount = 0
  const server = createServer(socket => {
    connectionCount += 1
    socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  try {
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const env = { ...KEY, CLS_ENDPOINT: `http://127.0.0.1:${address.port}`, CLS_LOGSET_ID: 'l', CLS_TOPIC_IDS: 't' }
    const args = ['run', '--print-config', '--group', 'g', '--processor', './none.mjs']
    const cli = startCli(args, { env, cwd: folder, signal: t.signal })
    assert.deepEqual(await cli.ended, { code: 0, signal: null }, cli.err())
    assert.match(cli.out(), /^group: g +# --group$/m)
    assert.ok(!(cli.out() + cli.err()).includes('hush'), 'I9')
    assert.equal(connectionCount, 0)
  } finally {
    server.close()
  }
})

test('`run --print-config` with options that are wrong exits 2, with all of them', { timeout: 30_000 }, async t => {
  writeFileSync(join(folder, 'wrong.yaml'), 'threads: many\nsecretKey: hush\n')
  const args = ['run', '--print-config', '--config', 'wrong.yaml', '--pull-bytes', '1']
  const cli = startCli(args, { env: { CLS_NETWORK: 'moon' }, cwd: folder, signal: t.signal })
  assert.deepEqual(await cli.ended, { code: 2, signal: null })
  assert.equal(cli.out(), '')
  for (const part of [
    /file wrong\.yaml line 1: threads is "many"/,
    /file wrong\.yaml line 2: secretKey is not taken from a file/,
    /--pull-bytes is "1"/,
    /CLS_NETWORK is "moon"/,
    /group is missing/
  ]) {
    assert.match(cli.err(), part)
  }
  assert.ok(!cli.err().includes('hush'), 'I9')
})

test('every row with a default or a value has a place in it', () => {
  const text = printConfig(settingsWith(), NO_SOURCES)
  for (const [name, row] of Object.entries(OPTIONS)) {
    if (row.default !== undefined) assert.match(text, new RegExp(`^${name}: .+ # default`, 'm'))
  }
})
