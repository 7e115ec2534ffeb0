// Raw websocket clients that keep their side of the heartbeat while the server's loop stands still.
// node stalled.mjs ws://host:port CLIENTS SECONDS
import { WebSocket } from "ws";

const [url, clients, seconds] = process.argv.slice(2);
const results = await Promise.all(
  Array.from({ length: Number(clients) }, (_, index) =>
    new Promise((resolve) => {
      const socket = new WebSocket(`${url}/socket.io/?EIO=4&transport=websocket`);
      const state = { pings: 0, echoes: 0, closed: null };
      let timer = null;
      socket.on("message", (data) => {
        const packet = data.toString();
        if (packet[0] === "0") socket.send("40");
        if (packet === "2") {
          state.pings += 1;
          socket.send("3");
        }
        if (packet.startsWith("40")) {
          timer = setInterval(() => socket.send('42["echo"]'), 100);
          if (index === 0) setTimeout(() => socket.send('42["block"]'), 300);
          setTimeout(() => socket.close(), Number(seconds) * 1000);
        }
        if (packet.startsWith('42["echo"')) state.echoes += 1;
      });
      socket.on("error", () => {});
      socket.on("close", (code) => {
        clearInterval(timer);
        resolve({ ...state, closed: code });
      });
    }),
  ),
);
console.log(JSON.stringify({ results }));
