/**
 * What must not be shown (I9), in values that users may fill with anything.
 *
 * In: a value, a name. Out: the value with everything that looks like a secret replaced by `MASK`; whether a name looks
 * like one. A guess, on the safe side: the access key itself never comes here. Pure.
 */
import { simplify } from './nearest.ts'

/** Stands where a secret was. A config file that has it was printed, and is refused. */
export const MASK = '***'

/** In a name, whatever its case and punctuation. */
const SECRET_WORDS = [
  'secret',
  'password',
  'passwd',
  'passphrase',
  'pwd',
  'token',
  'credential',
  'apikey',
  'accesskey',
  'privatekey',
  'signingkey',
  'encryptionkey',
  'authorization',
  'cookie',
  'bearer'
]

export function looksSecret(name: string): boolean {
  const simple = simplify(name)
  return SECRET_WORDS.some(word => simple.includes(word))
}

/** Before the host of a URL, up to the last `@` of it: a password may hold one. */
const USER_INFO = /\/\/[^/?#\s]*@/g

/** The text without the user and password of a URL in it. */
export function maskText(text: string): string {
  return text.replace(USER_INFO, `//${MASK}@`)
}

/** The value (a tree, as JSON has it) with every secret in it masked, at any depth. */
export function maskSecrets(value: unknown): unknown {
  if (typeof value === 'string') return maskText(value)
  if (Array.isArray(value)) return value.map(maskSecrets)
  if (typeof value !== 'object' || value === null) return value
  // Not by assignment: of `__proto__` that would make a prototype.
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      looksSecret(key) && member !== null ? MASK : maskSecrets(member)
    ])
  )
}

/** Whether something in the value was masked before it was written down. */
export function holdsMask(value: unknown): boolean {
  if (typeof value === 'string') return value === MASK || value.includes(`//${MASK}@`)
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsMask)
}
