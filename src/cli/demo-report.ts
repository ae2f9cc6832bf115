/**
 * What the demo says at its end.
 *
 * In: what was produced, processed and read back from the server. Out: lines for an 80-column terminal, and the list of
 * everything that is not as promised; an empty list is the demo's success. Pure.
 */
import type { Verdict } from './demo-ledger.ts'
import { cellCount, count, fit, megabytes, seconds, shortId, table } from './format.ts'

export interface DemoOutcome {
  readonly producedCount: number
  readonly verdict: Verdict
  readonly statuses: ReadonlyMap<string, number>
  readonly paths: ReadonlyMap<string, number>
  readonly consumers: readonly { readonly name: string; readonly logCount: number }[]
  readonly partitions: readonly PartitionOutcome[]
  /** From the first upload to the last result. */
  readonly ms: number
  /** Nothing had moved for so long when it was given up; undefined where it came to its end. */
  readonly stalledMs: number | undefined
  /** Decompressed. */
  readonly responseBytes: number
  readonly threadCount: number
}

export interface PartitionOutcome {
  readonly topicId: string
  readonly partition: number
  /** Names of the consumers that processed it; one, where no rebalance came between. */
  readonly consumers: readonly string[]
  /** Both as the server tells them; undefined where it has none. */
  readonly committed: bigint | undefined
  readonly end: bigint | undefined
}

/** Everything that is not as promised. */
export function faultsOf({ producedCount, verdict, consumers, partitions, stalledMs }: DemoOutcome): string[] {
  const { missingCount, repeatedCount, foreignCount } = verdict
  const faults: string[] = []
  if (stalledMs !== undefined) faults.push(`given up after nothing had moved for ${stalledMs / 1000} s`)
  if (producedCount === 0) faults.push('no log was produced')
  if (missingCount > 0) faults.push(`${count(missingCount)} logs were not processed${examples(verdict.missing)}`)
  if (repeatedCount > 0) {
    faults.push(`${count(repeatedCount)} logs were processed more than once${examples(verdict.repeated)}`)
  }
  if (foreignCount > 0) faults.push(`${count(foreignCount)} logs were processed that nobody produced`)
  for (const { topicId, partition, committed, end } of partitions) {
    if (committed !== undefined && committed === end) continue
    faults.push(
      `topic ${topicId} partition ${partition} is committed to ${committed ?? 'nothing'}, not to its end ${end}`
    )
  }
  for (const { name, logCount } of consumers) {
    if (logCount === 0) faults.push(`${name} processed no log`)
  }
  return faults
}

function examples(ids: readonly number[]): string {
  return ids.length === 0 ? '' : ` (id ${ids.join(', ')}${ids.length < 5 ? '' : ', …'})`
}

export function reportLines(outcome: DemoOutcome, columns: number): string[] {
  const { ms, producedCount, responseBytes, threadCount } = outcome
  const perSecond = Math.round((producedCount * 1000) / Math.max(1, ms))
  return [
    ...beside(statusLines(outcome), pathLines(outcome, columns - 35), 4),
    '',
    ...partitionLines(outcome),
    '',
    `${count(producedCount)} logs in ${seconds(ms)}, upload included: ${count(perSecond)} logs/s, ${megabytes(responseBytes)}, on ${threadCount} threads`
  ]
}

export function successLines({ consumers }: DemoOutcome): string[] {
  return [
    'Each log was processed exactly once, and every committed offset is the end;',
    `${consumers.map(({ name, logCount }) => `${name} took ${count(logCount)}`).join(', ')}.`
  ]
}

function statusLines({ statuses }: DemoOutcome): string[] {
  const all = [...statuses.values()].reduce((sum, lines) => sum + lines, 0)
  const rows = [...statuses]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([status, lines]) => [status, count(lines), `${((lines * 100) / Math.max(1, all)).toFixed(2)} %`])
  return table(
    [
      { title: 'status', align: 'left' },
      { title: 'lines', align: 'right' },
      { title: 'share', align: 'right' }
    ],
    rows
  )
}

function pathLines({ paths, statuses }: DemoOutcome, cells: number): string[] {
  const rows = [...paths]
    .sort(([pathA, linesA], [pathB, linesB]) => linesB - linesA || (pathA < pathB ? -1 : 1))
    .slice(0, Math.min(8, Math.max(5, statuses.size)))
    .map(([path, lines]) => [count(lines), fit(path, Math.max(10, cells - 10))])
  return table(
    [
      { title: 'lines', align: 'right' },
      { title: 'top paths', align: 'left' }
    ],
    rows
  )
}

function partitionLines({ partitions }: DemoOutcome): string[] {
  return table(
    [
      { title: 'topic', align: 'left' },
      { title: 'partition', align: 'right' },
      { title: 'consumer', align: 'left' },
      { title: 'committed', align: 'right' },
      { title: 'end', align: 'right' }
    ],
    partitions.map(({ topicId, partition, consumers, committed, end }) => [
      shortId(topicId),
      String(partition),
      consumers.join(', '),
      committed?.toString() ?? 'none',
      end?.toString() ?? 'none'
    ])
  )
}

/** Two blocks of lines next to each other. */
function beside(left: readonly string[], right: readonly string[], gap: number): string[] {
  const width = Math.max(...left.map(cellCount))
  return Array.from({ length: Math.max(left.length, right.length) }, (_, index) => {
    const text = left[index] ?? ''
    return `${text}${' '.repeat(width - cellCount(text) + gap)}${right[index] ?? ''}`.trimEnd()
  })
}
