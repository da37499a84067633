/** The numbers from the lowest to the highest; the argument stays as it is. */
function ranked(numbers) {
  return numbers.sort();
}

module.exports = { ranked };
