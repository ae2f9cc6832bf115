/** The demo, end to end: it succeeds where all is well, and fails where a loss or a repeat is planted. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { demo } from '../../src/cli/demo.ts'
import { lineGenerator } from '../../src/cli/generate.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { captureWorld, startCli } from './command.ts'

const TIMEOUT = { timeout: 60_000 }

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cls-demo-'))
})
after(() => rm(folder, { recursive: true }))

test('the demo shows the whole way and exits 0', TIMEOUT, async t => {
  const cli = startCli(['demo', '--count', '20000', '--seed', '7'], { signal: t.signal })
  assert.deepEqual(await cli.ended, { code: 0, signal: null }, cli.err() + cli.out())
  const out = cli.out()
  assert.match(out, /^cls-consumer demo: 20,000 made-up access-log lines, seed 7$/m)
  assert.match(out, /^consumers {2}demo-a with 4 partitions, demo-b with 4 partitions/m)
  const rows = [...out.matchAll(/^e0e0e0e0…00000[12] +[0-3] {2}demo-[ab] +(\d+) +(\d+)$/gm)]
  assert.equal(rows.length, 8)
  for (const [row, committed, end] of rows) assert.ok(committed === end && Number(end) > 0, row)
  assert.match(out, /^20,000 logs in .*, upload included: .* logs\/s/m)
  assert.match(out, /Each log was processed exactly once/)
  const shares = [...out.matchAll(/demo-[ab] took ([\d,]+)/g)].map(([, share = '']) =>
    Number(share.replaceAll(',', ''))
  )
  assert.deepEqual([shares.length, (shares[0] ?? 0) + (shares[1] ?? 0)], [2, 20_000])
  assert.ok(!out.includes('\x1b'), 'no terminal, no control sequences')
  assert.equal(cli.err(), '')
})

test('a small file reaches every partition too, so that both consumers take part', TIMEOUT, async () => {
  const next = lineGenerator(4)
  const path = join(folder, 'small.log')
  await writeFile(path, Array.from({ length: 60 }, (_, index) => next(Date.UTC(2026, 0, 1) + index)).join('\n'))
  const world = captureWorld()
  await demo({ file: path }, world)
  const ends = [...world.out().matchAll(/^e0e0e0e0…00000[12] +[0-3] {2}demo-[ab] +\d+ +(\d+)$/gm)].map(row =>
    Number(row[1])
  )
  assert.equal(ends.length, 8)
  assert.ok(
    ends.every(end => end > 0),
    ends.join()
  )
})

test('statuses counted from a file are those of its lines', TIMEOUT, async () => {
  const next = lineGenerator(3)
  const lines = Array.from({ length: 3000 }, (_, index) => next(Date.UTC(2026, 0, 1) + index))
  const path = join(folder, 'access.log')
  await writeFile(path, `${lines.join('\n')}\n`)
  const expected = new Map<string, number>()
  for (const line of lines) {
    const status = /" (\d{3}) /.exec(line)?.[1] ?? ''
    expected.set(status, (expected.get(status) ?? 0) + 1)
  }
  const world = captureWorld()
  await demo({ file: path }, world)
  for (const [status, count] of expected) {
    assert.match(world.out(), new RegExp(`^${status} +${count.toLocaleString('en')} `, 'm'))
  }
  assert.match(world.out(), /^3,000 logs in /m)
})

test('on a terminal that says 0 columns, bar and paths are shown as on one of 80', TIMEOUT, async () => {
  const path = join(folder, 'long.log')
  const line = '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /as/long/as/fits/in/80/columns HTTP/1.1" 200 1 "-" "-"\n'
  await writeFile(path, line.repeat(100))
  let out = ''
  const write = (text: string) => {
    out += text
  }
  await demo({ file: path }, captureWorld({ stdout: { isTTY: true, columns: 0, write } }))
  assert.match(out, /^200 +100 +100\.00 % +100 {2}\/as\/long\/as\/fits\/in\/80\/columns$/m)
  assert.match(out, /\[2K[█▏▎▍▌▋▊▉·]{40} [\d,]+ of /)
})

/** The demo's processor with something done to its ids. */
async function planted(name: string, change: string): Promise<string> {
  const path = join(folder, `${name}.mjs`)
  const original = JSON.stringify(new URL('../../src/cli/demo-processor.js', import.meta.url).href)
  await writeFile(
    path,
    `import processor from ${original}
     export default { async process(batch, context) {
       const tally = await processor.process(batch, context)
       const ids = [...tally.ids]
       ${change}
       return { ...tally, ids: Uint32Array.from(ids) }
     } }`
  )
  return path
}

for (const [name, change, expected] of [
  ['loss', 'if (ids.includes(1234)) ids.splice(ids.indexOf(1234), 1)', [/1 logs were not processed \(id 1234\)/]],
  [
    'loss that a repeat makes up for in number',
    'const at = ids.indexOf(1234); if (at >= 0) ids[at] = ids[at === 0 ? 1 : 0]',
    [/1 logs were not processed \(id 1234\)/, /1 logs were processed more than once \(id \d+\)/]
  ],
  ['repeat', 'if (ids.includes(77)) ids.push(77)', [/1 logs were processed more than once \(id 77\)/]],
  ['stranger', 'if (ids.includes(77)) ids.push(5_000_000)', [/1 logs were processed that nobody produced/]]
] as const) {
  test(`a planted ${name} fails the demo, and is named`, TIMEOUT, async () => {
    const world = captureWorld()
    const processor = await planted(name, change)
    await assert.rejects(demo({ count: '2000', seed: '1' }, world, { processor }), error => {
      assert.ok(error instanceof ClsConsumerError)
      assert.equal(error.code, 'DEMO_FAILED')
      for (const part of expected) assert.match(error.message, part)
      assert.equal(error.message.split('\n').length, 1 + expected.length, error.message)
      return true
    })
    assert.match(world.out(), /^2,000 logs in /m)
    assert.doesNotMatch(world.out(), /exactly once/)
  })
}

test('a processor that fails ends the demo with its error', TIMEOUT, async () => {
  const world = captureWorld()
  const processor = await planted('failure', 'throw new Error("planted failure")')
  await assert.rejects(demo({ count: '200', 'log-level': 'silent' }, world, { processor }), error => {
    assert.ok(error instanceof ClsConsumerError)
    assert.match(error.message, /planted failure/)
    return true
  })
})

/** Pids of the children of a process, from /proc. */
async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.trim().split(' ').filter(Boolean).map(Number)
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

for (const [when, pattern] of [
  ['while the group forms', /^emulator /m],
  ['while logs are processed', /^ {2}1 s /m]
] as const) {
  test(`one signal ${when} ends the demo with exit code 0, and leaves no process`, TIMEOUT, async t => {
    const cli = startCli(['demo', '--count', '1000000', '--seed', '7'], { signal: t.signal })
    await cli.seen(pattern)
    const children = process.platform === 'linux' ? await childrenOf(cli.child.pid ?? 0) : []
    assert.ok(process.platform !== 'linux' || children.length === 1, `children ${children}`)
    cli.child.kill('SIGINT')
    assert.deepEqual(await cli.ended, { code: 0, signal: null }, cli.err() + cli.out())
    assert.match(cli.out(), /^interrupted before the end: nothing was checked$/m)
    assert.deepEqual(children.filter(isAlive), [])
  })
}

test('a reader of standard output that goes away is no error', TIMEOUT, async t => {
  const cli = startCli(['demo', '--count', '200'], { signal: t.signal })
  cli.child.stdout.destroy()
  assert.deepEqual(await cli.ended, { code: 0, signal: null }, cli.err())
  assert.equal(cli.err(), '')
})

test('bad options are refused before anything is started', TIMEOUT, async () => {
  const world = captureWorld()
  const args = { count: '99', file: 'f', 'log-level': 'loud' }
  await assert.rejects(demo(args, world), error => {
    assert.ok(error instanceof ClsConsumerError)
    assert.equal(error.code, 'OPTIONS_INVALID')
    for (const part of [/--count is "99"/, /--file takes every line/, /--log-level is "loud"/]) {
      assert.match(error.message, part)
    }
    return true
  })
  assert.equal(world.out(), '')
})
