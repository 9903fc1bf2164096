import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextDelay } from '../../static/js/backoff.js';
import { ago, clock, fromField, fromWall, moment, span, step, toField, toWall } from '../../static/js/format.js';
import { spark } from '../../static/js/spark.js';

process.env.TZ = 'Europe/Berlin';
const NOON = Date.UTC(2026, 0, 15, 12, 0, 5);

test('a clock shows the zone of the viewer, or UTC', () => {
  assert.equal(clock(NOON, false), '13:00:05');
  assert.equal(clock(NOON, true), '12:00:05');
  assert.equal(clock(NOON, true, { seconds: false }), '12:00');
});

test('wall time goes there and back, also over the change of the clock', () => {
  for (const ms of [NOON, Date.UTC(2026, 2, 29, 0, 30), Date.UTC(2026, 2, 29, 1, 30), Date.UTC(2026, 6, 1)]) {
    assert.equal(fromWall(toWall(ms, false), false), ms);
    assert.equal(fromWall(toWall(ms, true), true), ms);
  }
});

test('the day is said only when it is another one', () => {
  assert.equal(moment(NOON, true, NOON), '12:00');
  assert.equal(moment(NOON - 86400000, true, NOON), '2026-01-14 12:00');
  assert.equal(span(NOON - 3600000, NOON, true, NOON), '11:00 to 12:00');
  assert.equal(span(NOON - 86400000, NOON, true, NOON), '2026-01-14 12:00 to 12:00');
});

test('ages and steps are written in the unit that fits', () => {
  assert.equal(ago(1200), '1\u00a0s ago');
  assert.equal(ago(-5), '0\u00a0s ago');
  assert.equal(ago(600000), '10\u00a0min ago');
  assert.equal(ago(7200000), '2\u00a0h ago');
  assert.equal(ago(4 * 86400000), '4\u00a0days ago');
  assert.deepEqual([10, 60, 3600, 86400].map(step), ['10\u00a0s', '1\u00a0min', '1\u00a0h', '1\u00a0d']);
});

test('a time field is read back as what it shows', () => {
  assert.equal(toField(NOON, false), '2026-01-15T13:00:05');
  assert.equal(fromField('2026-01-15T13:00:05', false), NOON);
  assert.equal(fromField('2026-01-15T12:00', true), NOON - 5000);
  assert.equal(fromField('', true), null);
});

test('waiting grows, is random, and ends at a limit', () => {
  assert.equal(nextDelay(0, () => 0), 250);
  assert.equal(nextDelay(0, () => 1), 750);
  assert.equal(nextDelay(3, () => 1), 4250);
  assert.equal(nextDelay(50, () => 1), 15250);
});

test('a trend leaves gaps and dashes the step that fills', () => {
  const { line, tail } = spark([1, 2, null, 4, 5, 60], 50, 10, { zero: true });

  assert.equal(line.match(/M/g).length, 2);
  assert.match(tail, /^M40\.0 .*L50\.0 2\.0$/);
  assert.equal(spark([1, 2, 3], 50, 10, { filling: false }).tail, '');
});

test('a trend of one value or of equal values draws no cliff', () => {
  assert.deepEqual(spark([null, 3], 50, 10), { line: '', tail: '', fill: '' });
  assert.equal(spark([...Array(50).fill(null), 1, 2, 3], 50, 10).line, '');
  assert.equal(spark([2, 2, 2], 50, 10).line, 'M0.0 5.0L25.0 5.0');
});
