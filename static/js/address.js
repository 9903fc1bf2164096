// The address is the state of the page: only what was chosen is in it, and a copied
// link shows the same. The server reads it by dashboards/address.py.
export const FILTERS = ['tenant', 'service', 'tool', 'model'];
export const RANGES = { '15m': 900, '1h': 3600, '6h': 21600, '24h': 86400, '7d': 604800, '30d': 2592000 };
export const NAMES = {
  '15m': 'Last 15 min', '1h': 'Last 1 h', '6h': 'Last 6 h',
  '24h': 'Last 24 h', '7d': 'Last 7 days', '30d': 'Last 30 days',
};
const DEFAULTS = { range: '1h', tab: 'tools', sort: 'attention' };

export class Address {
  constructor(search) { this.params = new URLSearchParams(search); }

  get(key) { return this.params.get(key) ?? DEFAULTS[key] ?? ''; }

  all(field) { return this.params.getAll(field); }

  get fixed() {
    const from = Number(this.params.get('from'));
    const to = Number(this.params.get('to'));
    return from && to ? { from, to } : null;
  }

  get filtered() { return FILTERS.some((f) => this.params.has(f)) || this.params.has('env'); }

  // Each of these gives another address and leaves this one as it was.
  with(key, value) {
    const next = new Address(this.params);
    if (!value || value === DEFAULTS[key]) next.params.delete(key);
    else next.params.set(key, value);
    return next;
  }

  withRange(range) { return this.with('from').with('to').with('range', range); }

  withFixed(from, to) {
    return this.with('range').with('from', String(Math.floor(from))).with('to', String(Math.ceil(to)));
  }

  toggled(field, value) {
    const values = this.all(field);
    const left = values.filter((v) => v !== value);
    const next = this.with(field);
    for (const v of left.length < values.length ? left : [...values, value]) next.params.append(field, v);
    return next;
  }

  cleared() { return ['env', ...FILTERS].reduce((address, field) => address.with(field), this); }

  // The next longer preset, or twice the chosen time around its middle.
  zoomedOut() {
    if (this.fixed) {
      const { from, to } = this.fixed;
      return this.withFixed(from - (to - from) / 2, to + (to - from) / 2);
    }
    const ranges = Object.keys(RANGES);
    const next = ranges[ranges.indexOf(this.get('range')) + 1];
    return next ? this.withRange(next) : this;
  }

  // What the server is asked: the address without the project, which is its own thing.
  get query() { return this.with('project').params.toString(); }

  toString() { return `?${this.params}`; }
}
