// A Socket.IO server as its guide has it: clients join rooms and send to them. Settings are those of the libraries, but
// for the transport. `node server.mjs PORT [REDIS_URL [KAFKA_BROKER]]`: with Redis, the nodes of one Redis share their
// rooms; with Kafka, a message is relayed and answered when all replicas have it, as the guides of kafkajs have it, and
// when those before it in its room have been (the guides leave that out: then messages overtake one another).
import { createServer } from "node:http";
import { Server } from "socket.io";

const TOPIC = "events";

const [port, redis, kafka] = process.argv.slice(2);
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
const keep = kafka ? await keeper(kafka) : undefined;

/** What writes a message down, by room, and is done when all replicas have it. */
async function keeper(broker) {
  const { Kafka, logLevel } = (await import("kafkajs")).default;
  const client = new Kafka({ clientId: `node-${port}`, brokers: [broker], logLevel: logLevel.WARN });
  const admin = client.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 12 }], waitForLeaders: true });
  await admin.disconnect();
  const producer = client.producer();
  await producer.connect();
  return ({ room, body }) =>
    producer.send({ topic: TOPIC, acks: -1, messages: [{ key: room, value: JSON.stringify({ room, body }) }] });
}

/** The last message of each room that has something under way. */
const last = new Map();

/** Done when `kept` is, and what came before it in its room. */
async function inTurn(room, kept) {
  const turn = Promise.all([last.get(room), kept]);
  last.set(room, turn);
  await turn;
  if (last.get(room) === turn) last.delete(room);
}

io.on("connection", (socket) => {
  socket.on("join", async ({ room }, acknowledge) => {
    await socket.join(room);
    acknowledge({ ok: true });
  });
  socket.on("send", async (message, acknowledge) => {
    if (keep) await inTurn(message.room, keep(message));
    io.to(message.room).emit("event", message);
    acknowledge({ ok: true });
  });
});

http.listen(Number(port), "127.0.0.1", 4096, () => console.log("serving"));
