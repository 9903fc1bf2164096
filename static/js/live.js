// The live page: what the wire brings goes into the document, what the viewer chooses
// goes into the address, and the address is what the wire asks for.
import { Address, NAMES } from './address.js';
import { Board } from './board.js';
import { draw } from './chart.js';
import { addChoices } from './choices.js';
import { $, $$, element, icon, path, setAttribute, setText } from './dom.js';
import { ago, clock, fromField, moment, span, step, toField, zone } from './format.js';
import { addCommands, onAct, onKey, toast } from './shell.js';
import { Wire } from './socket.js';
import { spark } from './spark.js';

const page = $('#live');
const project = page.dataset.project;
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const CALM_MS = 5000; // between drawings where motion is not wanted
const LOADING_MS = 200;
const LABELS = { tools: 'Tool', models: 'Model', tenants: 'Tenant' };

let address = new Address(location.search);
let utc = localStorage.getItem('utc') === '1';
const hidden = new Set(); // outcomes the viewer switched off
const seen = { state: null, at: 0, since: 0, lost: false, over: false, paused: 0, waiting: 0, drawn: 0 };

const board = new Board($('.board'), (dimension, value) => String(address.toggled(dimension, value)));
const wire = new Wire({
  socketUrl: `${page.dataset.socket}?project=${encodeURIComponent(project)}`.replace(/^/, location.origin.replace(/^http/, 'ws')),
  dataUrl: `${page.dataset.data}?project=${encodeURIComponent(project)}`,
  on: {
    state: received,
    alive: () => lost(false),
    lost: () => lost(true),
    trouble: () => trouble('The server could not read the numbers just now. What you see is the last it could, and it keeps trying.'),
    refused: (text) => { trouble(`This view cannot be shown: ${text}.`); page.removeAttribute('data-loading'); },
    closed: () => { seen.over = true; lost(true); trouble('You are logged out, or no longer a member of this project. Log in again to go on.'); },
  },
});

// What arrives

function received(held, { whole, polled }) {
  const now = Date.now();
  if (whole) seen.since = now; // changes follow what was there, a snapshot does not
  seen.at = now;
  seen.state = held.state;
  trouble('');
  lost(polled);
  if (seen.paused) seen.waiting += 1;
  else if (!calm.matches || whole || now - seen.drawn >= CALM_MS) render();
  tell();
}

function lost(is) {
  if (seen.lost === is) return;
  seen.lost = is;
  page.toggleAttribute('data-lost', is);
  tell();
}

function trouble(text) {
  const box = $('[data-trouble]');
  setText($('span', box), text);
  box.hidden = !text;
}

// What is drawn

function render() {
  const { state } = seen;
  if (!state) return;
  seen.drawn = Date.now();
  clearTimeout(seen.loading);
  page.removeAttribute('data-loading');
  $('[data-skeleton]').hidden = true;
  $('[data-board]').hidden = Boolean(state.empty);
  renderEmpty(state.empty);
  if (state.empty) return;
  for (const box of $$('[data-kpi]')) renderFigure(box, state.kpis[box.dataset.kpi], state.meta.live);
  for (const key of $$('[data-outcome]')) setText($('b', key), state.outcomes[key.dataset.outcome]);
  renderCharts();
  renderBoard(state);
}

function renderEmpty(empty) {
  for (const box of $$('[data-empty]')) box.hidden = box.dataset.empty !== empty?.case;
  if (empty?.case === 'filtered') setText($('[data-fill="calls"]'), `${empty.calls.toLocaleString('en')} calls`);
  if (empty?.case === 'outside') {
    const { last } = empty;
    setText($('[data-fill="last"]'), last ? `${moment(last * 1000, utc, Date.now())}, ${ago(Date.now() - last * 1000)}` : 'never: all are still in flight');
    $('[data-act="last"]').hidden = !last;
  }
}

function renderFigure(box, figure, filling) {
  setText($('[data-value]', box), figure.value);
  setText($('[data-unit]', box), figure.unit);
  setText($('[data-foot]', box), figure.foot);
  setAttribute(box, 'title', figure.title);
  box.classList.toggle('hot', Boolean(figure.hot));
  const { line, tail, fill } = spark(figure.spark, 62, 26, { filling });
  const svg = $('.spark', box);
  if (svg.dataset.line === line + tail) return;
  svg.dataset.line = line + tail;
  svg.replaceChildren(path(fill, 'fill'), path(line), path(tail, 'tail'));
}

function renderCharts() {
  const { figures, meta, kpis, outcomes } = seen.state;
  const until = meta.complete_until ? `, complete until ${clock(meta.complete_until * 1000, utc)}` : '';
  const last = meta.live ? ', last one still filling' : '';
  const running = meta.in_flight ? `, ${meta.in_flight.toLocaleString('en')} in flight` : '';
  setText($('[data-steps]'), `${step(meta.step_s)} steps${last}${running}${until}`);
  setText($('[data-zone-name]'), `in ${zone(utc)} time`);
  for (const box of $$('[data-chart]')) draw(box, figures[box.dataset.chart], { utc, hidden });
  setAttribute($('[data-chart="outcomes"]'), 'aria-label', `Calls per second by outcome: ${Object.entries(outcomes).map(([word, count]) => `${count} ${word}`).join(', ')}`);
  setAttribute($('[data-chart="latency"]'), 'aria-label', `Latency over time: p95 ${kpis.latency.value} ${kpis.latency.unit}, ${kpis.latency.foot}`);
}

function renderBoard({ board: shown, meta }) {
  board.draw(shown, meta.live);
  const tab = address.get('tab');
  setText($('[data-board-name]'), `${LABELS[tab]}s`);
  setText($('[data-column="name"]'), LABELS[tab]);
  const order = address.get('sort') === 'attention' ? ', those that need attention first' : '';
  setText($('[data-board-count]'), `${shown.shown.toLocaleString('en')} of ${shown.total.toLocaleString('en')}${order}`);
  $('.board .scroll').hidden = !shown.shown;
  $('.board [data-none]').hidden = Boolean(shown.shown);
  setText($('.board [data-none]'), `No ${LABELS[tab].toLowerCase()} was called in this time.`);
  const more = address.get('top') === 'all';
  setText($('[data-more]'), [shown.more, ...meta.warnings].filter(Boolean).join('. '));
  const button = $('[data-act="top"]');
  button.hidden = !more && shown.total <= shown.shown;
  setText(button, more ? 'Show the first 10' : `Show all ${shown.total.toLocaleString('en')}`);
  $('.board [data-foot]').hidden = button.hidden && !$('[data-more]').textContent;
}

// The line that says how fresh the picture is

function tell() {
  const [state, text] = words();
  setAttribute($('.live'), 'data-state', state);
  setText($('[data-status]'), text);
  const pause = $('[data-act="pause"]');
  const waiting = seen.waiting ? `Resume, ${seen.waiting} waiting` : 'Resume';
  setText($('span', pause), seen.paused ? waiting : 'Pause');
}

function words() {
  const now = Date.now();
  if (seen.over) return ['lost', 'closed'];
  if (!seen.at) return seen.lost ? ['lost', 'no connection, trying again'] : ['waiting', 'connecting'];
  if (seen.lost) return ['lost', `connection lost, last data ${clock(seen.at, utc)}`];
  if (seen.paused) return ['paused', `paused at ${clock(seen.paused, utc)}`];
  if (address.fixed) return ['fixed', 'fixed time, not live'];
  return ['live', `updated ${ago(now - seen.at)}, no gap since ${clock(seen.since, utc, { seconds: false })}`];
}
setInterval(tell, 1000);

// What the viewer chooses

function go(next, { push = true } = {}) {
  if (String(next) === String(address)) return;
  history[push ? 'pushState' : 'replaceState'](null, '', String(next));
  show(next);
}

function show(next) {
  address = next;
  if (seen.paused) pause();
  for (const link of $$('.board a.ent[href]')) setAttribute(link, 'href', String(address.toggled(board.dimension, link.dataset.value)));
  renderChoice();
  clearTimeout(seen.loading);
  seen.loading = setTimeout(() => page.setAttribute('data-loading', ''), LOADING_MS);
  wire.show(address.query);
  tell();
}

function renderChoice() {
  const { fixed } = address;
  setText($('[data-range-name]'), fixed ? span(fixed.from * 1000, fixed.to * 1000, utc, Date.now()) : NAMES[address.get('range')]);
  $('[data-live-word]').hidden = Boolean(fixed);
  $('[data-act="pause"]').hidden = Boolean(fixed);
  for (const button of $$('[data-range]')) setAttribute(button, 'aria-current', !fixed && button.dataset.range === address.get('range'));
  setText($('[data-environment]'), address.get('env') || 'all environments');
  for (const field of ['tenant', 'service']) {
    const chosen = address.all(field);
    setText($(`[data-choice="${field}"]`), chosen.length > 1 ? `${chosen.length} chosen` : chosen[0] ?? 'all');
    $(`[popovertarget="m-${field}"]`).classList.toggle('accent', chosen.length > 0);
  }
  const chips = ['tool', 'model'].flatMap((field) => address.all(field).map((value) => chip(field, value)));
  $('[data-chosen]').replaceChildren(...chips);
  $('[data-chosen]').hidden = !chips.length;
  for (const button of $$('[data-tab]')) setAttribute(button, 'aria-pressed', button.dataset.tab === address.get('tab'));
  for (const button of $$('[data-sort]')) {
    const on = button.dataset.sort === address.get('sort');
    if (on) setAttribute(button.parentElement, 'aria-sort', 'descending'); else button.parentElement.removeAttribute('aria-sort');
  }
  setAttribute($('[data-act="utc"]'), 'aria-pressed', utc);
}

function chip(field, value) {
  const made = element('button', { class: 'chip line x accent', title: `Remove ${field} ${value}` }, element('i', {}, field), element('b', { class: 'clip' }, value), icon('x', 12));
  made.onclick = () => go(address.toggled(field, value));
  return made;
}

function pause() {
  seen.paused = seen.paused ? 0 : Date.now();
  const button = $('[data-act="pause"]');
  setAttribute(button, 'aria-pressed', Boolean(seen.paused));
  setAttribute($('use', button), 'href', seen.paused ? '#i-play' : '#i-pause');
  if (!seen.paused) {
    render();
    if (seen.waiting) toast('Caught up', { sub: `${seen.waiting} updates applied, none missing` });
    seen.waiting = 0;
  }
  tell();
}

function switchZone() {
  utc = !utc;
  localStorage.setItem('utc', utc ? '1' : '');
  renderChoice();
  if (seen.state && !seen.state.empty) renderCharts();
  toast(`Times in ${zone(utc)}`);
  tell();
}

function askFromTo() {
  const dialog = $('#from-to');
  const to = address.fixed?.to ?? Date.now() / 1000;
  const from = address.fixed?.from ?? to - 3600;
  setText($('[data-zone]', dialog), zone(utc));
  $('#from').value = toField(from * 1000, utc);
  $('#to').value = toField(to * 1000, utc);
  $('[data-error]', dialog).hidden = true;
  dialog.showModal();
}
$('#from-to form').addEventListener('submit', (event) => {
  const [from, to] = [$('#from').value, $('#to').value].map((text) => fromField(text, utc));
  if (from !== null && to !== null && from < to) return go(address.withFixed(from / 1000, to / 1000));
  event.preventDefault();
  $('[data-error]', event.target).hidden = false;
  return null;
});

const closeMenus = () => { for (const menu of $$('.menu:popover-open')) menu.hidePopover(); };
onAct('pause', pause);
onAct('utc', switchZone);
onAct('from-to', () => { closeMenus(); askFromTo(); });
onAct('zoom-out', () => { closeMenus(); go(address.zoomedOut()); });
onAct('clear', () => go(address.cleared()));
onAct('top', () => go(address.with('top', address.get('top') === 'all' ? '' : 'all')));
onAct('last', () => { const { last } = seen.state.empty; go(address.withFixed(last - 1800, last + 1800)); });
onKey('.', pause);
onKey('r', () => $('#m-range').showPopover());
onKey('f', () => $('#m-tenant').showPopover());
onKey('-', () => go(address.zoomedOut()));

page.addEventListener('click', (event) => {
  const { tab, sort, outcome } = event.target.closest('[data-tab], [data-sort], [data-outcome]')?.dataset ?? {};
  if (tab) go(address.with('tab', tab).with('sort').with('top'), { push: false });
  if (sort) go(address.with('sort', sort === address.get('sort') ? '' : sort), { push: false });
  if (outcome) {
    if (!hidden.delete(outcome)) hidden.add(outcome);
    setAttribute($(`[data-outcome="${outcome}"]`), 'aria-pressed', !hidden.has(outcome));
    renderCharts();
  }
  const link = event.target.closest('a.ent[href]');
  if (link && !event.metaKey && !event.ctrlKey && event.button === 0) {
    event.preventDefault();
    go(address.toggled(board.dimension, link.dataset.value));
  }
});
$('#m-range').addEventListener('click', (event) => {
  const range = event.target.closest('[data-range]')?.dataset.range;
  if (!range) return;
  closeMenus();
  go(address.withRange(range));
});
page.addEventListener('timerange', (event) => go(address.withFixed(event.detail.from, event.detail.to)));
addEventListener('popstate', () => show(new Address(location.search)));

const found = addChoices({
  url: page.dataset.choices,
  project,
  address: () => address,
  choose: (field, value) => go(field === 'environment' ? address.with('env', value) : address.toggled(field, value)),
});
addCommands(async () => [
  { group: 'Act', icon: 'pause', text: seen.paused ? 'Resume' : 'Pause', hint: '.', run: pause },
  { group: 'Act', icon: 'clock', text: 'From … to …', run: askFromTo },
  ...(address.filtered ? [{ group: 'Act', icon: 'filter', text: 'Clear filter', run: () => go(address.cleared()) }] : []),
]);
addCommands(async () => (await Promise.all(['tool', 'model', 'tenant'].map(async (field) => (await found(field)).items.map(({ value, calls }) => ({
  group: `${field[0].toUpperCase()}${field.slice(1)}s`, icon: { tool: 'tools', model: 'model', tenant: 'user' }[field], text: value, hint: calls, run: () => go(address.toggled(field, value)),
}))))).flat());

renderChoice();
tell();
wire.show(address.query);
