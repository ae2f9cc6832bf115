/**
 * Loads the module of a processor.
 *
 * In: the absolute path of a file, which the main thread has found. Out: a function that makes a `Processor`, or an
 * error (`PROCESSOR_NOT_FOUND`, `PROCESSOR_NOT_LOADED`, `PROCESSOR_SHAPE`) that names the file and the cure. Must never
 * run while a thread boots: a module that throws at import would switch the pool's respawning off for good.
 */
import { pathToFileURL } from 'node:url'
import { ClsConsumerError } from '../src/errors.ts'
import { esModuleCure } from './es-module-cure.ts'
import { type ProcessorFactory, toFactory } from './processor-shape.ts'
import { syntaxPlace } from './syntax-place.ts'
import { describeThrown, placeInHead, placeInStack } from './user-failure.ts'

/** @throws ClsConsumerError PROCESSOR_NOT_FOUND, PROCESSOR_NOT_LOADED, PROCESSOR_SHAPE */
export async function loadProcessor(path: string): Promise<ProcessorFactory> {
  return toFactory(await importModule(path), path)
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
  if (isAbsence(path, error)) {
    const what = 'the processor cannot be found: the file is gone since the start; put it back'
    return new ClsConsumerError('PROCESSOR_NOT_FOUND', what, { file: path, cause: error })
  }
  const { message, stack } = describeThrown(error)
  let place = placeInHead(stack) ?? placeInStack(stack)
  let cure = cureOf(path, error)
  if (error instanceof SyntaxError && place === undefined) {
    // Of one in an ES module nothing is left here that would tell the line.
    const found = await syntaxPlace(path)
    if (found.kind === 'in-file') place = found.place
    else cure = `${found.kind === 'in-imports' ? IN_IMPORTS : ''}\`node ${path}\` shows where`
  } else if (error instanceof SyntaxError && place !== undefined) {
    // The place, and not the path: it may be in a file that the processor imports.
    cure ??= esModuleCure(place.replace(/(:\d+)+$/, ''), error)
  }
  const at = place === undefined ? '' : ` at ${place}`
  // Of a missing CommonJS module Node says in further lines who required it.
  const reason = message.replace(/\s*\n[\s-]*/g, ' ')
  const what = `the processor's module failed to load: ${reason}${at}${cure === undefined ? '' : `; ${cure}`}`
  const failed = new ClsConsumerError('PROCESSOR_NOT_LOADED', what, { file: path, cause: error })
  failed.stack = `${failed.message}\n${stack}`
  return failed
}

const IN_IMPORTS = 'the file itself is sound, so it is in what it imports: '

/**
 * Of the module itself, not of one that it imports. The main thread has seen the file; a thread that takes the place of
 * one that died, hours later, may find it gone.
 */
function isAbsence(path: string, error: unknown): boolean {
  if (!(error instanceof Error && 'code' in error && 'url' in error)) return false
  return error.code === 'ERR_MODULE_NOT_FOUND' && error.url === pathToFileURL(path).href
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
