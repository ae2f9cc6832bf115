/** Everything that can be wrong with a processor, as a user of the command line meets it: what is said, and the exit. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { produce } from '../../src/cli/produce.ts'
import { type EmulatorHandle, startEmulator } from '../../src/emulator/start.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { captureWorld, startCli } from './command.ts'

const TIMEOUT = { timeout: 60_000 }
const LOG_COUNT = 200
const STRIPS_TYPES = typeof Reflect.get(process.features, 'typescript') === 'string'

let folder = ''
let emulator: EmulatorHandle
let env: Record<string, string> = {}
let groupCount = 0

before(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'cls-processor-errors-')))
  emulator = await startEmulator({ topicCount: 1, partitionCount: 2, process: 'child' })
  env = {
    CLS_ENDPOINT: emulator.endpoint,
    CLS_SECRET_ID: emulator.secretId,
    CLS_SECRET_KEY: emulator.secretKey,
    CLS_LOGSET_ID: emulator.logsetId,
    CLS_TOPIC_IDS: emulator.topicIds.join(','),
    CLS_START_FROM: 'begin',
    CLS_HEARTBEAT_INTERVAL_MS: '1000',
    CLS_THREADS: '2'
  }
  // What `npm init` writes.
  await write('common/package.json', '{ "type": "commonjs" }')
  // Also what is imported from there by a test that may be the first.
  await write('common/es-module.js', 'import { join } from "node:path"\nexport default () => join("a", "b")')
  await produce({ count: String(LOG_COUNT), seed: '1' }, captureWorld({ env }))
})
after(async () => {
  await emulator?.stop()
  await rm(folder, { recursive: true })
})

async function write(name: string, source: string): Promise<string> {
  const file = join(folder, name)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, source)
  return file
}

interface Expected {
  readonly code: ErrorCode
  readonly exit: 1 | 2
  readonly says: RegExp
}

/** Runs it in a group of its own, to its end. */
async function play(processor: string, signal: AbortSignal, args: readonly string[] = []) {
  groupCount += 1
  const all = ['run', '--processor', processor, '--group', `g${groupCount}`, ...args]
  const cli = startCli(all, { env, cwd: folder, signal })
  return { ...(await cli.ended), err: cli.err(), out: cli.out() }
}

/** The last thing said is the error and what to do; it names the file, and shows no stack. */
async function fails(file: string, { code, exit, says }: Expected, signal: AbortSignal, args: readonly string[] = []) {
  const { err, ...ended } = await play(file, signal, args)
  assert.deepEqual([ended.code, ended.signal], [exit, null], err)
  const [error = '', advice = '', ...more] = err.slice(err.indexOf(`\n${code}: `) + 1).split('\n')
  assert.ok(error.startsWith(`${code}: `), err)
  assert.ok(error.includes(file), `${file} is named in: ${error}`)
  // The other thread or partition may say the same, but nobody again and again.
  assert.ok([...err.matchAll(/another error while stopping/g)].length <= 1, err)
  assert.doesNotMatch(err, /revoke failed/, 'none of them has a `revoke` that fails')
  assert.match(error, says)
  assert.match(advice, /\w+ .*\.$/)
  assert.deepEqual(more, [''], 'nothing comes after it')
  assert.ok(!err.includes(emulator.secretKey), 'I9')
}

const HOOK_LIMIT = ['--hook-timeout-ms', '500']

describe('processor errors', { concurrency: 2 }, () => {
  for (const [name, source, expected, args] of [
    // The module.
    [
      'syntax.mjs',
      '\n\nexport default { process ( }',
      { code: 'PROCESSOR_NOT_LOADED', exit: 2, says: /SyntaxError: .* at \S+syntax\.mjs:3 / }
    ],
    [
      'untyped.js',
      '\n\nexport default { process ( }',
      { code: 'PROCESSOR_NOT_LOADED', exit: 2, says: /SyntaxError: .* at \S+untyped\.js:3 / }
    ],
    [
      'common/es-module.js',
      'import { join } from "node:path"\nexport default () => join("a", "b")',
      {
        code: 'PROCESSOR_NOT_LOADED',
        exit: 2,
        says: /es-module\.js:1; it is an ES module, and Node takes it for CommonJS: name it es-module\.mjs, or set "type": "module" in \S+common\/package\.json/
      }
    ],
    [
      'imports-common.mjs',
      'import "./common/es-module.js"; export default () => {}',
      { code: 'PROCESSOR_NOT_LOADED', exit: 2, says: /es-module\.js:1; it is an ES module/ }
    ],
    [
      'no-default.mjs',
      'export function process () {}',
      { code: 'PROCESSOR_SHAPE', exit: 2, says: /no default export: it exports only process; write export default \{/ }
    ],
    [
      'shape.mjs',
      'export default { handle () {} }',
      { code: 'PROCESSOR_SHAPE', exit: 2, says: /no function process; write export default \{/ }
    ],
    [
      'imports.mjs',
      'import "no-such-package"; export default () => {}',
      { code: 'PROCESSOR_NOT_LOADED', exit: 2, says: /Cannot find package 'no-such-package' .*; install or correct/ }
    ],
    [
      'throws.mjs',
      'throw new RangeError("no disk")',
      { code: 'PROCESSOR_NOT_LOADED', exit: 2, says: /RangeError: no disk at \S+throws\.mjs:1:7 / }
    ],
    [
      'exits.mjs',
      'process.exit(3)',
      { code: 'PROCESSOR_START_FAILED', exit: 1, says: /loading of its module, ended its thread: .*exit code 3/ },
      ['--attempts', '2']
    ],
    [
      'throws-later.mjs',
      'setImmediate(() => { throw new Error("no socket") }); await new Promise(() => {})',
      { code: 'PROCESSOR_START_FAILED', exit: 1, says: /ended its thread: .*exit code 1, of Error: no socket/ },
      ['--attempts', '2']
    ],
    [
      'awaits.mjs',
      'await new Promise(() => {}); export default () => {}',
      { code: 'PROCESSOR_STUCK', exit: 1, says: /loading of its module, did not return within 500 ms .*hookTimeoutMs/ },
      HOOK_LIMIT
    ],
    [
      'loops.mjs',
      'for (;;); export default () => {}',
      { code: 'PROCESSOR_STUCK', exit: 1, says: /did not return within 500 ms/ },
      HOOK_LIMIT
    ],
    // Its hooks.
    [
      'constructor.mjs',
      'export default class { constructor ({ url }) { this.url = url } process () {} }',
      {
        code: 'PROCESSOR_START_FAILED',
        exit: 1,
        says: /constructor threw TypeError: .*url.* at \S+constructor\.mjs:1:/
      }
    ],
    [
      'start-throws.mjs',
      '\nexport default { start () { throw new Error("no database") }, process () {} }',
      { code: 'PROCESSOR_START_FAILED', exit: 1, says: /start threw Error: no database at \S+start-throws\.mjs:2:/ }
    ],
    [
      'start-waits.mjs',
      'export default { start () { return new Promise(() => {}) }, process () {} }',
      { code: 'PROCESSOR_STUCK', exit: 1, says: /did not return within 500 ms/ },
      HOOK_LIMIT
    ],
    [
      'start-exits.mjs',
      'export default { start () { process.exit(0) }, process () {} }',
      { code: 'PROCESSOR_START_FAILED', exit: 1, says: /start, or .*, ended its thread: .*exit code 0; throw instead/ },
      ['--attempts', '2']
    ],
    [
      'start-loops.mjs',
      'export default { start () { for (;;); }, process () {} }',
      { code: 'PROCESSOR_STUCK', exit: 1, says: /did not return within 500 ms/ },
      HOOK_LIMIT
    ],
    [
      'assign-throws.mjs',
      'export default { assign () { throw new Error("no state") }, process () {} }',
      { code: 'PROCESSOR_FAILED', exit: 1, says: /assign threw Error: no state at .* \(topic .*, partition \d, file / }
    ],
    [
      'assign-waits.mjs',
      'export default { assign () { return new Promise(() => {}) }, process () {} }',
      { code: 'PROCESSOR_STUCK', exit: 1, says: /assign did not return within 500 ms .*partition \d/ },
      HOOK_LIMIT
    ],
    [
      'assign-exits.mjs',
      'export default { assign () { process.exit(4) }, process () {} }',
      { code: 'PROCESSOR_FAILED', exit: 1, says: /assign ended its thread: .*exit code 4.*partition \d/ },
      ['--attempts', '2']
    ],
    // Its batches.
    [
      'process-throws.mjs',
      'export default batch => { throw new Error("no room for " + batch.logCount) }',
      { code: 'PROCESSOR_FAILED', exit: 1, says: /process threw Error: no room for \d+ at .*, offset \d+, file / }
    ],
    [
      'process-exits.mjs',
      'export default { process () { process.exit(0) } }',
      { code: 'THREAD_LOST', exit: 1, says: /2 threads have died with this batch: .*exit code 0 .*offset \d+, file / },
      ['--attempts', '2', '--backoff-ms', '10']
    ],
    // What they leave behind.
    [
      'late.mjs',
      '\nexport default { process () { setTimeout(() => { throw new Error("late") }, 5) } }',
      {
        code: 'PROCESSOR_FAILED',
        exit: 1,
        says: /code that the processor had started and not awaited ended its thread: Error: late at \S+late\.mjs:2:\d+; await everything/
      }
    ],
    [
      'late-promise.mjs',
      'const write = async () => { await new Promise(done => setTimeout(done, 5)); throw new Error("no disk") }\nexport default () => { write() }',
      {
        code: 'PROCESSOR_FAILED',
        exit: 1,
        says: /started and not awaited ended its thread: Error: no disk at \S+late-promise\.mjs:1:\d+; await everything/
      }
    ],
    [
      'late-exit.mjs',
      'export default () => { setTimeout(() => process.exit(0), 5) }',
      {
        code: 'PROCESSOR_FAILED',
        exit: 1,
        says: /started and not awaited ended its thread with exit code 0; await everything .* throw instead of calling process\.exit/
      }
    ],
    [
      'late-start.mjs',
      'export default { start () { setTimeout(() => { throw null }, 100) }, process () {} }',
      {
        code: 'PROCESSOR_FAILED',
        exit: 1,
        says: /started and not awaited ended its thread: thrown: null; await everything/
      },
      ['--start-from', 'end']
    ],
    // By then its partition is on its way out, and the offset behind its batch may be committed.
    [
      'late-revoke.mjs',
      'export default { process () { setTimeout(() => { throw new Error("late") }, 100) }, revoke () { return new Promise(done => setTimeout(done, 1000)) } }',
      {
        code: 'PROCESSOR_FAILED',
        exit: 1,
        says: /started and not awaited ended its thread: Error: late at \S+late-revoke\.mjs:1:\d+; await everything/
      },
      ['--stop-at', 'now']
    ],
    [
      'keeps.mjs',
      'export default batch => { setTimeout(() => console.log([...batch].length), 10) }',
      {
        code: 'BATCH_CLOSED',
        exit: 2,
        says: /used at .*\.mjs:\d+:\d+ after its process had settled: await everything .*, offset \d+, file /
      }
    ],
    [
      'keeps-quietly.mjs',
      'const write = async batch => { await null; await null; return batch.toObjects() }; export default batch => { write(batch).catch(() => {}) }',
      { code: 'BATCH_CLOSED', exit: 2, says: /used at .*\.mjs:\d+:\d+ after its process had settled/ }
    ],
    [
      'returns-logs.mjs',
      'export default batch => ({ byPartition: new Map([[batch.partition, [...batch]]]) })',
      { code: 'RESULT_NOT_CLONEABLE', exit: 2, says: /holds a view of the batch: return log\.toObject\(\)/ }
    ],
    [
      'returns-promise.mjs',
      'export default () => ({ written: Promise.resolve(1) })',
      { code: 'RESULT_NOT_CLONEABLE', exit: 2, says: /holds a Promise: await it/ }
    ],
    [
      'returns-function.mjs',
      'export default () => ({ undo () {} })',
      { code: 'RESULT_NOT_CLONEABLE', exit: 2, says: /could not be cloned.*: return plain data/ }
    ]
  ] as const satisfies readonly (readonly [string, string, Expected, (readonly string[])?])[]) {
    test(`${name} ends the run with ${expected.code}, exit ${expected.exit}, and the cure`, TIMEOUT, async t => {
      await fails(await write(name, source), expected, t.signal, args)
    })
  }

  test('a name that leads nowhere ends with PROCESSOR_NOT_FOUND, exit 2, before anything begins', TIMEOUT, async t => {
    const expected = { code: 'PROCESSOR_NOT_FOUND', exit: 2 } as const
    for (const [given, says] of [
      ['my-sink', /no file \S+my-sink, and no package my-sink .*`npm install my-sink`/],
      ['./gone.mjs', /no such file; give the path of the module file/]
    ] as const) {
      // Nothing listens there: whoever asked the service first would say so instead.
      const { code, err } = await play(given, t.signal, ['--endpoint', 'http://127.0.0.1:1'])
      assert.equal(code, expected.exit)
      assert.match(err, /^PROCESSOR_NOT_FOUND: the processor cannot be found: [^\n]*\nCorrect it and start again\.\n$/)
      assert.match(err, says)
    }
  })

  test('TypeScript runs where this Node can, and is refused with the cure where it cannot', TIMEOUT, async t => {
    const file = await write('typed.ts', 'export default (batch: { logCount: number }): number => batch.logCount')
    if (!STRIPS_TYPES) {
      const says = /runs no TypeScript: compile it and give the \.js file, or use Node 22\.18 or later/
      return await fails(file, { code: 'PROCESSOR_NOT_LOADED', exit: 2, says }, t.signal)
    }
    const { code, err } = await play(file, t.signal, ['--stop-at', 'now'])
    assert.equal(code, 0, err)
  })

  test('a class from a package, named as an import would, processes every log with its options', TIMEOUT, async t => {
    await write(
      'node_modules/@mine/sink/package.json',
      '{ "exports": { "./count": { "import": "./count.mjs", "default": "./count.cjs" } } }'
    )
    await write(
      'node_modules/@mine/sink/count.mjs',
      `import { label } from './label.mjs'
       class Base { constructor (options) { this.options = options } process (batch) { return this.count(batch) } }
       export default class extends Base { count (batch) { return { [label]: batch.logCount, by: this.options.by } } }`
    )
    await write('node_modules/@mine/sink/label.mjs', 'export const label = "logs"')
    const args = ['--stop-at', 'now', '--print-results', '--processor-options', '{"by":"me"}']
    const { code, err, out } = await play('@mine/sink/count', t.signal, args)
    assert.equal(code, 0, err)
    const counts = [...out.matchAll(/"result":\{"logs":(\d+),"by":"me"\}/g)].map(([, logs]) => Number(logs))
    assert.equal(
      counts.reduce((sum, logs) => sum + logs, 0),
      LOG_COUNT
    )
  })

  test('a file that hides a package of its name is used, with a warning', TIMEOUT, async t => {
    await write('sink', 'module.exports = () => "the file"')
    await write('node_modules/sink/index.js', 'module.exports = () => "the package"')
    const { code, err, out } = await play('sink', t.signal, ['--stop-at', 'now', '--print-results'])
    assert.equal(code, 0, err)
    assert.match(err, /WARN .*processor sink: the file is used, and not the package/)
    assert.match(out, /"result":"the file"/)
    assert.doesNotMatch(out, /the package/)
  })
})
