/**
 * What it costs that every view asks whether its batch is still open.
 *
 * In: a payload. Out: the loop's CPU time with the check and without it. Both run copies of the compiled code, in a
 * temporary folder. In one of them views have their batch's reader itself where the others have the way to it, so that
 * nothing of the check is left. The one with the check takes part twice: how much those two differ is how much the
 * machine wavers. Must never happen: a copy without the check that has it.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ROOT } from '../context.ts'
import type { Question } from '../corpus.ts'
import { takeSeat } from './seat.ts'
import { measureInTurns, type Plan } from './turns.ts'

export interface ClosedCheck {
  readonly checkedCpuMs: number
  readonly uncheckedCpuMs: number
  /** Of the loop alone, index made. */
  readonly share: number
  /** Between two that are the same. */
  readonly noiseShare: number
}

/** The compiled folder, from `bench/decode` in it. */
const COMPILED = join(import.meta.dirname, '../..')
const ACCESS = 'workers/batch-access.js'
/** In the place of that file: the way to the reader is the reader. */
const NO_CHECK = `export class BatchAccess {
  constructor (reader) {
    Object.getPrototypeOf(reader).open = open
    return reader
  }
}
function open () {
  return this
}
`

export async function measureClosedCheck(
  question: Question,
  youngGenerationMb: number,
  plan: Plan
): Promise<ClosedCheck> {
  const folder = mkdtempSync(join(tmpdir(), 'decode-bench-'))
  try {
    const [checked, unchecked] = [copyWithCheck(join(folder, 'with')), copyWithoutCheck(join(folder, 'without'))]
    const seats = [checked, unchecked, checked].map(root => {
      const ours = pathToFileURL(join(root, 'bench/ours.js')).href
      return { contender: 'ours-loop' as const, question, pace: 'back to back' as const, youngGenerationMb, ours }
    })
    const [one, without, other] = await measureInTurns(seats, takeSeat, plan)
    if (one === undefined || without === undefined || other === undefined) throw new Error('three take part')
    const checkedCpuMs = (one.cpuMs.median + other.cpuMs.median) / 2
    return {
      checkedCpuMs,
      uncheckedCpuMs: without.cpuMs.median,
      share: checkedCpuMs / without.cpuMs.median - 1,
      noiseShare: Math.abs(one.cpuMs.median - other.cpuMs.median) / checkedCpuMs
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Everything that `bench/ours.js` reaches, at the places it expects. @returns The compiled folder of the copy. */
function copyWithCheck(root: string): string {
  const compiled = join(root, relative(ROOT, COMPILED))
  for (const part of ['src', 'workers', 'bench'])
    cpSync(join(COMPILED, part), join(compiled, part), { recursive: true })
  for (const part of ['node_modules', 'package.json', 'proto']) symlinkSync(join(ROOT, part), join(root, part))
  return compiled
}

export function copyWithoutCheck(root: string): string {
  const compiled = copyWithCheck(root)
  const access = join(compiled, ACCESS)
  if (!readFileSync(access, 'utf8').includes('export class BatchAccess'))
    throw new Error(`${ACCESS} is not what it was`)
  writeFileSync(access, NO_CHECK)
  return compiled
}
