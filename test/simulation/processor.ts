/** The module of the simulated processors: loaded by the real loader, it hands over to the thread that runs it. */
import { defineProcessor } from '../../workers/define-processor.ts'
import { actingThread } from './simulated-thread.ts'

export default defineProcessor({
  process: (batch, context) => actingThread().process(batch, context),
  assign: () => actingThread().hook('assign'),
  revoke: (partition, context) => actingThread().revoke(partition, context)
})
