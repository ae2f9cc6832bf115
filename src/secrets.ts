/**
 * What must not be shown (I9), in values that users may fill with anything.
 *
 * In: a value, a name. Out: the value with everything that looks like a secret replaced by `MASK`; whether a name looks
 * like one. A guess, on the safe side: the access key itself never comes here. Pure.
 */
import { simplify } from './nearest.ts'

/** Stands where a secret was. A config file that has it was printed, and is refused. */
export const MASK = '***'

/** Anywhere in a name, whatever its case and punctuation. */
const SECRET_PARTS = [
  'secret',
  'password',
  'passwd',
  'passphrase',
  'pwd',
  'token',
  'credential',
  'apikey',
  'accesskey',
  'accountkey',
  'privatekey',
  'signingkey',
  'encryptionkey',
  'connectionstring',
  'signature',
  'authorization',
  'cookie',
  'bearer'
]

/** Words of a name by themselves: as a part they would find `bypass`, `task` and `design`. */
const SECRET_WORDS: readonly string[] = ['pass', 'sk', 'ak', 'dsn', 'sig']

export function looksSecret(name: string): boolean {
  const simple = simplify(name)
  return SECRET_PARTS.some(part => simple.includes(part)) || wordsOf(name).some(word => SECRET_WORDS.includes(word))
}

/** `dbPass`, `DB_PASS` and `db-pass` have the same two. */
function wordsOf(name: string): string[] {
  const parted = name.replace(/([a-z0-9])([A-Z])/g, '$1 $2')
  return parted.toLowerCase().split(/[^a-z]+/)
}

/** Before the host of a URL, up to the last `@` of it: a password may hold one. */
const USER_INFO = /\/\/[^/?#\s]*@/g

/** The text without what looks like a secret: user and password of a URL, and the value of `token=…` wherever it stands. */
export function maskText(text: string): string {
  return replaceSecretValues(text.replace(USER_INFO, `//${MASK}@`), () => MASK)
}

/** `name=` in the query of a URL, or in a connection string, where a name may have two words. Bounded, as it is tried often. */
const NAME_BEFORE_VALUE = /((?:[\w.%[\]$-]{1,50} )?[\w.%[\]$-]{1,50})[ \t]*=[ \t]*/g
/** Up to the next pair. A quoted one may hold anything: all that follows in its line is taken for it. */
const VALUE = /["'][^\n]*|[^;&\n]+/y

function replaceSecretValues(text: string, replace: (value: string) => string): string {
  let replaced = ''
  let keptFrom = 0
  for (const { index, 0: head, 1: name = '' } of text.matchAll(NAME_BEFORE_VALUE)) {
    if (index < keptFrom || !looksSecret(name)) continue
    VALUE.lastIndex = index + head.length
    const [value = ''] = VALUE.exec(text) ?? []
    if (value === '') continue
    replaced += text.slice(keptFrom, index + head.length) + replace(value)
    keptFrom = index + head.length + value.length
  }
  return replaced + text.slice(keptFrom)
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
  if (typeof value === 'string') return value === MASK || value.includes(`//${MASK}@`) || holdsMaskedPair(value)
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsMask)
}

function holdsMaskedPair(text: string): boolean {
  let isMasked = false
  replaceSecretValues(text, value => {
    isMasked ||= value === MASK
    return value
  })
  return isMasked
}
