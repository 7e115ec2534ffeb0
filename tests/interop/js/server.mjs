// The contract application of servers.py on Node's socket.io, steered by JSON lines over stdio.
//
// node server.mjs '{"port": 0, "transports": ["polling", "websocket"], "parser": "msgpack", "recovery": true, ...}'
// Out: {"port": 12345}, then an answer {"id": 1, "value": ...} to each line {"id": 1, "op": "emit" | "heard" | "count" | "close", ...}.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { Server } from "socket.io";

const options = JSON.parse(process.argv[2] ?? "{}");
const seconds = (value) => (value === undefined ? undefined : value * 1000);
const given = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined && value !== null));
const files = Object.fromEntries(Object.entries(given(options.tls ?? {})).map(([name, file]) => [name, readFileSync(file)]));
const secure = { ...files, requestCert: Boolean(files.ca), rejectUnauthorized: Boolean(files.ca) };
const http = options.tls ? createSecureServer(secure) : createServer();
const io = new Server(
  http,
  given({
    transports: options.transports,
    allowUpgrades: options.upgrade,
    pingInterval: seconds(options.ping_interval),
    pingTimeout: seconds(options.ping_timeout),
    maxHttpBufferSize: options.max_http_buffer_size,
    path: options.path,
    cookie: options.cookie,
    connectionStateRecovery: options.recovery ? {} : undefined,
    parser: options.parser === "msgpack" ? createRequire(import.meta.url)("socket.io-msgpack-parser") : undefined,
  }),
);

const heard = {};

function connection(socket) {
  socket.emit("welcome", socket.handshake.auth, socket.conn.transport.name);
  socket.on("echo", (...args) => socket.emit("echo", ...args));
  socket.on("answer", (...args) => args.pop()(...args));
  socket.on("ask", (...args) => socket.emit("question", ...args, (...answers) => socket.emit("answered", ...answers)));
  socket.on("slow", (wait, ack) => setTimeout(() => ack("late"), wait * 1000));
  socket.on("silent", () => {});
  socket.on("note", (who, number, ack) => {
    (heard[who] ??= []).push([socket.id, number]);
    ack?.(number);
  });
  socket.on("burst", (count) => {
    for (let number = 0; number < count; number++) socket.emit("n", number);
  });
  socket.on("transport", (ack) => ack(socket.conn.transport.name));
  socket.on("request", (ack) => ack(socket.handshake.headers, socket.handshake.query));
  socket.on("join", (room, ack) => {
    socket.join(room);
    ack();
  });
  socket.on("leave", (close) => socket.disconnect(close));
}

for (const name of ["/", "/chat", "/private"]) io.of(name).on("connection", connection);
io.of("/private").use((socket, next) => {
  if (socket.handshake.auth?.token === "t") next();
  else next(Object.assign(new Error("no token"), { data: { code: 401 } }));
});

const operations = {
  emit: ({ event, args, room, namespace = "/" }) => {
    (room ? io.of(namespace).to(room) : io.of(namespace)).emit(event, ...args);
    return true;
  },
  heard: ({ who }) => heard[who] ?? [],
  count: () => io.engine.clientsCount,
  // As a server that goes away in good order: the sockets hear of it.
  close: () => new Promise((resolve) => io.close(() => resolve(true))),
};

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { id, op, ...parameters } = JSON.parse(line);
    console.log(JSON.stringify({ id, value: await operations[op](parameters) }));
  })
  .on("close", () => process.exit(0));

const listening = () => console.log(JSON.stringify({ port: options.uds ? null : http.address().port }));
if (options.uds) http.listen(options.uds, listening);
else http.listen(options.port ?? 0, "127.0.0.1", listening);
