// Draws figures that the server built: puts the theme's colours in place of token
// names, moves times into the viewer's zone, keeps one crosshair for all charts.
import { $ } from './dom.js';
import { fromWall, wallText } from './format.js';

const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };
const TOKEN = /^var\((--[\w-]+)\)$/;
const charts = new Map();

export function resolve(part, value) {
  if (typeof part === 'string') {
    const match = TOKEN.exec(part);
    return match ? value(match[1]) : part;
  }
  if (Array.isArray(part)) return part.map((item) => resolve(item, value));
  if (part === null || typeof part !== 'object') return part;
  return Object.fromEntries(Object.entries(part).map(([key, item]) => [key, resolve(item, value)]));
}

export function inZone({ data, layout }, utc) {
  const move = (ms) => wallText(ms, utc);
  const axis = layout.xaxis.range ? { ...layout.xaxis, range: layout.xaxis.range.map(move) } : layout.xaxis;
  const annotations = (layout.annotations ?? []).map((note) => ({ ...note, x: move(note.x) }));
  const shapes = (layout.shapes ?? []).map((line) => ({ ...line, x0: move(line.x0), x1: move(line.x1) }));
  return {
    data: data.map((trace) => ({ ...trace, x: trace.x.map(move) })),
    layout: { ...layout, xaxis: axis, annotations, shapes },
  };
}

const touch = matchMedia('(pointer: coarse)');

const themed = (part) => {
  const style = getComputedStyle(document.documentElement);
  return resolve(part, (name) => style.getPropertyValue(name).trim());
};

export function draw(box, figure, { utc, hidden = new Set() }) {
  let chart = charts.get(box);
  if (!chart) charts.set(box, chart = { box, plot: part(box, 'plot'), cross: part(box, 'cross'), at: null });
  chart.figure = figure;
  chart.options = { utc, hidden };
  // A redraw would take the time that is just being chosen out of the viewer's hand.
  if (globalThis.Plotly && !chart.held) react(chart);
}

function react(chart) {
  const { figure, options: { utc, hidden }, plot } = chart;
  const { data, layout } = themed(inZone(figure, utc));
  const template = themed(JSON.parse($('#figure-template').textContent));
  const shown = data.map((trace) => ({ ...trace, visible: !hidden.has(trace.name) }));
  const narrow = innerWidth < 760 ? { xaxis: { ...layout.xaxis, nticks: 5 } } : {};
  // A finger on a chart scrolls the page.
  const dragmode = touch.matches ? false : 'zoom';
  globalThis.Plotly.react(plot, shown, { template, dragmode, ...layout, ...narrow }, CONFIG);
  if (!chart.heard) listen(chart);
  if (chart.at !== null) globalThis.Plotly.Fx.hover(plot, { xval: chart.at }, ['xy']);
}

function part(box, name) {
  const made = document.createElement('div');
  made.className = name;
  box.append(made);
  return made;
}

function listen(chart) {
  chart.heard = true;
  chart.box.addEventListener('pointerleave', () => { chart.at = null; });
  chart.box.addEventListener('pointerdown', () => { chart.held = true; }, true);
  for (const end of ['pointerup', 'pointercancel']) {
    addEventListener(end, () => { chart.held = false; }, true);
  }
  chart.plot.on('plotly_hover', (event) => {
    if (chart.box.matches(':hover')) chart.at = event.xvals?.[0] ?? null;
    point(event.xvals?.[0]);
  });
  chart.plot.on('plotly_unhover', () => point(null));
  chart.plot.on('plotly_relayout', (change) => {
    const chosen = [change['xaxis.range[0]'], change['xaxis.range[1]']];
    if (chosen[0] === undefined) return;
    const [from, to] = chosen.map((wall) => fromWall(moment(wall), chart.options.utc) / 1000);
    if (to > from) chart.box.dispatchEvent(new CustomEvent('timerange', { bubbles: true, detail: { from, to } }));
  });
}

// Plotly says "2026-11-20 14:03:10.5" for what it reads as UTC, or a number.
export function moment(wall) {
  return typeof wall === 'number' ? wall : Date.parse(`${wall.replace(' ', 'T')}Z`);
}

function point(x) {
  for (const { plot, cross } of charts.values()) {
    const axis = plot._fullLayout?.xaxis;
    cross.style.display = x === null || x === undefined || !axis ? 'none' : 'block';
    if (cross.style.display === 'none') continue;
    cross.style.left = `${axis._offset + axis.d2p(x)}px`;
    cross.style.top = `${plot._fullLayout._size.t}px`;
    cross.style.bottom = `${plot._fullLayout._size.b}px`;
  }
}

function redraw() {
  for (const { box, figure, options } of charts.values()) draw(box, figure, options);
}
document.addEventListener('themechange', redraw);
// The library is loaded beside this module, and may come later than the first numbers.
if (!globalThis.Plotly) addEventListener('load', redraw);
