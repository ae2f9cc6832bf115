/**
 * Where the syntax error of an ES module is.
 *
 * In: the path of a module that did not parse. Out: the line in it, or that it is rather in what the file imports, or
 * that nobody can tell. The error of an import of an ES module has lost the place, so a second Node is asked, which
 * parses and runs nothing. Must never happen: a thread that waits for that Node without a limit.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'

const CHECK_MS_MAX = 10_000

export type SyntaxPlace =
  /** `place`: `path:line`. */
  | { readonly kind: 'in-file'; readonly place: string }
  /** The file itself is sound. */
  | { readonly kind: 'in-imports' }
  | { readonly kind: 'unknown' }

export async function syntaxPlace(path: string): Promise<SyntaxPlace> {
  const source = await readFile(path).catch(() => undefined)
  if (source === undefined) return { kind: 'unknown' }
  return new Promise(resolve => {
    // This thread's environment, from which the secrets are gone (I9).
    const options = { env: process.env, timeout: CHECK_MS_MAX, windowsHide: true }
    // Not by its path: where only the syntax tells that a .js file is an ES module, `--check` finds nothing wrong.
    const check = execFile(process.execPath, ['--input-type=module', '--check', '-'], options, (error, _, stderr) => {
      const line = /^\[stdin\](:\d+)$/m.exec(stderr)?.[1]
      if (line !== undefined) resolve({ kind: 'in-file', place: `${path}${line}` })
      else resolve({ kind: error === null ? 'in-imports' : 'unknown' })
    })
    // A Node that ends before it has read all has said so by its exit.
    check.stdin?.on('error', () => undefined)
    check.stdin?.end(source)
  })
}
