/**
 * What a number of a benchmark must be read with: the machine, Node, the date, the commit, the command.
 *
 * In: nothing. Out: those, as texts. `loadBefore` tells whether others were at work when the benchmark began.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { join, resolve } from 'node:path'

/** The repository's root, from `dist/bench`. */
export const ROOT = resolve(import.meta.dirname, '../..')

export interface Context {
  readonly machine: string
  readonly node: string
  readonly date: string
  readonly commit: string
  readonly command: string
  /** Of the last minute, in cores. */
  readonly loadBefore: number
}

export function readContext(command: string): Context {
  const gibibytes = Math.round(totalmem() / 2 ** 30)
  return {
    machine: `${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, ${gibibytes} GiB, ${process.platform} ${process.arch}`,
    node: process.version,
    date: new Date().toISOString(),
    commit: readCommit(),
    command,
    loadBefore: loadavg()[0] ?? 0
  }
}

function readCommit(): string {
  // Installed as a package, git would find the repository of whoever installed it.
  if (!existsSync(join(ROOT, '.git'))) return 'unknown'
  const commit = git('rev-parse', '--short=12', 'HEAD')
  if (commit === undefined) return 'unknown'
  return git('status', '--porcelain', '--untracked-files=no') === '' ? commit : `${commit} with changes`
}

function git(...words: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync('git', words, { cwd: ROOT, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}
