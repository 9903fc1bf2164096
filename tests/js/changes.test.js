import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Held, apply } from '../../static/js/changes.js';

test('a change of a value, of a key and of a list', () => {
  const state = { a: 1, b: { c: [1, 2, 3] }, d: [{ x: 1 }, { x: 2 }], gone: true };

  const next = apply(state, [
    ['=', ['a'], 2],
    ['~', ['b', 'c'], 1, 2, [4]],
    ['=', ['d', 1, 'x'], 5],
    ['-', ['gone']],
  ]);

  assert.deepEqual(next, { a: 2, b: { c: [2, 3, 4] }, d: [{ x: 1 }, { x: 5 }] });
});

test('the whole state can be replaced', () => {
  assert.deepEqual(apply({ a: 1 }, [['=', [], { b: 2 }]]), { b: 2 });
});

test('messages in order lead to the latest number', () => {
  const held = new Held();

  assert.equal(held.take({ type: 'snapshot', epoch: 'e', seq: 4, state: { n: 1 } }), 'new');
  assert.equal(held.take({ type: 'changes', from: 4, seq: 6, changes: [['=', ['n'], 3]] }), 'new');

  assert.deepEqual([held.epoch, held.seq, held.state], ['e', 6, { n: 3 }]);
});

test('a message that does not follow is a gap and changes nothing', () => {
  const held = new Held();
  held.take({ type: 'snapshot', epoch: 'e', seq: 4, state: { n: 1 } });

  assert.equal(held.take({ type: 'changes', from: 5, seq: 6, changes: [['=', ['n'], 3]] }), 'gap');
  assert.deepEqual([held.seq, held.state], [4, { n: 1 }]);
});

test('changes before any snapshot are a gap', () => {
  assert.equal(new Held().take({ type: 'changes', from: 0, seq: 1, changes: [] }), 'gap');
});
