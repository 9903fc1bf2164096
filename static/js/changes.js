// What a viewer holds of a live view, and how messages change it. The twin of
// dashboards/live.py: fetch + apply(messages) is what a new fetch would give.

export function apply(state, changes) {
  const root = { '': state };
  for (const [operation, path, ...rest] of changes) {
    let holder = root;
    let last = '';
    for (const step of path) { holder = holder[last]; last = step; }
    if (operation === '=') holder[last] = rest[0];
    else if (operation === '-') delete holder[last];
    else {
      const [drop, keep, tail] = rest;
      holder[last] = [...holder[last].slice(drop, drop + keep), ...tail];
    }
  }
  return root[''];
}

export class Held {
  constructor() { this.forget(); }

  forget() {
    this.epoch = '';
    this.seq = 0;
    this.state = null;
  }

  // 'new' when the state is another one now, 'gap' when the message does not follow.
  take(message) {
    if (message.type === 'snapshot') {
      this.epoch = message.epoch;
      this.state = message.state;
    } else if (message.from === this.seq && this.state !== null) {
      this.state = apply(this.state, message.changes);
    } else {
      return 'gap';
    }
    this.seq = message.seq;
    return 'new';
  }
}
