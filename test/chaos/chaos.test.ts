/** A short run of chaos ends well, one with a planted fault does not, and an interrupted one leaves nothing behind. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { until } from '../scenario/harness/until.ts'

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url))
const TIMEOUT = { timeout: 120_000 }

class Run {
  output = ''
  said = ''
  code: number | null | undefined
  readonly #child

  constructor(...args: readonly string[]) {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    this.#child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout.on('data', chunk => {
      this.output += chunk
    })
    this.#child.stderr.on('data', chunk => {
      this.said += chunk
    })
    // After the last output, not only after the end of the process.
    this.#child.on('close', code => {
      this.code = code
    })
  }

  interrupt(): void {
    this.#child.kill('SIGINT')
  }

  async ended(withinMs: number): Promise<void> {
    await until('the run ends', () => this.code !== undefined, withinMs).catch(error => {
      this.#child.kill('SIGKILL')
      throw error
    })
  }

  /** Of every process that it says it has started. */
  pids(): number[] {
    return [...this.said.matchAll(/\bpid (\d+)/g)].map(([, pid]) => Number(pid))
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('chaos', { concurrency: 1 }, () => {
  test(
    'I1: a short run loses nothing, explains what it repeats, keeps the order, and leaves no process',
    TIMEOUT,
    async () => {
      const run = new Run('--seconds', '12', '--seed', '11')
      await run.ended(100_000)
      assert.equal(run.code, 0, run.said)
      assert.match(run.output, /^lost 0, repeated (\d+) \(explained \1\), out of order 0\n$/)
      assert.match(run.said, /seed 11/)
      assert.match(run.said, /deeds: .*kill [1-9]/)
      assert.ok(run.pids().length > 4)
      assert.deepEqual(run.pids().filter(lives), [])
    }
  )

  test('I1: a planted loss is found: exit 1, and the evidence is kept', TIMEOUT, async () => {
    const run = new Run('--seconds', '1', '--seed', '1', '--plant', 'loss')
    await run.ended(60_000)
    const [, folder] = /the evidence is kept in (.+)/.exec(run.said) ?? []
    try {
      assert.equal(run.code, 1, run.said)
      assert.match(run.output, /^lost 1, /)
      assert.ok(folder !== undefined && existsSync(folder))
    } finally {
      if (folder !== undefined) rmSync(dirname(folder), { recursive: true })
    }
  })

  test('Ctrl-C in the midst ends every process, and exits 130 without a verdict', TIMEOUT, async () => {
    const run = new Run('--seconds', '60', '--seed', '3')
    await until('deeds are done', () => /SIGSTOP|kill -9/.test(run.said), 40_000)
    run.interrupt()
    await run.ended(20_000)
    assert.deepEqual([run.code, run.output], [130, ''])
    assert.ok(run.pids().length >= 5)
    assert.deepEqual(run.pids().filter(lives), [])
  })
})
