// 1,000 websocket clients and 20 that upgrade from polling, in one room, while the server broadcasts and hears.
// node room.mjs URL WEBSOCKETS UPGRADERS BROADCASTS UPS
import { NodeWebSocket, NodeXHR } from "engine.io-client";
import { io } from "socket.io-client";

const [url, ...numbers] = process.argv.slice(2);
const [websockets, upgraders, broadcasts, ups] = numbers.map(Number);
const clients = [];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function client(transports) {
  const socket = io(url, { forceNew: true, reconnection: false, transports });
  const record = { socket, ticks: [], answers: 0, transport: null, gone: null };
  socket.on("tick", (number) => record.ticks.push(number));
  socket.on("disconnect", (reason) => (record.gone ??= reason));
  clients.push(record);
  return new Promise((resolve, reject) => {
    socket.once("connect", () => resolve(record));
    socket.once("connect_error", reject);
  });
}

for (let made = 0; made < websockets; made += 100) {
  await Promise.all(Array.from({ length: Math.min(100, websockets - made) }, () => client([NodeWebSocket])));
}
const gates = [];
class Held extends NodeWebSocket {
  doOpen() {
    gates.push(() => super.doOpen());
  }
}
const upgrading = await Promise.all(Array.from({ length: upgraders }, () => client([NodeXHR, Held])));
const before = upgrading.filter(({ socket }) => socket.io.engine.transport.name === "polling").length;

const work = upgrading.map(async (record, index) => {
  await new Promise((resolve) => record.socket.once("begin", resolve));
  for (let number = 0; number < ups; number++) {
    record.socket.emit("up", number, (echoed) => (record.answers += echoed === number ? 1 : 0));
    if (number === 5 + index) gates.splice(0, 1).forEach((open) => open());
    await pause(2);
  }
});
clients[0].socket.emit("ready");
await Promise.all(work);
for (let waited = 0; waited < 300 && clients.some(({ ticks, gone }) => !gone && ticks.length < broadcasts); waited++) await pause(100);
await pause(200); // a doubled one would still come

const wrong = clients.filter(({ ticks }) => ticks.length !== broadcasts || ticks.some((tick, index) => tick !== index));
console.log(
  JSON.stringify({
    clients: clients.length,
    right: clients.length - wrong.length,
    wrong: wrong.slice(0, 3).map(({ ticks, gone }) => ({ count: ticks.length, first: ticks.slice(0, 5), gone })),
    pollingBefore: before,
    websocketAfter: upgrading.filter(({ socket }) => socket.io.engine?.transport?.name === "websocket").length,
    answered: upgrading.filter(({ answers }) => answers === ups).length,
  }),
);
process.exit(0);
