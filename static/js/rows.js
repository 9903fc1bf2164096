// Lists in forms that grow, shrink and change their order: the conditions of a rule,
// the hops of a chain. What is sent is their order in the document, so nothing here
// counts: numbers are drawn by the style sheet.
import { $, $$, setAttribute, setText } from './dom.js';

// Where a row lands that is moved; at the ends it stays.
export function landing(at, by, count) {
  const to = at + by;
  return to >= 0 && to < count ? to : at;
}

export function told(name, at, count) { return `${name} is now ${at + 1} of ${count}`; }

const nameOf = (row) => $('[data-name]', row)?.value.trim() || 'the new one';
const rowsOf = (list) => $$(':scope > [data-row]', $('[data-rows]', list));

function changed(list) {
  for (const row of rowsOf(list)) {
    for (const button of $$('[data-label]', row)) {
      setAttribute(button, 'aria-label', `${button.dataset.label.replace('%', nameOf(row))}`);
    }
  }
  list.dispatchEvent(new Event('change', { bubbles: true }));
}

function say(list, text) { setText($('[data-said]', list), text); }

function add(list) {
  const row = $('template', list).content.firstElementChild.cloneNode(true);
  $('[data-rows]', list).append(row);
  changed(list);
  $('input, select', row).focus();
}

function remove(list, row) {
  const rows = rowsOf(list);
  const next = rows[rows.indexOf(row) + 1] ?? rows[rows.indexOf(row) - 1];
  say(list, `${nameOf(row)} is removed`);
  row.remove();
  changed(list);
  (next ? $('[data-remove]', next) : $('[data-add]', list)).focus();
}

function move(list, row, by) {
  const rows = rowsOf(list);
  const at = rows.indexOf(row);
  const to = landing(at, by, rows.length);
  if (to === at) return;
  const focused = document.activeElement;
  rows[to][by < 0 ? 'before' : 'after'](row);
  focused.focus();
  changed(list);
  say(list, told(nameOf(row), to, rows.length));
}

function pressed(list, event) {
  const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  const row = event.target.closest('[data-row]');
  if (!event.altKey || !by || !row || !('ordered' in list.dataset)) return;
  event.preventDefault();
  move(list, row, by);
}

// Only the grip drags: text in a row can still be chosen with the pointer.
function dragged(list) {
  let held = null;
  list.addEventListener('pointerdown', (event) => {
    const row = event.target.closest('[data-grip]')?.closest('[data-row]');
    if (row) row.draggable = true;
  });
  list.addEventListener('dragstart', (event) => { held = event.target.closest('[data-row]'); });
  list.addEventListener('dragover', (event) => {
    const over = event.target.closest('[data-row]');
    if (!held || !over || over.parentElement !== held.parentElement) return;
    event.preventDefault();
    const { top, height } = over.getBoundingClientRect();
    over[event.clientY < top + height / 2 ? 'before' : 'after'](held);
  });
  list.addEventListener('dragend', () => {
    if (!held) return;
    held.draggable = false;
    const rows = rowsOf(list);
    say(list, told(nameOf(held), rows.indexOf(held), rows.length));
    held = null;
    changed(list);
  });
}

export function growing(list) {
  list.addEventListener('click', (event) => {
    const row = event.target.closest('[data-row]');
    const { move: by } = event.target.closest('[data-move]')?.dataset ?? {};
    if (event.target.closest('[data-add]')) add(list);
    else if (row && event.target.closest('[data-remove]')) remove(list, row);
    else if (row && by) move(list, row, Number(by));
  });
  list.addEventListener('keydown', (event) => pressed(list, event));
  list.addEventListener('input', () => changed(list));
  if ('ordered' in list.dataset) dragged(list);
}
