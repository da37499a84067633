/** A query string as an object. */
function parseQuery(text) {
  const found = {};
  for (const pair of text.split("&")) {
    const [name, value] = pair.split("=");
    found[name] = value;
  }
  return found;
}

module.exports = { parseQuery };
