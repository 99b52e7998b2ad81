// A link that can really be cut: a TCP proxy on loopback whose sockets are destroyed without a goodbye.
import net from 'node:net';

export class LossyLink {
  #server;
  #sockets = new Set();
  #cut = false;

  /** Opens one toward the WebSocket address; `url` is then the address through the link. */
  static async toward(url) {
    const target = new URL(url);
    const link = new LossyLink();
    link.#server = net.createServer((near) => link.#join(near, target.hostname, Number(target.port || 80)));
    await new Promise((resolve, reject) => {
      link.#server.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
    link.url = `ws://127.0.0.1:${link.#server.address().port}${target.pathname}`;
    return link;
  }

  /** Ends every connection at once and refuses new ones until `mend`. Returns how many were cut. */
  cut() {
    this.#cut = true;
    const ends = [...this.#sockets];
    for (const socket of ends) socket.destroy();
    return ends.length / 2;
  }

  /** Lets connections through again. */
  mend() {
    this.#cut = false;
  }

  /** Ends it for good. */
  close() {
    this.cut();
    this.#server.close();
  }

  #join(near, host, port) {
    if (this.#cut) return near.destroy();
    const far = net.connect(port, host);
    for (const [one, other] of [[near, far], [far, near]]) {
      this.#sockets.add(one);
      one.pipe(other);
      // An error is followed by `close`, and there both ends are given up.
      one.on('error', () => {});
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }
}
