// graphile-worker. Speaks the conversation of protocol.py.
import { createInterface } from "node:readline";
import { readFileSync, writeSync } from "node:fs";
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";

const BULK = 1000;
const quiet = new Logger(() => () => {});
const ledger = { ran: [], times: [], first: 0, last: 0, expect: 0, timed: false };
let pool, utils, runner;

// The same clock as Python's time.monotonic().
const now = () => Number(process.hrtime.bigint()) / 1e9;
const cpu = () => {
  const used = process.resourceUsage();
  return (used.userCPUTime + used.systemCPUTime) / 1e6;
};
const say = (message) => {
  let data = Buffer.from(JSON.stringify(message) + "\n");
  while (data.length) {
    try {
      data = data.subarray(writeSync(1, data));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
};
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

async function handle(payload) {
  ledger.ran.push(payload.n);
  if (ledger.timed) ledger.times.push(now());
  if (ledger.ran.length === 1) ledger.first = now();
  if (ledger.ran.length === ledger.expect) {
    ledger.last = now();
    say({ event: "ran", runs: ledger.ran.length, at: ledger.last });
  }
}

const commands = {
  async open({ dsn }) {
    pool = new pg.Pool({ connectionString: dsn, max: 12 });
    pool.on("error", () => {});
    const packaged = (name) => {
      const file = new URL(`node_modules/${name}/package.json`, import.meta.url);
      return JSON.parse(readFileSync(file, "utf8")).version;
    };
    return {
      unfinished: "SELECT count(*) FROM graphile_worker._private_jobs",
      finished: null,
      // The configuration of its performance page: 24 at a time, a local queue of 500 and
      // completions batched with no delay.
      best: "concurrentJobs 24, localQueue.size 500, completeJobBatchDelay 0",
      ten: "concurrentJobs 10",
      versions: { "graphile-worker": packaged("graphile-worker"), pg: packaged("pg") },
      python: `node ${process.versions.node}`,
    };
  },
  async setup() {
    const made = await makeWorkerUtils({ pgPool: pool, logger: quiet });
    await made.migrate();
    await made.release();
    return {};
  },
  async enqueue({ first, tasks, how, pad, pause_between = null }) {
    utils ??= await makeWorkerUtils({ pgPool: pool, logger: quiet });
    const ballast = pad ? { pad: "x".repeat(pad) } : {};
    const sent = [];
    const before = cpu();
    const started = now();
    if (how === "bulk") {
      for (let at = first; at < first + tasks; at += BULK) {
        const specs = [];
        for (let n = at; n < Math.min(at + BULK, first + tasks); n++) {
          specs.push({ identifier: "bench", payload: { n, ...ballast } });
        }
        await utils.addJobs(specs);
      }
    } else {
      for (let n = first; n < first + tasks; n++) {
        if (pause_between !== null) {
          await pause(pause_between * (0.5 + ((n * 7919) % 1000) / 1000));
          sent.push(now());
        }
        await utils.addJob("bench", { n, ...ballast });
      }
    }
    return { seconds: now() - started, cpu: cpu() - before, sent };
  },
  async work({ mode, expect, timed = false }) {
    Object.assign(ledger, { expect, timed });
    const started = now();
    const worker =
      mode === "ten"
        ? { concurrentJobs: 10 }
        : {
            concurrentJobs: 24,
            localQueue: { size: 500 },
            completeJobBatchDelay: 0,
            failJobBatchDelay: 0,
          };
    runner = await run({
      pgPool: pool,
      taskList: { bench: handle },
      noHandleSignals: true,
      preset: { worker: { ...worker, logger: quiet } },
      logger: quiet,
      parsedCronItems: [],
    });
    return { started };
  },
  async progress() {
    return { runs: ledger.ran.length };
  },
  async usage() {
    return { cpu: cpu() };
  },
  async claims() {
    throw new Error("NotImplementedError");
  },
  async stop({ numbers = false }) {
    if (runner) await runner.stop();
    const times = new Map();
    for (const n of ledger.ran) times.set(n, (times.get(n) ?? 0) + 1);
    return {
      runs: ledger.ran.length,
      distinct: times.size,
      repeated: [...times].filter(([, count]) => count > 1).map(([n]) => n).slice(0, 10),
      numbers: numbers || ledger.timed ? ledger.ran : [],
      times: ledger.times,
      first: ledger.first,
      last: ledger.last,
    };
  },
};

const lines = createInterface({ input: process.stdin });
lines.on("close", () => process.exit(0));
for await (const line of lines) {
  const { do: command, ...rest } = JSON.parse(line);
  try {
    say(await commands[command](rest));
  } catch (error) {
    say({ error: String(error?.stack ?? error) });
  }
}
