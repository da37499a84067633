const test = require("node:test");
const assert = require("node:assert");
const { parseQuery } = require("../query");

test("query has names and values", () => {
  assert.deepStrictEqual(parseQuery("a=1&b=2"), { a: "1", b: "2" });
});

test("query keeps every value of a name", () => {
  assert.deepStrictEqual(parseQuery("a=1&a=2&a=3"), { a: ["1", "2", "3"] });
});

test("query decodes", () => {
  assert.deepStrictEqual(parseQuery("full%20name=J%C3%BCrgen+B"), { "full name": "Jürgen B" });
});

test("query may have an equals sign in a value", () => {
  assert.deepStrictEqual(parseQuery("a=b=c"), { a: "b=c" });
});

test("query may be empty, or have a name without a value", () => {
  assert.deepStrictEqual(parseQuery(""), {});
  assert.deepStrictEqual(parseQuery("a&b="), { a: "", b: "" });
});
