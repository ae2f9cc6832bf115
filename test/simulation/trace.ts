/**
 * What happened in one run, for a person to follow.
 *
 * In: happenings, and what was found. Out: lines: all of them, or the last that have to do with the partitions concerned.
 */
import type { Finding } from './findings.ts'

export class Trace {
  readonly #lines: { readonly text: string; readonly what: string }[] = []

  readonly add = (atMs: number, where: string, what: string): void => {
    const text = `${(atMs / 1000).toFixed(3).padStart(9)}  ${where.padEnd(10)} ${what}`
    this.#lines.push({ text, what })
  }

  lines(): string[] {
    return this.#lines.map(({ text }) => text)
  }

  /** Of these partitions, and of what concerns all; of everything, where no partition is named. */
  tail(count: number, places: readonly string[]): string[] {
    const concerns = places.flatMap(place => {
      const [topicId, partition] = place.split('#')
      return [`${place}:`, `${place} `, `topicId=${topicId} partition=${partition} `]
    })
    const ofAll = /lease lost|is no more|the group|storm|everybody|process (goes|throws|rewinds)/
    const isOf = (what: string): boolean =>
      places.length === 0 || ofAll.test(what) || concerns.some(part => `${what} `.includes(part))
    const kept = this.#lines.filter(({ what }) => isOf(what))
    return kept.slice(-count).map(({ text }) => text)
  }
}

/** The partitions that are found fault with, as `topic#1`. */
export function placesIn(findings: readonly Finding[]): string[] {
  return [...new Set(findings.flatMap(({ message }) => message.match(/[\w-]+#\d+/g) ?? []))]
}
