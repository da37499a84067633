/** `value`, but not below `low` and not above `high`. */
function clamp(value, low, high) {
  return Math.max(low, Math.max(value, high === undefined ? value : low));
}

module.exports = { clamp };
