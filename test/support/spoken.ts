/**
 * What a source puts into words: the holes of its template literals, and the arguments of log calls, errors, printing and
 * turning into text. Comments and the texts themselves are left out; what remains are the values.
 */

const COMMENT_OR_TEXT = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/gm

const SPEAKS =
  /\$\{|\b(?:log|logger|console)\.\w+\(|\bnew (?:\w*Error|Wrong)\(|\.write\(|\b(?:JSON\.stringify|printJson|inspect|String)\(/g

/** Each from its opening to the bracket that closes it. */
export function spokenIn(source: string): string[] {
  const values = source.replace(COMMENT_OR_TEXT, found => {
    if (found.startsWith('/')) return ''
    return found.startsWith('`') ? holesOf(found) : "''"
  })
  return [...values.matchAll(SPEAKS)].map(({ index, 0: opening }) => untilClosed(values, index, opening))
}

/** A template literal without its words, which may hold quotes and brackets. */
function holesOf(template: string): string {
  const holes = [...template.matchAll(/\$\{/g)].map(({ index, 0: opening }) => untilClosed(template, index, opening))
  return `(${holes.join(' ')})`
}

function untilClosed(text: string, index: number, opening: string): string {
  let depth = 1
  let end = index + opening.length
  while (end < text.length && depth > 0) {
    const character = text.charAt(end)
    if ('([{'.includes(character)) depth += 1
    if (')]}'.includes(character)) depth -= 1
    end += 1
  }
  return text.slice(index, end)
}
