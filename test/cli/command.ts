/** What tests of the command line share: a world for commands called in process, and the built CLI as a child. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { CommandWorld } from '../../src/cli/command-world.ts'
import { realClock, realRandom, realTimers } from '../../src/real-world.ts'

export interface CapturedWorld extends CommandWorld {
  readonly out: () => string
  readonly err: () => string
}

export function captureWorld(change: Partial<CommandWorld> = {}): CapturedWorld {
  let out = ''
  let err = ''
  return {
    env: {},
    cwd: process.cwd(),
    stop: new AbortController().signal,
    stdout: {
      write: (text, done) => {
        out += text
        done?.()
      }
    },
    stderr: {
      write: (text, done) => {
        err += text
        done?.()
      }
    },
    clock: realClock,
    timers: realTimers,
    random: realRandom,
    ...change,
    out: () => out,
    err: () => err
  }
}

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

export interface RunningCli {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly out: () => string
  readonly err: () => string
  /** Resolves once standard output or error matches; rejects if the process ends before. */
  seen(pattern: RegExp): Promise<void>
  /** Resolves with the next piece of output; rejects if the process ends before. */
  seenMore(): Promise<void>
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
}

/** Starts `cls-consumer` with no CLS_ variable but the given ones. Killed when the test's signal aborts. */
export function startCli(
  args: readonly string[],
  setup: {
    readonly signal: AbortSignal
    readonly env?: Readonly<Record<string, string>>
    readonly cwd?: string
    readonly input?: string
    readonly keepsInputOpen?: boolean
  }
): RunningCli {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CLS_')))
  const child = spawn(process.execPath, [CLI, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...inherited, ...setup.env },
    cwd: setup.cwd,
    signal: setup.signal,
    killSignal: 'SIGKILL'
  })
  child.stdin.on('error', () => undefined).write(setup.input ?? '')
  if (setup.keepsInputOpen !== true) child.stdin.end()
  let out = ''
  let err = ''
  const looks = new Set<() => void>()
  child.stdout.setEncoding('utf8').on('data', text => {
    out += text
    for (const look of looks) look()
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    err += text
    for (const look of looks) look()
  })
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal }))
  })
  /** `look` runs with every piece of output until it says that it has seen enough. */
  const until = async (look: () => boolean): Promise<void> => {
    let again = () => {}
    const found = new Promise<void>(resolve => {
      again = () => {
        if (look()) resolve()
      }
    })
    looks.add(again)
    const lost = ended.then(({ code, signal }) => {
      throw new Error(`ended too early, with ${signal ?? code}:\n${out}\n${err}`)
    })
    await Promise.race([found, lost]).finally(() => looks.delete(again))
  }
  const seen = async (pattern: RegExp): Promise<void> => {
    const look = () => pattern.test(out) || pattern.test(err)
    if (!look()) await until(look)
  }
  return { child, out: () => out, err: () => err, seen, seenMore: () => until(() => true), ended }
}
