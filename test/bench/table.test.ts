import assert from 'node:assert/strict'
import { test } from 'node:test'
import { figure, percent, printMarkdown, printText } from '../../bench/table.ts'

const TABLE = {
  textColumns: 1,
  columns: ['what', 'ms'],
  rows: [
    ['one', '12.5'],
    ['three', '3']
  ]
}

test('in a terminal texts stand left and figures right', () => {
  assert.equal(printText(TABLE), 'what     ms\none    12.5\nthree     3\n')
})

test('as Markdown too', () => {
  assert.equal(printMarkdown(TABLE), '| what | ms |\n| --- | ---: |\n| one | 12.5 |\n| three | 3 |\n')
})

test('a figure has three digits, a whole number all of its own', () => {
  const given = [0.0123456, 1.5, 42.4242, 99.96, 1234.4, 0]
  assert.deepEqual(given.map(figure), ['0.0123', '1.5', '42.4', '100', '1234', '0'])
  assert.equal(percent(0.01234), '1.23 %')
})
