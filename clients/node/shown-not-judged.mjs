// A hub whose filter refuses `spam` in any string of a body: whatever the shape, it is refused, and nobody is shown it. What is no
// text at all stands, and a front end that shows texts (`[[socketio]] shape = "text"`) is not shown it as one.
//
//   node shown-not-judged.mjs [URL]
import { io } from 'socket.io-client';
import { flags, main, within } from './common.mjs';
import { httpOf } from './socketio-common.mjs';

const { urls } = flags();
const refused = [{ text: 'spam' }, 'spam', ['spam'], { message: 'spam' }, { text: 'hi', extra: [{ deep: 'spam' }] }];
const stands = ['hello', ['hello'], { message: 'hello' }, { text: 'the end' }];

await main(async () => {
  const connect = (user) => io(httpOf(urls[0]), { forceNew: true, auth: { user } });
  const [reader, mallory] = [connect('reader'), connect('mallory')];
  try {
    const shown = [];
    const theEnd = new Promise((resolve) => {
      reader.on('chat message', (text) => {
        shown.push(text);
        if (text === 'the end') resolve();
      });
    });
    // Its room is entered behind the answer to the connect; an acknowledgement comes after that.
    await within(10, 'the reader in the room', reader.emitWithAck('history', { room: 'chat', limit: 0 }));
    const wrong = [];
    for (const body of [...refused, ...stands]) {
      const answer = await within(10, 'an answer', mallory.emitWithAck('send', { room: 'chat', body }));
      const wanted = refused.includes(body) ? answer.ok !== true && answer.error.code === 460 : answer.ok === true;
      if (!wanted) wrong.push({ body, answer });
    }
    await within(10, 'the end is shown', theEnd);
    if (JSON.stringify(shown) !== '["the end"]') wrong.push({ shown });
    console.log(JSON.stringify({ ok: wrong.length === 0, wrong }));
    return wrong.length === 0;
  } finally {
    reader.close();
    mallory.close();
  }
});
