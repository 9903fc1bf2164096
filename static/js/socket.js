// The wire of a live page: one socket that says what it already holds, a poll every
// few seconds while there is none, and no gap in between.
import { nextDelay } from './backoff.js';
import { Held } from './changes.js';

const SILENCE_MS = 12000; // the server gives a sign of life every few seconds
const POLL_MS = 5000;
const NOT_A_MEMBER = 4403;

export class Wire {
  // on: { state(held, { whole, polled }), alive(), lost(), trouble(), refused(text), closed() }
  constructor({ socketUrl, dataUrl, on }) {
    this.socketUrl = socketUrl;
    this.dataUrl = dataUrl;
    this.on = on;
    this.held = new Held();
    this.query = '';
    this.failures = 0;
    setInterval(() => this.watch(), 1000);
    addEventListener('online', () => this.open());
  }

  show(query) {
    if (query !== this.query) this.held.forget();
    this.query = query;
    if (this.socket?.readyState === WebSocket.OPEN) this.ask();
    else if (!this.socket) this.open();
  }

  open() {
    clearTimeout(this.retry);
    this.retry = null;
    if (this.socket || this.over) return;
    const socket = new WebSocket(this.socketUrl);
    this.socket = socket;
    this.heard = Date.now();
    socket.onopen = () => this.ask();
    socket.onmessage = (event) => { this.heard = Date.now(); this.take(JSON.parse(event.data)); };
    socket.onclose = (event) => { if (this.socket === socket) this.closed(event.code); };
  }

  ask() {
    const { epoch, seq } = this.held;
    this.socket.send(JSON.stringify({ type: 'view', query: this.query, epoch, seq }));
  }

  take(message) {
    if (message.type === 'alive') return this.alive();
    if (message.type === 'trouble') return this.on.trouble();
    if (message.type === 'refused') return this.on.refused(message.message);
    this.alive();
    if (this.held.take(message) === 'gap') {
      this.held.forget();
      return this.socket && this.ask();
    }
    return this.on.state(this.held, { whole: message.type === 'snapshot', polled: false });
  }

  alive() {
    this.failures = 0;
    clearInterval(this.poll);
    this.poll = null;
    this.on.alive();
  }

  closed(code) {
    this.socket = null;
    if (code === NOT_A_MEMBER) {
      this.over = true;
      clearInterval(this.poll);
      return this.on.closed();
    }
    this.on.lost();
    this.retry = setTimeout(() => this.open(), nextDelay(this.failures));
    this.failures += 1;
    this.poll ??= setInterval(() => this.fetch(), POLL_MS);
  }

  // A connection can die without a word.
  watch() {
    if (!this.socket || Date.now() - this.heard < SILENCE_MS) return;
    const silent = this.socket;
    this.closed(0);
    silent.close();
  }

  async fetch() {
    const { epoch, seq } = this.held;
    const join = this.query ? '&' : '';
    const url = `${this.dataUrl}&${this.query}${join}epoch=${epoch}&seq=${seq}`;
    try {
      const answer = await fetch(url);
      if (answer.status !== 200) return;
      const message = await answer.json();
      if (!this.poll) return;
      if (this.held.take(message) === 'gap') this.held.forget();
      else this.on.state(this.held, { whole: message.type === 'snapshot', polled: true });
    } catch { /* still no way through: the next poll tries again */ }
  }
}
