/**
 * Loads the module of a processor.
 *
 * In: an absolute path or a `file:` URL, which the main thread has found. Out: a function that makes a `Processor`, or an
 * error (`PROCESSOR_NOT_FOUND`, `PROCESSOR_NOT_LOADED`, `PROCESSOR_SHAPE`) that names the file and the cure. Must never
 * run while a thread boots: a module that throws at import would switch the pool's respawning off for good.
 */
import { stat } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ClsConsumerError } from '../src/errors.ts'
import { type ProcessorFactory, toFactory } from './processor-shape.ts'
import { syntaxPlace } from './syntax-place.ts'
import { describeThrown, placeInHead, placeInStack } from './user-failure.ts'

/** @throws ClsConsumerError PROCESSOR_NOT_FOUND, PROCESSOR_NOT_LOADED, PROCESSOR_SHAPE */
export async function loadProcessor(file: string): Promise<ProcessorFactory> {
  const path = toPath(file)
  await refuseAbsent(path)
  return toFactory(await importModule(path), path)
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

/** Before the import, so that a missing import *inside* the module is not taken for its absence. */
async function refuseAbsent(path: string): Promise<void> {
  const isFolder = await stat(path).then(
    found => found.isDirectory(),
    () => undefined
  )
  if (isFolder === false) return
  const what = isFolder === undefined ? 'there is no such file' : 'this is a folder, not a module'
  throw new ClsConsumerError('PROCESSOR_NOT_FOUND', `the processor cannot be found: ${what}`, { file: path })
}

/** The module's exports by name. CommonJS comes as `default: module.exports`. */
async function importModule(path: string): Promise<ReadonlyMap<string, unknown>> {
  try {
    const exported: unknown = await import(pathToFileURL(path).href)
    return new Map(typeof exported === 'object' && exported !== null ? Object.entries(exported) : [])
  } catch (error) {
    throw await loadFailure(path, error)
  }
}

async function loadFailure(path: string, error: unknown): Promise<ClsConsumerError> {
  const { message, stack } = describeThrown(error)
  let place = placeInHead(stack) ?? placeInStack(stack)
  let cure = cureOf(path, error)
  if (error instanceof SyntaxError && place === undefined) {
    // Of one in an ES module nothing is left here that would tell the line.
    const found = await syntaxPlace(path)
    if (found === 'sound') cure = `the file itself is sound, so it is in what it imports: \`node ${path}\` shows where`
    else if (found === 'unknown') cure = `\`node ${path}\` shows where`
    else place = found
  }
  const at = place === undefined ? '' : ` at ${place}`
  // Of a missing CommonJS module Node says in further lines who required it.
  const reason = message.replace(/\s*\n[\s-]*/g, ' ')
  const what = `the processor's module failed to load: ${reason}${at}${cure === undefined ? '' : `; ${cure}`}`
  const failed = new ClsConsumerError('PROCESSOR_NOT_LOADED', what, { file: path, cause: error })
  failed.stack = `${failed.message}\n${stack}`
  return failed
}

/** By Node's own error codes, as far as its message leaves open what to do. */
const CURES: ReadonlyMap<unknown, string> = new Map([
  ['ERR_MODULE_NOT_FOUND', 'install or correct what it imports'],
  ['MODULE_NOT_FOUND', 'install or correct what it imports'],
  ['ERR_PACKAGE_PATH_NOT_EXPORTED', 'correct what it imports'],
  ['ERR_UNSUPPORTED_DIR_IMPORT', 'import the file, such as …/index.js'],
  ['ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX', 'compile it, or write it without enums, namespaces and parameter properties'],
  ['ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING', 'Node runs no TypeScript in packages: this one must be compiled'],
  ['ERR_IMPORT_ATTRIBUTE_MISSING', "a processor is a JavaScript module; import JSON from it with { type: 'json' }"],
  ['ERR_IMPORT_ASSERTION_TYPE_MISSING', "a processor is a JavaScript module; import JSON from it with { type: 'json' }"]
])

function cureOf(path: string, error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code !== 'ERR_UNKNOWN_FILE_EXTENSION') return CURES.get(code)
  if (/\.[cm]?ts$/.test(path)) {
    return `this Node (${process.version}) runs no TypeScript: compile it and give the .js file, or use Node 22.18 or later`
  }
  if (/\.tsx$/.test(path)) return 'no Node runs it: compile it, and give the path of the .js file'
  return /\.[cm]?js$/.test(path) ? 'correct what it imports' : 'rename it to .js, .mjs or .cjs'
}
