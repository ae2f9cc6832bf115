/** A moving status below lines that stay. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { columnCount, createScreen } from '../../src/cli/screen.ts'

function terminal(isTTY: boolean, columns = 20) {
  let written = ''
  const screen = createScreen({
    isTTY,
    columns,
    write: text => {
      written += text
    }
  })
  return { screen, written: () => written }
}

const CLEAR = '\r\x1b[2K'

test('where there is no terminal, only lines are written', () => {
  const { screen, written } = terminal(false)
  screen.status('50 %')
  screen.line('one')
  screen.aside(() => undefined)
  screen.close()
  assert.equal(screen.live, false)
  assert.equal(written(), 'one\n')
})

test('on a terminal the status is cleared for a line, and comes back below it', () => {
  const { screen, written } = terminal(true)
  screen.status('50 %')
  screen.line('one')
  assert.equal(written(), `${CLEAR}50 %${CLEAR}one\n50 %`)
})

test('what is written aside does not mix with the status', () => {
  const { screen, written } = terminal(true)
  screen.status('50 %')
  let during = ''
  screen.aside(() => {
    during = written()
  })
  assert.ok(during.endsWith(CLEAR))
  assert.ok(written().endsWith('50 %'))
})

test('a status never reaches the last column, and is gone after close', () => {
  const { screen, written } = terminal(true, 10)
  screen.status('0123456789abc')
  assert.equal(written(), `${CLEAR}01234567…`)
  screen.close()
  screen.line('end')
  assert.equal(written(), `${CLEAR}01234567…${CLEAR}end\n`)
})

test('a terminal that does not know its width counts as one of 80 columns', () => {
  const { screen, written } = terminal(true, 0)
  screen.status('x'.repeat(100))
  assert.equal(written(), `${CLEAR}${'x'.repeat(78)}…`)
  const write = () => undefined
  assert.deepEqual(
    [{ write }, { columns: 0, write }, { columns: 132, write }].map(sink => columnCount(sink)),
    [80, 80, 132]
  )
})
