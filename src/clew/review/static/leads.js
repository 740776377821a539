// The read-only list of leads: move with the keys, raise an alarm.

import { askAlarm, keys, start } from "./top.js";

const leads = [...document.querySelectorAll(".lead")];

function move(step) {
  const at = leads.indexOf(document.activeElement?.closest(".lead"));
  leads[Math.max(0, Math.min(leads.length - 1, at + step))]?.focus();
}

function risk(lead) {
  if (lead) askAlarm("lead", lead.dataset.lead, lead.dataset.label);
}

for (const button of document.querySelectorAll("[data-risk]")) {
  button.addEventListener("click", () => risk(button.closest(".lead")));
}

start();
keys({
  ArrowDown: () => move(1),
  j: () => move(1),
  ArrowUp: () => move(-1),
  k: () => move(-1),
  n: () => document.getElementById("following")?.click(),
  r: () => risk(document.activeElement?.closest(".lead")),
});
leads[0]?.focus();
