// What the Socket.IO scripts share: a listener that keeps what it hears, and its cursor.

/** The address for Socket.IO clients of the hub whose native address this is. */
export function httpOf(url) {
  const { host } = new URL(url);
  return `http://${host}`;
}

/** A stock Socket.IO client that keeps a room's events. */
export class Listener {
  heard = [];
  told = [];
  #waiting = [];

  constructor(socket, name) {
    this.socket = socket;
    this.name = name;
    socket.on('event', (event) => this.#keep([event]));
    for (const name of ['refused', 'rejoin', 'closing']) socket.on(name, (what) => this.told.push({ name, ...what }));
  }

  /** Emits an event and waits for its acknowledgement. */
  ask(event, data) {
    return new Promise((resolve) => this.socket.emit(event, data, resolve));
  }

  /**
   * Joins a room; with `since`, what was missed comes with the answer. It is kept in the callback itself: one poll may
   * carry the answer and the first live events, and they are handed out before an `await` goes on.
   */
  join(room, since) {
    return new Promise((resolve, reject) => {
      this.socket.emit('join', { room, ...(since ? { since } : {}) }, (answer) => {
        if (!answer.ok) return reject(new Error(`${this.name} could not join: ${JSON.stringify(answer.error)}`));
        this.joined = answer.cursor;
        this.#keep(answer.events);
        resolve(answer);
      });
    });
  }

  /** Waits for the event with this offset. */
  until(offset) {
    if (this.heard.some((event) => event.offset >= offset)) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ offset, resolve }));
  }

  /** The place of the last event: what a comeback takes. */
  cursor() {
    const last = this.heard.at(-1);
    return last ? { epoch: last.epoch, offset: last.offset } : this.joined;
  }

  places() {
    return this.heard.map(({ offset, id }) => ({ offset, id }));
  }

  #keep(events) {
    this.heard.push(...events);
    this.#waiting = this.#waiting.filter(({ offset, resolve }) => {
      const reached = this.heard.some((event) => event.offset >= offset);
      if (reached) resolve();
      return !reached;
    });
  }
}
