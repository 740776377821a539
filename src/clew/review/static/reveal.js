// Hold to reveal: the clear picture exists on a canvas while a key or button is held, and nowhere afterwards.

import { bytes } from "./ask.js";
import { complain, make } from "./dom.js";

let held = null; // { abort, canvas }

export function hide() {
  if (!held) return;
  held.abort.abort();
  if (held.canvas) {
    held.canvas.width = held.canvas.height = 0; // frees the pixels at once
    held.canvas.remove();
  }
  held = null;
}

export async function show(frame, content) {
  hide();
  const mine = (held = { abort: new AbortController(), canvas: null });
  try {
    const blob = await bytes(`/reveal/${content}`, mine.abort.signal);
    const bitmap = await createImageBitmap(blob);
    if (held === mine) {
      mine.canvas = make("canvas", { class: "clear", width: bitmap.width, height: bitmap.height, "aria-hidden": "true" });
      mine.canvas.getContext("2d").drawImage(bitmap, 0, 0);
      frame.append(mine.canvas);
    }
    bitmap.close();
  } catch (error) {
    complain(error);
  }
}

export const showing = () => held !== null;

for (const kind of ["pointerup", "pointercancel", "blur", "pagehide"]) window.addEventListener(kind, hide);
document.addEventListener("visibilitychange", hide);
document.addEventListener("pointerleave", hide);
document.addEventListener("contextmenu", (event) => event.target.closest(".frame, .tile") && event.preventDefault());
