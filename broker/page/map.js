/* The map of processes: captures -> broker -> sink -> buffer -> trainers, with rates on the arrows. */

import { drawing, fit } from "./element.js";
import { text, duration } from "./number.js";
import { cpu, memory, health, inOrder, ofKind, rate, restarts, work } from "./status.js";

const LOW = 48, TALL = 62, VESSEL = 76, APART = 14, MARGIN = 2, ALONE = 220, DOWN = 34; /* pixels */
const MOST = 5, NARROW = 760;

/* ---- what stands on it ---- */

/* What a process has to say beside its numbers: the first that holds. */
function remark(status, p) {
  const r = p.report, again = restarts(status, p), blocked = rate(p, "sluice_capture_blocked_seconds_total");
  const is_disk_full = r.sluice_sink_disk_waiting_seconds > 0 || r.sluice_trainer_disk_waiting_seconds > 0;
  const how = health(status, p);
  if (how === "silent") return { words: `silent for ${duration(p.age_seconds)}`, mood: "bad" };
  if (how === "ended") return { words: "ended", mood: "calm" };
  if (is_disk_full) return { words: "waits: the disk is full", mood: "bad" };
  if (how === "waiting") return { words: `not ready for ${duration(r.sluice_process_unready_seconds)}`, mood: "warn" };
  if (r.sluice_trainer_finished === 1) return { words: "finished", mood: "calm" };
  if (r.sluice_trainer_waiting === 1) return { words: "waits for rows", mood: "calm" };
  if (blocked >= 0.1) return { words: `credit wait ${text(Math.min(1, blocked), "ratio")}`, mood: "calm" };
  if (again) return { words: `${again} restart${again > 1 ? "s" : ""}`, mood: "warn" };
  return quiet;
}

const quiet = { words: "", mood: "calm" };
const moods = { silent: "bad", ended: "calm", waiting: "warn", well: "good" };

function node(status, p) {
  const used = [cpu(p) === null ? null : `${text(cpu(p), "ratio")} CPU`, text(memory(p), "bytes")].filter((x) => x).join(" · ");
  const how = health(status, p), is_gone = how === "silent" || how === "ended";
  return {
    name: p.name, used: is_gone ? "" : used, remark: remark(status, p), mood: moods[how], rate: work(p),
  };
}

/* Those for which there is no room, as one. */
function rest(nodes) {
  const bad = nodes.filter((n) => n.mood === "bad").length;
  return {
    name: `${nodes.length} more`, used: bad ? `${bad} silent` : "all well", remark: quiet, mood: bad ? "bad" : "good",
    rate: nodes.reduce((sum, n) => sum + (n.rate || 0), 0),
  };
}

function some(status, kind) {
  const nodes = inOrder(ofKind(status, kind)).map((p) => node(status, p));
  if (!nodes.length) return [{ name: kind, used: "not seen yet", remark: quiet, mood: "off", rate: null }];
  return nodes.length <= MOST ? nodes : [...nodes.slice(0, MOST - 1), rest(nodes.slice(MOST - 1))];
}

function buffer(o) {
  const is_known = typeof o.buffer_slabs === "number";
  const slabs = is_known ? `${text(o.buffer_slabs, "whole")} of ${text(o.buffer_capacity_slabs, "slabs")}` : "";
  return { name: "buffer", fill: o.buffer_fill_ratio, used: slabs, remark: quiet };
}

function stages(status) {
  const o = status.overview || {};
  return {
    nodes: [some(status, "capture"), some(status, "broker"), some(status, "sink"), [buffer(o)], some(status, "trainer")],
    /* between a stage and the next: what each arrow carries */
    flows: [
      (from) => ({ value: from.rate, words: text(from.rate, "rows/s") }),
      () => ({ value: o.packed_bytes_per_second, words: text(o.packed_bytes_per_second, "bytes/s") }),
      () => ({ value: o.stored_rows_per_second, words: text(o.stored_rows_per_second, "rows/s") }),
      (from, to) => ({ value: to.rate, words: text(to.rate, "rows/s") }),
    ],
  };
}

/* ---- where it stands ---- */

/* Where nobody of a stage has a remark there is no line for it. */
const tallOf = (stage) => ("fill" in stage[0] ? VESSEL : stage.some((n) => n.remark.words) ? TALL : LOW);

/* Each stage a column. Sets x, y, wide and tall of each node; returns the height of all. */
function placeAcross(nodes, width) {
  const gap = Math.min(130, Math.max(86, width * 0.085)), wide = (width - 2 * MARGIN - 4 * gap) / 5;
  const tall = nodes.map((stage) => stage.length * (tallOf(stage) + APART) - APART), height = Math.max(...tall) + 2 * MARGIN;
  nodes.forEach((stage, i) => {
    const each = tallOf(stage), x = MARGIN + i * (wide + gap), top = (height - tall[i]) / 2;
    stage.forEach((n, k) => Object.assign(n, { x, y: top + k * (each + APART), wide, tall: each }));
  });
  return height;
}

/* The same on a phone: each stage a row, or more of two each. */
function placeDown(nodes, width) {
  let y = MARGIN;
  for (const stage of nodes) {
    const across = stage.length > 1 ? 2 : 1, each = tallOf(stage), room = (width - 2 * MARGIN - (across - 1) * APART) / across;
    const wide = across === 1 ? Math.min(room, ALONE) : room, left = across === 1 ? (width - wide) / 2 : MARGIN;
    stage.forEach((n, k) => Object.assign(n, {
      x: left + (k % 2) * (wide + APART), y: y + Math.floor(k / 2) * (each + APART), wide, tall: each,
    }));
    y += Math.ceil(stage.length / across) * (each + APART) - APART + DOWN;
  }
  return y - DOWN + MARGIN;
}

/* ---- pictures ---- */

function box(n) {
  const g = drawing("g", { class: `node ${n.mood}`, transform: `translate(${n.x} ${n.y})` });
  g.append(drawing("rect", { class: "box", width: n.wide, height: n.tall, rx: 8 }));
  g.append(drawing("circle", { class: "health", cx: n.wide - 13, cy: 15, r: 4.5 }));
  g.append(drawing("text", { class: "name", x: 12, y: 20 }, fit(n.name, n.wide - 36, 7.6)));
  g.append(drawing("text", { class: "used", x: 12, y: 37 }, fit(n.used, n.wide - 18, 6.1)));
  if (n.remark.words) {
    const at = { class: `remark ${n.remark.mood}`, x: 12, y: n.used ? 53 : 37 };
    g.append(drawing("text", at, fit(n.remark.words, n.wide - 18, 6.1)));
  }
  g.append(drawing("title", {}, [n.name, n.used, n.remark.words].filter((x) => x).join(", ")));
  return g;
}

/* A vessel, filled as the buffer is. */
function vessel(n) {
  const g = drawing("g", { class: "node vessel", transform: `translate(${n.x} ${n.y})` });
  const share = Math.max(0, Math.min(1, n.fill || 0)), tall = share * (n.tall - 2);
  g.append(drawing("rect", { class: "box", width: n.wide, height: n.tall, rx: 8 }));
  g.append(drawing("rect", { class: "level", x: 1, y: n.tall - 1 - tall, width: n.wide - 2, height: tall, rx: Math.min(7, tall / 2) }));
  g.append(drawing("text", { class: "name", x: 12, y: 20 }, "buffer"));
  g.append(drawing("text", { class: "percent", x: n.wide - 12, y: 21, "text-anchor": "end" }, text(n.fill, "ratio")));
  g.append(drawing("text", { class: "used", x: 12, y: 37 }, fit(n.used, n.wide - 18, 6.1)));
  return g;
}

/* The thicker, the more flows: one pixel more for each ten times. */
const thickness = (value) => (value > 0 ? Math.min(6, 1 + Math.log10(1 + value) * 0.6) : 1);

/* Along the way from a to b: its line, its tip, and where its words stand. */
function across(from, to, is_many_in) {
  const a = [from.x + from.wide, from.y + from.tall / 2], b = [to.x - 6, to.y + to.tall / 2], mid = (a[0] + b[0]) / 2;
  const is_slanted = Math.abs(a[1] - b[1]) > 4, end = is_many_in ? b : a;
  const is_above = is_slanted && (is_many_in ? a[1] < b[1] : a[1] > b[1]); /* the line: its words stand below */
  return {
    line: `M ${a} C ${mid} ${a[1]} ${mid} ${b[1]} ${b}`, tip: `M ${b} m -3 -5 l 8 5 l -8 5 Z`,
    words: {
      x: !is_slanted ? mid : is_many_in ? b[0] - 2 : a[0] + 6, y: end[1] + (is_above ? 17 : -8),
      "text-anchor": !is_slanted ? "middle" : is_many_in ? "end" : "start",
    },
  };
}

function down(from, to, is_many_in) {
  const a = [from.x + from.wide / 2, from.y + from.tall], b = [to.x + to.wide / 2, to.y - 6], mid = (a[1] + b[1]) / 2;
  const many = is_many_in ? to : from, other = is_many_in ? a : b, end = is_many_in ? b : a;
  const is_left = end[0] < other[0] - 4, is_right = end[0] > other[0] + 4; /* the line bends: its words stand beyond it */
  return {
    line: `M ${a} C ${a[0]} ${mid} ${b[0]} ${mid} ${b}`, tip: `M ${b} m -5 -3 l 5 8 l 5 -8 Z`,
    words: {
      x: is_left ? many.x + 4 : is_right ? many.x + many.wide - 2 : end[0] + 9, y: is_many_in ? b[1] - 5 : a[1] + 15,
      "text-anchor": is_right ? "end" : "start",
    },
  };
}

function arrow(flow, way) {
  const name = flow.value > 0 ? "" : " still", line = { d: way.line, "stroke-width": thickness(flow.value).toFixed(1) };
  return {
    line: drawing("g", { class: `arrow${name}` }, drawing("path", line), drawing("path", { class: "tip", d: way.tip })),
    words: drawing("text", { class: `carried${name}`, ...way.words }, flow.words),
  };
}

/* In words, for those who do not see it. */
function told(status) {
  const o = status.overview || {}, of = (what) => `${what} ${text(o[`${what}_rows_per_second`], "rows/s")}`;
  return `${of("captured")}, ${of("stored")}, buffer ${text(o.buffer_fill_ratio, "ratio")} full, ${of("trained")}`;
}

export function showMap(place, status) {
  const width = place.clientWidth, is_narrow = width < NARROW;
  if (!width) return;
  const { nodes, flows } = stages(status), height = is_narrow ? placeDown(nodes, width) : placeAcross(nodes, width);
  const picture = drawing("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": told(status) });
  const arrows = [];
  flows.forEach((flow, i) => {
    const way = is_narrow ? down : across, is_many_in = nodes[i + 1].length > 1;
    for (const from of nodes[i]) for (const to of nodes[i + 1]) arrows.push(arrow(flow(from, to), way(from, to, is_many_in)));
  });
  picture.append(...arrows.map((a) => a.line), ...arrows.map((a) => a.words)); /* no line runs through words */
  for (const stage of nodes) for (const n of stage) picture.append("fill" in n ? vessel(n) : box(n));
  place.replaceChildren(picture);
}
