// A WebSocket transport that opens when it may: so a script says when its client moves from polling.
import { NodeWebSocket } from 'engine.io-client';

/** The stock transport as `Late`, for `transports`, and `move`, which lets it open. */
export function lateWebSocket() {
  let move;
  const mayMove = new Promise((resolve) => {
    move = resolve;
  });
  class Late extends NodeWebSocket {
    doOpen() {
      mayMove.then(() => super.doOpen());
    }
  }
  return { Late, move };
}
