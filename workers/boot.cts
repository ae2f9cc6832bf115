/**
 * The module that Piscina loads into each thread: `run-batch.ts`, as a promise.
 *
 * CommonJS, since Piscina asks `require` first, and Node 20 aborts the whole process where a thread is terminated while it
 * requires an ES module. `import()` bears it. Loads no user code: a module that fails here would keep the thread from booting.
 */
module.exports = import('./run-batch.ts').then(loaded => loaded.default)
