// Blurred thumbnails and the tiles of a series' members.

import { make } from "./dom.js";

export function thumbnail(content, there, closed = false) {
  if (there && closed) return make("span", { class: "thumb none" }, "closed");
  if (!there) return make("span", { class: "thumb none", title: "no stored picture" }, "no picture");
  const image = make("img", { class: "thumb", src: `/picture/${content}`, alt: "", loading: "lazy", decoding: "async", draggable: "false" });
  image.addEventListener("error", () => image.replaceWith(make("span", { class: "thumb none" }, "not shown")));
  return image;
}

const WORDS = { proposed: "proposed", rejected: "rejected", decided: "graded", confirmed: "confirmed" };

export function caption(grade) {
  if (!grade) return ["no grade", "ungraded"];
  return [`${grade.code} ${WORDS[grade.state]}`, grade.state === "decided" || grade.state === "confirmed" ? "settled" : grade.state];
}

// `closed` pictures are not fetched: what is known or graded is never shown again unasked.
// Pictures that are on show already (`there`) are moved, not fetched and counted again.
export function tile(member, at, entry, { chosen, closed, labels, scheme, there }) {
  const [words, state] = caption(member.grade);
  // The same number means another thing in another scheme than the page's: then the scheme stands beside it.
  const whose = member.grade && member.grade.scheme !== scheme ? `in ${member.grade.scheme}` : "";
  const named = member.grade?.scheme === scheme ? `${words}, ${labels.get(member.grade.code) ?? scheme}` : words;
  const inherited = state === "proposed" ? `inherited, distance ${member.grade.distance}` : entry.kind === "single" ? "" : member.content === entry.representative ? "stands for the series" : `distance ${member.distance}`;
  const known = member.known && `known: ${member.known}`;
  const elsewhere = member.parts.length ? `match on ${member.parts.slice(0, 3).join(", ")}${member.parts.length > 3 ? " and others" : ""}: not shown` : "";
  return make(
    "li",
    {
      class: `tile ${state}`,
      role: "option",
      tabindex: chosen ? "0" : "-1",
      "aria-selected": String(chosen),
      "aria-label": `${member.picture ? "Picture" : "File"} ${at + 1} of ${entry.members}: ${[named, whose, inherited, known, elsewhere].filter(Boolean).join(", ")}. ${member.picture ? "Hold space to see it." : "There is no picture of it."}`,
      "data-content": member.content,
    },
    there.get(member.content) ?? thumbnail(member.content, member.picture, closed),
    make("span", { class: "state" }, words),
    make("small", {}, inherited),
    ...[whose, known, elsewhere].filter(Boolean).map((words) => make("small", { class: "match" }, words)),
  );
}
