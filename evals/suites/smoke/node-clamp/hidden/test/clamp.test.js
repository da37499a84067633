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

test("clamp keeps the bounds themselves", () => {
  assert.strictEqual(clamp(0, 0, 10), 0);
  assert.strictEqual(clamp(10, 0, 10), 10);
});

test("clamp works below zero", () => {
  assert.strictEqual(clamp(-1, -10, -5), -5);
});
