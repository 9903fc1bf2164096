// Times in words. Numbers come from the server as they are to be written.
const NBSP = '\u00a0';
const two = (n) => String(n).padStart(2, '0');

// The server and charts know UTC; "wall" is the same instant moved so that reading it
// as UTC gives the clock of the viewer's zone.
export function toWall(ms, utc) {
  return utc ? ms : ms - new Date(ms).getTimezoneOffset() * 60000;
}

export function fromWall(wall, utc) {
  if (utc) return wall;
  const guess = wall + new Date(wall).getTimezoneOffset() * 60000;
  return wall + new Date(guess).getTimezoneOffset() * 60000;
}

// For charts: Plotly reads text without a zone as it stands, and numbers as local time.
export function wallText(ms, utc) {
  return new Date(toWall(ms, utc)).toISOString().slice(0, -1);
}

export function clock(ms, utc, { seconds = true } = {}) {
  const at = new Date(toWall(ms, utc));
  const text = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
  return seconds ? `${text}:${two(at.getUTCSeconds())}` : text;
}

export function day(ms, utc) {
  return new Date(toWall(ms, utc)).toISOString().slice(0, 10);
}

// With the day only when it is not today's.
export function moment(ms, utc, now) {
  const time = clock(ms, utc, { seconds: false });
  return day(ms, utc) === day(now, utc) ? time : `${day(ms, utc)} ${time}`;
}

export function span(fromMs, toMs, utc, now) {
  const until = day(fromMs, utc) === day(toMs, utc)
    ? clock(toMs, utc, { seconds: false }) : moment(toMs, utc, now);
  return `${moment(fromMs, utc, now)} to ${until}`;
}

export function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 100) return `${seconds}${NBSP}s ago`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes}${NBSP}min ago`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours}${NBSP}h ago` : `${Math.round(hours / 24)}${NBSP}days ago`;
}

export function step(seconds) {
  if (seconds < 60) return `${seconds}${NBSP}s`;
  if (seconds < 3600) return `${seconds / 60}${NBSP}min`;
  return seconds < 86400 ? `${seconds / 3600}${NBSP}h` : `${seconds / 86400}${NBSP}d`;
}

export function zone(utc) {
  return utc ? 'UTC' : Intl.DateTimeFormat().resolvedOptions().timeZone;
}

// What <input type="datetime-local"> holds, and back.
export function toField(ms, utc) {
  return new Date(toWall(ms, utc)).toISOString().slice(0, 19);
}

export function fromField(text, utc) {
  const wall = Date.parse(`${text.length === 16 ? `${text}:00` : text}Z`);
  return Number.isNaN(wall) ? null : fromWall(wall, utc);
}
