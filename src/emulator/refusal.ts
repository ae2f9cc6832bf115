/**
 * How the emulated service says no, and how actions read the fields of a request.
 *
 * In: a field's name and the request's JSON. Out: the value in its type, or a `Refusal` with the service's own code.
 * A refusal is an answer that is sent, not an error of this library: it must never reach the caller of the emulator.
 */
import { int64, isRecord, type Json } from '../cls/json.ts'

export type JsonFields = Readonly<Record<string, Json>>

export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: string
  /** Of the data plane. The control plane refuses with HTTP 200, whatever this says. */
  readonly httpStatus: number

  constructor(code: string, message: string, httpStatus = 400) {
    super(message)
    this.code = code
    this.httpStatus = httpStatus
  }
}

/** What a field that is absent or of the wrong kind is called. The two planes have different codes for it. */
export interface FieldCodes {
  readonly missing: string
  readonly invalid: string
}

export const CONTROL_CODES: FieldCodes = { missing: 'MissingParameter', invalid: 'InvalidParameter' }
export const DATA_CODES: FieldCodes = { missing: 'InvalidParam', invalid: 'InvalidParam' }

/** Reads the fields of one request. `null` counts as absent, as it does at the service. */
export class FieldReader {
  readonly #fields: JsonFields
  readonly #codes: FieldCodes

  constructor(fields: JsonFields, codes: FieldCodes) {
    this.#fields = fields
    this.#codes = codes
  }

  has(name: string): boolean {
    return this.value(name) !== undefined
  }

  value(name: string): Json | undefined {
    return this.#fields[name] ?? undefined
  }

  text(name: string): string {
    const value = this.optionalText(name)
    if (value === undefined || value === '') throw this.missing(name)
    return value
  }

  optionalText(name: string): string | undefined {
    const value = this.value(name)
    if (value === undefined || typeof value === 'string') return value
    throw this.invalid(name, 'a text')
  }

  int64(name: string): bigint {
    const value = this.optionalInt64(name)
    if (value === undefined) throw this.missing(name)
    return value
  }

  optionalInt64(name: string): bigint | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    const parsed = int64(value)
    if (parsed === undefined) throw this.invalid(name, 'an integer of 64 bits')
    return parsed
  }

  integer(name: string): number {
    const value = this.optionalInteger(name)
    if (value === undefined) throw this.missing(name)
    return value
  }

  optionalInteger(name: string): number | undefined {
    const value = this.optionalInt64(name)
    if (value === undefined) return undefined
    if (value < BigInt(Number.MIN_SAFE_INTEGER) || value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw this.invalid(name, 'a smaller integer')
    }
    return Number(value)
  }

  texts(name: string): string[] {
    return this.#list(name).map(item => {
      if (typeof item !== 'string') throw this.invalid(name, 'a list of texts')
      return item
    })
  }

  integers(name: string): number[] {
    return this.#list(name).map(item => {
      const value = int64(item)
      if (value === undefined) throw this.invalid(name, 'a list of integers')
      return Number(value)
    })
  }

  /** A list of objects, each with a reader of its own; absent and `null` are the empty list. */
  records(name: string): FieldReader[] {
    return this.#list(name).map(item => {
      if (!isRecord(item)) throw this.invalid(name, 'a list of objects')
      return new FieldReader(item, this.#codes)
    })
  }

  missing(name: string): Refusal {
    return new Refusal(this.#codes.missing, `the request lacks the required parameter \`${name}\``)
  }

  invalid(name: string, expected: string): Refusal {
    return new Refusal(this.#codes.invalid, `the parameter \`${name}\` is not valid: expected ${expected}`)
  }

  #list(name: string): Json[] {
    const value = this.value(name)
    if (value === undefined) return []
    if (!Array.isArray(value)) throw this.invalid(name, 'a list')
    return value
  }
}
