// The page in a browser: a WebSocket to the lab that served it, opened again if it breaks.

import { start } from "./app.js";

const token = new URLSearchParams(location.search).get("token") ?? "";
const ENDED = "the lab has ended, or cannot be reached; this page tries again. A lab that was started anew has a new address";
let listen = null, complain = null, socket = null, waits = 250;

function connect() {
  socket = new WebSocket(`ws://${location.host}/channel?token=${encodeURIComponent(token)}`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { waits = 250; complain?.(""); };
  socket.onmessage = (event) => listen(event.data);
  socket.onclose = () => { complain?.(ENDED); setTimeout(connect, waits); waits = Math.min(5000, waits * 2); };
}

start(document.getElementById("lab"), {
  send: (command) => { if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(command)); else complain?.(ENDED); },
  receive: (listener) => { listen = listener; },
  trouble: (listener) => { complain = (words) => listener(words); },
}, { address: true });
connect();
