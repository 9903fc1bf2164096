import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.document = { addEventListener() {} };
globalThis.addEventListener = () => {};
globalThis.matchMedia = () => ({ matches: false });
const { inZone, moment, resolve } = await import('../../static/js/chart.js');

test('token names become the values of the theme', () => {
  const figure = { color: 'var(--o-ok)', list: ['var(--c1)', 1, null], text: 'var(--c1) is a colour' };

  const made = resolve(figure, (name) => name.toUpperCase());

  assert.deepEqual(made, { color: '--O-OK', list: ['--C1', 1, null], text: 'var(--c1) is a colour' });
});

test('times of a figure move into the zone, and nothing else does', () => {
  const figure = { data: [{ x: [0, 60000], y: [1, 2] }], layout: { xaxis: { range: [0, 60000] }, annotations: [{ x: 0, y: 1 }], shapes: [{ x0: 0, x1: 60000, y0: 0 }] } };

  const [first, second] = ['1970-01-01T00:00:00.000', '1970-01-01T00:01:00.000'];
  assert.deepEqual(inZone(figure, true), {
    data: [{ x: [first, second], y: [1, 2] }],
    layout: { xaxis: { range: [first, second] }, annotations: [{ x: first, y: 1 }], shapes: [{ x0: first, x1: second, y0: 0 }] },
  });
});

test('what Plotly says about a chosen time is read as UTC', () => {
  assert.equal(moment('1970-01-01 00:01:00.5'), 60500);
  assert.equal(moment(60500), 60500);
});
