/**
 * The demo's processor: counts lines per status and per path.
 *
 * In: batches of access logs, on a worker thread. Out: per batch what was counted, and the id of every log, by which the
 * demo judges that nothing was lost or repeated. Keeps no state: what it returns is delivered in order, once per batch.
 */
import { defineProcessor } from '../../workers/define-processor.ts'
import { increase, NO_ID } from './demo-tally.ts'

export default defineProcessor({
  process(batch) {
    const ids: number[] = []
    const statuses = new Map<string, number>()
    const paths = new Map<string, number>()
    for (const log of batch) {
      const id = log.get('id')
      ids.push(id !== undefined && /^\d{1,9}$/.test(id) ? Number(id) : NO_ID)
      increase(statuses, log.get('status') ?? 'none', 1)
      increase(paths, withoutQuery(log.get('path') ?? log.get('request') ?? 'not an access-log line'), 1)
    }
    return { ids: Uint32Array.from(ids), statuses, paths }
  }
})

function withoutQuery(path: string): string {
  const end = path.indexOf('?')
  return end < 0 ? path : path.slice(0, end)
}
