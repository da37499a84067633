/** Call `target` once a burst of calls is over for `ms` milliseconds. */
function debounce(target, ms) {
  let timer = null;
  return function (...args) {
    if (timer !== null) return;
    timer = setTimeout(() => {
      timer = null;
      target.apply(this, args);
    }, ms);
  };
}

module.exports = { debounce };
