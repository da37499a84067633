const test = require("node:test");
const assert = require("node:assert");
const { pool } = require("../pool");

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test("pool gives results in order", async () => {
  const jobs = [30, 10, 20].map((ms) => async () => { await pause(ms); return ms; });
  assert.deepStrictEqual(await pool(jobs, 3), [30, 10, 20]);
});

test("pool holds its limit", async () => {
  let running = 0;
  let most = 0;
  const job = async () => {
    running += 1;
    most = Math.max(most, running);
    await pause(10);
    running -= 1;
  };
  await pool([job, job, job, job, job], 2);
  assert.strictEqual(most, 2);
});

test("pool may have nothing to do", async () => {
  assert.deepStrictEqual(await pool([], 2), []);
});

test("pool begins nothing after a failure", async () => {
  const begun = [];
  const job = (name, fails) => async () => {
    begun.push(name);
    await pause(10);
    if (fails) throw new Error(name);
  };
  await assert.rejects(pool([job("a", true), job("b"), job("c"), job("d")], 1), /a/);
  await pause(50);
  assert.deepStrictEqual(begun, ["a"]);
});

test("pool goes on as soon as there is room", async () => {
  const ended = [];
  const job = (name, ms) => async () => {
    await pause(ms);
    ended.push(name);
  };
  await pool([job("long", 400), job("a", 20), job("b", 20), job("c", 20)], 2);
  assert.deepStrictEqual(ended, ["a", "b", "c", "long"]);
});
