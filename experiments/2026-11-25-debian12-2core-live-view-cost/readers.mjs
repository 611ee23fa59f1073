// `node readers.mjs PORT MANY read|stall`: so many readers of /api/stream, as soon as it is there; they read all, or
// nothing after the first bytes. Ends when killed.

import { connect } from "node:net";

const [port, many, how] = process.argv.slice(2);
function open() {
  const socket = connect(Number(port), "127.0.0.1");
  socket.on("connect", () => {
    socket.write(`GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
    if (how === "stall") socket.pause();
    else socket.resume();
  });
  socket.on("error", () => setTimeout(open, 50));
}
for (let n = 0; n < Number(many); n += 1) open();
