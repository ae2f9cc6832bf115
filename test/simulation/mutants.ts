/**
 * Edits that break the product, each in one place: what the simulation must convict.
 *
 * In: nothing. Out: a table. `from` stands in its file exactly once; a row that does not fit any more is an error, not a
 * pass. A mutant that survives is a hole in the simulation.
 */
export interface Mutant {
  /** What it does wrong. */
  readonly name: string
  readonly file: string
  readonly from: string
  readonly to: string
}

export const MUTANTS: readonly Mutant[] = [
  // ---- commit/ ----
  {
    name: 'commits the highest offset instead of the settled prefix',
    file: 'src/commit/frontier.ts',
    from: `    for (let head = this.#slots[0]; head?.nextOffset !== undefined; head = this.#slots[0]) {
      this.#slots.shift()
      this.#next = head.nextOffset
    }`,
    to: `    this.#slots.splice(this.#slots.indexOf(slot), 1)
    if (nextOffset > this.#next) this.#next = nextOffset`
  },
  {
    name: 'commits what is dispatched',
    file: 'src/tenure.ts',
    from: `    this.#handlers.dispatched(batch)
`,
    to: `    this.#handlers.dispatched(batch)
    if (batch.peekedOffset !== undefined) this.#handlers.progressed(batch.peekedOffset)
`
  },
  {
    name: 'has two commits in flight',
    file: 'src/commit/committer.ts',
    from: '    if (this.#inFlight !== undefined) return this.#inFlight\n',
    to: ''
  },
  {
    name: 'does not check the lease at a commit',
    file: 'src/stages.ts',
    from: 'leaseRemainingMs: () => this.#lease.remainingMs(world.clock.monotonic())',
    to: 'leaseRemainingMs: () => 1e6 + world.clock.monotonic()'
  },
  {
    name: 'goes on committing what belongs to an ended epoch',
    file: 'src/commit/committer.ts',
    from: 'if (this.#entries.get(keyOf(epoch))?.epoch.epoch === epoch.epoch) this.#entries.delete(keyOf(epoch))',
    to: 'void epoch'
  },
  {
    name: 'takes a commit that was not acknowledged for acknowledged',
    file: 'src/commit/committer.ts',
    from: `      if (error.remedy === 'retry') this.#handlers.failed(error, entries.length)
`,
    to: `      if (error.remedy === 'retry') for (const { entry, offset } of sent) this.#acknowledge(entry, offset)
`
  },
  {
    name: 'releases a partition without its last commit',
    file: 'src/tenures.ts',
    from: '!(await committer.flush([epoch], LAST_COMMIT_MS))',
    to: 'false'
  },

  // ---- tenure ----
  {
    name: 'drops the epoch check around a verdict',
    file: 'src/tenure.ts',
    from: `      hasEnded: () => !handlers.checkLease() || this.#phase === 'ended',`,
    to: '      hasEnded: () => false,'
  },
  {
    name: 'settles a batch before its result is taken',
    file: 'src/settler.ts',
    from: 'return (await deliver(answer.result, place, signal)) ? { kind',
    to: 'void deliver(answer.result, place, signal).catch(() => undefined); return true ? { kind'
  },
  {
    name: 'passes a batch whose process failed, whatever the policy is',
    file: 'src/last-resort.ts',
    from: `      case 'park':
        return { kind: this.#policy, error }
      case 'skip':
        return await this.#skipBatch(attempt, error)`,
    to: `      case 'park':
      case 'skip':
        return await this.#skipBatch(attempt, error)`
  },
  {
    name: 'ignores messages whose next offset does not lead on',
    file: 'workers/decode.ts',
    from: `  if (messageCount === 0) return
  if (nextOffset`,
    to: `  if (messageCount >= 0) return
  if (nextOffset`
  },
  {
    name: 'keeps what was pulled behind a wrong guess',
    file: 'src/fetch/handed-on.ts',
    from: `return nextOffset === basis ? 'right' : 'wrong'`,
    to: `return nextOffset === basis ? 'right' : 'right'`
  },
  {
    name: 'keeps the batches that wait behind a wrong guess',
    file: 'src/tenure.ts',
    from: `    this.#dispatcher.dropQueued(this.epoch)
    this.#progress.truncateAfter(waiting)
    this.#supply.pump()`,
    to: `    this.#supply.pump()`
  },

  // ---- group/ ----
  {
    name: 'does not commit the start',
    file: 'src/group/start-position.ts',
    from: 'mustCommit: start.offset >= 0n && !isSpent',
    to: 'mustCommit: false && isSpent'
  },
  {
    name: 'looks at the partitions after their positions',
    file: 'src/group/start-position.ts',
    from: `    partitions,
    partitionsAtJoin
  }
  // Another`,
    to: `    partitions: await control.describePartitions(topicId, { signal }),
    partitionsAtJoin
  }
  // Another`
  },
  {
    name: 'reads an error as no offset',
    file: 'src/group/start-position.ts',
    from: '    control.describeConsumerOffsets({ group, topicId, from }, { signal })\n',
    to: '    control.describeConsumerOffsets({ group, topicId, from }, { signal, deadlineMs: 50 }).catch(() => new Map())\n'
  },
  {
    name: 'begins at the end of a child of what was read',
    file: 'src/group/start-position.ts',
    from: '  if (parent !== undefined)\n',
    to: '  if (parent === -1)\n'
  },
  {
    name: 'leaves a revoked partition out of the heartbeat early',
    file: 'src/group/holdings.ts',
    from: '        .filter(holding => holding.id.topicId === topicId)',
    to: `        .filter(holding => holding.id.topicId === topicId && holding.phase !== 'draining')`
  },
  {
    name: 'counts the lease from the answer',
    file: 'src/group/membership.ts',
    from: 'this.#lease.acknowledge(sentMs)',
    to: 'this.#lease.acknowledge(clock.monotonic())'
  },
  {
    name: 'goes on with its epochs after the lease',
    file: 'src/group/membership.ts',
    from: `    const epochs = this.#holdings.loseAll()
`,
    to: `    const epochs: Epoch[] = []
`
  },
  {
    name: 'stops its heartbeats before its last release',
    file: 'src/consumer.ts',
    from: `    await tenures.closeAll()
    // 5. Heartbeats stop last.
    await membership.leave()`,
    to: `    const closing = tenures.closeAll()
    await membership.leave()
    await closing`
  },
  {
    name: 'releases a partition while its batch runs',
    file: 'src/tenures.ts',
    from: '    await dispatcher.drain(epoch, patienceMs, reason)\n',
    to: '    void dispatcher.drain(epoch, patienceMs, reason).catch(() => undefined)\n'
  },
  {
    name: 'goes to the end where an offset has expired and the beginning was asked for',
    file: 'src/repositioner.ts',
    from: 'startOffset = await starts.ownPosition(tenure.epoch, from, offset)',
    to: `startOffset = await starts.ownPosition(tenure.epoch, 'end', offset)`
  },

  // ---- dispatch/ and threads ----
  {
    name: 'takes a thread for dead before its exit',
    file: 'src/dispatch/thread-pool.ts',
    from: `    slot.end()
    if (isNews) this.#handlers?.onFailing(slot.thread)`,
    to: `    if (isNews) return this.#onExit(slot, tenant, 1)
    slot.end()`
  },
  {
    name: 'forgets the batch of a thread that was terminated',
    file: 'src/dispatch/runs.ts',
    from: '      if (this.#isWanted(seat, batch)) lanes.reopen(seat)\n      else this.#discard(seat, batch)',
    to: '      this.#discard(seat, batch)'
  },
  {
    name: 'loses the retry of a batch whose thread died',
    file: 'src/dispatch/runs.ts',
    from: `      this.#endBackoff(seat)
      this.pump(seat.thread)
    })`,
    to: `      this.pump(seat.thread)
    })`
  },
  {
    name: 'opens the next batch before the last answer is dealt with',
    file: 'src/dispatch/runs.ts',
    from: `    await this.#parts.handlers.answered(batch, answer, attempt)
    this.#parts.lanes.close(seat)`,
    to: `    this.#parts.lanes.close(seat)
    await this.#parts.handlers.answered(batch, answer, attempt)`
  },
  {
    name: 'moves a partition while its batch is open',
    file: 'src/dispatch/seating.ts',
    from: '    await openBatches.rest(seat)\n    if (!this.#mayLeave(seat)) return false\n',
    to: '    seat.open = undefined\n'
  },
  {
    name: 'starts a batch past the lease',
    file: 'workers/open-batch.ts',
    from: '!(world.monotonic() < world.leaseEndMs())',
    to: 'false'
  },
  {
    name: 'starts a batch that was aborted before',
    file: 'workers/aborts.ts',
    from: '    if (attempt <= abortedAttempt) return undefined\n',
    to: ''
  },
  {
    name: 'reuses the memory of a batch that is open',
    file: 'workers/open-batch.ts',
    from: '    return await decodeAndProcess(task, world, signal, memory)\n',
    to: '    return decodeAndProcess(task, world, signal, memory)\n'
  },

  // ---- failure/ ----
  {
    name: 'takes a result that failed for delivered',
    file: 'src/failure/deliver.ts',
    from: `      retried(error, waitMs, attempt)
`,
    to: `      retried(error, waitMs, attempt)
      return true
`
  },
  {
    name: 'offers a result past the lease',
    file: 'src/tenures.ts',
    from: 'mayOffer: () => membership.checkLease()',
    to: 'mayOffer: () => true'
  },

  // ---- fetch/ ----
  {
    name: 'never repeats a pull whose answer was lost',
    file: 'src/fetch/read-ahead.ts',
    from: `    this.dropFrom(pull)
    this.#parts.handlers.broke(pull, error)`,
    to: `    this.dropFrom(pull)
    if (error.code !== 'API_TIMEOUT') this.#parts.handlers.broke(pull, error)`
  },
  {
    name: 'reads a committed offset through a double',
    file: 'src/cls/control-answers.ts',
    from: 'if (offset !== -1n) offsets.set(partition, offset)',
    to: 'if (offset !== -1n) offsets.set(partition, BigInt(Number(offset)))'
  },
  {
    name: 'never gives the bytes of a batch back',
    file: 'src/fetch/pull-list.ts',
    from: `    const byteCount = heldBytesOf(batch.body)
    this.#budget.resize(byteCount, 0)`,
    to: `    const byteCount = heldBytesOf(batch.body)`
  },

  // ---- failures by policy ----
  {
    name: 'passes a batch before its dead letters are synced',
    file: 'src/failure/dead-letter-file.ts',
    from: '      await open.file.sync()\n',
    to: '      void open.file.sync().catch(() => undefined)\n'
  },
  {
    name: 'takes a new file of dead letters for safe before its directory is synced',
    file: 'src/failure/dead-letter-file.ts',
    from: '      if (open.syncedBytes === 0) await this.#world',
    to: '      if (open.syncedBytes === 0) void this.#world'
  },
  {
    name: 'passes a batch whose dead letters could not be written',
    file: 'src/failure/set-aside.ts',
    from: '      if (waitMs === undefined) throw error\n',
    to: '      if (waitMs === undefined) return\n'
  },
  {
    name: 'forgets the logs that a processor sets aside',
    file: 'src/settler.ts',
    from: '    if (answer.letters.length > 0) {',
    to: '    if (answer.letters.length < 0) {'
  },
  {
    name: 'forgets the messages that cannot be decoded',
    file: 'src/settler.ts',
    from: '    if (answer.poison.length > 0) {',
    to: '    if (answer.poison.length < 0) {'
  },
  {
    name: 'forgets the groups that a processor sets aside',
    file: 'workers/marks.ts',
    from: '    if (group !== undefined) this.#letters.addGroup(',
    to: '    if (group !== undefined && log !== undefined) this.#letters.addGroup('
  },
  {
    name: 'gives a batch up at its first failure',
    file: 'src/dispatch/runs.ts',
    from: `stage === 'process' && REMEDIES[failure.code] !== 'fix-input'`,
    to: `stage === 'process' && REMEDIES[failure.code] === 'fix-input'`
  },
  {
    name: 'dead-letters only the first message of a batch',
    file: 'src/failure/letters.ts',
    from: '  return messages.map((raw, messageIndex) => {',
    to: '  return messages.slice(0, 1).map((raw, messageIndex) => {'
  },
  {
    name: 'goes on behind a batch that parked its partition',
    file: 'src/tenure.ts',
    from: `        if (isAtWork) this.#park(verdict.error)
        return`,
    to: `        if (batch.peekedOffset !== undefined) this.#settle(waiting, batch.peekedOffset)
        return`
  },

  // ---- rewinds, and what is saved ----
  {
    name: 'commits what is settled in commit mode manual',
    file: 'src/progress.ts',
    from: 'return this.saves?.offset ?? this.#frontier?.nextOffset',
    to: 'return this.#frontier?.nextOffset'
  },
  {
    name: 'goes on where it was when a thread has died with what it had not saved',
    file: 'src/repositioner.ts',
    from: 'if (saves === undefined || !tenure.hasUnsaved || !mayReposition(tenure) || isHalted(tenure)) return\n',
    to: 'if (saves !== undefined || phase !== undefined) return\n'
  },
  {
    name: 'lets the old epoch commit behind a rewind',
    file: 'src/repositioner.ts',
    from: `    tenure.end()
    committer.forget(tenure.epoch)`,
    to: '    committer.forget(tenure.epoch)'
  },
  {
    name: 'counts a batch that rewinds as processed',
    file: 'workers/open-batch.ts',
    from: `  if (rewindOffset !== undefined) return { kind: 'rewound', offset: rewindOffset }
`,
    to: ''
  },
  {
    name: 'goes on past the end of the log',
    file: 'src/log-end.ts',
    from: 'endOffset !== undefined && endOffset < offset ?',
    to: 'endOffset !== undefined && endOffset < 0n ?'
  },
  {
    name: 'goes on past the end of the log where the service fails to tell it',
    file: 'src/log-end.ts',
    from: '    if (!WILL_NOT_TELL.includes(error.code)) throw error\n',
    to: ''
  },
  {
    name: 'sends a commit again whose epoch has ended meanwhile',
    file: 'src/commit/committer.ts',
    from: 'maySend: () => entries.every(entry => this.#isCurrent(entry))',
    to: 'maySend: () => true'
  }
]
