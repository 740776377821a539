// Makes elements out of text; never out of markup (Trusted Types are required, and no policy is made).

export const by = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

let sayingUntil = 0;

export function say(text) {
  by("status").textContent = text;
  clearTimeout(sayingUntil);
  sayingUntil = setTimeout(() => (by("status").textContent = ""), 6000);
}

export function complain(error) {
  if (error.name === "AbortError") return;
  const notice = by("notice");
  notice.textContent = error.hint ? `${error.message}. ${error.hint}.` : error.message;
  notice.hidden = false;
}

export function settle() {
  by("notice").hidden = true;
}

export const plural = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
