const test = require("node:test");
const assert = require("node:assert");
const { ranked } = require("../ranked");

test("ranked sorts single digits", () => {
  assert.deepStrictEqual(ranked([3, 1, 2]), [1, 2, 3]);
});

test("ranked sorts by value", () => {
  assert.deepStrictEqual(ranked([10, 9, 1]), [1, 9, 10]);
});
