/**
 * The body of a pull's answer, packed: base64 inside JSON inside a compressed block.
 *
 * In: messages and the next offset, the quirks, and the flaw that a fault asks for. Out: bytes. Without a flaw, any
 * decoder that keeps to JSON finds the same messages and the same next offset in it, whatever the quirks.
 */
import { compress } from '../cls/compression.ts'
import { printJson } from '../cls/json.ts'
import type { Compression } from '../world.ts'
import { damageBlock, damageMessage, type InnerDamage } from './damage.ts'
import { gapOf, type Member, printEnvelope, printList } from './envelope.ts'
import type { Quirks } from './quirks.ts'

export interface PullContent {
  readonly messages: readonly Uint8Array[]
  /** Where the pull began. */
  readonly fromOffset: bigint
  readonly nextOffset: bigint | undefined
  readonly requestId: string
}

export type PullFlaw =
  | { readonly kind: 'damage'; readonly layer: 'bytes' | 'json' | InnerDamage }
  /** Padding, so that it decompresses to so many bytes or a few more. */
  | { readonly kind: 'padding'; readonly plainBytes: number }

export interface Packing {
  readonly quirks: Quirks
  readonly compression: Compression
  readonly flaw: PullFlaw | undefined
}

export function packPullBody(content: PullContent, { quirks, compression, flaw }: Packing): Buffer {
  const damage = flaw?.kind === 'damage' ? layerIn(content, flaw.layer) : undefined
  const messages = messageTexts(content.messages, quirks, damage)
  const print = (paddingCount: number): string => printBody(content, messages, quirks, paddingCount)
  let text = print(0)
  if (flaw?.kind === 'padding' && text.length < flaw.plainBytes) text = print(flaw.plainBytes - text.length)
  // Not before a body in the clear: a client could take white space for the size in front of a snappy block.
  if (compression !== 'none') text = `${gapOf(quirks)}${text}`
  if (damage === 'json') text = text.slice(0, text.lastIndexOf('}'))
  const block = compress(Buffer.from(text), compression)
  return damage === 'bytes' ? damageBlock(block, compression) : block
}

/** Without a message there is none to damage; the JSON around it is there in any case. */
function layerIn({ messages }: PullContent, layer: 'bytes' | 'json' | InnerDamage): 'bytes' | 'json' | InnerDamage {
  return messages.length > 0 || layer === 'bytes' ? layer : 'json'
}

/** By hand, since base64 needs no escaping. One message, in the middle, takes the damage. */
function messageTexts(
  messages: readonly Uint8Array[],
  { base64 }: Quirks,
  damage: 'bytes' | 'json' | InnerDamage | undefined
): string[] {
  const texts = messages.map(bytes => toBase64(bytes))
  const middle = Math.floor(messages.length / 2)
  const stored = messages[middle]
  if (stored !== undefined && damage !== undefined && damage !== 'bytes' && damage !== 'json') {
    texts[middle] = damageMessage(stored, damage)
  }
  if (base64 === 'plain') return texts.map(text => `"${text}"`)
  return texts.map(text => `"${text.replaceAll('/', '\\/').replaceAll('+', '\\u002b')}"`)
}

function printBody(content: PullContent, messages: readonly string[], quirks: Quirks, paddingCount: number): string {
  const { fromOffset, nextOffset, requestId } = content
  const next: readonly Member[] = nextOffset === undefined ? [] : [['NextOffset', String(nextOffset)]]
  // Just one too far: what a client that believes it would lose is one message.
  const lie: readonly Member[] =
    nextOffset === undefined ? [] : [['NextOffset', String((nextOffset > fromOffset ? nextOffset : fromOffset) + 1n)]]
  const padding: readonly Member[] = paddingCount === 0 ? [] : [['Padding', `"${'x'.repeat(paddingCount)}"`]]
  const fields = [
    ...{ first: next, last: [], lying: lie }[quirks.nextOffset],
    ...messageMember(messages, quirks),
    ...padding,
    ['RequestId', printJson(requestId)] as const,
    ...(quirks.nextOffset === 'first' ? [] : next)
  ]
  return printEnvelope(fields, quirks)
}

function messageMember(messages: readonly string[], quirks: Quirks): readonly Member[] {
  if (messages.length > 0 || quirks.emptyMessages === 'list') return [['Message', printList(messages, gapOf(quirks))]]
  return quirks.emptyMessages === 'null' ? [['Message', 'null']] : []
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
