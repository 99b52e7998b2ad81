// A Socket.IO server as its guide has it: clients join rooms and send to them. Settings are those of the library, but
// for the transport. `node server.mjs PORT [REDIS_URL]`: with Redis, the nodes of one Redis share their rooms.
import { createServer } from "node:http";
import { Server } from "socket.io";

const [port, redis] = process.argv.slice(2);
const http = createServer();
const options = { transports: ["websocket"], serveClient: false };
if (redis) {
  const { createAdapter } = await import("@socket.io/redis-adapter");
  const { createClient } = await import("redis");
  const publisher = createClient({ url: redis });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  options.adapter = createAdapter(publisher, subscriber);
}
const io = new Server(http, options);

io.on("connection", (socket) => {
  socket.on("join", async ({ room }, acknowledge) => {
    await socket.join(room);
    acknowledge({ ok: true });
  });
  socket.on("send", (message, acknowledge) => {
    io.to(message.room).emit("event", message);
    acknowledge({ ok: true });
  });
});

http.listen(Number(port), "127.0.0.1", 4096, () => console.log("serving"));
