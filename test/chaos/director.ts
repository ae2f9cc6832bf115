/**
 * Plays a plan: does to the consumers, the network and the partitions what its steps say.
 *
 * In: steps. Out: the deeds, each said; how many of each kind. Must never happen: fewer than two consumers left that work,
 * or a deed that goes on when `play` has resolved: then all run, the network is quiet and the server is up.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultRule } from '../../src/emulator/start.ts'
import type { Stage } from '../scenario/harness/stage.ts'
import { nowMs } from '../scenario/harness/until.ts'
import { type Deed, type DeedKind, describeDeed, type Step } from './plan.ts'
import type { Slot, SlotPhase } from './slot.ts'

/** So many others work on while one is taken away: down, still or muted. */
const WORKING_MIN = 2
const TAKING_AWAY: readonly DeedKind[] = ['kill', 'terminate', 'freeze', 'mute']

export interface DirectorWorld {
  readonly stage: Stage
  readonly slots: readonly Slot[]
  readonly signal: AbortSignal
  say(line: string): void
  /** What no chaos explains. */
  complain(line: string): void
}

export class Director {
  readonly counts = new Map<DeedKind, number>()
  readonly #world: DirectorWorld
  /** Of each trouble that goes on. */
  readonly #rules = new Set<readonly FaultRule[]>()
  readonly #muted = new Set<Slot>()
  /** Whatever changes the server, one after the other. */
  #serverTurn: Promise<void> = Promise.resolve()

  constructor(world: DirectorWorld) {
    this.#world = world
  }

  async play(steps: readonly Step[]): Promise<void> {
    const { signal } = this.#world
    const startedMs = nowMs()
    const under: Promise<void>[] = []
    for (const { atMs, deed } of steps) {
      await this.#wait(startedMs + atMs - nowMs())
      if (signal.aborted) break
      under.push(this.#do(deed).catch(error => this.#world.complain(`${describeDeed(deed)}: ${error}`)))
    }
    await Promise.all(under)
  }

  async #do(deed: Deed): Promise<void> {
    switch (deed.kind) {
      case 'kill':
        return await this.#withSlot(deed, ['running', 'starting'], async slot => {
          await slot.kill()
          await this.#wait(deed.downMs)
          await slot.start(deed.keepsName)
        })
      case 'terminate':
        return await this.#withSlot(deed, ['running'], async slot => {
          await slot.terminate()
          await this.#wait(deed.downMs)
          await slot.start(deed.keepsName)
        })
      case 'freeze':
      case 'hiccup':
        return await this.#withSlot(deed, ['running'], slot => slot.freeze(deed.forMs, deed.kind === 'freeze'))
      case 'doom':
        return await this.#withSlot(deed, ['running'], async slot => slot.doom(deed.doom))
      case 'mute':
        return await this.#withSlot(deed, ['running'], async slot => {
          this.#muted.add(slot)
          const fault = { kind: 'drop', when: 'before' } as const
          await this.#trouble([{ action: 'SendConsumerHeartbeat', consumer: slot.name, fault }], deed.forMs)
          this.#muted.delete(slot)
        })
      case 'network':
        this.#tell(deed, describeDeed(deed))
        return await this.#trouble(deed.rules, deed.forMs)
      case 'outage':
        this.#tell(deed, describeDeed(deed))
        return await this.#turn(async () => {
          await this.#world.stage.emulator.suspend()
          await this.#wait(deed.forMs)
          await this.#world.stage.emulator.resume()
        })
      case 'split':
      case 'merge':
        return await this.#turn(() => this.#reshape(deed))
    }
  }

  /** The first from its own slot on that is in one of these phases; nobody, where too few would be left to work. */
  async #withSlot(
    deed: Extract<Deed, { readonly slot: number }>,
    phases: readonly SlotPhase[],
    act: (slot: Slot) => Promise<void>
  ): Promise<void> {
    const { slots } = this.#world
    const inTurn = [...slots.slice(deed.slot), ...slots.slice(0, deed.slot)]
    const slot = inTurn.find(candidate => phases.includes(candidate.phase) && !this.#muted.has(candidate))
    const others = slots.filter(other => other !== slot && other.phase === 'running' && !this.#muted.has(other))
    const workingMin = TAKING_AWAY.includes(deed.kind) ? WORKING_MIN : 0
    if (slot === undefined || others.length < workingMin) {
      this.#world.say(`left out, since too few would be at work: ${describeDeed(deed)}`)
      return
    }
    this.#tell(deed, `${slot.name}: ${describeDeed(deed)}`)
    await act(slot)
  }

  async #trouble(rules: readonly FaultRule[], forMs: number): Promise<void> {
    this.#rules.add(rules)
    await this.#setFaults()
    await this.#wait(forMs)
    this.#rules.delete(rules)
    await this.#setFaults()
  }

  #setFaults(): Promise<void> {
    return this.#turn(() => this.#world.stage.emulator.setFaults([...this.#rules].flat()))
  }

  /** By the order of the hash keys a merge takes the right-hand neighbour: the last one has none. */
  async #reshape(deed: Extract<Deed, { readonly share: number }>): Promise<void> {
    const { stage } = this.#world
    const { topicId, control } = stage
    try {
      const writable = (await control.describePartitions(topicId))
        .filter(({ status }) => status === 'readwrite')
        .sort((a, b) => (a.beginKey < b.beginKey ? -1 : 1))
      const count = deed.kind === 'merge' ? writable.length - 1 : writable.length
      const partition = writable[Math.floor(deed.share * count)]?.partition
      if (partition === undefined) return this.#world.say('left out, since there is one partition: merge')
      if (deed.kind === 'split') await control.splitPartition({ topicId, partition })
      else await control.mergePartition({ topicId, partition })
      this.#tell(deed, `partition ${partition}: ${deed.kind}`)
    } catch (error) {
      // The operator's own request may meet a fault; whether it took effect makes no difference.
      this.#world.say(`${deed.kind} was refused: ${error}`)
    }
  }

  #turn(act: () => Promise<void>): Promise<void> {
    this.#serverTurn = this.#serverTurn.then(act)
    return this.#serverTurn
  }

  #tell(deed: Deed, what: string): void {
    this.counts.set(deed.kind, (this.counts.get(deed.kind) ?? 0) + 1)
    this.#world.say(what)
  }

  async #wait(ms: number): Promise<void> {
    if (ms > 0) await sleep(ms, undefined, { signal: this.#world.signal }).catch(() => undefined)
  }
}
