/**
 * `npm run bench -- end-to-end [--case NAME] [--quick] [--json FILE]`: the same as `cls-consumer bench --case all`.
 *
 * Runs by hand, on a machine that does nothing else: all cases take about 20 minutes, 8 of them for the memory of a
 * processor that is too slow.
 */
const flags = process.argv.slice(3)
const names = flags.some(flag => /^--case(=|$)/.test(flag)) ? [] : ['--case', 'all']
process.argv.splice(2, Number.POSITIVE_INFINITY, 'bench', ...names, ...flags)
await import('../src/cli.ts')

export {}
