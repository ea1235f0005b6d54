/* Processes in a table, and the last errors. */

import { $, element, put, say } from "./element.js";
import { NONE, text, duration } from "./number.js";
import { cpu, memory, health, inOrder, restarts, work } from "./status.js";

const RECENT_SECONDS = 600;
const words = { well: "well", ended: "ended", waiting: "not ready" };
const started = (p) => p.report.sluice_process_start_time_seconds;
const stateOf = (s, p) => (health(s, p) === "silent" ? `silent for ${duration(p.age_seconds)}` : words[health(s, p)]);

const columns = [
  ["state", (s, p) => [p.age_seconds, stateOf(s, p)]],
  ["rows", (s, p) => [work(p), text(work(p), "rows/s")]],
  ["cpu", (s, p) => [cpu(p), text(cpu(p), "ratio")]],
  ["memory", (s, p) => [memory(p), text(memory(p), "bytes")]],
  ["mapped", (s, p) => [p.report.sluice_process_mapped_bytes, text(p.report.sluice_process_mapped_bytes, "bytes")]],
  ["up", (s, p, now) => [started(p), started(p) ? duration(Math.max(0, now - started(p))) : NONE]],
  ["restarts", (s, p) => [restarts(s, p), String(restarts(s, p))]],
];

export function showProcesses(status, now) {
  const all = inOrder(status.processes);
  const key = all.map((p) => p.name).join("\n"), body = $("process-rows");
  if (body.dataset.names !== key) {
    body.dataset.names = key;
    body.replaceChildren(...all.map((p) => element("tr", {},
      element("th", { scope: "row" }, element("i", { class: "dot" }), p.name),
      ...columns.map(([name]) => element("td", { "data-process": p.name, "data-number": name })))));
  }
  all.forEach((p, i) => {
    body.rows[i].className = health(status, p);
    columns.forEach(([, of], k) => put(body.rows[i].cells[k + 1], ...of(status, p, now)));
  });
}

export function showErrors(errors) {
  const all = errors || [];
  const newest = all.reduce((a, e) => (!a || e.seconds_ago < a.seconds_ago ? e : a), null);
  $("no-errors").hidden = all.length > 0;
  $("recent").hidden = !newest || newest.seconds_ago > RECENT_SECONDS;
  if (newest) say($("recent-words"), `${duration(newest.seconds_ago)} ago, ${newest.process}: ${newest.text}`);
  const list = $("error-rows"), key = all.map((e) => `${e.process} ${e.text}`).join("\n");
  if (list.dataset.names !== key) {
    list.dataset.names = key;
    list.replaceChildren(...all.map((e) => element("li", {},
      element("span", { class: "ago" }), element("b", {}, e.process), element("span", { class: "words" }, e.text))));
  }
  all.forEach((e, i) => say(list.children[i].firstChild, `${duration(e.seconds_ago)} ago`));
}
