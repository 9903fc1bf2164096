// How far the newest policy has come: the foot of the navigation on every page, what a
// page shows of the rollout, and a word when everybody runs what was just published.
import { $, $$, element, setText } from './dom.js';
import { refresh } from './refresh.js';
import { published, toast } from './shell.js';
import { Wire } from './socket.js';

const foot = $('#rollout');
const { socket, data, project, place } = foot.dataset;
const query = new URLSearchParams(place === 'default' ? {} : { env: place }).toString();

// What the last click published, until every instance has it.
let followed = published.version;

function meter(parts) {
  const made = parts.map(({ value, colour }) => {
    const bar = element('i');
    bar.style.setProperty('--v', value);
    bar.style.setProperty('--dot', `var(${colour})`);
    return bar;
  });
  $('.meter', foot).replaceChildren(...made);
}

function arrived({ version, applied, total, title, speed }) {
  if (!followed || version < followed || !total || applied < total) return;
  followed = 0;
  toast(`${title} is in force on ${applied} of ${total} instances`, { sub: speed });
}

let digest = null;
function received({ state }) {
  for (const part of $$('[data-rollout]')) setText(part, state[part.dataset.rollout]);
  for (const count of $$('[data-drafted]')) { setText(count, String(state.drafted)); count.hidden = !state.drafted; }
  meter(state.meter);
  if (digest !== state.digest) for (const box of $$('[data-refresh]')) refresh(box);
  digest = state.digest;
  arrived(state);
}

const lost = (is) => { foot.toggleAttribute('data-lost', is); };
const wire = new Wire({
  socketUrl: `${location.origin.replace(/^http/, 'ws')}${socket}?project=${encodeURIComponent(project)}`,
  dataUrl: `${data}?project=${encodeURIComponent(project)}`,
  on: {
    state: received,
    alive: () => lost(false),
    lost: () => lost(true),
    trouble: () => lost(true),
    refused: () => lost(true),
    closed: () => lost(true),
  },
});
wire.show(query);
