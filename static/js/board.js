// The board of targets: cells swap their text in place; rows take a new order only
// while no pointer is over them, or after ten seconds.
import { $, $$, path, setAttribute, setText } from './dom.js';
import { spark } from './spark.js';

const HOLD_MS = 10000;
const LOWEST = 60; // percent, where the lift's scale begins
const TONED = ['errors', 'attempt_errors', 'attempts', 'spend', 'wasted'];

export class Board {
  constructor(root, linkTo) {
    this.body = $('tbody', root);
    this.template = $('#row').content.firstElementChild;
    this.linkTo = linkTo;
    this.rows = new Map();
    this.order = [];
    this.body.addEventListener('pointerleave', () => this.arrange());
  }

  draw({ rows, order, dimension }, filling) {
    if (dimension !== this.dimension) this.clear();
    this.dimension = dimension;
    for (const [key, row] of this.rows) if (!(key in rows)) { row.remove(); this.rows.delete(key); }
    for (const key of order) this.fill(this.row(key), rows[key], filling);
    this.order = order;
    if (!this.body.matches(':hover')) this.arrange();
    else this.timer ??= setTimeout(() => this.arrange(), HOLD_MS);
  }

  clear() {
    this.body.replaceChildren();
    this.rows.clear();
  }

  row(key) {
    if (!this.rows.has(key)) {
      const row = this.template.cloneNode(true);
      this.rows.set(key, row);
      this.body.append(row);
    }
    return this.rows.get(key);
  }

  arrange() {
    clearTimeout(this.timer);
    this.timer = null;
    const wanted = this.order.map((key) => this.rows.get(key));
    if (wanted.every((row, i) => this.body.children[i] === row)) return;
    const focused = document.activeElement;
    this.body.append(...wanted);
    if (this.body.contains(focused)) focused.focus();
  }

  fill(row, numbers, filling) {
    const colour = numbers.slot ? `var(--c${numbers.slot})` : 'var(--c-other)';
    const name = $('.ent', row);
    setText($('b', name), numbers.name);
    setText($('.sub', name), numbers.note);
    setAttribute(name, 'title', numbers.name);
    const link = numbers.value === null ? null : this.linkTo(this.dimension, numbers.value);
    if (link) setAttribute(name, 'href', link); else name.removeAttribute('href');
    name.dataset.value = numbers.value ?? '';
    $('.sq', name).style.setProperty('--dot', colour);
    for (const cell of $$('[data-f]', row)) setText(cell, numbers[cell.dataset.f]);
    for (const field of TONED) setAttribute($(`[data-f="${field}"]`, row), 'class', numbers[`${field}_tone`]);
    setAttribute($('.rate', row), 'title', numbers.calls);
    drawSpark($('.rate .spark', row), numbers.spark, colour, filling);
    fillLift(row, numbers);
  }
}

function drawSpark(svg, values, colour, filling) {
  svg.style.color = colour;
  const { line, tail } = spark(values, 60, 18, { zero: true, filling });
  if (svg.dataset.line === line + tail) return;
  svg.dataset.line = line + tail;
  const base = path('M0 17.5H60');
  base.style.stroke = 'var(--line-strong)';
  svg.replaceChildren(base, path(line), path(tail, 'tail'));
}

const place = (percent) => 4 + (52 * (Math.max(LOWEST, percent) - LOWEST)) / (100 - LOWEST);

function fillLift(row, { first, final, first_text: from, final_text: to, bad, none }) {
  const lift = $('.lift', row);
  lift.hidden = first === null;
  setText($('.none', row), none ?? '');
  if (first === null) return;
  lift.classList.toggle('bad', bad);
  setText($('.from', lift), first < LOWEST ? `‹ ${from}` : from);
  setText($('.to', lift), to);
  const [a, b] = [place(first).toFixed(1), place(final).toFixed(1)];
  setAttribute($('.gain', lift), 'd', `M${a} 7H${b}`);
  setAttribute($('.first', lift), 'cx', a);
  setAttribute($('.final', lift), 'cx', b);
  setAttribute($('svg', lift), 'aria-label', `first attempt ${from} %, in the end ${to} %`);
}
