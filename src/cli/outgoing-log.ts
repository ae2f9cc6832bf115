/** A log on its way into a topic: the value that travels from a source to the uploads. */
import type { Log } from '../cls/log-group.ts'

export interface OutgoingLog {
  readonly log: Log
  /** Logs of one key go to one partition, in their order. Absent: the service chooses. */
  readonly key?: string
  /** In its file, from 1. */
  readonly line?: number
}
