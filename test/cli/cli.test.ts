/** The command line as its users meet it: a process with arguments, variables, signals and an exit code. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { startCli } from './command.ts'

const TIMEOUT = { timeout: 30_000 }
const SECRET = 'hush-hush-hush'

async function ran(args: readonly string[], signal: AbortSignal, env: Record<string, string> = {}) {
  const cli = startCli(args, { signal, env })
  const { code } = await cli.ended
  return { code, out: cli.out(), err: cli.err() }
}

test('help is printed to standard output, tells commands and exit codes, and exits 0', TIMEOUT, async t => {
  const { code, out, err } = await ran(['--help'], t.signal)
  assert.deepEqual([code, err], [0, ''])
  for (const word of [
    'demo',
    'run',
    'emulator',
    'produce',
    'dead-letters',
    'config-schema',
    'Exit codes',
    'CLS_SECRET_KEY'
  ])
    assert.ok(out.includes(word))
})

test('every command has its own help', TIMEOUT, async t => {
  for (const [command, flag] of [
    ['demo', '--seed'],
    ['run', '--processor-options'],
    ['emulator', '--partitions'],
    ['produce', '--rate'],
    ['dead-letters', 'list'],
    ['config-schema', 'JSON schema']
  ] as const) {
    const { code, out } = await ran([command, '--help'], t.signal)
    assert.equal(code, 0)
    assert.ok(out.includes(flag), `${command}: ${out}`)
  }
})

test('help says of a flag what the command does with it, and an example takes one line', TIMEOUT, async t => {
  const [run, produce] = await Promise.all([ran(['run', '--help'], t.signal), ran(['produce', '--help'], t.signal)])
  assert.match(run.out, /--topic +Topics to consume/)
  assert.match(produce.out, /--topic +Topics to upload to/)
  for (const { out } of [run, produce]) {
    const examples = /^Examples:\n((?:.+\n)+)/m.exec(out)?.[1] ?? assert.fail(out)
    for (const line of examples.trimEnd().split('\n')) assert.match(line, /^ {2}cls-consumer .+ {2,}\w/)
  }
})

test('the version is the one of the package', TIMEOUT, async t => {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  const { code, out } = await ran(['--version'], t.signal)
  assert.equal(code, 0)
  assert.ok(text.includes(`"version": "${out.trim()}"`), out)
})

test('bad usage exits 2 and says what is wrong, without a stack', TIMEOUT, async t => {
  for (const [args, expected] of [
    [[], /name a command/],
    [['rum'], /^USAGE: unknown command rum \(did you mean run\?\)\nSee --help\.\n$/],
    [['consume', '--group', 'g'], /^USAGE: unknown command consume\n/],
    [['demo', 'now'], /^USAGE: Unknown command: now\n/],
    [['produce', '--count'], /^USAGE: --count needs a value\n/],
    [['run', '--group', '--processor', './p.js'], /^USAGE: --group needs a value\n/],
    [['emulator', '--port'], /^USAGE: --port needs a value\n/]
  ] as const) {
    const { code, out, err } = await ran(args, t.signal)
    assert.equal(code, 2, args.join(' '))
    assert.match(err, expected)
    assert.match(err, /^USAGE: /)
    assert.doesNotMatch(out + err, /\n\s+at /)
  }
})

test('bad options exit 2, all in one message, flags winning over variables', TIMEOUT, async t => {
  const { code, out, err } = await ran(['run', '--threads', '0', '--start-from', 'yesterday'], t.signal, {
    CLS_THREADS: '4',
    CLS_PULL_BYTES: '7',
    CLS_REGION: 'ap-guangzhou'
  })
  assert.equal(code, 2)
  assert.equal(out, '')
  for (const part of [
    /^OPTIONS_INVALID: 8 invalid options/,
    /--threads is "0"/,
    /--start-from is "yesterday"/,
    /CLS_PULL_BYTES is "7"/,
    /credentials is missing: .* \(CLS_SECRET_ID is not set, CLS_SECRET_KEY is not set\)/,
    /group is missing: .* \(--group, CLS_GROUP, group in a config file\)/
  ]) {
    assert.match(err, part)
  }
})

test('bad, unknown, missing and contradictory options of `run` are refused together', TIMEOUT, async t => {
  const args = ['run', '--nope', '1', '--grup', 'g', '--threads', '0', '--stop-at', 'begin', '--network', 'intranet']
  const { code, out, err } = await ran(args, t.signal, { CLS_ENDPOINT: 'http://127.0.0.1:1' })
  assert.equal(code, 2)
  assert.equal(out, '')
  const [heading, ...lines] = err.split('\n')
  assert.equal(heading, 'OPTIONS_INVALID: 10 invalid options:')
  const starts = [
    'unknown flag --nope',
    'unknown flag --grup (did you mean --group?)',
    '--threads is "0"',
    'credentials is missing',
    'logsetId is missing',
    'topicIds is missing',
    'group is missing',
    'processor is missing',
    'endpoint (CLS_ENDPOINT) and network intranet (--network) contradict each other',
    'stopAt is begin (--stop-at): nothing would be read'
  ]
  for (const [index, start] of starts.entries()) assert.ok(lines[index]?.startsWith(`  - ${start}`), lines[index])
})

test('every command refuses flags that it does not have, together with its other problems', TIMEOUT, async t => {
  for (const [args, ...expected] of [
    [
      ['produce', '--group', 'g', '--fil', 'f', '--count', '0'],
      /^OPTIONS_INVALID: 6 invalid options:\n {2}- unknown flag --group\n {2}- unknown flag --fil \(did you mean --file\?\)\n/,
      /--count is "0"/,
      /topicIds is missing: Topics to upload to/
    ],
    [
      ['demo', '--sed', '1', '--count', '1'],
      /^OPTIONS_INVALID: 2 invalid options:\n {2}- unknown flag --sed \(did you mean --seed\?\)\n/,
      /--count is "1"/
    ],
    [
      ['emulator', '--prot', '0', '--token', SECRET, '--topic', 'a', '--topics', '2'],
      /^OPTIONS_INVALID: 3 invalid options:\n {2}- unknown flag --prot \(did you mean --port\?\)\n/,
      /unknown flag --token/,
      /--topic and --topics contradict each other/
    ]
  ] as const) {
    const { code, out, err } = await ran(args, t.signal)
    assert.equal(code, 2, args.join(' '))
    assert.equal(out, '')
    for (const part of expected) assert.match(err, part)
    assert.ok(!err.includes(SECRET), 'I9: who mistypes may have written a secret')
  }
})

test('flags may be written as the parser allows: camel case, with =, negated', TIMEOUT, async t => {
  const args = ['run', '--pullBytes=7', '--no-update-group', '--no-colour', '--no-such-flag=x', '-x']
  const { code, err } = await ran(args, t.signal, { CLS_REGION: 'ap-guangzhou' })
  assert.equal(code, 2)
  assert.match(err, /--pull-bytes is "7"/)
  assert.doesNotMatch(err, /unknown flag .*(pull|update)|update-group is/i)
  const unknown = [...err.matchAll(/unknown flag (.*)/g)].map(([, flag]) => flag)
  assert.deepEqual(unknown, ['--no-colour', '--no-such-flag', '-x'])
})

test('I9: a secret is no flag, and is never printed', TIMEOUT, async t => {
  for (const args of [
    ['run', '--secret-key', SECRET],
    ['run', `--secretKey=${SECRET}`],
    ['produce', '--token', SECRET],
    ['demo', '--secret-id', SECRET]
  ]) {
    const { code, out, err } = await ran(args, t.signal)
    assert.equal(code, 2, args.join(' '))
    assert.match(err, /CLS_SECRET_KEY/)
    assert.ok(!(out + err).includes(SECRET))
  }
  const env = { CLS_SECRET_ID: 'id', CLS_SECRET_KEY: SECRET, CLS_TOKEN: SECRET, CLS_LOG_LEVEL: 'debug' }
  const { code, out, err } = await ran(['run', '--threads', 'many'], t.signal, env)
  assert.equal(code, 2)
  assert.match(err, /--threads is "many"/)
  assert.ok(!(out + err).includes(SECRET))
})

test('a stack shows at log level debug', TIMEOUT, async t => {
  const { err } = await ran(['demo', '--count', '1', '--log-level', 'debug'], t.signal)
  assert.match(err, /\n\s+at /)
})

test('the emulator stops in order at the first signal and exits 0', TIMEOUT, async t => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const cli = startCli(['emulator', '--port', '0'], { signal: t.signal })
    await cli.seen(/is ready/)
    cli.child.kill(signal)
    assert.deepEqual(await cli.ended, { code: 0, signal: null })
    assert.match(cli.err(), new RegExp(`${signal}: stopping in order`))
  }
})

/** Takes connections and never answers: what waits for it cannot stop at once. */
async function silentServer() {
  const sockets = new Set<{ destroy(): unknown }>()
  const server = createServer(socket => {
    sockets.add(socket.on('error', () => undefined))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = isAddress(address) ? address.port : assert.fail('no port')
  return {
    server,
    endpoint: `http://127.0.0.1:${port}`,
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  }
}

function isAddress(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null
}

test('a second signal exits at once, with 130 or 143', TIMEOUT, async t => {
  const silent = await silentServer()
  try {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143]
    ] as const) {
      const env = { CLS_ENDPOINT: silent.endpoint, CLS_SECRET_ID: 'i', CLS_SECRET_KEY: 'k' }
      const connected = once(silent.server, 'connection')
      const cli = startCli(['produce', '--topic', 't', '--count', '10'], { signal: t.signal, env })
      await connected
      cli.child.kill(signal)
      await cli.seen(/stopping in order/)
      cli.child.kill(signal)
      assert.deepEqual(await cli.ended, { code, signal: null })
    }
  } finally {
    silent.close()
  }
})

test('one signal is enough, also where a server never answers', TIMEOUT, async t => {
  const silent = await silentServer()
  try {
    const env = { CLS_ENDPOINT: silent.endpoint, CLS_SECRET_ID: 'i', CLS_SECRET_KEY: 'k' }
    const connected = once(silent.server, 'connection')
    const cli = startCli(['produce', '--topic', 't', '--count', '10'], { signal: t.signal, env })
    await connected
    cli.child.kill('SIGINT')
    // Not 0: ten logs were read, and nobody knows what became of them.
    assert.deepEqual(await cli.ended, { code: 1, signal: null })
    assert.match(cli.out(), /^stopped: 0 logs .*\n {2}10 logs may or may not be stored/)
    assert.match(cli.err(), /API_TIMEOUT: uploads were not done 3000 ms after the stop/)
  } finally {
    silent.close()
  }
})
