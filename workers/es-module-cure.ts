/**
 * What helps where an ES module was taken for CommonJS: the commonest mistake with a processor, since `npm init` writes
 * `"type": "commonjs"`.
 *
 * In: the file that did not parse, what its parsing threw. Out: the cure, with the name to give the file and the
 * package.json that decides; or undefined, where the error is of another kind. Must never happen: advice to change a
 * package that somebody else has installed.
 */
import { existsSync } from 'node:fs'
import { basename, dirname, join, sep } from 'node:path'

/** Node goes by these words of its engine itself, and gives no code. */
const ES_MODULE_WORDS = /outside a module$|^Unexpected \w+ 'export'$/

/** Of an ES module, whatever any package.json says. */
const SURE_ENDINGS = { '.js': '.mjs', '.cjs': '.mjs', '.ts': '.mts', '.cts': '.mts' } as const satisfies Record<
  string,
  string
>

export function esModuleCure(file: string, error: SyntaxError): string | undefined {
  if (!ES_MODULE_WORDS.test(error.message)) return undefined
  const what = 'it is an ES module, and Node takes it for CommonJS'
  if (file.includes(`${sep}node_modules${sep}`)) return `${what}: its package lacks "type": "module"`
  for (const [ending, sure] of Object.entries(SURE_ENDINGS)) {
    if (!file.endsWith(ending)) continue
    const name = `${what}: name it ${basename(file, ending)}${sure}`
    // Of these two the ending alone decides.
    if (ending === '.cjs' || ending === '.cts') return name
    return `${name}, or set "type": "module" in ${nearestPackage(file) ?? 'a package.json beside it'}`
  }
  return undefined
}

/**
 * The package.json by which Node judges the file, if there is one. Looked for without waiting: of a CommonJS file that an
 * ES module imports Node 20 throws the error once more, uncaught, and the thread must have answered by then.
 */
function nearestPackage(file: string): string | undefined {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const found = join(folder, 'package.json')
    if (existsSync(found)) return found
    if (folder === dirname(folder)) return undefined
  }
}
