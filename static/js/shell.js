// What every page has: theme, navigation, menus, dialogs, keys, palette, toasts.
import { $, $$, element, icon, setCookie } from './dom.js';

// Theme: system -> light -> dark -> system. The server renders it from the cookie.
function cycleTheme() {
  const order = [undefined, 'light', 'dark'];
  const root = document.documentElement;
  const next = order[(order.indexOf(root.dataset.theme) + 1) % order.length];
  if (next) root.dataset.theme = next; else delete root.dataset.theme;
  setCookie('theme', next ?? '');
  document.dispatchEvent(new CustomEvent('themechange'));
  toast(`Theme: ${next ?? 'follows the system'}`);
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  document.dispatchEvent(new CustomEvent('themechange'));
});

function toggleNav() {
  const app = $('.app');
  app.dataset.nav = app.dataset.nav === 'min' ? '' : 'min';
  setCookie('nav', app.dataset.nav);
  dispatchEvent(new Event('resize')); // charts measure themselves again
}

// At most three, gone after 5 s unless the pointer rests on them.
export function toast(text, { sub = '', bad = false } = {}) {
  const box = $('#toasts');
  const words = element('div', {}, element('span', { class: 'md' }, text), element('span', { class: 'sub' }, sub));
  const made = element('div', { class: bad ? 'toast bad' : 'toast' }, icon(bad ? 'tri' : 'check'), words);
  box.append(made);
  while (box.children.length > 3) box.firstChild.remove();
  let timer = setTimeout(() => made.remove(), 5000);
  made.onpointerenter = () => clearTimeout(timer);
  made.onpointerleave = () => { timer = setTimeout(() => made.remove(), 2000); };
}

// What the last click did, said by the server with the page it led to; where that was
// to publish, the version is one that a page may follow.
export const published = { version: 0 };
for (const said of $$('[data-said-once]')) {
  const version = [...said.classList].find((name) => name.startsWith('follow-'));
  if (version) published.version = Number(version.slice('follow-'.length));
  const [text, sub] = said.textContent.split('\n');
  toast(text.trim(), { sub: (sub ?? '').trim(), bad: said.classList.contains('bad') });
  said.remove();
}

// Menus open under the button that opened them, and arrows walk them.
export function placeMenu(menu) {
  const opener = $(`[popovertarget="${menu.id}"]`)?.getBoundingClientRect();
  if (!opener) return;
  menu.style.top = `${opener.bottom + 6}px`;
  menu.style.left = `${Math.max(8, Math.min(opener.left, innerWidth - menu.offsetWidth - 8))}px`;
}
for (const menu of $$('[popover].menu')) {
  menu.addEventListener('toggle', (event) => {
    const open = event.newState === 'open';
    $(`[popovertarget="${menu.id}"]`)?.setAttribute('aria-expanded', open);
    if (!open) return;
    placeMenu(menu);
    ($('input, [aria-current="true"], [aria-pressed="true"]', menu) ?? $('button, a', menu))?.focus();
  });
  menu.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const items = $$('button, a, input', menu).filter((item) => item.offsetParent);
    event.preventDefault();
    items[(items.indexOf(document.activeElement) + step + items.length) % items.length]?.focus();
  });
}

// Keys: never while typing, never with a modifier. Pages add theirs.
const keys = {
  t: cycleTheme,
  '\\': toggleNav,
  '?': () => $('#help').showModal(),
  '/': () => openPalette(),
};
let pending = '';
export function onKey(key, action) { keys[key] = action; }

function pressed(event) {
  if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    return openPalette();
  }
  if (event.metaKey || event.ctrlKey || event.altKey) return null;
  if (event.target.closest('input, textarea, select, [contenteditable], dialog')) return null;
  const word = pending + event.key;
  pending = '';
  const link = $(`a[data-keys="${CSS.escape(word)}"]`);
  if (link) return link.click();
  if (event.key === 'g') {
    pending = 'g';
    return setTimeout(() => { pending = ''; }, 900);
  }
  if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
  return null;
}
document.addEventListener('keydown', pressed);

// Palette: places, commands, and whatever the page can find. A source gives
// [{ group, icon, text, hint, run }] and may be asynchronous.
const sources = [() => [
  ...$$('a[data-keys]').map((link) => ({
    group: 'Go to', icon: 'expand', text: link.title, hint: [...link.dataset.keys].join(' '), run: () => link.click(),
  })),
  { group: 'View', icon: 'sun', text: 'Switch theme', hint: 't', run: cycleTheme },
  { group: 'View', icon: 'side', text: 'Fold the navigation', hint: '\\', run: toggleNav },
  { group: 'View', icon: 'info', text: 'Keys', hint: '?', run: keys['?'] },
]];
export function addCommands(source) { sources.unshift(source); }

async function openPalette() {
  const palette = $('#palette');
  if (palette.open) return;
  const [input, list] = [$('input', palette), $('.list', palette)];
  input.value = '';
  palette.showModal();
  const entries = [];
  let hits = [];
  let at = 0;
  const draw = () => {
    const wanted = input.value.trim().toLowerCase();
    hits = entries.filter((entry) => entry.text.toLowerCase().includes(wanted)).slice(0, 60);
    at = Math.min(at, Math.max(0, hits.length - 1));
    list.replaceChildren(...options(hits, at));
    $('[aria-selected="true"]', list)?.scrollIntoView({ block: 'nearest' });
  };
  const run = (hit) => { palette.close(); hit?.run(); };
  input.oninput = () => { at = 0; draw(); };
  palette.onkeydown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === 'Enter') { event.preventDefault(); return run(hits[at]); }
    if (!step) return null;
    event.preventDefault();
    at = (at + step + hits.length) % Math.max(1, hits.length);
    return draw();
  };
  list.onclick = (event) => run(hits[event.target.closest('[data-i]')?.dataset.i]);
  for (const source of sources) {
    entries.push(...await source());
    draw();
  }
}

function options(hits, at) {
  if (!hits.length) return [element('div', { class: 'empty' }, element('p', {}, 'Nothing matches.'))];
  let group = '';
  return hits.flatMap((hit, i) => {
    const head = hit.group === group ? [] : [element('h3', {}, group = hit.group)];
    const hint = element('kbd', { class: 'at-end', hidden: !hit.hint }, hit.hint ?? '');
    const name = element('span', { class: 'name' }, hit.text);
    return [...head, element('button', { role: 'option', 'data-i': i, 'aria-selected': i === at }, icon(hit.icon), name, hint)];
  });
}

async function copy(button) {
  const text = $('pre', button.closest('.code')).textContent;
  try {
    await navigator.clipboard.writeText(text);
    toast('Copied');
  } catch {
    toast('The browser did not let us copy', { bad: true });
  }
}

const acts = { theme: cycleTheme, nav: toggleNav, find: openPalette, copy, help: keys['?'] };
document.addEventListener('click', (event) => {
  const actor = event.target.closest('[data-act]');
  if (actor) acts[actor.dataset.act]?.(actor);
  if (event.target.closest('[data-close]') || event.target.matches('dialog')) event.target.closest('dialog')?.close();
});
export function onAct(name, action) { acts[name] = action; }
