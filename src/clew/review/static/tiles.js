// Blurred thumbnails and the tiles of a series' members.

import { make } from "./dom.js";

export function thumbnail(content, there) {
  if (!there) return make("span", { class: "thumb none", title: "no stored picture" }, "no picture");
  const image = make("img", { class: "thumb", src: `/picture/${content}`, alt: "", loading: "lazy", decoding: "async", draggable: "false" });
  image.addEventListener("error", () => image.replaceWith(make("span", { class: "thumb none" }, "not shown")));
  return image;
}

export function caption(member, labels) {
  const grade = member.grade;
  if (!grade) return ["no grade", "none"];
  const named = `${grade.code} ${labels.get(grade.code) ?? grade.scheme}`;
  if (grade.state === "proposed") return [`proposed: ${named}`, "proposed"];
  if (grade.state === "rejected") return [`rejected: ${named}`, "rejected"];
  return [`${named}`, "settled"];
}

export function tile(member, at, count, chosen, labels) {
  const [words, state] = caption(member, labels);
  const inherited = state === "proposed" ? `inherited, distance ${member.grade.distance}` : at === 0 ? "stands for the series" : `distance ${member.distance}`;
  return make(
    "li",
    {
      class: `tile ${state}`,
      role: "option",
      tabindex: chosen ? "0" : "-1",
      "aria-selected": String(chosen),
      "aria-label": `Picture ${at + 1} of ${count}: ${words}, ${inherited}. Hold space to see it.`,
      "data-content": member.content,
    },
    thumbnail(member.content, member.picture),
    make("span", { class: "state" }, words),
    make("small", {}, inherited),
  );
}
