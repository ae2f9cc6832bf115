/**
 * Who shall have which partition.
 *
 * In: all partitions of a group, its consumers, and who has what now. Out: a consumer for every partition. Sizes differ
 * by at most one, no assignment with that property keeps more partitions where they are, and the same input gives the
 * same output. Without consumers nobody gets anything.
 */

/** `partitions` and `consumers` each without repeats; their order breaks ties. */
export function balance(
  partitions: readonly string[],
  consumers: readonly string[],
  current: ReadonlyMap<string, string>
): Map<string, string> {
  const next = new Map<string, string>()
  if (consumers.length === 0) return next

  const counts = new Map<string, number>(consumers.map(consumer => [consumer, 0]))
  for (const partition of partitions) {
    const owner = current.get(partition)
    const count = owner === undefined ? undefined : counts.get(owner)
    if (owner !== undefined && count !== undefined) counts.set(owner, count + 1)
  }
  const room = quotas(partitions.length, counts)

  // What has an owner with room left stays. A partition beyond its owner's quota has to go to somebody anyway.
  for (const partition of partitions) {
    const owner = current.get(partition)
    if (owner !== undefined && take(room, owner)) next.set(partition, owner)
  }
  for (const partition of partitions) {
    if (next.has(partition)) continue
    const consumer = roomiest(room)
    take(room, consumer)
    next.set(partition, consumer)
  }
  return next
}

/**
 * How many each shall have. Where the division leaves a remainder, those who have most get one more: a partition stays
 * for each of them, while one more for a consumer with little would only be filled by a move.
 */
function quotas(partitionCount: number, counts: ReadonlyMap<string, number>): Map<string, number> {
  const base = Math.floor(partitionCount / counts.size)
  const larger = partitionCount % counts.size
  const byCount = [...counts].sort(([, a], [, b]) => b - a)
  return new Map(byCount.map(([consumer], rank) => [consumer, rank < larger ? base + 1 : base]))
}

function take(room: Map<string, number>, consumer: string): boolean {
  const left = room.get(consumer) ?? 0
  if (left === 0) return false
  room.set(consumer, left - 1)
  return true
}

/** By turns, so that the partitions of a busy topic are spread over consumers. */
function roomiest(room: ReadonlyMap<string, number>): string {
  let best = ''
  let most = 0
  for (const [consumer, left] of room) {
    if (left > most) [best, most] = [consumer, left]
  }
  return best
}
