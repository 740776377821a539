// Talks to our own server. Every change carries the header that no foreign form can send.

export class Refusal extends Error {
  constructor(message, hint, status) {
    super(message);
    this.hint = hint;
    this.status = status;
  }
}

async function checked(response) {
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  throw new Refusal(said.error ?? `the server answered ${response.status}`, said.hint ?? "", response.status);
}

export async function get(path, signal) {
  return (await checked(await fetch(path, { signal, credentials: "same-origin" }))).json();
}

export async function bytes(path, signal) {
  return (await checked(await fetch(path, { signal, credentials: "same-origin", cache: "no-store" }))).blob();
}

export async function post(path, body) {
  const headers = { "Content-Type": "application/json", "X-Clew": "1" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "same-origin" });
  return (await checked(response)).json();
}
