/** One process of a crowd: plays what it is given, tells of each, and asks for more until its parent lets it go. */
import type { FromPlayer, SeedsToPlay } from './crowd.ts'
import { playSeed } from './play-seed.ts'

function tell(message: FromPlayer): void {
  // Its parent may be gone.
  if (process.connected) process.send?.(message)
}

process.on('message', async ({ from, count }: SeedsToPlay) => {
  for (let seed = from; seed < from + count && process.connected; seed++) {
    const { findings } = await playSeed(seed)
    tell({ kind: 'judged', judged: { seed, findings } })
  }
  tell({ kind: 'next' })
})
// Ctrl-C is its parent's to hear, who lets it go once its seeds are played.
process.on('SIGINT', () => undefined)
tell({ kind: 'next' })
