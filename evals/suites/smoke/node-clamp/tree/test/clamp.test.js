const test = require("node:test");
const assert = require("node:assert");
const { clamp } = require("../clamp");

test("clamp leaves what is within", () => {
  assert.strictEqual(clamp(5, 0, 10), 5);
});

test("clamp lifts what is too low", () => {
  assert.strictEqual(clamp(-5, 0, 10), 0);
});

test("clamp lowers what is too high", () => {
  assert.strictEqual(clamp(15, 0, 10), 10);
});
