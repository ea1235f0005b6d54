/*
 * The live page of a stream: what the broker tells each second (live.js), what was before (past.js), and the
 * parts that show it. Whatever comes out of a document is set as text, never as HTML (element.js).
 */

import { $, element, say } from "./element.js";
import { text, clock } from "./number.js";
import { note, points, secondsLeft, state } from "./status.js";
import { Past } from "./past.js";
import { View, RANGES } from "./view.js";
import { Charts } from "./charts.js";
import { Live } from "./live.js";
import { showMap } from "./map.js";
import { openTiles, showTiles, showProgress } from "./tiles.js";
import { openSweep, showSweep } from "./sweep.js";
import { showProcesses, showErrors } from "./tables.js";

const READ_AGAIN_MS = 60000, SETTLE_MS = 200;
const past = new Past(), view = new View(() => past.now(), changed), charts = new Charts(past, view);
let last = null, moved_ms = -Infinity, read_ms = 0, timer = null;

/* ---- history ---- */

async function readPast() {
  read_ms = performance.now();
  const names = charts.names(), window = view.is_live ? [-view.seconds] : view.window().map(Math.round);
  if (!names.length) return;
  try {
    if (await past.read(names, ...window)) charts.show();
    sayWindow();
  } catch (error) {
    say($("window"), `what was cannot be read: ${error.message}`);
  }
}

function sayWindow() {
  const [from, to] = view.window();
  say($("window"), view.is_live ? "" : `${clock(from, true)} to ${clock(to, true)}`);
}

/* Soon, and once where much changes at a time. */
function readSoon() {
  clearTimeout(timer);
  timer = setTimeout(readPast, SETTLE_MS);
}

function changed() {
  for (const b of $("ranges").children) b.setAttribute("aria-pressed", String(view.is_live && Number(b.dataset.seconds) === view.seconds));
  $("live").hidden = view.is_live;
  sayWindow();
  charts.show();
  readSoon();
}

/* ---- what the broker tells ---- */

function showState(status) {
  const o = status.overview || {}, flows = ["captured_rows_per_second", "stored_rows_per_second", "trained_rows_per_second"];
  if (flows.some((key) => o[key] > 0)) moved_ms = performance.now();
  const { word, mood } = state(status, (performance.now() - moved_ms) / 1000);
  say($("state"), word);
  $("state").className = `state ${mood}`;
  say($("name"), status.stream);
  const bound = { "producer-bound": "Producer-bound", "trainer-bound": "Trainer-bound", "buffer-bound": "Buffer-bound" }[status.bottleneck];
  say($("bottleneck"), bound || "");
  say($("advice"), status.stalled || status.advice || "");
  document.title = `${mood === "bad" ? "⚠ " : ""}${status.stream} · ${mood === "good" ? text(o.trained_rows_per_second, "rows/s") : word}`;
}

/* Show a document, whoever it comes from. */
export function show(status) {
  last = status;
  const o = status.overview || {};
  showState(status);
  showTiles(o);
  showProgress(o, secondsLeft(status));
  if (document.hidden) return;
  showMap($("map"), status);
  showProcesses(status, past.now());
  showErrors(status.errors);
  if (charts.setStatus(status)) readPast();
  showSweep(status, charts.hidden);
}

function take(status) {
  note(status);
  show(status);
  if (document.hidden) return; /* what is missed is read when somebody looks again */
  const is_in_order = past.add(points(status));
  if (view.is_live) charts.show();
  if (!is_in_order || (view.is_live && performance.now() - read_ms > READ_AGAIN_MS && past.step > 1)) readSoon();
}

function silent() {
  if (last && state(last, 0).word === "finished") return; /* and with it its broker */
  const seen = last ? `The broker is silent. What you see is of ${clock(past.now())}` : "The broker does not answer";
  say($("trouble"), `${seen}; this page goes on by itself when it is back.`);
  $("trouble").hidden = false;
  say($("state"), "broker silent");
  $("state").className = "state bad";
  document.title = `⚠ ${last ? last.stream : "sluice"} · broker silent`;
  document.body.classList.add("stale");
}

function back() {
  $("trouble").hidden = true;
  say($("trouble"), "");
  document.body.classList.remove("stale");
  readSoon();
}

/* ---- keys ---- */

const on_chart = () => document.activeElement && document.activeElement.closest(".chart .plot");

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open || /^(select|input)$/i.test(event.target.tagName)) return;
  const range = RANGES.find((r) => r.key === event.key), plot = on_chart();
  const chart = plot && charts.all.find((c) => c.plot === plot), by = event.key === "ArrowLeft" ? -1 : 1;
  if (range) view.last(range.seconds);
  else if (event.key === "?") $("help").showModal();
  else if (event.key === "Escape") view.live();
  else if (event.key === "+" || event.key === "=") view.zoom(0.5);
  else if (event.key === "-") view.zoom(2);
  else if (event.key === "g" && chart) chart.setLog(!chart.is_log);
  else if (/^Arrow(Left|Right)$/.test(event.key) && event.shiftKey) view.pan(by * 0.25);
  else if (/^Arrow(Left|Right)$/.test(event.key) && chart) charts.stepCursor(by);
  else return;
  event.preventDefault();
}

function open() {
  openTiles();
  openSweep();
  $("ranges").replaceChildren(...RANGES.map((r) => element("button", {
    type: "button", "data-seconds": r.seconds, title: `the last ${r.name} (${r.key})`, onclick: () => view.last(r.seconds),
  }, r.name)));
  $("live").addEventListener("click", () => view.live());
  $("help-open").addEventListener("click", () => $("help").showModal());
  document.addEventListener("keydown", key);
  document.addEventListener("visibilitychange", () => !document.hidden && last && (show(last), readSoon()));
  new ResizeObserver(() => last && showMap($("map"), last)).observe($("map"));
  changed();
  return new Live({ status: take, silent, back });
}

open();
