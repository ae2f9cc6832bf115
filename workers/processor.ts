/**
 * Loads a processor by path and checks its shape.
 *
 * In: an absolute path or a `file:` URL, from the user. Out: a `Processor`, or an error (`PROCESSOR_NOT_FOUND`,
 * `PROCESSOR_NOT_LOADED`, `PROCESSOR_SHAPE`) that names the file and the cure. Must never run while a thread boots:
 * a module that throws at import would switch the pool's respawning off for good.
 */
import { stat } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ClsConsumerError } from '../src/errors.ts'
import type { ProcessFunction, Processor } from './define-processor.ts'
import { describeThrown } from './user-failure.ts'

const HOOKS = ['start', 'assign', 'process', 'revoke', 'stop'] as const
const EXAMPLE = 'export default { process (batch, context) { … } }'

/** @throws ClsConsumerError PROCESSOR_NOT_FOUND, PROCESSOR_NOT_LOADED, PROCESSOR_SHAPE */
export async function loadProcessor(file: string): Promise<Processor> {
  const path = await findModule(file)
  return toProcessor(await importModule(path), path)
}

/** The module's absolute path. Looked up first, so that a missing import *inside* it is not taken for its absence. */
async function findModule(file: string): Promise<string> {
  const path = toPath(file)
  const kind = await kindOfPath(path)
  if (kind === 'file') return path
  const candidates = ['.js', '.mjs', '.cjs', '/index.js', '/index.mjs'].map(ending => `${path}${ending}`)
  const kinds = await Promise.all(candidates.map(kindOfPath))
  const near = candidates.find((_, index) => kinds[index] === 'file')
  const cure = near === undefined ? 'give the path of the module file' : `did you mean ${near}?`
  const what = kind === 'absent' ? 'there is no such file' : 'this is a folder, not a module'
  throw new ClsConsumerError('PROCESSOR_NOT_FOUND', `the processor cannot be found: ${what}; ${cure}`, { file: path })
}

function toPath(file: string): string {
  if (!file.startsWith('file:')) {
    if (isAbsolute(file)) return file
    // A thread has no working folder of its own to be relative to: the main thread resolves the path.
    throw new ClsConsumerError('PROCESSOR_NOT_FOUND', 'the path of the processor is not absolute', { file })
  }
  try {
    return fileURLToPath(file)
  } catch (error) {
    const { message } = describeThrown(error)
    throw new ClsConsumerError('PROCESSOR_NOT_FOUND', `not a usable file: URL: ${message}`, { file, cause: error })
  }
}

async function kindOfPath(path: string): Promise<'file' | 'folder' | 'absent'> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file'
  } catch {
    return 'absent'
  }
}

/** The module's exports by name. CommonJS comes as `default: module.exports`. */
async function importModule(path: string): Promise<ReadonlyMap<string, unknown>> {
  try {
    const exported: unknown = await import(pathToFileURL(path).href)
    return new Map(typeof exported === 'object' && exported !== null ? Object.entries(exported) : [])
  } catch (error) {
    const { message, stack } = describeThrown(error)
    // Of a syntax error in CommonJS the stack's first line is the place, such as `/…/processor.cjs:3`.
    const place = /^(?:file:\/\/)?\/.*:\d+$/.exec(stack.split('\n', 1)[0] ?? '')?.[0]
    const at = place === undefined ? '' : ` at ${place}`
    const failed = new ClsConsumerError(
      'PROCESSOR_NOT_LOADED',
      `the processor's module failed to load: ${message}${at}${cureOfImport(path, error)}`,
      { file: path, cause: error }
    )
    failed.stack = `${failed.message}\n${stack}`
    throw failed
  }
}

function cureOfImport(path: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION') {
    return /\.[cm]?tsx?$/.test(path)
      ? '; this Node runs no TypeScript: compile it, and give the path of the .js file'
      : '; rename it to .js, .mjs or .cjs'
  }
  // Of one in an ES module Node shows the place only on its own standard error.
  if (error instanceof SyntaxError) return `; \`node --check ${path}\` shows the line`
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') return '; install or correct what it imports'
  return ''
}

function toProcessor(exports: ReadonlyMap<string, unknown>, file: string): Processor {
  const wrong = (message: string) => new ClsConsumerError('PROCESSOR_SHAPE', message, { file })
  if (!exports.has('default')) {
    const names = [...exports.keys()].join(', ')
    const has = names === '' ? 'it exports nothing' : `it exports only ${names}`
    throw wrong(`the processor's module has no default export: ${has}; write ${EXAMPLE}`)
  }
  const exported = unwrapCompiled(exports.get('default'))
  if (isFunction(exported)) {
    if (isClass(exported)) throw wrong('the processor is a class: export an object made by it, `export default new …`')
    return { process: exported }
  }
  if (typeof exported !== 'object' || exported === null) {
    throw wrong(`the processor's default export is ${kindOf(exported)}, not an object or a function; write ${EXAMPLE}`)
  }
  const problem = problemOf(exported)
  if (problem !== undefined) throw wrong(`the processor's default export ${problem}`)
  if (!isProcessor(exported)) throw wrong(`the processor's default export has no function process; write ${EXAMPLE}`)
  return exported
}

/** ES modules compiled to CommonJS say `exports.default = …` and set `__esModule`: seen from ESM, a default within it. */
function unwrapCompiled(exported: unknown): unknown {
  if (typeof exported !== 'object' || exported === null || !('__esModule' in exported)) return exported
  return 'default' in exported ? exported.default : exported
}

function problemOf(processor: object): string | undefined {
  for (const hook of HOOKS) {
    const value: unknown = Reflect.get(processor, hook)
    if (value !== undefined && !isFunction(value)) return `has a ${hook} that is ${kindOf(value)}, not a function`
  }
  for (const name of functionNames(processor)) {
    const meant = HOOKS.find(hook => hook !== name && stem(hook) === stem(name))
    if (meant !== undefined && !isFunction(Reflect.get(processor, meant))) {
      return `has a function ${name}, which would never be called: the name is ${meant}`
    }
  }
  return undefined
}

/** Own and inherited, so that an object made by a class is judged by its methods. */
function functionNames(processor: object): string[] {
  const names: string[] = []
  for (let at: object | null = processor; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    names.push(...Object.getOwnPropertyNames(at).filter(name => name !== 'constructor'))
  }
  return names.filter(name => isFunction(Reflect.get(processor, name)))
}

/** `onRevoke`, `revoked` and `Revoke` have the stem of `revoke`; a helper such as `step` has that of no hook. */
function stem(name: string): string {
  return name
    .toLowerCase()
    .replace(/^on_?/, '')
    .replace(/(?:ped|ed|ing|e)$/, '')
}

function isProcessor(value: object): value is Processor {
  return 'process' in value && isFunction(value.process)
}

function isFunction(value: unknown): value is ProcessFunction {
  return typeof value === 'function'
}

/** Only a class's source begins so; calling one without `new` would throw at the first batch instead of here. */
function isClass(value: ProcessFunction): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value))
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return value === undefined ? 'undefined' : `of type ${typeof value}`
}
