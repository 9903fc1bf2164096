// The policy pages: filter and walk the rules, grow the lists of a form, offer names
// that were seen in calls, and times in the viewer's clock.
import { $, $$, element, setText } from './dom.js';
import { ago, clock, moment } from './format.js';
import { refresh } from './refresh.js';
import { growing } from './rows.js';
import { addCommands, onKey } from './shell.js';

const { project } = $('#rollout').dataset;
const utc = localStorage.getItem('utc') === '1';

// Times come in UTC and are shown in the viewer's zone.
export function tellTimes(root = document) {
  for (const time of $$('time[data-clock]', root)) {
    setText(time, moment(Date.parse(time.dateTime), utc, Date.now()));
    time.title = `${time.dateTime} (${clock(Date.parse(time.dateTime), true)} UTC)`;
  }
}

// The list of rules

const rules = $$('.rules .rule');
const filter = $('[data-filter]');

function narrow() {
  const wanted = filter.value.trim().toLowerCase();
  let shown = 0;
  for (const rule of rules) {
    rule.hidden = !rule.textContent.toLowerCase().includes(wanted);
    shown += rule.hidden ? 0 : 1;
  }
  for (const group of $$('.rgroup')) group.hidden = !$('.rule:not([hidden])', group);
  const foot = $('[data-filtered]');
  foot.dataset.all ??= foot.textContent;
  setText(foot, wanted ? `${shown} of ${foot.dataset.all}` : foot.dataset.all);
}

function walk(by) {
  const seen = rules.filter((rule) => !rule.hidden);
  const at = seen.findIndex((rule) => rule.getAttribute('aria-current'));
  seen[at < 0 ? 0 : (at + by + seen.length) % seen.length]?.click();
}

if (filter) {
  filter.addEventListener('input', narrow);
  onKey('f', () => filter.focus());
  onKey('[', () => walk(-1));
  onKey(']', () => walk(1));
  onKey('n', () => $('[data-new]')?.click());
  addCommands(async () => rules.map((rule) => ({
    group: 'Rules', icon: 'policy', text: $('b', rule).textContent, hint: '', run: () => rule.click(),
  })));
}

// The form of a rule

for (const list of $$('[data-list]')) growing(list);

// An end is mostly "in a while", and the field wants a date: in UTC, as it says.
for (const ends of $$('[data-ends]')) {
  ends.hidden = false;
  ends.addEventListener('click', (event) => {
    const seconds = Number(event.target.closest('[data-in]')?.dataset.in);
    if (!seconds) return;
    document.getElementById(ends.dataset.ends).value = new Date(Date.now() + seconds * 1000).toISOString().slice(0, 16);
  });
}

// What was called lately, by the words a condition may be about.
const FIELDS = { target: ['tool', 'model'], tool: ['tool'], model: ['model'], tenant: ['tenant'], service: ['service'], environment: ['environment'] };
const known = {};

async function seen(field) {
  known[field] ??= fetch(`/live/choices/?project=${encodeURIComponent(project)}&field=${field}&range=7d`)
    .then((answer) => (answer.ok ? answer.json() : { items: [] }))
    .catch(() => ({ items: [] }));
  return (await known[field]).items.map((item) => item.value);
}

async function offer(listId, words) {
  let list = document.getElementById(listId);
  if (!list) document.body.append(list = element('datalist', { id: listId }));
  list.replaceChildren(...words.map((word) => element('option', { value: word })));
}

document.addEventListener('focusin', async ({ target }) => {
  const listId = target.getAttribute?.('list');
  if (listId === 'targets') {
    const [tools, models] = [await seen('tool'), await seen('model')];
    offer(listId, [...tools.map((name) => `tool:${name}`), ...models.map((name) => `model:${name}`)]);
  }
  if (listId === 'values') {
    const fact = $('[name="selector.fact"]', target.closest('[data-row]')).value;
    offer(listId, (await Promise.all((FIELDS[fact] ?? []).map(seen))).flat());
  }
});

// Where something is wrong, the first such field is where to go on.
$('[aria-invalid="true"]')?.focus();

// Buttons that open a dialog; what is refreshed later has them too.
document.addEventListener('click', (event) => {
  const name = event.target.closest('[data-dialog]')?.dataset.dialog;
  if (name) document.getElementById(name)?.showModal();
});

// "12 s ago" grows older by itself; once in a while what is shown is asked for again.
const REFRESH_MS = 10000;
function tellAges(root = document) {
  for (const time of $$('time[data-ago]', root)) {
    setText(time, ago(Date.now() - Date.parse(time.dateTime)));
    time.title = moment(Date.parse(time.dateTime), utc, Date.now());
  }
}
setInterval(tellAges, 1000);
setInterval(() => {
  for (const box of $$('[data-refresh]:has(time[data-ago])')) refresh(box);
}, REFRESH_MS);

document.addEventListener('refreshed', (event) => { tellTimes(event.detail); tellAges(event.detail); });
tellTimes();
tellAges();
