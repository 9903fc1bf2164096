// A part of a page that the server draws again: [data-refresh] says where from.

// One fetch at a time, and one more when something changed meanwhile.
export async function refresh(box) {
  if (box.dataset.busy) { box.dataset.again = '1'; return; }
  box.dataset.busy = '1';
  try {
    const answer = await fetch(box.dataset.refresh, { headers: { 'X-Requested-With': 'fetch' } });
    if (answer.ok && !answer.redirected) box.innerHTML = await answer.text();
    document.dispatchEvent(new CustomEvent('refreshed', { detail: box }));
  } catch { /* the socket tells again when it is back */ }
  delete box.dataset.busy;
  if (box.dataset.again) { delete box.dataset.again; refresh(box); }
}
