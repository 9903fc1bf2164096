// The paths of a small trend. The last piece is still filling and drawn dashed; a gap
// in the numbers is a gap in the line.
const PAD = 2;
const ENOUGH = 0.1; // of the steps known, or a trend would be a blot at one end
const NONE = { line: '', tail: '', fill: '' };

export function spark(values, width, height, { zero = false, filling = true } = {}) {
  // What is still filling is small and jumps: it does not set the scale.
  const known = values.slice(0, filling ? -1 : undefined).filter((n) => n !== null);
  if (known.length < 2 || known.length < values.length * ENOUGH) return NONE;
  const low = zero ? 0 : Math.min(...known);
  const high = Math.max(...known, low + Number.EPSILON);
  const dx = width / (values.length - 1);
  const flat = !zero && high - low < 1e-9;
  const share = (n) => Math.min(1, Math.max(0, (n - low) / (high - low)));
  const y = (n) => (flat ? height / 2 : PAD + (1 - share(n)) * (height - 2 * PAD));
  const at = values.map((n, i) => (n === null ? null : `${(i * dx).toFixed(1)} ${y(n).toFixed(1)}`));
  const last = filling ? values.length - 1 : values.length;
  const body = at.slice(0, last);
  const line = join(body);
  const tail = filling && at[last] && at[last - 1] ? `M${at[last - 1]}L${at[last]}` : '';
  const whole = body.every((p) => p !== null);
  const end = ((last - 1) * dx).toFixed(1);
  return { line, tail, fill: whole && body.length > 1 ? `${line}L${end} ${height}L0 ${height}Z` : '' };
}

function join(points) {
  let pen = 'M';
  let path = '';
  for (const point of points) {
    if (point === null) { pen = 'M'; continue; }
    path += pen + point;
    pen = 'L';
  }
  return path;
}
