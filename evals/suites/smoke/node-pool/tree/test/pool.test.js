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
