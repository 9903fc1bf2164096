// When to try again. Full jitter: a restarted server is not met by all at once.
const FIRST_MS = 500;
const LONGEST_MS = 15000;

export function nextDelay(attempt, random = Math.random) {
  return FIRST_MS / 2 + random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
}
