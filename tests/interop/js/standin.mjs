// Node's own socket.io server with the same small app as conftest.py's `standin` fixture expects: it proves
// that the driver and the scripts are right, independently of siox.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { maxHttpBufferSize: 8e6 });
io.on("connection", (socket) => {
  socket.emit("welcome", socket.handshake.auth, socket.conn.transport.name);
  socket.on("transport", (ack) => ack(socket.conn.transport.name));
  socket.on("echo", (...args) => {
    const ack = typeof args.at(-1) === "function" ? args.pop() : null;
    if (ack) ack(...args);
    else socket.emit("echo", ...args);
  });
});
io.of("/closed").use((_, next) => next(Object.assign(new Error("not today"), { data: { code: 7 } })));
http.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => console.log(http.address().port));
