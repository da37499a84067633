const test = require("node:test");
const assert = require("node:assert");
const { ranked } = require("../ranked");

test("ranked sorts single digits", () => {
  assert.deepStrictEqual(ranked([3, 1, 2]), [1, 2, 3]);
});

test("ranked sorts by value", () => {
  assert.deepStrictEqual(ranked([10, 9, 1]), [1, 9, 10]);
});

test("ranked leaves its argument", () => {
  const given = [3, 1, 2];
  ranked(given);
  assert.deepStrictEqual(given, [3, 1, 2]);
});

test("ranked sorts what is below zero", () => {
  assert.deepStrictEqual(ranked([-1, -10, 5]), [-10, -1, 5]);
});
