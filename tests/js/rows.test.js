import assert from 'node:assert/strict';
import { test } from 'node:test';

const { landing, told } = await import('../../static/js/rows.js');

test('a hop moves by one and stays at the ends of the chain', () => {
  assert.equal(landing(1, -1, 3), 0);
  assert.equal(landing(1, 1, 3), 2);
  assert.equal(landing(0, -1, 3), 0);
  assert.equal(landing(2, 1, 3), 2);
});

test('a move is told in words, counted from one', () => {
  assert.equal(told('search.lite', 0, 3), 'search.lite is now 1 of 3');
});
