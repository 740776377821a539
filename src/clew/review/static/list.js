// The list on the left: one page of entries at a time, so that it stays quick however long it is.

import { get } from "./ask.js";
import { by, make, plural } from "./dom.js";
import { thumbnail } from "./tiles.js";

export const list = { section: "open", after: "", next: null, entries: [], at: -1 };

export async function load(section, after) {
  const query = new URLSearchParams({ section, after });
  const page = await get(`/api/series?${query}`);
  Object.assign(list, { section, after, next: page.next, entries: page.entries, at: page.entries.length ? 0 : -1 });
  for (const tab of document.querySelectorAll("[data-section]")) {
    tab.setAttribute("aria-pressed", String(tab.dataset.section === section));
  }
  by("next").disabled = page.next === null;
  by("first").disabled = after === "";
  showProgress(page);
  draw();
}

export function showProgress(page) {
  by("progress").textContent = progress(page.progress);
  by("not-covered").textContent = notCovered(page.not_covered);
}

export function draw() {
  by("entries").replaceChildren(...list.entries.map(line));
  by("entries").children[list.at]?.scrollIntoView({ block: "nearest" });
}

export function replace(entry) {
  const at = list.entries.findIndex((each) => each.id === entry.id);
  if (at < 0) return;
  list.entries[at] = entry;
  by("entries").children[at].replaceWith(line(entry, at));
}

export const isDone = (entry) => entry.known || entry.settled === entry.members;

function line(entry, at) {
  const chosen = at === list.at;
  return make(
    "li",
    { role: "option", "aria-selected": String(chosen), "data-entry": entry.id, class: isDone(entry) && !unansweredWords(entry) ? "done" : null },
    thumbnail(entry.representative, entry.picture, isDone(entry)),
    make("span", { class: "words" }, make("b", {}, entry.label), make("small", {}, summary(entry))),
  );
}

// One known picture files its whole series: how many are known is said wherever that stands.
export function knownWords(entry) {
  if (!entry.known && !entry.known_members) return "";
  if (entry.kind === "single") return entry.known_members ? "known" : "known good";
  return `${entry.known_members.toLocaleString("en")} of ${entry.members.toLocaleString("en")} known`;
}

// Nobody has looked at the others.
export const unansweredWords = (entry) => (entry.kind === "series" && entry.known && entry.unanswered ? `${entry.unanswered.toLocaleString("en")} neither known nor graded` : "");

function summary(entry) {
  const parts = [entry.kind === "series" || entry.picture ? plural(entry.members, "picture") : "no picture"];
  const known = knownWords(entry);
  if (known) parts.push(known);
  const unanswered = unansweredWords(entry);
  if (unanswered) parts.push(unanswered);
  if (entry.parts) parts.push(`${entry.parts === 1 ? "a match" : `${entry.parts.toLocaleString("en")} matches`} on a picture not shown`);
  if (entry.waiting) parts.push(`${entry.waiting} to confirm`);
  else if (entry.settled) parts.push(entry.settled === entry.members ? "graded" : `${entry.settled} graded`);
  return parts.join(" · ");
}

function progress(counts) {
  return `${plural(counts.series, "series", "series")}, ${counts.known.toLocaleString("en")} of them with something known. ${counts.graded.toLocaleString("en")} graded, ${counts.waiting.toLocaleString("en")} proposed.`;
}

function notCovered(counts) {
  const parts = [];
  if (counts.unreadable) parts.push(`${plural(counts.unreadable, "item")} could not be read`);
  if (counts.skipped) parts.push(`${plural(counts.skipped, "item")} skipped`);
  if (counts.open) parts.push(`${plural(counts.open, "item")} not taken in yet`);
  if (counts.without_picture) parts.push(`${plural(counts.without_picture, "content")} without a picture (listed only where an alert set knows ${counts.without_picture === 1 ? "it" : "them"}, or a person graded; films and pictures by name: clew show unseen CASE)`);
  return parts.length ? `Not covered by this page: ${parts.join(", ")}.` : "Every item was read and has a picture here.";
}
