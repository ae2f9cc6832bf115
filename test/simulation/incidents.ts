/**
 * What happens from outside: logs that come, and everything that a scenario has in store.
 *
 * In: the stage and its hosts. Out: deeds, each at a moment that the course has drawn.
 */
import type { Consumer } from '../../src/consumer.ts'
import type { PartitionId } from '../../src/dispatch/messages.ts'
import type { Position } from '../../src/world.ts'
import { partitionKey } from './asked.ts'
import type { Host } from './host.ts'
import type { Hosts } from './hosts.ts'
import { type LogNature, nameLog } from './identity.ts'
import type { IncidentKind } from './scenario.ts'
import type { Stage } from './stage.ts'
import { Message } from './stock.ts'

const PARTITIONS_MAX = 8
/** How long the service is away: sometimes for longer than any call is retried. */
const AWAY_MS_MIN = 50
const AWAY_MS_MAX = [1000, 3000, 9000] as const
const FULL_MS_MIN = 300
const FULL_MS_MAX = 6000
const MESSAGES_MAX = 6
const LOGS_MAX = 2

export class Incidents {
  readonly #stage: Stage
  readonly #hosts: Hosts
  #logCount = 0

  constructor(stage: Stage, hosts: Hosts) {
    this.#stage = stage
    this.#hosts = hosts
    for (const topicId of stage.scenario.topicIds) this.#know(topicId)
  }

  happen(kind: IncidentKind): void {
    const { dice } = this.#stage
    const { running } = this.#hosts
    const host = running[dice.below(running.length)]
    const deeds: Readonly<Record<IncidentKind, () => void>> = {
      join: () => this.#hosts.join(),
      leave: () => host?.stop(),
      crash: () => this.#hosts.crash(host),
      'stop-process': () => this.#hosts.stopProcess(host),
      split: () => this.#reshape('split'),
      merge: () => this.#reshape('merge'),
      'service-restart': () => this.#restartService(),
      'delete-group': () => this.#deleteGroup(),
      move: () => this.#move(host),
      pause: () =>
        this.#atPartition(host, (consumer, { topicId, partition }) => void consumer.pause(topicId, partition)),
      resume: () => void host?.consumer.resume(),
      seek: () => this.#seek(host),
      'full-disk': () => this.#fillDisk()
    }
    deeds[kind]()
  }

  /** Some messages come to one partition. */
  store(): void {
    const { dice, scenario, service, ledger, phase } = this.#stage
    // Due in the storm, and late.
    if (phase === 'end') return
    const topicId = dice.pick(scenario.topicIds)
    const messages = dice.list(1 + dice.below(MESSAGES_MAX), () => this.#nextMessage())
    const { partition, offsets } = service.store(topicId, dice.bytes(16).toString('hex'), messages)
    const stock = ledger.stock.of(topicId, partition)
    for (const [index, ids] of messages.entries()) {
      stock.messages.push(new Message(offsets[index] ?? 0n, ids))
    }
    this.#stage.say(`${messages.flat().join(' ')} come to ${stock.key} at ${offsets.join(' ')}`)
  }

  #reshape(kind: 'split' | 'merge'): void {
    const { dice, scenario, service, ledger } = this.#stage
    const topicId = dice.pick(scenario.topicIds)
    const { partitions } = service.topic(topicId)
    const partition = partitions[dice.below(partitions.length)]
    if (partition === undefined || partition.status !== 'readwrite' || partitions.length >= PARTITIONS_MAX) return
    // Where `startFrom` is the end, a child of what nobody has begun to read may begin there, too.
    const areBegun = [...ledger.stock.partitions].every(({ committed }) => committed !== undefined)
    if (scenario.options.startFrom === 'end' && !areBegun) return
    if (kind === 'split') service.split(topicId, partition)
    else service.merge(topicId, partition)
    this.#know(topicId)
  }

  #restartService(): void {
    const { service, dice } = this.#stage
    service.goAway()
    const awayMs = AWAY_MS_MIN + dice.below(dice.pick(AWAY_MS_MAX))
    this.#stage.soon('the service is back', awayMs, () => service.comeBack())
  }

  #deleteGroup(): void {
    this.#stage.service.deleteGroup()
    this.#stage.ledger.groupDeleted()
  }

  #move(host: Host | undefined): void {
    const { dice, scenario } = this.#stage
    this.#atPartition(host, (consumer, held) => {
      // A thread that does not exit is told elsewhere.
      consumer.moveToThread(held, dice.below(scenario.options.threads)).catch(() => undefined)
    })
  }

  /** To a message, to either end of the log, or past it. What seeks forward does without what lies between. */
  #seek(host: Host | undefined): void {
    const { dice, ledger, scenario } = this.#stage
    this.#atPartition(host, (consumer, { topicId, partition }) => {
      const stock = ledger.stock.find(partitionKey(topicId, partition))
      if (stock === undefined) return
      const messages = stock.messages.filter(({ offset }) => offset >= stock.begin)
      const ends: readonly (Position | bigint)[] = ['begin', 'end']
      const beyond = scenario.tellsEnds ? [stock.beyond] : []
      const position = dice.oneIn(3)
        ? ([...ends, ...beyond][dice.below(ends.length + beyond.length)] ?? 'begin')
        : (messages[dice.below(messages.length)]?.offset ?? 'begin')
      // The service may not tell where its ends are; and past the end there is nowhere to go.
      consumer.seek(topicId, partition, position).catch(() => undefined)
    })
  }

  #atPartition(host: Host | undefined, act: (consumer: Consumer, held: PartitionId) => void): void {
    const partitions = host?.consumer.snapshot().partitions ?? []
    const held = partitions[this.#stage.dice.below(partitions.length)]
    if (host !== undefined && held !== undefined) act(host.consumer, held)
  }

  #fillDisk(): void {
    const { disk, dice } = this.#stage
    disk.fill()
    this.#stage.soon('somebody frees the disk', FULL_MS_MIN + dice.below(FULL_MS_MAX - FULL_MS_MIN), () => disk.free())
  }

  /** Of one nature: a message that cannot be decoded holds nothing else. */
  #nextMessage(): string[] {
    const { dice, scenario } = this.#stage
    if (dice.oneIn(scenario.poisonOneIn)) return [this.#nextId('poison')]
    return dice.list(1 + dice.below(LOGS_MAX), () =>
      this.#nextId(dice.oneIn(scenario.cursedOneIn) ? 'cursed' : 'sound')
    )
  }

  #nextId(nature: LogNature): string {
    this.#logCount += 1
    return nameLog(this.#logCount, nature)
  }

  /** The ledger knows of every partition, also of those without logs. */
  #know(topicId: string): void {
    const { service, ledger } = this.#stage
    for (const partition of service.topic(topicId).partitions) ledger.stock.of(topicId, partition)
  }
}
