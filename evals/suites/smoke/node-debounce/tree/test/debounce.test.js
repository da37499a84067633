const test = require("node:test");
const assert = require("node:assert");
const { debounce } = require("../debounce");

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test("debounce calls once", async () => {
  let calls = 0;
  const call = debounce(() => { calls += 1; }, 20);
  call();
  call();
  await pause(80);
  assert.strictEqual(calls, 1);
});

test("debounce passes the last arguments", async () => {
  const seen = [];
  const call = debounce((value) => seen.push(value), 20);
  call(1);
  call(2);
  call(3);
  await pause(80);
  assert.deepStrictEqual(seen, [3]);
});
