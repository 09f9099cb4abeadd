// Requests of the page. A change carries the token that this page alone has.

const token = document.querySelector("meta[name=token]").content;

export async function get(name, asked = {}) {
  const words = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
  return answer(await fetch(`/api/${name}?${words}`));
}

export async function post(name, body) {
  const headers = { "Content-Type": "application/json", "X-Console-Token": token };
  return answer(await fetch(`/api/${name}`, { method: "POST", headers, body: JSON.stringify(body) }));
}

async function answer(response) {
  const body = await response.text();
  if (!response.ok) throw new Error(body.trim() || `the console answers ${response.status}`);
  return JSON.parse(body);
}
