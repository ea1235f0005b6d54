/* Autoencoders side by side: any number of theirs against any other, and all in a table. */

import { $, element, drawing, fit, put } from "./element.js";
import { text, mark } from "./number.js";
import { saes } from "./status.js";
import * as colours from "./colours.js";

const numbers = [
  { key: "l0", name: "L0", kind: "none" },
  { key: "fve", name: "FVE", kind: "fve" },
  { key: "batch_fve", name: "FVE of the batch", kind: "fve" },
  { key: "loss", name: "loss", kind: "none" },
  { key: "dead_ratio", name: "dead features", kind: "ratio" },
  { key: "features", name: "features", kind: "whole" },
  { key: "gradient_norm", name: "gradient norm", kind: "none" },
  { key: "learning_rate", name: "learning rate", kind: "none" },
  { key: "skipped_steps", name: "skipped steps", kind: "none" },
];
const TALL = 300, LEFT = 58, RIGHT = 18, TOP = 14, BOTTOM = 34, LABEL_TALL = 14, LETTER = 7.2, MOST_LABELS = 40;
const numberOf = (key) => numbers.find((n) => n.key === key);
const log = { x: false, y: false };
let shown = null;

/* ---- axes ---- */

/* A scale of some values: position 0..1 of each, and marks. */
function scale(values, is_log) {
  const usable = is_log ? values.filter((v) => v > 0) : values, of = is_log ? Math.log10 : (v) => v;
  if (!usable.length) return null;
  let low = Math.min(...usable.map(of)), high = Math.max(...usable.map(of));
  const pad = high > low ? 0.08 * (high - low) : Math.abs(high) * 0.1 || 0.5;
  low -= pad;
  high += pad;
  return { at: (v) => (of(v) - low) / (high - low), ok: (v) => v !== null && (!is_log || v > 0), marks: marksOf(low, high, is_log) };
}

function marksOf(low, high, is_log) {
  if (is_log && high - low > 0.7) {
    const marks = [], steps = high - low > 3 ? [1] : [1, 2, 5];
    for (let p = Math.floor(low); p <= high; p++) for (const s of steps) marks.push(s * 10 ** p);
    return marks.filter((m) => Math.log10(m) >= low && Math.log10(m) <= high);
  }
  const [from, to] = is_log ? [10 ** low, 10 ** high] : [low, high];
  const raw = (to - from) / 5, size = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 5, 10].find((s) => s * size >= raw) * size;
  const marks = [];
  for (let i = Math.ceil(from / step); i * step <= to; i++) marks.push(Number((i * step).toPrecision(12)));
  return marks;
}

/* ---- the picture ---- */

const line = (x1, x2, y1, y2) => drawing("line", { class: "grid", x1, x2, y1, y2 });

function frame(picture, width, x, y, of) {
  const right = width - RIGHT, base = TALL - BOTTOM;
  for (const m of x.marks) {
    const at = LEFT + x.at(m) * (right - LEFT), words = mark(m, of.x.kind);
    picture.append(line(at, at, TOP, base), drawing("text", { x: at, y: base + 15, "text-anchor": "middle" }, words));
  }
  for (const m of y.marks) {
    const at = base - y.at(m) * (base - TOP), words = mark(m, of.y.kind);
    picture.append(line(LEFT, right, at, at), drawing("text", { x: LEFT - 7, y: at + 4, "text-anchor": "end" }, words));
  }
  picture.append(drawing("text", { class: "axis", x: right, y: TALL - 3, "text-anchor": "end" }, `${of.x.name} →`));
  picture.append(drawing("text", { class: "axis", x: 4, y: TOP - 3 }, `↑ ${of.y.name}`));
}

const touches = (a, b) => Math.abs(a.y - b.y) < LABEL_TALL && a.x < b.x + b.wide && b.x < a.x + a.wide;

/* Beside its point, higher or lower where another label stands there already; null where none finds room. */
function label(name, at, taken, width) {
  const right = width - 12 - at.x, left = at.x - 12, is_left = LETTER * name.length > right && left > right;
  const words = fit(name, is_left ? left : right, LETTER), wide = LETTER * words.length;
  const x = is_left ? at.x - 10 - wide : at.x + 10;
  for (const dy of [4, -9, 17, -22, 30]) {
    const here = { x, y: at.y + dy, wide };
    if (here.y > TALL - BOTTOM || here.y < TOP || taken.some((t) => touches(t, here))) continue;
    taken.push(here);
    return drawing("text", { class: "label", x: is_left ? at.x - 10 : x, y: here.y, "text-anchor": is_left ? "end" : "start" }, words);
  }
  return null;
}

function point({ s, i, x, y }, of) {
  const told = `${s.label}: ${of.x.name} ${text(s[of.x.key], of.x.kind)}, ${of.y.name} ${text(s[of.y.key], of.y.kind)}`;
  return drawing("circle", { class: `point ${colours.className(i)}`, cx: x, cy: y, r: 5.5 }, drawing("title", {}, told));
}

function drawSweep(all, hidden) {
  const width = $("sweep").clientWidth, of = { x: numberOf($("sweep-x").value), y: numberOf($("sweep-y").value) };
  if (!width) return;
  const valuesOf = (key) => all.filter((s) => !hidden.has(s.label) && s[key] !== null).map((s) => s[key]);
  const x = scale(valuesOf(of.x.key), log.x), y = scale(valuesOf(of.y.key), log.y);
  const points = !x || !y ? [] : all.map((s, i) => ({ s, i }))
    .filter(({ s }) => !hidden.has(s.label) && x.ok(s[of.x.key]) && y.ok(s[of.y.key]))
    .map(({ s, i }) => ({
      s, i, x: LEFT + x.at(s[of.x.key]) * (width - RIGHT - LEFT), y: TALL - BOTTOM - y.at(s[of.y.key]) * (TALL - BOTTOM - TOP),
    }));
  if (!points.length) {
    $("sweep").replaceChildren(element("p", { class: "empty" }, "No autoencoder has both numbers yet."));
    return;
  }
  const told = `${of.y.name} against ${of.x.name} of ${points.length} autoencoders`;
  const picture = drawing("svg", { viewBox: `0 0 ${width} ${TALL}`, width, height: TALL, role: "img", "aria-label": told });
  frame(picture, width, x, y, of);
  picture.append(...points.map((p) => point(p, of)));
  const taken = points.map((p) => ({ x: p.x - 6, y: p.y + 4, wide: 12 }));
  if (points.length <= MOST_LABELS) picture.append(...points.map((p) => label(p.s.label, p, taken, width)).filter((l) => l));
  $("sweep").replaceChildren(picture);
}

/* ---- the table ---- */

const columns = numbers.filter((n) => n.key !== "batch_fve");

function drawTable(all) {
  const key = all.map((s) => s.label).join("\n"), body = $("sae-rows");
  if (body.dataset.names !== key) {
    body.dataset.names = key;
    body.replaceChildren(...all.map((s, i) => element("tr", {},
      element("th", { scope: "row" }, colours.swatch(i), s.label),
      ...columns.map((c) => element("td", { "data-sae": s.series, "data-number": c.key })))));
  }
  all.forEach((s, i) => columns.forEach((c, k) => put(body.rows[i].cells[k + 1], s[c.key], text(s[c.key], c.kind))));
}

export function showSweep(status, hidden) {
  shown = { all: saes(status), hidden };
  if (!shown.all.length) return;
  drawSweep(shown.all, hidden);
  drawTable(shown.all);
}

const again = () => shown && shown.all.length && drawSweep(shown.all, shown.hidden);

export function openSweep() {
  for (const [id, first] of [["sweep-x", "l0"], ["sweep-y", "fve"]]) {
    $(id).replaceChildren(...numbers.map((n) => element("option", { value: n.key }, n.name)));
    $(id).value = first;
    $(id).addEventListener("change", again);
  }
  for (const axis of ["x", "y"]) {
    $(`sweep-log-${axis}`).addEventListener("click", (e) => {
      log[axis] = !log[axis];
      e.currentTarget.setAttribute("aria-pressed", String(log[axis]));
      again();
    });
  }
  $("sae-head").replaceChildren(element("th", { scope: "col" }, "SAE"), ...columns.map((c) => element("th", { scope: "col" }, c.name)));
  new ResizeObserver(again).observe($("sweep"));
}
