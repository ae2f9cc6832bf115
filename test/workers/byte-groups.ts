/**
 * Log groups whose texts are any bytes, which no encoder of strings writes.
 *
 * In: keys, values and what is said of the group, as bytes. Out: a payload as the wire has it.
 */
export interface BytePair {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export interface ByteGroup {
  readonly logs: readonly { readonly time: bigint; readonly contents: readonly BytePair[] }[]
  readonly tags: readonly BytePair[]
  readonly source: Uint8Array | undefined
}

export function encodeByteGroup({ logs, tags, source }: ByteGroup): Buffer {
  return Buffer.concat([
    ...logs.map(({ time, contents }) =>
      field(1, Buffer.concat([Buffer.from([8]), varint(BigInt.asUintN(64, time)), ...contents.map(encodeContent)]))
    ),
    ...(source === undefined ? [] : [field(4, source)]),
    ...tags.map(({ key, value }) => field(5, Buffer.concat([field(1, key), field(2, value)])))
  ])
}

function encodeContent({ key, value }: BytePair): Buffer {
  return field(2, Buffer.concat([field(1, key), field(2, value)]))
}

function field(number: number, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([number * 8 + 2]), varint(BigInt(content.length)), content])
}

function varint(value: bigint): Buffer {
  const bytes: number[] = []
  for (let rest = value; rest > 0n || bytes.length === 0; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  const last = bytes.length - 1
  return Buffer.from(bytes.map((byte, at) => (at === last ? byte & 127 : byte)))
}
