const test = require("node:test");
const assert = require("node:assert");
const { deepEqual } = require("../equal");

test("equal plain values", () => {
  assert.ok(deepEqual(1, 1));
  assert.ok(!deepEqual(1, 2));
});

test("equal objects", () => {
  assert.ok(deepEqual({ a: { b: 1 } }, { a: { b: 1 } }));
  assert.ok(!deepEqual({ a: 1 }, { a: 2 }));
});

test("equal needs the same keys", () => {
  assert.ok(!deepEqual({ a: 1 }, { a: 1, b: 2 }));
});
