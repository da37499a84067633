/** Whether two values of plain data are alike, all the way down. */
function deepEqual(one, other) {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object") return false;
  for (const key of Object.keys(one)) {
    if (!deepEqual(one[key], other[key])) return false;
  }
  return true;
}

module.exports = { deepEqual };
