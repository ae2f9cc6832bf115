/**
 * How far a run has come: what was sent, and what of it was processed.
 *
 * In: the stage, whose ledgers grow. Out: lines for a person; whether anything is left. Each line of a ledger is looked
 * at once.
 */
import type { Interruption } from '../scenario/harness/evidence.ts'
import type { Stage } from '../scenario/harness/stage.ts'
import type { DeedKind } from './plan.ts'
import type { Slot } from './slot.ts'

/** What is committed every few hundred milliseconds repeats a small part of what was sent. */
const REPEATS_SHARE_MAX = 2
const REPEATS_MIN = 1000

export class Progress {
  readonly #stage: Stage
  /** Lines looked at, by process. */
  readonly #looked = new Map<string, number>()
  readonly #processed = new Set<string>()
  #repeatCount = 0

  constructor(stage: Stage) {
    this.#stage = stage
  }

  /** The same again and again, so often that nothing explains it; it would never end. */
  goesInCircles(): boolean {
    this.#look()
    return this.#repeatCount > REPEATS_MIN + REPEATS_SHARE_MAX * this.#stage.producer.acknowledged.size
  }

  isAllProcessed(): boolean {
    this.#look()
    const { acknowledged } = this.#stage.producer
    if (this.#processed.size < acknowledged.size) return false
    for (const id of acknowledged.keys()) if (!this.#processed.has(id)) return false
    return true
  }

  line(slots: readonly Slot[]): string {
    this.#look()
    const { acknowledged, unsure } = this.#stage.producer
    const phases = slots.map(({ letter, phase }) => `${letter} ${phase}`).join(', ')
    const counts = [
      `${acknowledged.size} logs sent (${unsure.size} unsure)`,
      `${this.#processed.size} processed`,
      `${this.#repeatCount} again`
    ]
    return `-- ${counts.join(', ')}; ${phases}`
  }

  summary(deeds: ReadonlyMap<DeedKind, number>, interruptions: readonly Interruption[]): string[] {
    const kinds = new Map<string, number>()
    for (const { kind } of interruptions) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    return [
      `${this.#stage.producer.acknowledged.size} logs sent, ${this.#processed.size} different ones processed`,
      `deeds: ${list(deeds)}`,
      `partitions and batches whose repeats are explained: ${list(kinds)}`
    ]
  }

  #look(): void {
    for (const consumer of this.#stage.consumers) {
      const lines = consumer.lines()
      for (const line of lines.slice(this.#looked.get(consumer.name) ?? 0)) {
        if (line.kind !== 'end') continue
        for (const id of line.ids) {
          if (this.#processed.has(id)) this.#repeatCount += 1
          else this.#processed.add(id)
        }
      }
      this.#looked.set(consumer.name, lines.length)
    }
  }
}

function list(counts: ReadonlyMap<string, number>): string {
  if (counts.size === 0) return 'none'
  return [...counts].map(([what, count]) => `${what} ${count}`).join(', ')
}
