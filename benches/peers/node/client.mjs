// The loads of ../clients/measure.py on the official client: `node client.mjs receive --port 3000 --pid 123`.
// Websocket only, by ws with bufferutil, without compression.
import { readFileSync, readdirSync } from "node:fs";
import { parseArgs } from "node:util";

const { values: options, positionals: [mode] } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: "string" }, pid: { type: "string" }, json: { type: "boolean" }, version: { type: "boolean" },
    seconds: { type: "string", default: "2" }, clients: { type: "string", default: "1" }, "in-flight": { type: "string", default: "1" },
  },
});
const version = (name) => `${name} ${JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version}`;
if (options.version) {
  console.log([...["socket.io-client", "engine.io-client", "ws", "bufferutil"].map(version), `node ${process.versions.node}`].join(", "));
  process.exit(0);
}

const { io } = await import("socket.io-client");
const PAYLOAD = "The quick brown fox jumps over the lazy dog";
const [BURST, FIRST_BURST, CONNECTING, EMITS_PER_TURN] = [0.25, 500, 100, 256];
const url = `http://127.0.0.1:${options.port}`;
const fail = (why) => {
  console.error(why);
  process.exit(1);
};
const turn = () => new Promise(setImmediate);
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

function connect() {
  const socket = io(url, { transports: ["websocket"], forceNew: true, reconnection: false, perMessageDeflate: false });
  return new Promise((resolve, reject) => {
    socket.once("connect", () => resolve(socket));
    socket.once("connect_error", reject);
  });
}

function serverCpu() {
  const tasks = readdirSync(`/proc/${options.pid}/task`);
  return tasks.reduce((sum, task) => sum + Number(readFileSync(`/proc/${options.pid}/task/${task}/schedstat`, "utf8").split(" ")[0]) / 1e9, 0);
}

function usage() {
  const [begun, cpu, server] = [performance.now(), process.cpuUsage(), serverCpu()];
  return (count) => {
    const seconds = (performance.now() - begun) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const used = (user + system) / 1e6;
    return { count, seconds, per_second: count / seconds, cpu_us_per: (used * 1e6) / count, client_busy: used / seconds, load_busy: (serverCpu() - server) / seconds };
  };
}

async function inBursts(burst) {
  let size = FIRST_BURST;
  for (let warm = 0; warm < 4; warm++) {
    const begun = performance.now();
    await burst(size);
    size = Math.max(FIRST_BURST, Math.floor((size * BURST * 1000) / (performance.now() - begun)));
  }
  const report = usage();
  const until = performance.now() + options.seconds * 1000;
  let count = 0;
  for (; performance.now() < until; count += size) await burst(size);
  return report(count);
}

async function receive(socket) {
  let [got, wanted, over] = [0, 0, null];
  socket.on("b", (index) => {
    if (index !== got++) fail(`event ${index} came out of its turn`);
    if (got === wanted) over();
  });
  await socket.emitWithAck("join");
  return inBursts(async (count) => {
    [got, wanted] = [0, count];
    const all = new Promise((resolve) => (over = resolve));
    await socket.emitWithAck("flood", count, PAYLOAD);
    await all;
  });
}

const emit = (socket) =>
  inBursts(async (count) => {
    for (let index = 0; index < count; index++) {
      socket.emit("up", index, PAYLOAD);
      if (index % EMITS_PER_TURN === 0) await turn();
    }
    const arrived = await socket.emitWithAck("count");
    if (arrived !== count) fail(`${arrived} of ${count} events arrived`);
  });

const echo = (socket) =>
  inBursts(async (count) => {
    const flights = Number(options["in-flight"]);
    const one = async () => {
      for (let index = 0; index < Math.floor(count / flights); index++) if ((await socket.emitWithAck("echo", index)) !== index) fail("another's answer");
    };
    await Promise.all(Array.from({ length: flights }, one));
  });

function rss() {
  globalThis.gc?.();
  return process.memoryUsage.rss();
}

async function sockets() {
  const [count, made] = [Number(options.clients), []];
  await connect(); // what is loaded only once is not a client's
  const before = rss();
  const report = usage();
  let begun = 0;
  const some = async () => {
    while (begun < count) {
      begun += 1;
      made.push(await connect());
    }
  };
  await Promise.all(Array.from({ length: CONNECTING }, some));
  const found = report(count);
  await pause(Number(options.seconds));
  found.bytes_per_connection = (rss() - before) / count;
  for (const socket of made) if ((await socket.emitWithAck("echo", 1)) !== 1) fail("a client that does not work");
  return found;
}

const found = mode === "sockets" ? await sockets() : await { receive, emit, echo }[mode](await connect());
console.log(JSON.stringify({ mode, clients: Number(options.clients), ...found }));
process.exit(0);
