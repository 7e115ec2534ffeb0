// Official JavaScript clients, steered from Python by JSON lines over stdio.
//
// In:  {"id": 1, "op": "connect" | "run" | "upgrade" | "close", "client": "c1", ...}
// Out: {"id": 1, "value": ...} or {"id": 1, "error": {...}}; and {"client": "c1", "report": [...]} for
//      every report(...) that code given to "run" makes.
// Bytes travel as {"$bytes": base64}, undefined as {"$undefined": true}.
import { createInterface } from "node:readline";
import { NodeWebSocket, NodeXHR } from "engine.io-client";
import { io } from "socket.io-client";
import msgpack from "socket.io-msgpack-parser";

const clients = new Map();
const AsyncFunction = (async () => {}).constructor;

function pack(value) {
  if (value === undefined) return { $undefined: true };
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  if (value instanceof ArrayBuffer) return { $bytes: Buffer.from(value).toString("base64") };
  if (value instanceof Error) return { name: value.name, message: value.message, data: pack(value.data) };
  if (Array.isArray(value)) return value.map(pack);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, pack(item)]));
  }
  return value;
}

function unpack(value) {
  if (Array.isArray(value)) return value.map(unpack);
  if (value !== null && typeof value === "object") {
    if (typeof value.$bytes === "string") return Buffer.from(value.$bytes, "base64");
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unpack(item)]));
  }
  return value;
}

const send = (message) => process.stdout.write(JSON.stringify(message) + "\n");

// A websocket transport whose first step waits for a gate: the upgrade starts when the test says so.
function heldWebSocket(gate) {
  return class HeldWebSocket extends NodeWebSocket {
    doOpen() {
      gate.then(() => super.doOpen());
    }
  };
}

function waitFor(emitter, good, bad) {
  return new Promise((resolve, reject) => {
    emitter.once(good, resolve);
    if (bad) emitter.once(bad, (error) => reject(error instanceof Error ? error : new Error(String(error))));
  });
}

async function connect({ client, url, options = {}, path, setup }) {
  const record = { opened: null };
  const gate = new Promise((resolve) => (record.open = resolve));
  const transports = {
    polling: [NodeXHR],
    websocket: [NodeWebSocket],
    upgrade: [NodeXHR, heldWebSocket(gate)],
    any: ["polling", "websocket"],
  }[path ?? "any"];
  const given = unpack(options);
  const parser = { msgpack }[given.parser];
  const socket = io(url, { forceNew: true, reconnection: false, transports, ...given, parser });
  record.socket = socket;
  record.report = (...args) => send({ client, report: args.map(pack) });
  clients.set(client, record);
  if (setup) await new AsyncFunction("socket", "report", setup)(socket, record.report);
  await waitFor(socket, "connect", "connect_error");
  return { id: socket.id, transport: socket.io.engine.transport.name };
}

async function upgrade({ client }) {
  const { socket, open } = clients.get(client);
  const upgraded = waitFor(socket.io.engine, "upgrade", "close");
  open();
  await upgraded;
  return socket.io.engine.transport.name;
}

async function run({ client, code, args = [] }) {
  const record = clients.get(client);
  const names = ["socket", "report", "args", "clients", "io"];
  const call = new AsyncFunction(...names, code);
  return call(record?.socket, record?.report, unpack(args), clients, io);
}

async function close({ client }) {
  const record = clients.get(client);
  clients.delete(client);
  record?.open();
  record?.socket.disconnect();
}

const operations = { connect, upgrade, run, close };

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { id, op, ...parameters } = JSON.parse(line);
    try {
      send({ id, value: pack(await operations[op](parameters)) });
    } catch (error) {
      send({ id, error: pack(error instanceof Error ? error : new Error(String(error))) });
    }
  })
  .on("close", () => process.exit(0));
