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

test("equal knows null", () => {
  assert.ok(!deepEqual(null, {}));
  assert.ok(!deepEqual({}, null));
  assert.ok(deepEqual({ a: null }, { a: null }));
});

test("equal knows lists from objects", () => {
  assert.ok(!deepEqual([1], { 0: 1 }));
  assert.ok(deepEqual([1, [2]], [1, [2]]));
});

test("equal takes NaN for itself", () => {
  assert.ok(deepEqual({ a: NaN }, { a: NaN }));
});

test("equal tells a missing key from undefined", () => {
  assert.ok(!deepEqual({ a: undefined }, { b: undefined }));
});
