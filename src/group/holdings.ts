/**
 * Which partitions this consumer holds, and in which phase each is.
 *
 * In: what heartbeats grant, and what the consumer reports of its partitions. Out: what to assign, what to revoke, and
 * what the next heartbeat must list. Pure: no clock, no promise. Must never happen: a partition leaves `held` before its
 * release (I4); an answer to a heartbeat sent before a release assigns that partition again.
 *
 *   starting ──► active ──► draining ──► released      released and lost partitions are granted anew, with a new epoch
 *      │            └──────────┴──► lost ──► released
 *      └─► draining, lost
 */
import { byPartition, type Epoch, keyOf } from '../batch.ts'
import type { PartitionId } from '../dispatch/messages.ts'
import { assert } from '../errors.ts'
import type { TopicPartitions } from '../world.ts'

export type Phase = 'starting' | 'active' | 'draining' | 'lost' | 'released'

const MOVES = {
  starting: ['active', 'draining', 'lost'],
  active: ['draining', 'lost'],
  draining: ['released', 'lost'],
  lost: ['released'],
  released: []
} as const satisfies Record<Phase, readonly Phase[]>

interface Holding {
  readonly id: PartitionId
  epoch: number
  phase: Phase
}

export interface Change {
  readonly assigned: readonly Epoch[]
  readonly revoked: readonly Epoch[]
  /** Granted, but of topics that this consumer was not told to read. */
  readonly foreign: readonly PartitionId[]
}

export class Holdings {
  readonly #topicIds: ReadonlySet<string>
  readonly #holdings = new Map<string, Holding>()
  /** Number of the heartbeat sent last, and for each partition released since: the number at its release. */
  #beat = 0
  readonly #releasedAtBeat = new Map<string, number>()
  #epochCount = 0

  constructor(topicIds: readonly string[]) {
    this.#topicIds = new Set(topicIds)
  }

  /** Numbers the heartbeat that is about to leave; `apply` its answer under that number. */
  nextBeat(): number {
    this.#beat += 1
    return this.#beat
  }

  /**
   * What the answer to heartbeat `beat` changes. Moves the phases accordingly. A consumer that is stopping takes nothing
   * (`mayAssign` false): what it released would come back with the next answer.
   */
  apply(granted: readonly TopicPartitions[], beat: number, mayAssign = true): Change {
    const wanted = new Map<string, PartitionId>()
    const foreign: PartitionId[] = []
    for (const { topicId, partitions } of granted) {
      for (const partition of partitions) {
        const id = { topicId, partition }
        if (this.#topicIds.has(topicId)) wanted.set(keyOf(id), id)
        else foreign.push(id)
      }
    }

    const revoked: Epoch[] = []
    for (const [key, holding] of this.#holdings) {
      const isKept = wanted.has(key) || (holding.phase !== 'starting' && holding.phase !== 'active')
      if (isKept) continue
      move(holding, 'draining')
      revoked.push(epochOf(holding))
    }

    const assigned: Epoch[] = []
    for (const [key, id] of mayAssign ? wanted : []) {
      // Heartbeat leaves, listing p; p is released; the answer, computed before, still grants p → it would be taken
      // back although the next heartbeat omits it; hence the number.
      const releasedAt = this.#releasedAtBeat.get(key)
      if (this.#holdings.has(key) || (releasedAt !== undefined && releasedAt >= beat)) continue
      this.#releasedAtBeat.delete(key)
      const holding: Holding = { id, epoch: this.#newEpoch(), phase: 'starting' }
      this.#holdings.set(key, holding)
      assigned.push(epochOf(holding))
    }
    return { assigned: assigned.sort(byPartition), revoked: revoked.sort(byPartition), foreign }
  }

  /** Every topic, with the partitions that are not released yet (I4). */
  held(): TopicPartitions[] {
    return [...this.#topicIds].map(topicId => ({
      topicId,
      partitions: [...this.#holdings.values()]
        .filter(holding => holding.id.topicId === topicId)
        .map(holding => holding.id.partition)
        .sort((a, b) => a - b)
    }))
  }

  get heldCount(): number {
    return this.#holdings.size
  }

  phaseOf(epoch: Epoch): Phase {
    const holding = this.#holdings.get(keyOf(epoch))
    return holding?.epoch === epoch.epoch ? holding.phase : 'released'
  }

  activate(epoch: Epoch): void {
    move(this.#holding(epoch), 'active')
  }

  /** Of our own will: on stop, and where a bounded run has done a partition. */
  drain(epoch: Epoch): void {
    move(this.#holding(epoch), 'draining')
  }

  /**
   * The epoch is over although its work may still run; the partition stays held until `release`. False where it was over
   * already.
   */
  lose(epoch: Epoch): boolean {
    const phase = this.phaseOf(epoch)
    if (phase === 'lost' || phase === 'released') return false
    move(this.#holding(epoch), 'lost')
    return true
  }

  /** All that are not lost yet. */
  loseAll(): Epoch[] {
    const holdings = [...this.#holdings.values()].filter(holding => holding.phase !== 'lost')
    for (const holding of holdings) move(holding, 'lost')
    return holdings.map(epochOf).sort(byPartition)
  }

  /** A rewind: the same holding goes on under a new epoch number. */
  renew(epoch: Epoch): Epoch {
    const holding = this.#holding(epoch)
    assert(holding.phase === 'active', `I3: only an active partition is rewound, ${keyOf(epoch)} is ${holding.phase}`)
    holding.epoch = this.#newEpoch()
    return epochOf(holding)
  }

  /** Nothing of the partition runs any more: the next heartbeat omits it. */
  release(epoch: Epoch): void {
    move(this.#holding(epoch), 'released')
    this.#holdings.delete(keyOf(epoch))
    this.#releasedAtBeat.set(keyOf(epoch), this.#beat)
  }

  #holding(epoch: Epoch): Holding {
    const holding = this.#holdings.get(keyOf(epoch))
    assert(holding?.epoch === epoch.epoch, `I4: ${keyOf(epoch)} is not held in epoch ${epoch.epoch}`)
    return holding
  }

  #newEpoch(): number {
    this.#epochCount += 1
    return this.#epochCount
  }
}

function move(holding: Holding, phase: Phase): void {
  const moves: readonly Phase[] = MOVES[holding.phase]
  assert(moves.includes(phase), `I4: partition ${keyOf(holding.id)} moves from ${holding.phase} to ${phase}`)
  holding.phase = phase
}

function epochOf(holding: Holding): Epoch {
  return { ...holding.id, epoch: holding.epoch }
}
