/** The script of the signed-in page: calls the API through the backend, and counts down the life of the token. No token ever gets into the browser. */
export const script: string = `
const [again, answer, calls, expires] = ['again', 'answer', 'calls', 'expires'].map((id) => document.getElementById(id));

function element(name, text, attributes = {}) {
  return Object.assign(document.createElement(name), { textContent: text }, attributes);
}

function timeOf(at) {
  return new Date(at).toLocaleTimeString('en-GB');
}

function note({ at, status, by, isNew }) {
  const line = element('li', '');
  line.append(element('time', timeOf(at)), ' ', element('code', '/v1/orders'), ' ', element('span', status));
  if (by) line.append(' ', element('span', by));
  if (isNew) line.append(' ', element('span', 'new token', { className: 'new' }));
  calls.prepend(line);
  while (calls.children.length > 6) calls.lastElementChild.remove();
}

function count() {
  const left = Math.ceil((Number(expires.dataset.at) - Date.now()) / 1000);
  expires.textContent = left > 0 ? 'in ' + left + ' s' : 'expired: the next call brings another';
}

again.addEventListener('click', async () => {
  again.disabled = true;
  try {
    const response = await fetch('/api/orders');
    if (response.status === 401) return location.assign('/login?returnTo=%2F');
    const call = await response.json();
    answer.textContent = JSON.stringify(response.ok ? call.body : call, null, 2);
    const isNew = response.ok && call.expiresAt !== undefined && String(call.expiresAt) !== expires.dataset.at;
    const by = response.headers.get('x-answered-by');
    note(response.ok ? { ...call, by, isNew } : { at: Date.now(), status: response.status, by, isNew });
    if (isNew) expires.dataset.at = call.expiresAt;
    if (isNew) count();
  } catch {
    answer.textContent = 'This site does not answer.';
  } finally {
    again.disabled = false;
  }
});

for (const time of document.querySelectorAll('time')) time.textContent = timeOf(time.dateTime);
if (expires.dataset.at !== '') {
  count();
  setInterval(count, 1000);
}
`;
