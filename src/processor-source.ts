/**
 * From what the user calls the processor to the file of its module.
 *
 * In: a path, a `file:` URL or the name of a package, and the folder that the first and the last are seen from. Out: an
 * absolute path, or PROCESSOR_NOT_FOUND with what was looked for, where, and the cure. Must never happen: user code that
 * runs here, on the main thread (I7); a name that means one thing today and, after a file appeared, silently another.
 *
 * A name without `./` may be both, `my-processor` a file of the folder and a package. The file wins, with a warning.
 * Packages are found as `import` finds them from a module in the folder, but for `--conditions`, Plug'n'Play and, in
 * `exports`, a condition that holds but has none within it that holds: for the library that ends the search, where an
 * `import` would try the next one. The user is told so, and gives the path.
 */
import { readFileSync, statSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { moduleResolve } from 'import-meta-resolve'
import { ClsConsumerError, toClsError } from './errors.ts'

export interface FoundProcessor {
  /** Absolute path of the module. */
  readonly file: string
  /** What the user should know about how it was found. */
  readonly warning?: string
}

export interface LocatedProcessor extends FoundProcessor {
  /** Why there is no module; `file` is then where it would be. */
  readonly failure?: ClsConsumerError
}

const ENDINGS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts']
const NAMES_MAX = 8

/** @throws ClsConsumerError PROCESSOR_NOT_FOUND */
export function findProcessor(given: string, folder: string): FoundProcessor {
  if (given.startsWith('file:')) return findFile(fromUrl(given))
  if (isAbsolute(given)) return findFile(given)
  if (/^\.{0,2}([/\\]|$)/.test(given)) return findFile(resolve(folder, given))
  // A Windows path has one letter before its colon.
  if (/^[a-z][a-z0-9+.-]+:/i.test(given)) {
    throw notFound(
      isBuiltin(given) ? ofNode(given) : `of URLs only file: ones lead to a processor, not ${given}`,
      given
    )
  }
  return findNamed(given, folder)
}

/** The same for those who have more to tell before what cannot be found ends it. */
export function locateProcessor(given: string, folder: string): LocatedProcessor {
  try {
    return findProcessor(given, folder)
  } catch (error) {
    return { file: given.startsWith('file:') ? given : resolve(folder, given), failure: toClsError(error) }
  }
}

function fromUrl(url: string): string {
  try {
    return fileURLToPath(url)
  } catch (error) {
    throw notFound(`not a usable file: URL: ${error instanceof Error ? error.message : error}`, url, error)
  }
}

function findFile(path: string): FoundProcessor {
  const kind = kindOfPath(path)
  if (kind === 'file') return { file: path }
  const what = kind === 'folder' ? 'this is a folder, not a module' : 'there is no such file'
  throw notFound(`${what}; ${cureFor(path)}`, path)
}

function findNamed(given: string, folder: string): FoundProcessor {
  const path = resolve(folder, given)
  if (kindOfPath(path) !== 'file') return { file: findModule(given, folder) }
  try {
    findModule(given, folder)
  } catch {
    // A package that is not there, or cannot be used, is no reason against the file.
    return { file: path }
  }
  const warning = `processor ${given}: the file is used, and not the package of that name; write ./${given} to say so`
  return { file: path, warning }
}

// ---- Packages ----

/** The real path of the module that the name means to an import in the folder. */
function findModule(given: string, folder: string): string {
  let url: URL
  try {
    url = moduleResolve(given, pathToFileURL(join(folder, '/')), importConditions())
  } catch (error) {
    throw explain(error, given, folder)
  }
  if (url.protocol === 'file:') return fileURLToPath(url)
  if (url.protocol === 'node:') throw notFound(ofNode(given), given)
  const path = resolve(folder, given)
  throw notFound(`there is no file ${path}; ${cureFor(path)}`, given)
}

/** What holds for an `import` in this Node. */
function importConditions(): Set<string> {
  const loadsSync: unknown = Reflect.get(process.features, 'require_module')
  return new Set(['node', 'import', 'node-addons', ...(loadsSync === true ? ['module-sync'] : [])])
}

/** The library's refusal, with the places and the cure. */
function explain(error: unknown, given: string, folder: string): ClsConsumerError {
  const { code, url } = readRefusal(error)
  if (url !== undefined) {
    const missing = `there is no file ${fileURLToPath(url)}, where ${given} leads`
    return notFound(`${missing}; build the package or install it again`, given, error)
  }
  const name = packageName(given)
  const at = findPackage(name, folder)
  if (code === 'ERR_PACKAGE_PATH_NOT_EXPORTED' && at !== undefined) {
    const lack = `does not export .${given.slice(name.length)} to an import; it exports ${exportedNames(at)}`
    return notFound(`package.json of ${at} ${lack}; name one of these, or give the path of its module`, given, error)
  }
  if (code === 'ERR_MODULE_NOT_FOUND' && at !== undefined) {
    const lack = 'names no module: it has neither exports nor a usable main'
    return notFound(`package.json of ${at} ${lack}; give the path of its module`, given, error)
  }
  const path = resolve(folder, given)
  const looked = `there is no file ${path}`
  if (code === 'ERR_MODULE_NOT_FOUND') return notFound(`${looked}${orPackage(name, path, folder)}`, given, error)
  const why = error instanceof Error ? error.message : String(error)
  return notFound(`${looked}, and as a package it cannot be used: ${why}; ${cureFor(path)}`, given, error)
}

/** `url`: where the name led by every rule, but there is no file. */
function readRefusal(error: unknown): { readonly code?: unknown; readonly url?: string } {
  if (!(error instanceof Error)) return {}
  const code: unknown = Reflect.get(error, 'code')
  const url: unknown = Reflect.get(error, 'url')
  return typeof url === 'string' ? { code, url } : { code }
}

/** `@scope/name/sub/path` → `@scope/name`. */
function packageName(given: string): string {
  const parts = given.split('/')
  return parts.slice(0, given.startsWith('@') ? 2 : 1).join('/')
}

/** The folder of the package that the library has found: the one around `folder`, if it may be named, or an installed one. */
function findPackage(name: string, folder: string): string | undefined {
  const around = upwards(folder)
  const own = around.find(at => kindOfPath(join(at, 'package.json')) === 'file')
  if (own !== undefined) {
    const settings = readSettings(own)
    if (settings.name === name && settings.exports !== undefined && settings.exports !== null) return own
  }
  return around.map(at => join(at, 'node_modules', name)).find(at => kindOfPath(at) === 'folder')
}

function upwards(folder: string): readonly string[] {
  const above = dirname(folder)
  return above === folder ? [folder] : [folder, ...upwards(above)]
}

/** Nothing where it cannot be read: the library has said so already. */
function readSettings(folder: string): { readonly name?: unknown; readonly exports?: unknown } {
  try {
    const settings: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    return typeof settings === 'object' && settings !== null ? settings : {}
  } catch {
    return {}
  }
}

/** A text, a list or conditions stand for `.` alone. */
function exportedNames(folder: string): string {
  const { exports } = readSettings(folder)
  const keys = typeof exports === 'object' && exports !== null ? Object.keys(exports) : []
  const dotted = keys.filter(key => key.startsWith('.'))
  const names = dotted.length === 0 ? ['.'] : dotted
  return `${names.slice(0, NAMES_MAX).join(', ')}${names.length > NAMES_MAX ? ', …' : ''}`
}

// ---- Cures ----

/** What would be right instead of a path that leads to no module. */
function cureFor(path: string): string {
  const near = nearFile(path)
  return near === undefined ? 'give the path of the module file' : `did you mean ${near}?`
}

/** A file without its ending or with another one, or the index of a folder. */
function nearFile(path: string): string | undefined {
  const stem = path.replace(/\.[cm]?[jt]s$/, '')
  const candidates = [path, stem, join(path, 'index')].flatMap(start => ENDINGS.map(ending => `${start}${ending}`))
  return candidates.find(candidate => kindOfPath(candidate) === 'file')
}

function orPackage(name: string, path: string, folder: string): string {
  if (ENDINGS.some(ending => path.endsWith(ending))) return `; ${cureFor(path)}`
  const install = nearFile(path) === undefined ? `install it (\`npm install ${name}\`), or ` : ''
  return `, and no package ${name} in the node_modules of ${folder} or above; ${install}${cureFor(path)}`
}

// ---- Below ----

function kindOfPath(path: string): 'file' | 'folder' | 'absent' {
  try {
    return statSync(path).isDirectory() ? 'folder' : 'file'
  } catch {
    return 'absent'
  }
}

function ofNode(name: string): string {
  return `${name} is a module of Node itself, not a processor`
}

function notFound(what: string, file: string, cause?: unknown): ClsConsumerError {
  return new ClsConsumerError('PROCESSOR_NOT_FOUND', `the processor cannot be found: ${what}`, { file, cause })
}
