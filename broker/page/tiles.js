/* The numbers of now, large. Each has its key of the overview, and the raw value in data-value. */

import { $, element, put, say } from "./element.js";
import { parts, text, duration } from "./number.js";

function fullness(o) {
  if (o.buffer_fill_ratio >= 1) return "it is full";
  return o.buffer_full_in_seconds === null ? "it does not fill" : "";
}

/* also: a second number below it. quiet: not there while it is 0. */
const tiles = [
  { key: "captured_rows_per_second", name: "captured", kind: "rows/s", large: true },
  { key: "stored_rows_per_second", name: "stored", kind: "rows/s", large: true },
  { key: "trained_rows_per_second", name: "trained", kind: "rows/s", large: true },
  { key: "shed_rows_per_second", name: "shed", kind: "rows/s", large: true, warn: (v) => v > 0,
    also: { key: "shed_rows", kind: "rows", words: "in all" } },
  { key: "raw_bytes_per_second", name: "raw", kind: "bytes/s" },
  { key: "packed_bytes_per_second", name: "packed", kind: "bytes/s" },
  { key: "tokens_per_second", name: "model", kind: "tokens/s" },
  { key: "credit_wait_ratio", name: "credit wait", kind: "ratio", note: () => "of the time" },
  { key: "lag_seconds", name: "lag", kind: "seconds", also: { key: "lag_rows", kind: "rows", words: "" } },
  { key: "buffer_fill_ratio", name: "buffer", kind: "ratio", bar: true, also: { key: "buffer_rows", kind: "rows", words: "" } },
  { key: "buffer_full_in_seconds", name: "full in", kind: "seconds", note: fullness },
  { key: "buffer_age_seconds", name: "age at draw", kind: "seconds", note: () => "mean" },
  { key: "lost_rows", name: "lost", kind: "rows", warn: (v) => v > 0, quiet: true },
  { key: "rejected_rows", name: "rejected", kind: "rows", warn: (v) => v > 0, quiet: true },
];

const made = new Map();

function make(tile) {
  const number = element("span", { class: "number", "data-key": tile.key }), unit = element("span", { class: "unit" });
  const note = element("span", { class: "note", "data-key": tile.also && tile.also.key });
  const bar = tile.bar ? element("span", { class: "bar", "aria-hidden": "true" }, element("i")) : null;
  const root = element("div", { class: `tile${tile.large ? " large" : ""}` },
    element("dt", {}, tile.name), element("dd", {}, number, " ", unit, bar, note));
  made.set(tile.key, { tile, root, number, unit, note, bar });
  return root;
}

export function openTiles() {
  $("tiles-flow").replaceChildren(...tiles.filter((t) => t.large).map(make));
  $("tiles-more").replaceChildren(...tiles.filter((t) => !t.large).map(make));
}

export function showTiles(overview) {
  for (const { tile, root, number, unit, note, bar } of made.values()) {
    const value = overview[tile.key], [figure, of] = parts(value, tile.kind);
    put(number, value, figure);
    say(unit, of);
    if (tile.also) put(note, overview[tile.also.key], `${text(overview[tile.also.key], tile.also.kind)} ${tile.also.words}`);
    else say(note, tile.note ? tile.note(overview) : "");
    root.classList.toggle("warn", !!(tile.warn && tile.warn(value)));
    root.hidden = !!tile.quiet && !value;
    if (bar) bar.firstChild.style.width = `${100 * Math.max(0, Math.min(1, value || 0))}%`;
  }
}

/* How far it is, and how long it takes yet (null: nobody knows). */
export function showProgress(o, seconds_left) {
  const [done, all, what] = o.planned_draws ? [o.trained_rows, o.planned_draws, "trained"] : [o.stream_rows, o.planned_rows, "stored"];
  const is_known = all > 0 && typeof done === "number", share = is_known ? Math.min(1, done / all) : 0;
  const words = [`${text(o.trained_rows, "rows")} trained`, "no end is planned"];
  if (is_known) words.splice(0, 2, `${(100 * share).toFixed(share < 0.1 ? 2 : 1)} %`, `${text(done, "none")} of ${text(all, "rows")} ${what}`);
  if (is_known && share < 1 && seconds_left !== null) words.push(`${duration(seconds_left)} left`);
  $("progress").hidden = !is_known;
  $("progress").setAttribute("aria-valuenow", (100 * share).toFixed(1));
  $("progress-fill").style.width = `${100 * share}%`;
  put($("progress-text"), done, words.map((w) => w.replace(/ /g, "\u00a0")).join(" · "));
}
