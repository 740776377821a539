// What stands on every page: alarms with their clocks, one's own counter, the rest line, help, cover.

import { get, post } from "./ask.js";
import { by, complain, make, say, settle } from "./dom.js";
import { hide } from "./reveal.js";

const POLL_MS = 5000;
let offset = 0; // server clock minus ours
let restLaterUntil = 0;
let closing = null;
let shown = "";

export async function refresh() {
  try {
    const state = await get("/api/state");
    offset = state.now - Date.now();
    showAlarms(state.alarms);
    showExposure(state.exposure);
  } catch (error) {
    complain(error.status ? error : new Error("The review page's server does not answer. Is clew review still running?"));
  }
}

function showAlarms(alarms) {
  const now = JSON.stringify(alarms);
  if (now === shown) return; // keeps focus and screen readers undisturbed
  shown = now;
  by("alarms").replaceChildren(...alarms.map(alarmLine));
  document.title = document.title.replace(/^\(\d+!\) /, "");
  if (alarms.length) document.title = `(${alarms.length}!) ${document.title}`;
  tick();
}

function alarmLine(alarm) {
  const taken = alarm.acknowledged_by !== null;
  const who = taken ? `taken up by ${alarm.acknowledged_by}` : "waiting for a second person";
  const button = make("button", { type: "button" }, taken ? "Close…" : "I take it up");
  button.hidden = !taken && alarm.mine; // a second person takes it up, under their own pseudonym
  button.addEventListener("click", () => (taken ? askClosing(alarm) : acknowledge(alarm)));
  return make(
    "div",
    { class: taken ? "alarm taken" : "alarm", role: taken ? "group" : "alert", "data-alarm": alarm.id },
    make("strong", {}, "Child at risk now"),
    make("time", { "data-since": alarm.raised, "aria-live": "off" }),
    make("span", { class: "what" }, `${alarm.kind} ${alarm.label}: ${alarm.reason}`),
    make("span", { class: "who" }, `raised by ${alarm.raised_by}, ${who}`),
    button,
  );
}

function tick() {
  for (const element of document.querySelectorAll("time[data-since]")) {
    const seconds = Math.max(0, Math.floor((Date.now() + offset - Number(element.dataset.since)) / 1000));
    const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    element.textContent = parts.map((part) => String(part).padStart(2, "0")).join(":");
  }
}

function showExposure(seen) {
  by("exposure").textContent = `${seen.clear_today} seen clearly today`;
  by("exposure").title = `Only you see this. Today: ${seen.clear_today} clearly, ${seen.blurred_today} blurred. Since your last rest: ${seen.clear_since_rest} clearly, ${seen.working_minutes} minutes.`;
  by("rest-text").textContent = `${seen.working_minutes} minutes and ${seen.clear_since_rest} pictures since the last one.`;
  by("rest").hidden = !seen.rest_due || Date.now() < restLaterUntil;
}

async function acknowledge(alarm) {
  await act(() => post("/api/alarm/acknowledge", { alarm: alarm.id }), "You have taken up the alarm.");
}

function askClosing(alarm) {
  closing = alarm.id;
  by("closing-reason").value = "";
  by("closing").showModal();
}

async function act(change, done) {
  try {
    await change();
    settle();
    say(done);
  } catch (error) {
    complain(error);
  }
  await refresh();
}

let about = null;

export function askAlarm(kind, id, label) {
  about = { kind, about: id };
  by("alarm-about").textContent = `${kind} ${label}`;
  by("alarm-reason").value = "";
  by("alarm").showModal();
}

function dialogs() {
  by("alarm-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    by("alarm").close();
    await act(() => post("/api/alarm", { ...about, reason: by("alarm-reason").value }), "The alarm is raised. A second person is asked for.");
  });
  by("closing-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    by("closing").close();
    await act(() => post("/api/alarm/close", { alarm: closing, reason: by("closing-reason").value }), "The alarm is closed.");
  });
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  for (const area of document.querySelectorAll("dialog textarea")) {
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) area.form.requestSubmit();
    });
  }
}

function cover() {
  hide();
  document.activeElement?.blur();
  document.body.classList.add("covered");
  by("cover").hidden = false;
}

function uncover() {
  document.body.classList.remove("covered");
  by("cover").hidden = true;
}

// Keys that mean something on this page: { key: function }. Nothing is taken while one writes or a dialog is open.
export function keys(table) {
  const all = { "?": () => by("help").showModal(), Escape: cover, g: () => location.assign(location.pathname === "/" ? "/leads" : "/"), ...table };
  document.addEventListener("keydown", (event) => {
    if (!by("cover").hidden) {
      event.preventDefault();
      if (!event.repeat) uncover();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("textarea, input, select")) return;
    const onButton = event.target.closest("button, a") !== null;
    if (onButton && (event.key === "Enter" || event.key === " ")) return;
    const does = all[event.key];
    if (!does) return;
    event.preventDefault();
    if (!event.repeat || event.key.startsWith("Arrow")) does(event);
  });
}

export function start() {
  dialogs();
  by("help-button").addEventListener("click", () => by("help").showModal());
  by("cover-button").addEventListener("click", cover);
  by("cover").addEventListener("pointerdown", uncover);
  by("rest-later").addEventListener("click", () => {
    restLaterUntil = Date.now() + 600_000;
    by("rest").hidden = true;
  });
  setInterval(tick, 1000);
  setInterval(() => document.hidden || refresh(), POLL_MS);
  refresh();
}
