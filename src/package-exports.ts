/**
 * Which file of a package a name means, by the `exports` of its package.json.
 *
 * In: `exports` as it was written (untrusted), the subpath asked for, the conditions that hold. Out: a path within the
 * package, or why there is none. The rules are those of Node's own `import`, which offers no way to ask from another
 * folder: https://nodejs.org/api/esm.html#resolution-algorithm-specification. Must never happen: a path that leads out
 * of the package.
 */

export type Exported =
  | { readonly kind: 'file' /** Relative to the package, such as `./dist/a.js`. */; readonly path: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'invalid'; readonly why: string }

/**
 * Beside these: `null`, told to be absent, which no later condition undoes; and what is wrong not with one path but with
 * the whole, which no other item of a list makes good.
 */
type Target = Exported | { readonly kind: 'blocked' } | { readonly kind: 'spoilt'; readonly why: string }

/** `subpath` is `.` for the package itself, else `./…`. */
export function resolveExports(exports: unknown, subpath: string, conditions: ReadonlySet<string>): Exported {
  const bySubpath = toSubpaths(exports)
  if (bySubpath === undefined) return invalid('its exports have keys with and without a leading "."')
  const { key, match } = pickKey([...bySubpath.keys()], subpath)
  if (key === undefined) return { kind: 'none' }
  const target = resolveTarget(bySubpath.get(key), match, conditions)
  if (target.kind === 'blocked') return { kind: 'none' }
  return target.kind === 'spoilt' ? invalid(target.why) : target
}

/** What a package offers, for an error. */
export function exportedNames(exports: unknown): string[] {
  return [...(toSubpaths(exports)?.keys() ?? [])]
}

/** A text, a list or conditions stand for `.` alone. */
function toSubpaths(exports: unknown): ReadonlyMap<string, unknown> | undefined {
  if (typeof exports !== 'object' || exports === null || Array.isArray(exports)) return new Map([['.', exports]])
  const entries: [string, unknown][] = Object.entries(exports)
  const dotted = entries.filter(([key]) => key.startsWith('.'))
  if (dotted.length === 0) return new Map([['.', exports]])
  return dotted.length === entries.length ? new Map(dotted) : undefined
}

/** The key that is the subpath, else the pattern (`./a/*.js`) that fits with the longest text before its `*`. */
function pickKey(keys: readonly string[], subpath: string): { key?: string; match?: string } {
  if (keys.includes(subpath) && !subpath.includes('*') && !subpath.endsWith('/')) return { key: subpath }
  const [key] = keys.filter(candidate => fits(candidate, subpath)).sort(bySpecificity)
  if (key === undefined) return {}
  const [before = '', after = ''] = key.split('*')
  return { key, match: subpath.slice(before.length, subpath.length - after.length) }
}

function fits(pattern: string, subpath: string): boolean {
  const [before, after, more] = pattern.split('*')
  if (before === undefined || after === undefined || more !== undefined) return false
  return subpath.length >= pattern.length && subpath.startsWith(before) && subpath.endsWith(after)
}

function bySpecificity(a: string, b: string): number {
  return b.indexOf('*') - a.indexOf('*') || b.length - a.length
}

function resolveTarget(target: unknown, match: string | undefined, conditions: ReadonlySet<string>): Target {
  if (typeof target === 'string') return resolveText(target, match)
  if (target === null) return { kind: 'blocked' }
  if (Array.isArray(target)) return resolveList(target, match, conditions)
  if (typeof target !== 'object') return invalid(`its exports hold ${String(target)} where a path was expected`)
  const entries: [string, unknown][] = Object.entries(target)
  if (entries.some(([key]) => /^(0|[1-9]\d*)$/.test(key))) {
    return { kind: 'spoilt', why: 'its exports have a number for a condition' }
  }
  for (const [key, inner] of entries) {
    if (key !== 'default' && !conditions.has(key)) continue
    const found = resolveTarget(inner, match, conditions)
    if (found.kind !== 'none') return found
  }
  return { kind: 'none' }
}

/** The first that leads to a file. */
function resolveList(targets: readonly unknown[], match: string | undefined, conditions: ReadonlySet<string>): Target {
  let last: Target = { kind: targets.length === 0 ? 'blocked' : 'none' }
  for (const target of targets) {
    const found = resolveTarget(target, match, conditions)
    if (found.kind === 'file' || found.kind === 'spoilt') return found
    if (found.kind !== 'none') last = found
  }
  return last
}

function resolveText(target: string, match: string | undefined): Target {
  if (!target.startsWith('./') || leadsOut(target.slice(2))) {
    return invalid(`its exports hold ${JSON.stringify(target)}, which is no path within the package`)
  }
  if (match === undefined) return { kind: 'file', path: target }
  if (leadsOut(match)) return { kind: 'spoilt', why: `${JSON.stringify(match)} is no path within it` }
  return { kind: 'file', path: target.replaceAll('*', () => match) }
}

/** Percent-encoded too: the path is read as a URL. */
function leadsOut(path: string): boolean {
  const segments = path.split(/[/\\]/).map(segment => segment.replace(/%([0-7][\da-f])/gi, fromHex).toLowerCase())
  return segments.some(segment => segment === '.' || segment === '..' || segment === 'node_modules')
}

function fromHex(_escape: string, digits: string): string {
  return String.fromCharCode(Number.parseInt(digits, 16))
}

function invalid(why: string): Exported {
  return { kind: 'invalid', why }
}
