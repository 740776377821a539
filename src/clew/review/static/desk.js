// The desk: one series in hand, graded from the keyboard.

import { get, post } from "./ask.js";
import { by, complain, make, plural, say, settle } from "./dom.js";
import { isDone, knownWords, unansweredWords, list, load, draw, replace, showProgress } from "./list.js";
import { hide, show } from "./reveal.js";
import { thumbnail, tile } from "./tiles.js";
import { askAlarm, keys, refresh, start } from "./top.js";

const labels = new Map([...document.querySelectorAll("[data-code]")].map((b) => [b.dataset.code, b.querySelector("span").textContent]));
const scheme = by("choices").dataset.scheme;
const hand = { entry: null, members: [], next: null, at: 0, closed: false, from: 0 };
let asking = new AbortController();

const focused = () => hand.members[hand.at];
const proposals = () => hand.members.filter((m) => m.grade?.state === "proposed").map((m) => m.grade.id);

// `from`: how many members come before those on show.
async function open(id, { at = 0, closed = null, from = 0 } = {}) {
  hide();
  asking.abort();
  asking = new AbortController();
  const series = await get(`/api/series/${encodeURIComponent(id)}?after=${from}`, asking.signal);
  Object.assign(hand, { entry: series.entry, members: series.members, next: series.next, from });
  hand.closed = closed ?? isDone(series.entry);
  hand.at = Math.max(0, Math.min(at, hand.members.length - 1));
  replace(series.entry);
  by("work").hidden = false;
  by("empty").hidden = true;
  drawHand();
}

function drawHand() {
  const entry = hand.entry;
  by("label").textContent = entry.label;
  by("chips").replaceChildren(...chips(entry));
  by("members-title").textContent = membersTitle(entry);
  const there = new Map([...by("members").querySelectorAll(".tile")].map((li) => [li.dataset.content, li.querySelector("img")]));
  by("members").replaceChildren(...hand.members.map((m, i) => tile(m, hand.from + i, entry, { chosen: i === hand.at, closed: hand.closed, labels, scheme, there })));
  by("more").hidden = hand.next === null;
  const waiting = proposals().length;
  by("confirm").hidden = waiting === 0;
  by("confirm").replaceChildren(make("kbd", {}, "Enter"), ` Confirm ${plural(waiting, "proposal")}`);
  drawFrame();
}

function membersTitle(entry) {
  if (entry.members > 1) return `${plural(entry.members, "picture")}, nearest first`;
  return entry.picture ? "One picture, no near duplicates" : "One file, and no picture of it";
}

function chips(entry) {
  const found = [];
  const known = knownWords(entry);
  if (known) found.push(make("span", { class: "chip" }, known));
  const unanswered = unansweredWords(entry);
  if (unanswered) found.push(make("span", { class: "chip warn" }, unanswered));
  if (entry.settled === entry.members) found.push(make("span", { class: "chip good" }, "done"));
  else if (entry.waiting) found.push(make("span", { class: "chip warn" }, `${entry.waiting} to confirm`));
  return found;
}

function drawFrame() {
  const member = focused();
  const how = member.picture ? [make("figcaption", {}, make("kbd", {}, "Space"), " hold to see it")] : [];
  by("frame").replaceChildren(thumbnail(member.content, member.picture, hand.closed), ...how);
  by("hits").replaceChildren(...member.hits.map((words) => make("li", {}, words)));
  for (const button of document.querySelectorAll("[data-code]")) {
    const given = member.grade?.scheme === scheme && member.grade.code === button.dataset.code && member.grade.state !== "rejected";
    button.setAttribute("aria-pressed", String(given && member.grade.state !== "proposed"));
    button.classList.toggle("suggested", given && member.grade.state === "proposed");
  }
  by("reject").hidden = member.grade?.state !== "proposed";
  if (by("facts").dataset.content !== member.content) facts(member.content);
}

async function facts(content) {
  by("facts").dataset.content = content;
  by("facts").replaceChildren();
  try {
    const known = await get(`/api/facts/${content}`, asking.signal);
    if (focused()?.content === content) by("facts").replaceChildren(...factLines(known));
  } catch (error) {
    complain(error);
  }
}

function factLines(known) {
  const lines = [
    ["Found", known.found === 0 ? "nowhere listed" : `${plural(known.found, "place")} in ${known.exhibits.join(", ")}`],
    ["Kind", [known.media_type, known.width && `${known.width} × ${known.height}`, known.seconds && `${known.seconds.toLocaleString("en", { maximumFractionDigits: 1 })} s`, known.size && `${known.size.toLocaleString("en")} bytes`].filter(Boolean).join(", ") || null],
    ["Damaged", known.damaged ? "parts of the picture could not be decoded: what is seen there, and its hash, are made up" : null],
    ["Camera", [known.make, known.model].filter(Boolean).join(" ") || null],
    ["Taken", known.taken ? `${known.taken} (as the file says)` : null],
    ...known.parts.map((words) => ["Match", words]),
    ...known.places.map((place) => ["Name", place.state && place.state !== "live" ? `${place.path} (${place.state})` : place.path]),
    ...known.says.map((words) => ["File says", words]),
    ...known.also.map((words) => ["Also", words]),
    ...known.missing.map((words) => ["Missing", words]),
  ];
  return lines.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
}

function focusMember(step) {
  if (!hand.members.length) return;
  hide();
  hand.at = Math.max(0, Math.min(hand.members.length - 1, hand.at + step));
  [...by("members").children].forEach((element, i) => {
    element.setAttribute("aria-selected", String(i === hand.at));
    element.tabIndex = i === hand.at ? 0 : -1;
  });
  by("members").children[hand.at].focus({ preventScroll: true });
  by("members").children[hand.at].scrollIntoView({ block: "nearest" });
  drawFrame();
}

async function choose(at) {
  if (at < 0 || at >= list.entries.length) return;
  list.at = at;
  draw();
  await guarded(() => open(list.entries[at].id));
}

const move = (step) => (list.at + step >= list.entries.length && list.next !== null ? turn(list.section, list.next) : choose(list.at + step));

async function turn(section, after) {
  await guarded(async () => {
    await load(section, after);
    if (list.entries.length) await open(list.entries[0].id);
    else nothing();
  });
}

function nothing() {
  hand.entry = null;
  hand.members = [];
  by("work").hidden = true;
  by("empty").hidden = false;
  const open = list.section === "open";
  by("empty-title").textContent = open ? "Nothing left in this list" : "Nothing here is known or graded yet";
  by("empty-text").textContent = open
    ? "What was here is graded or filed as known; press w to see it. One known picture files its whole series: there it says how many others are neither known nor graded. If nothing was ever here: clew intake takes an exhibit in, clew match recognises what is known, clew identify groups the rest. Then reload. What the left column says was not covered has still not been looked at."
    : "Filed here, without pictures: what an alert set knows, whether there is a picture of it or not, and the other pictures of its series; pictures that a known-good set holds by SHA-256; what people grade. What else hash sets say: clew show hits CASE. Press w for the list to do.";
}

// One change at a time; what it did is said aloud, and a refusal is shown with what to do.
let busy = false;
async function guarded(change) {
  if (busy) return;
  busy = true;
  try {
    await change();
    settle();
  } catch (error) {
    complain(error);
  } finally {
    busy = false;
  }
}

async function stroke(path, body, words) {
  await guarded(async () => {
    const done = await post(path, body);
    const entry = hand.entry;
    await open(entry.id, hand);
    say(words(done));
    if (isDone(hand.entry) && list.section === "open") await onward();
    else if (!proposals().length) await nextUngraded();
  });
  refresh();
  get("/api/progress").then(showProgress, complain);
}

async function nextUngraded() {
  const at = hand.members.findIndex((member) => !["decided", "confirmed"].includes(member.grade?.state));
  if (at >= 0) focusMember(at - hand.at);
  else await nextMembers();
}

// What is finished stays in its place in the list until the page turns; the next unfinished one comes to hand.
async function onward() {
  const after = list.entries.findIndex((entry, i) => i > list.at && !isDone(entry));
  if (after >= 0) {
    list.at = after;
    draw();
    await open(list.entries[after].id);
  } else if (list.next !== null) {
    await load(list.section, list.next);
    await open(list.entries[0].id);
  } else {
    await load("open", "");
    if (list.entries.length) await open(list.entries[0].id);
    else nothing();
  }
}

function grade(code) {
  const member = focused();
  if (!member || !labels.has(code)) return;
  stroke("/api/grade", { content: member.content, code }, (done) =>
    done.proposed ? `Graded ${code}. ${plural(done.proposed, "near duplicate")}: Enter confirms.` : `Graded ${code} ${labels.get(code)}.`,
  );
}

function confirmAll() {
  if (proposals().length) stroke("/api/confirm", { proposals: proposals() }, (done) => `Confirmed ${done.confirmed}.`);
}

function rejectOne() {
  const member = focused();
  if (member?.grade?.state === "proposed") stroke("/api/reject", { proposals: [member.grade.id] }, () => "Rejected: it waits for a grade of its own.");
}

async function undo() {
  await guarded(async () => {
    const done = await post("/api/undo", {});
    if (!list.entries.some((entry) => entry.id === done.series)) await load("open", "");
    list.at = list.entries.findIndex((entry) => entry.id === done.series);
    draw();
    await open(done.series);
    say("Your last stroke is taken back.");
  });
  refresh();
  get("/api/progress").then(showProgress, complain);
}

async function nextMembers() {
  if (hand.next === null) return;
  await open(hand.entry.id, { closed: hand.closed, from: hand.next });
}

const more = () => guarded(nextMembers);

const risk = () => hand.entry && (hand.entry.kind === "series" ? askAlarm("series", hand.entry.id, hand.entry.label) : askAlarm("content", hand.entry.representative, hand.entry.label));
const reveal = () => focused()?.picture && show(by("frame"), focused().content);
const otherList = () => turn(list.section === "open" ? "closed" : "open", "");

start();
keys({
  ArrowDown: () => move(1), j: () => move(1), ArrowUp: () => choose(list.at - 1), k: () => choose(list.at - 1),
  ArrowRight: () => focusMember(1), ArrowLeft: () => focusMember(-1),
  " ": reveal, Enter: confirmAll, x: rejectOne, z: undo, m: more, r: risk, w: otherList,
  n: () => list.next !== null && turn(list.section, list.next), p: () => turn(list.section, ""),
  ...Object.fromEntries([...document.querySelectorAll("[data-code]")].map((b) => [b.dataset.key, () => grade(b.dataset.code)])),
});
document.addEventListener("keyup", (event) => event.key === " " && hide());

by("frame").addEventListener("pointerdown", (event) => event.button === 0 && reveal());
by("frame").addEventListener("pointerleave", hide);
by("members").addEventListener("pointerdown", (event) => {
  const at = [...by("members").children].indexOf(event.target.closest(".tile"));
  if (at >= 0 && event.button === 0) {
    focusMember(at - hand.at);
    reveal();
  }
});
by("entries").addEventListener("click", (event) => {
  const at = [...by("entries").children].indexOf(event.target.closest("li"));
  if (at >= 0) choose(at);
});
for (const button of document.querySelectorAll("[data-code]")) button.addEventListener("click", () => grade(button.dataset.code));
for (const tab of document.querySelectorAll("[data-section]")) tab.addEventListener("click", () => turn(tab.dataset.section, ""));
const clicks = { confirm: confirmAll, reject: rejectOne, undo, more, risk, next: () => turn(list.section, list.next), first: () => turn(list.section, "") };
for (const [id, does] of Object.entries(clicks)) by(id).addEventListener("click", does);
turn("open", "");
