/** The source tree as the tests of the repository look at it. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

/** The repository's root, from `dist/test/support`. */
export const ROOT = resolve(import.meta.dirname, '../../..')

export interface SourceFile {
  /** From the root, with `/`. */
  readonly path: string
  readonly text: string
  /** Without comments, and with texts emptied. */
  readonly code: string
  readonly imports: readonly Import[]
}

export interface Import {
  /** From the root for files of the tree, else the package or `node:` module. */
  readonly target: string
  readonly isTypeOnly: boolean
}

export function readSources(...folders: readonly string[]): SourceFile[] {
  return folders.flatMap(folder =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter(file => file.endsWith('.ts'))
      .sort()
      .map(file => readSource(join(folder, file)))
  )
}

function readSource(path: string): SourceFile {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const imports = [...text.matchAll(/^(?:import|export)\s(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm)].map(match => ({
    target: resolveTarget(path, match[2] ?? ''),
    isTypeOnly: match[1] !== undefined
  }))
  return { path, text, code: withoutCommentsAndTexts(text), imports }
}

function resolveTarget(from: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier
  return relative(ROOT, resolve(ROOT, dirname(from), specifier))
}

function withoutCommentsAndTexts(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|\s)\/\/.*$/gm, '')
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''")
    .replace(/`(?:[^`\\]|\\.)*`/g, '``')
}
