// The menus of filters: who made calls in the time shown, most calls first.
import { $, $$, element, icon } from './dom.js';
import { placeMenu } from './shell.js';

const MANY = 8; // from here on, typing is quicker than reading

export function addChoices({ url, project, address, choose }) {
  const found = async (field) => {
    const where = `${url}?project=${encodeURIComponent(project)}&field=${field}&${address().query}`;
    try {
      const answer = await fetch(where);
      return answer.ok ? await answer.json() : { total: 0, items: [] };
    } catch {
      return { total: 0, items: [] };
    }
  };
  for (const menu of $$('.menu[data-field]')) {
    menu.addEventListener('toggle', async (event) => {
      if (event.newState !== 'open') return;
      const { field } = menu.dataset;
      menu.replaceChildren(element('p', { class: 'menu-note' }, 'Looking …'));
      fill(menu, await found(field), chosen(address(), field), (value) => {
        menu.hidePopover();
        choose(field, value);
      });
      placeMenu(menu);
      $('input, button', menu)?.focus();
    });
  }
  return found;
}

function chosen(address, field) {
  return field === 'environment' ? [address.get('env')].filter(Boolean) : address.all(field);
}

function fill(menu, { total, items }, on, choose) {
  const known = new Set(items.map((item) => item.value));
  const gone = on.filter((value) => !known.has(value)).map((value) => ({ value, calls: '0' }));
  const rows = [...gone, ...items].map((item) => row(item, on.includes(item.value), choose));
  const list = element('div', { class: 'choices' }, ...rows);
  if (!rows.length) list.append(element('p', { class: 'menu-note' }, 'Nobody in this time.'));
  if (total > items.length) list.append(element('p', { class: 'menu-note' }, `${items.length} of ${total}`));
  const head = [];
  if (rows.length > MANY) head.push(searchBox(rows));
  if ('one' in menu.dataset) head.push(row({ value: 'all environments', calls: '' }, !on.length, () => choose('')));
  menu.replaceChildren(...head, list);
}

function row({ value, calls }, on, choose) {
  const tick = icon('check', 14);
  tick.classList.add('check-mark');
  const made = element('button', { 'aria-pressed': String(on) }, tick, element('span', { title: value }, value), element('span', { class: 'hint' }, calls));
  made.onclick = () => choose(value);
  return made;
}

function searchBox(rows) {
  const input = element('input', { class: 'input', 'aria-label': 'Find', placeholder: 'Find' });
  input.oninput = () => {
    const wanted = input.value.toLowerCase();
    for (const item of rows) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  };
  return input;
}
