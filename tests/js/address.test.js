import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Address } from '../../static/js/address.js';

test('defaults are read but never written', () => {
  const address = new Address('?project=acme');

  assert.equal(address.get('range'), '1h');
  assert.equal(String(address.withRange('1h').with('tab', 'tools')), '?project=acme');
});

test('a range and a fixed time exclude each other', () => {
  const fixed = new Address('?range=6h').withFixed(1000.4, 2000.2);

  assert.equal(String(fixed), '?from=1000&to=2001');
  assert.deepEqual(fixed.fixed, { from: 1000, to: 2001 });
  assert.equal(String(fixed.withRange('24h')), '?range=24h');
});

test('choosing a value twice takes it back', () => {
  const one = new Address('').toggled('tenant', 'a & b');
  const two = one.toggled('tenant', 'c');

  assert.deepEqual(two.all('tenant'), ['a & b', 'c']);
  assert.deepEqual(two.toggled('tenant', 'a & b').all('tenant'), ['c']);
  assert.equal(String(one.toggled('tenant', 'a & b')), '?');
});

test('clearing the filter leaves time and tab', () => {
  const address = new Address('?env=prod&tenant=a&tool=t&range=6h&tab=models');

  assert.ok(address.filtered);
  assert.equal(String(address.cleared()), '?range=6h&tab=models');
  assert.ok(!address.cleared().filtered);
});

test('zooming out takes the next range or twice the time', () => {
  assert.equal(new Address('').zoomedOut().get('range'), '6h');
  assert.equal(new Address('?range=30d').zoomedOut().get('range'), '30d');
  assert.deepEqual(new Address('?from=1000&to=2000').zoomedOut().fixed, { from: 500, to: 2500 });
});

test('the server is asked without the project', () => {
  assert.equal(new Address('?project=acme&tab=models').query, 'tab=models');
});
