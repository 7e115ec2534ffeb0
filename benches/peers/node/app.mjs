// The benches' application on Node's socket.io: `node app.mjs --port 3000`.
// ws is told to use bufferutil where it is installed; no compression, no client files, no recovery.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { port: { type: "string" }, version: { type: "boolean" } } });
const require = createRequire(import.meta.url);
const version = (name) => `${name} ${require(`${name}/package.json`).version}`;
if (values.version) {
  console.log([...["socket.io", "ws", "bufferutil"].map(version), `node ${process.versions.node}`].join(", "));
  process.exit(0);
}

const { Server } = await import("socket.io");

// Broadcasts between two turns of the loop: enough that turns cost little, few enough that clients are served.
const BROADCASTS_PER_TURN = 64;

const http = createServer();
const io = new Server(http, {
  serveClient: false,
  pingInterval: 25_000,
  perMessageDeflate: false,
  httpCompression: false,
  maxHttpBufferSize: 10_000_000,
  cors: { origin: "*" },
});

io.on("connection", (socket) => {
  socket.on("join", (ack) => {
    socket.join("all");
    ack();
  });
  socket.on("echo", (value, ack) => ack(value));
  socket.on("work", (milliseconds, value, ack) => {
    burn(milliseconds);
    ack(value);
  });
  socket.on("once", (index, payload) => io.to("all").emit("b", index, payload));
  socket.on("flood", (count, payload, ack) => {
    ack();
    let index = 0;
    const turn = () => {
      const until = Math.min(count, index + BROADCASTS_PER_TURN);
      for (; index < until; index++) io.to("all").emit("b", index, payload);
      if (index < count) setImmediate(turn);
      else socket.emit("done", count);
    };
    setImmediate(turn);
  });
  socket.on("paced", (count, perSecond, payload, ack) => {
    ack();
    const begun = performance.now();
    let index = 0;
    const turn = () => {
      for (; index < count && begun + (index * 1000) / perSecond <= performance.now(); index++) {
        io.to("all").emit("b", index, payload);
      }
      if (index < count) setTimeout(turn, begun + (index * 1000) / perSecond - performance.now());
      else socket.emit("done", count);
    };
    setImmediate(turn);
  });
});

// The thread's own CPU time is not to be had in Node 20: the process's is, and its other threads are idle here.
function burn(milliseconds) {
  const begun = process.cpuUsage();
  for (;;) {
    const { user, system } = process.cpuUsage(begun);
    if (user + system >= milliseconds * 1000) return;
  }
}

process.on("SIGTERM", () => process.exit(0));
http.listen(Number(values.port), "127.0.0.1", 4096, () => console.log("ready"));
