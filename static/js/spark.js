// The paths of a small trend. The last piece is still filling and drawn dashed; a gap
// in the numbers is a gap in the line.
const PAD = 2;

export function spark(values, width, height, { zero = false, filling = true } = {}) {
  const known = values.filter((n) => n !== null);
  if (known.length < 2) return { line: '', tail: '', fill: '' };
  const low = zero ? 0 : Math.min(...known);
  const high = Math.max(...known, low + Number.EPSILON);
  const dx = width / (values.length - 1);
  const flat = !zero && high - low < 1e-9;
  const y = (n) => (flat ? height / 2 : PAD + (1 - (n - low) / (high - low)) * (height - 2 * PAD));
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
