/** `npm run bench -- NAME [--json FILE]`: runs one benchmark. `report FILE` prints a stored result as Markdown. */
const NAMES = ['decode', 'emulator', 'end-to-end', 'kernel-stages', 'report'] as const

const name = NAMES.find(known => known === process.argv[2])
if (name === undefined) {
  process.stderr.write(`usage: npm run bench -- ${NAMES.join('|')} [--json FILE]\n`)
  process.exitCode = 2
} else {
  await import(`./${name}.js`)
}
