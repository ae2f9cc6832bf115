/**
 * The obvious way to decode a response, as one writes it in a few lines: npm snappy, `JSON.parse`, Node's base64,
 * protobufjs.
 *
 * In: a body. Out: its log groups, and loops over them. Nothing is checked here: a short header or a bad message goes
 * unnoticed, which is in the rivals' favour. A log's contents are looked through up to the key that is wanted, no further.
 */
import { join } from 'node:path'
import protobuf from 'protobufjs'
import snappy from 'snappy'
import { ROOT } from './context.ts'
import type { Body } from './corpus.ts'
import type { RivalId, Work } from './decode/contenders.ts'
import { PartTimer } from './decode/part-timer.ts'
import { digestOf, digestOfObjects } from './digest.ts'
import { type Filter, PAYLOADS } from './payloads.ts'

export interface Group {
  readonly logs: readonly { readonly contents: readonly { readonly key: string; readonly value: string }[] }[]
}

interface GroupType {
  decode(bytes: Uint8Array): Group
}

// The border of a library that knows its types at run time only.
export const LogGroup = new protobuf.Root()
  .loadSync(join(ROOT, 'proto/cls.proto'))
  .lookupType('cls.LogGroup') as unknown as GroupType

export function makeRival(id: RivalId, { name, bytes }: Body): Work {
  const body = Buffer.from(bytes)
  const { filter } = PAYLOADS[name]
  switch (id) {
    case 'rival-filter':
      return filterWork(() => countAll(decodeWhole(body), filter))
    case 'rival-filter-by-message':
      return filterWork(() => countByMessage(body, filter))
    case 'rival-objects':
      return objectsWork(() => objectsOfAll(decodeWhole(body)))
    case 'rival-objects-by-message':
      return objectsWork(() => objectsByMessage(body))
    case 'npm-snappy':
      return onTheWay(body, filter)
    case 'npm-snappy-alone':
      return {
        once: () => snappy.uncompressSync(body).length,
        digest: () => digestOf(snappy.uncompressSync(body))
      }
  }
}

function filterWork(once: () => number): Work {
  return { once, digest: () => String(once()) }
}

function objectsWork(make: () => object[]): Work {
  return { once: () => make().length, digest: () => digestOfObjects(make()) }
}

/** The whole way, of which the first step counts: what it takes depends on the memory that the others leave. */
function onTheWay(body: Buffer, filter: Filter): Work {
  const timer = new PartTimer()
  const once = () => {
    const plain = timer.time(() => snappy.uncompressSync(body))
    countAll(decodeText(plain), filter)
    return plain.length
  }
  return { once, digest: () => digestOf(snappy.uncompressSync(body)), part: timer.sum }
}

/** The rival: the whole response, and then the loop. */
export function decodeWhole(body: Buffer): Group[] {
  return decodeText(snappy.uncompressSync(body))
}

function decodeText(plain: string | Buffer): Group[] {
  return readResponse(plain).Message.map(decodeMessage)
}

export interface ObviousResponse {
  readonly NextOffset: number
  readonly Message: readonly string[]
}

export function readResponse(plain: string | Buffer): ObviousResponse {
  return JSON.parse(plain.toString()).Response
}

export function decodeMessage(m: string): Group {
  return LogGroup.decode(Buffer.from(m, 'base64').subarray(96))
}

/** The second rival: a message is garbage before the next is decoded. */
function countByMessage(body: Buffer, filter: Filter): number {
  let count = 0
  for (const m of readResponse(snappy.uncompressSync(body)).Message) count += countGroup(decodeMessage(m), filter)
  return count
}

function countAll(groups: readonly Group[], filter: Filter): number {
  let count = 0
  for (const group of groups) count += countGroup(group, filter)
  return count
}

export function countGroup({ logs }: Group, { key, text }: Filter): number {
  let count = 0
  for (const { contents } of logs) {
    for (const content of contents) {
      if (content.key !== key) continue
      if (content.value === text) count++
      break
    }
  }
  return count
}

function objectsByMessage(body: Buffer): object[] {
  const objects: object[] = []
  for (const m of readResponse(snappy.uncompressSync(body)).Message) addObjects(decodeMessage(m), objects)
  return objects
}

function objectsOfAll(groups: readonly Group[]): object[] {
  const objects: object[] = []
  for (const group of groups) addObjects(group, objects)
  return objects
}

export function addObjects({ logs }: Group, objects: object[]): void {
  for (const { contents } of logs) {
    const object: Record<string, string> = {}
    for (const { key, value } of contents) object[key] = value
    objects.push(object)
  }
}
