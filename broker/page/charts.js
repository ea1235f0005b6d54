/* All charts: one window of time and one cursor over all of them. */

import { $, element, put } from "./element.js";
import { Chart } from "./chart.js";
import { clock } from "./number.js";
import { ofKind, saes, trainerOf } from "./status.js";
import * as colours from "./colours.js";

const ratesOf = (...names) => names.map((name) => [name, `${name}_rows_per_second`]);
const flow = [
  { id: "rows", title: "Rows", unit: "per second", kind: "rows/s", zero: true, lines: ratesOf("captured", "stored", "trained", "shed") },
  { id: "bytes", title: "Bytes", unit: "per second", kind: "bytes/s", zero: true,
    lines: [["raw", "raw_bytes_per_second"], ["packed", "packed_bytes_per_second"]] },
  { id: "fill", title: "Buffer", unit: "fill", kind: "ratio", zero: true, most: 1, lines: [["fill", "buffer_fill_ratio"]] },
  { id: "lag", title: "Lag in rows", unit: "captured, not stored", kind: "rows", zero: true, lines: [["in flight", "lag_rows"]] },
  { id: "lag-seconds", title: "Lag in time", unit: "", kind: "seconds", zero: true, lines: [["lag", "lag_seconds"]] },
  { id: "credit", title: "Credit wait", unit: "share of time", kind: "ratio", zero: true, most: 1, lines: [["waiting", "credit_wait_ratio"]] },
];
const learning = [
  { id: "loss", title: "Loss", unit: "last batch", kind: "none", log: true, each: "loss" },
  { id: "fve", title: "FVE", unit: "held out", kind: "fve", least: 0, each: "fve" },
  { id: "l0", title: "L0", unit: "features per row", kind: "none", zero: true, each: "l0" },
  { id: "dead", title: "Dead features", unit: "share", kind: "ratio", zero: true, each: "dead_ratio" },
  { id: "step", title: "Step time", unit: "per trainer", kind: "seconds", zero: true, trainer: "step_seconds" },
];
const machine = [
  { id: "cpu", title: "CPU", unit: "of one core", kind: "ratio", zero: true, process: "cpu_ratio" },
  { id: "memory", title: "Memory", unit: "resident", kind: "bytes", zero: true, process: "memory_bytes" },
];

export class Charts {
  constructor(past, view) {
    Object.assign(this, { past, view, hidden: new Set(), time: null, row: null });
    const wires = {
      cursor: (time, by) => this.point(time, by), choose: (from, to) => view.choose(from, to), live: () => view.live(),
    };
    const make = (spec) => new Chart(spec, wires);
    this.all = [...flow, ...learning, ...machine].map(make);
    const places = [["flow-charts", flow], ["learning-charts", learning], ["machine-charts", machine]];
    for (const [id, of] of places) {
      $(id).replaceChildren(...this.all.filter((c) => of.includes(c.spec)).map((c) => c.root));
    }
    colours.onChange(() => this.show());
    document.addEventListener("visibilitychange", () => !document.hidden && this.show());
  }

  #linesOf(spec, status) {
    if (spec.lines) return spec.lines.map(([label, series], index) => ({ label, series, index }));
    if (spec.each) {
      return saes(status).map((s, index) => ({ label: s.label, series: `${s.series}/${spec.each}`, index }))
        .filter((l) => !this.hidden.has(l.label));
    }
    const names = spec.trainer ? ofKind(status, "trainer").map(trainerOf) : status.processes.map((p) => p.name);
    const of = spec.trainer ? "trainer" : "process";
    return names.sort().map((label, index) => ({ label, series: `${of}/${label}/${spec.trainer || spec.process}`, index }));
  }

  /* Which lines there are. true: there are others than before. */
  setStatus(status) {
    this.status = status;
    const before = this.names().join();
    for (const c of this.all) c.setLines(this.#linesOf(c.spec, status));
    $("learning").hidden = !saes(status).length;
    this.#legend(status);
    return this.names().join() !== before;
  }

  #legend(status) {
    const key = saes(status).map((s) => s.label).join("\n");
    if (key === this.legend_key) return;
    this.legend_key = key;
    $("sae-legend").replaceChildren(...saes(status).map((s, i) => element("button", {
      type: "button", class: "sae", "aria-pressed": "true", onclick: (e) => this.#turn(s.label, e.currentTarget),
    }, colours.swatch(i), s.label)));
  }

  /* Show an autoencoder in all charts, or no more. */
  #turn(label, button) {
    const is_shown = this.hidden.delete(label) || !this.hidden.add(label);
    button.setAttribute("aria-pressed", String(is_shown));
    this.setStatus(this.status);
    this.show();
  }

  names() {
    return [...new Set(this.all.flatMap((c) => c.lines.map((l) => l.series)))];
  }

  show() {
    const window = this.view.window();
    for (const c of this.all) c.show(this.past, window);
    if (this.time !== null) this.point(this.time, null); /* its row may be another one now */
  }

  /* A cursor at a time; null: none. */
  point(time, by) {
    if (this.is_pointing) return;
    this.is_pointing = true;
    const row = time === null ? null : this.#rowAt(time);
    this.row = row;
    this.time = time;
    for (const c of this.all) c.point(row, by);
    const at = row === null ? null : this.past.times[row], has_day = this.view.seconds > 3600 || !this.view.is_live;
    put($("cursor"), at, at === null ? "" : clock(at, has_day));
    this.is_pointing = false;
  }

  #rowAt(time) {
    const { times, step } = this.past;
    if (!times.length) return null;
    return Math.max(0, Math.min(times.length - 1, Math.round((time - times[0]) / step)));
  }

  /* One point to the left or right, or from the end. */
  stepCursor(by) {
    const { times } = this.past, [from, to] = this.view.window();
    if (!times.length) return;
    const at = this.row ?? (by < 0 ? times.length : this.#rowAt(from));
    const row = Math.max(this.#rowAt(from), Math.min(this.#rowAt(to), at + by));
    this.point(times[row], null);
  }
}
