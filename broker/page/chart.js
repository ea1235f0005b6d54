/* One chart: a title with its unit, what each line is at now (or at the cursor), and dygraphs below. */

import { element, say } from "./element.js";
import { text, mark, clock } from "./number.js";
import * as colours from "./colours.js";

const HEIGHT = 170, TOUCH_SLOP = 8;

/* Its legend would set text as HTML, and ask for styles that the policy forbids; ours stands above. */
Dygraph.PLUGINS = Dygraph.PLUGINS.filter((p) => p !== Dygraph.Plugins.Legend);

export class Chart {
  /* spec: {id, title, kind (of number.js), log: at first; zero: the axis holds 0; most, least: see #range()};
   * wires: {cursor(time|null, chart), choose(from, to), live()} */
  constructor(spec, wires) {
    Object.assign(this, { spec, wires, lines: [], is_log: !!spec.log, is_visible: true, is_stale: true });
    this.legend = element("ul", { class: "legend" });
    this.plot = element("div", { class: "plot", tabindex: 0, role: "img", "aria-label": spec.title });
    this.hair = element("div", { class: "hair", hidden: "" });
    this.log_button = element("button", {
      type: "button", class: "small", "aria-pressed": String(!!spec.log), title: "logarithmic scale (g)",
      "aria-label": `${spec.title}: logarithmic scale`, onclick: () => this.setLog(!this.is_log),
    }, "log");
    const head = element("div", { class: "head" },
      element("h3", {}, spec.title), element("span", { class: "unit" }, spec.unit || ""), this.log_button);
    this.root = element("section", { class: "chart card", id: `chart-${spec.id}`, "aria-label": spec.title },
      head, this.legend, element("div", { class: "frame" }, this.plot, this.hair));
    this.#listen();
  }

  #listen() {
    this.plot.addEventListener("pointerdown", (e) => e.pointerType === "touch" && (this.touched = [e.clientX, e.clientY]));
    this.plot.addEventListener("pointermove", (e) => {
      if (e.pointerType === "touch" && this.touched && Math.abs(e.clientX - this.touched[0]) > TOUCH_SLOP) this.#point(e);
    });
    this.plot.addEventListener("pointerup", (e) => e.pointerType === "touch" && this.touched && this.#point(e));
    this.plot.addEventListener("blur", () => this.wires.cursor(null, this));
    new IntersectionObserver((seen) => {
      this.is_visible = seen[seen.length - 1].isIntersecting;
      if (this.is_visible && this.is_stale) this.draw();
    }, { rootMargin: "200px" }).observe(this.root);
    new ResizeObserver(() => this.graph && this.plot.clientWidth && this.#quietly(() => this.graph.resize())).observe(this.plot);
  }

  #point(e) {
    if (!this.graph) return;
    const [x] = this.graph.eventToDomCoords(e);
    this.wires.cursor(this.graph.toDataXCoord(x) / 1000, this);
  }

  setLog(is_log) {
    this.is_log = is_log;
    this.log_button.setAttribute("aria-pressed", String(is_log));
    this.draw();
  }

  /* lines: [{label, index (of its colour), series}] */
  setLines(lines) {
    const key = JSON.stringify(lines);
    if (key === this.key) return;
    this.key = key;
    this.lines = lines;
    this.values = lines.map(() => element("b", {}));
    this.legend.replaceChildren(...lines.map((l, i) => element("li", { "data-series": l.series },
      colours.swatch(l.index), element("span", {}, l.label), this.values[i])));
    if (this.graph) this.graph.destroy();
    this.graph = null;
  }

  show(past, window) {
    Object.assign(this, { past, window });
    this.is_stale = true;
    this.draw();
  }

  /* What the lines are at: at the cursor's row, or at the last one that has a value. */
  say(row) {
    const at = [];
    this.lines.forEach((l, i) => {
      const values = this.past.column(l.series);
      let value = row === null ? null : values[row];
      for (let r = values.length - 1; row === null && value === null && r >= Math.max(0, values.length - 5); r--) value = values[r];
      say(this.values[i], text(value, this.spec.kind));
      if (i < 4) at.push(`${l.label} ${text(value, this.spec.kind)}`);
    });
    const label = `${this.spec.title}${row === null ? "" : ` at ${clock(this.past.times[row])}`}: ${at.join(", ")}`;
    if (this.plot.getAttribute("aria-label") !== label) this.plot.setAttribute("aria-label", label);
  }

  #rows() {
    const columns = this.lines.map((l) => this.past.column(l.series));
    return this.past.times.map((t, r) => [new Date(t * 1000), ...columns.map((c) => c[r])]);
  }

  #has(test) {
    return this.lines.some((l) => this.past.column(l.series).some((v) => v !== null && test(v)));
  }

  /* Of the axis, where the spec has bounds that hold: a share ends at 1, and of an FVE below 0 nobody wants to see
   * how far. null: as the values are. */
  #range() {
    const { most, least } = this.spec;
    if (most !== undefined && !this.#has((v) => v > most)) return [0, most * 1.05];
    return least !== undefined && this.#has((v) => v < least) && this.#has((v) => v > least) ? [least, null] : null;
  }

  #options() {
    const { grid, axis } = colours.ground(), { zero, kind } = this.spec, is_log = this.is_log && this.#has((v) => v > 0);
    return {
      dateWindow: this.window.map((t) => t * 1000),
      colors: this.lines.map((l) => colours.colour(l.index)),
      gridLineColor: grid, axisLineColor: axis, logscale: is_log, includeZero: !!zero && !is_log, valueRange: is_log ? null : this.#range(),
      axes: { y: { axisLabelFormatter: (v) => mark(v, kind) } },
    };
  }

  draw() {
    if (!this.past || !this.lines.length) return;
    if (!this.is_visible || document.hidden) return;
    this.is_stale = false;
    if (!this.past.times.length) return;
    this.say(this.row ?? null);
    this.drawn = this.window;
    this.#quietly(() => (this.graph ? this.graph.updateOptions({ file: this.#rows(), ...this.#options() }) : this.#open()));
  }

  /* A window that dygraphs draws meanwhile is ours, and not one that a person chose. */
  #quietly(fn) {
    this.is_drawing = true;
    fn();
    this.is_drawing = false;
  }

  #open() {
    const options = this.#options();
    this.graph = new Dygraph(this.plot, this.#rows(), {
      ...options,
      axes: { x: { axisLabelWidth: 70, pixelsPerLabel: 80 }, y: { ...options.axes.y, axisLabelWidth: 50, pixelsPerLabel: 34 } },
      labels: ["time", ...this.lines.map((l, i) => `${i} ${l.label}`)],
      series: Object.fromEntries(this.lines.map((l, i) => [`${i} ${l.label}`, { strokePattern: colours.dash(l.index) }])),
      height: HEIGHT, strokeWidth: 1.6, highlightCircleSize: 3, axisLabelFontSize: 11, rightGap: 6, gridLineWidth: 1, drawGapEdgePoints: true,
      animatedZooms: false, xValueParser: Number, interactionModel: this.#interaction(),
      highlightCallback: (event, x) => this.wires.cursor(x / 1000, this),
      unhighlightCallback: () => this.wires.cursor(null, this),
      drawCallback: (graph, is_initial) => this.#drawn(graph, is_initial),
    });
  }

  /* A mouse zooms and, with shift, pans; a finger moves the cursor, and the page below it. */
  #interaction() {
    const { mousedown, mousemove, mouseup, willDestroyContextMyself } = Dygraph.defaultInteractionModel;
    return { mousedown, mousemove, mouseup, willDestroyContextMyself, dblclick: () => this.wires.live() };
  }

  #drawn(graph, is_initial) {
    this.#moveHair(graph);
    if (is_initial || this.is_drawing) return;
    const [from, to] = graph.xAxisRange().map((x) => x / 1000);
    if (Math.abs(from - this.drawn[0]) > 1e-3 || Math.abs(to - this.drawn[1]) > 1e-3) this.wires.choose(from, to);
  }

  #moveHair(graph) {
    const row = this.row ?? null, time = row === null ? null : this.past.times[row];
    this.hair.hidden = time === undefined || time === null;
    if (!this.hair.hidden) this.hair.style.transform = `translateX(${graph.toDomXCoord(time * 1000).toFixed(1)}px)`;
  }

  /* The cursor, of whichever chart it was set on. */
  point(row, by) {
    this.row = row;
    if (!this.graph || !this.is_visible) return;
    if (by !== this && row !== null && row < this.graph.numRows()) this.graph.setSelection(row);
    if (by !== this && row === null) this.graph.clearSelection();
    this.say(row);
    this.#moveHair(this.graph);
  }
}
