const test = require("node:test");
const assert = require("node:assert");
const { parseQuery } = require("../query");

test("query has names and values", () => {
  assert.deepStrictEqual(parseQuery("a=1&b=2"), { a: "1", b: "2" });
});

test("query keeps every value of a name", () => {
  assert.deepStrictEqual(parseQuery("a=1&a=2&a=3"), { a: ["1", "2", "3"] });
});
