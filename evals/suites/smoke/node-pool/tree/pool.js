/** Run jobs (functions that return promises), at most `limit` at once; their results in order. */
async function pool(jobs, limit) {
  return Promise.all(jobs.map((job) => job()));
}

module.exports = { pool };
