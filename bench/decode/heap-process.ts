/**
 * A process that tells how many bytes of JavaScript heap a response takes, once everything is warm.
 *
 * In: a payload and a contender of ours, by name. Out, on stderr: JSON. On stdout are the engine's own lines of
 * `--trace-gc`: two collections are forced, one before the measured responses and one behind, and no line may stand
 * between theirs. A collection in between would hide what was allocated before it.
 */
import { makePayload } from '../corpus.ts'
import { makeOurs } from '../ours.ts'
import { isPayloadName } from '../payloads.ts'
import { isContenderId, isOurs } from './contenders.ts'

const WARM_UP_RESPONSES = 400
/** Together they have to fit into the young generation, or it is collected. */
const RESPONSES = 20

export interface HeapAnswer {
  readonly bytesPerResponse: number
  readonly responseCount: number
}

const [, , name = '', contender = ''] = process.argv
const payload = isPayloadName(name) ? makePayload(name) : undefined
if (payload === undefined || !isContenderId(contender) || !isOurs(contender))
  throw new Error(`there is no ${name} or no ${contender}`)
const { once } = makeOurs(contender, payload)
for (let index = 0; index < WARM_UP_RESPONSES; index++) once()

collect()
// A collection drops what the engine can make again; a response puts it back.
once()
const before = process.memoryUsage().heapUsed
for (let index = 0; index < RESPONSES; index++) once()
const after = process.memoryUsage().heapUsed
collect()
const answer: HeapAnswer = { bytesPerResponse: Math.round((after - before) / RESPONSES), responseCount: RESPONSES }
process.stderr.write(JSON.stringify(answer))

function collect(): void {
  if (gc === undefined) throw new Error('run with --expose-gc')
  gc()
}
