// The server's events, for ever: /api/stream by `fetch`, not by EventSource, because only so can a new connection say
// which event was the last (Last-Event-ID), an HTTP error be seen, and silence be noticed.
//
// A lost connection is tried again after 0.5, 1, 2 … 30 s (each up to a quarter less, so that many pages do not come at
// once), at once when the network or the page comes back or somebody asks. The server writes something every 15 s; 40 s
// of nothing is a lost connection. A refusal (4xx) is not one: it would be refused again, so the next try waits until the
// page is seen again or somebody asks.
//
// A page that nobody sees gives its connection back after a while: a browser has six for one host, so that a few hidden
// tabs would leave none for the one that is looked at.

import { failure, isRefused } from "./market.js";

const FIRST_MS = 500, LONGEST_MS = 30_000, SILENCE_MS = 40_000, HIDDEN_MS = 5000;

export class Stream {
  /**
   * `on.event(name, data)` for each event; `on.state("connecting" | "live" | "waiting" | "refused" | "resting", ms until
   * the next try, the refusal)`: it rests until the page is seen again.
   */
  constructor(path, on) {
    this.path = path;
    this.on = on;
    this.lastId = null;
    this.wait = FIRST_MS;
    this.wake = null;
    this.abort = null;
    this.resting = false;
    window.addEventListener("online", () => this.now());
    document.addEventListener("visibilitychange", () => this.seen());
    this.seen();
    this.run();
  }

  /** Ends a wait for the next try. */
  now() {
    if (!this.resting) this.wake?.();
  }

  seen() {
    clearTimeout(this.hidden);
    if (document.hidden) {
      this.hidden = setTimeout(() => {
        this.resting = true;
        this.abort?.abort();
        this.wake?.();
      }, HIDDEN_MS);
    } else {
      this.resting = false;
      this.now();
    }
  }

  /** Forgets where it was, and connects anew. */
  restart() {
    this.lastId = null;
    this.abort?.abort();
    this.now();
  }

  async run() {
    for (;;) {
      if (this.resting) {
        this.wait = FIRST_MS;
        this.on.state("resting", 0);
        await new Promise((resolve) => { this.wake = resolve; });
      }
      this.on.state("connecting", 0);
      let refusal = null;
      try {
        await this.connect();
      } catch (error) {
        if (isRefused(error)) refusal = error;
      }
      if (this.resting) continue;
      if (refusal !== null) {
        this.wait = FIRST_MS;
        this.on.state("refused", 0, refusal);
        await new Promise((resolve) => { this.wake = resolve; });
        this.wake = null;
        continue;
      }
      const wait = this.wait * (0.75 + Math.random() / 4);
      this.wait = Math.min(LONGEST_MS, this.wait * 2);
      this.on.state("waiting", wait);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, wait);
        this.wake = () => { clearTimeout(timer); resolve(); };
      });
      this.wake = null;
    }
  }

  async connect() {
    this.abort = new AbortController();
    let silence = setTimeout(() => this.abort.abort(), SILENCE_MS);
    try {
      const headers = this.lastId === null ? {} : { "Last-Event-ID": this.lastId };
      const response = await fetch(this.path, { headers, cache: "no-store", signal: this.abort.signal });
      if (!response.ok) throw await failure(response);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let held = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(() => this.abort.abort(), SILENCE_MS);
        held += value;
        let start = 0, end;
        while ((end = held.indexOf("\n\n", start)) >= 0) {
          this.dispatch(held.slice(start, end));
          start = end + 2;
        }
        held = held.slice(start);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  dispatch(block) {
    let name = "message", body = "", id = null;
    for (const line of block.split("\n")) {
      if (line.startsWith("data:")) body += line.slice(5).trimStart();
      else if (line.startsWith("event:")) name = line.slice(6).trim();
      else if (line.startsWith("id:")) id = line.slice(3).trim();
    }
    if (body === "") return; // a comment
    this.on.event(name, JSON.parse(body));
    if (id !== null) this.lastId = id;
    this.wait = FIRST_MS;
    this.on.state("live", 0);
  }
}
