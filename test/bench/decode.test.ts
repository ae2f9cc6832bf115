import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { CONTENDERS } from '../../bench/decode/contenders.ts'
import type { DecodeResult } from '../../bench/decode/result.ts'

const RUN = resolve(import.meta.dirname, '../../bench/run.js')

function bench(...words: readonly string[]) {
  return spawnSync(process.execPath, [RUN, ...words], { encoding: 'utf8', timeout: 100_000 })
}

describe('npm run bench -- decode', { timeout: 120_000 }, () => {
  let folder: string
  let file: string
  let told: ReturnType<typeof bench>
  let result: DecodeResult
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'decode-bench-'))
    file = join(folder, 'result.json')
    const flags = ['--runs', '1', '--warm-up', '1', '--run-ms', '1', '--responses', '1', '--payload', 'tiny']
    told = bench('decode', ...flags, '--json', file)
    assert.equal(told.status, 0, told.stderr)
    result = JSON.parse(readFileSync(file, 'utf8'))
  })
  after(() => rmSync(folder, { recursive: true }))

  test('writes the ratios and the heap at the top', () => {
    assert.deepEqual(Object.keys(result).slice(0, 2), ['ratios', 'heapBytesPerResponse'])
    const { filter, objects, snappy } = result.ratios
    for (const ratio of [filter, objects, snappy]) assert.ok(Number.isFinite(ratio) && ratio > 0)
    assert.deepEqual(Object.keys(result.ratiosWithTurns), ['filter', 'objects', 'snappy'])
    assert.ok(result.heapBytesPerResponse > 0)
    const { npmMs, kernelMs } = result.freshSnappy
    assert.equal(snappy, npmMs.median / kernelMs.median)
  })

  test('writes what a figure must be read with, and every case', () => {
    const { machine, node, date, commit, command, runCount } = result.context
    assert.equal(node, process.version)
    assert.ok(machine.length > 0 && commit.length > 0 && command.includes('--payload tiny') && runCount === 1)
    assert.ok(Math.abs(Date.parse(date) - Date.now()) < 120_000)
    assert.deepEqual(
      result.cases.map(({ pace, contender }) => `${pace}: ${contender}`),
      ['back to back', 'with turns'].flatMap(pace => Object.keys(CONTENDERS).map(contender => `${pace}: ${contender}`))
    )
    for (const { cpuMs, wallMs } of result.cases) assert.ok(cpuMs.median > 0 && wallMs.median > 0)
    assert.deepEqual(
      result.payloads.map(({ name, logCount }) => [name, logCount]),
      [['tiny', 1]]
    )
  })

  test('prints every demand with its marks, and the young generation by size', () => {
    for (const mark of ['13', '18', '5', '9', '4', '2.7', '3.2', '< 64 KiB', '< 16 KiB', '< 3 %', '< 1 %', '< 2 %']) {
      assert.ok(told.stdout.includes(` ${mark} `), `${mark} is missing`)
    }
    assert.equal(result.targets.length, 8)
    for (const { measure } of result.targets) assert.ok(told.stdout.includes(measure), measure)
    assert.deepEqual(
      result.youngGeneration.map(each => each.youngGenerationMb),
      [16, 32, 48, 64, 96, 128]
    )
    assert.ok(result.youngGeneration.every(({ rssMb }) => rssMb > 20))
  })

  test('says that so few runs tell nothing', () => {
    assert.match(told.stdout, /^ONLY 1 RUNS/m)
  })

  test('a stored result becomes Markdown, with the figures stored', () => {
    const { status, stdout } = bench('report', file)
    assert.equal(status, 0)
    for (const { measure } of result.targets) assert.ok(stdout.includes(`| ${measure}`), measure)
    assert.ok(stdout.includes(result.context.commit))
  })

  test('unknown payloads and counts that are none are refused', () => {
    for (const [flag, value] of [
      ['--payload', 'huge'],
      ['--runs', 'many'],
      ['--runs', '0']
    ] as const) {
      const { status, stderr } = bench('decode', flag, value)
      assert.equal(status, 1)
      assert.ok(stderr.includes(value), stderr)
    }
  })
})
