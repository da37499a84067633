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

test("debounce can be cancelled", async () => {
  const seen = [];
  const call = debounce((value) => seen.push(value), 20);
  call(1);
  call.cancel();
  await pause(80);
  assert.deepStrictEqual(seen, []);
  call(2);
  await pause(80);
  assert.deepStrictEqual(seen, [2]);
});

test("debounce waits until the burst is over", async () => {
  const seen = [];
  const call = debounce((value) => seen.push(value), 800);
  call(1);
  await pause(400);
  call(2);
  await pause(400);
  assert.deepStrictEqual(seen, []);
  await pause(1200);
  assert.deepStrictEqual(seen, [2]);
});
