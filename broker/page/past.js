/* What was: series out of /api/history on one grid of times, with the documents of now behind them. A time
 * in which nobody said anything is null. Times are the broker's, in seconds since 1970. */

const POINTS = 600, NAMES_AT_ONCE = 40, MOST_ROWS = 2 * POINTS, HOLDS_SECONDS = 3;
/* By more than that a clock is set right; by more than this, from one document to the next, it was set. */
const READ_SKEW_SECONDS = 2, SKEW_SECONDS = 5;

export class Past {
  constructor() {
    this.step = 1;
    this.times = []; /* (rows) */
    this.columns = new Map(); /* name -> (rows) values */
    this.sums = new Map(); /* of the last row: name -> [sum, count] */
    this.series = new Set(); /* that the broker has */
    this.asked = 0;
    this.is_live = true; /* it ends now, so documents of now belong behind it */
    this.skew = 0; /* the broker's clock less ours, where they are of different machines */
  }

  now() {
    return Date.now() / 1000 + this.skew;
  }

  async #ask(path) {
    const answer = await fetch(path);
    if (!answer.ok) throw new Error((await answer.text()).trim() || `${path}: ${answer.status}`);
    return answer.json();
  }

  /* Of these names those that the broker has: it refuses to tell of others. */
  async #known(names) {
    if (!names.every((name) => this.series.has(name))) this.series = new Set((await this.#ask("api/history/series")).series);
    return names.filter((name) => this.series.has(name));
  }

  /* Read these series anew: of the last `-from` seconds, or from `from` to `to`. false: there is nothing, or a later
   * call has taken its place. Throws what the broker, or the way to it, has against it. */
  async read(names, from, to) {
    const mine = ++this.asked, parts = [], known = await this.#known(names);
    for (let i = 0; i < known.length; i += NAMES_AT_ONCE) {
      const at = new URLSearchParams({ series: known.slice(i, i + NAMES_AT_ONCE).join(","), from, points: POINTS });
      if (to !== undefined) at.set("to", to);
      parts.push(await this.#ask(`api/history?${at}`));
    }
    if (mine !== this.asked || !parts.length) return false;
    this.#take(parts);
    this.is_live = to === undefined;
    if (this.is_live) this.#setClock();
    return true;
  }

  /* What was read to its end ends now, within its last row. What then is left of a skew is less than add() takes for
   * a clock that was set: else each document would have all read anew. */
  #setClock() {
    const ahead = this.times[this.times.length - 1] + this.step - Date.now() / 1000;
    this.skew = ahead < -READ_SKEW_SECONDS || ahead > this.step + READ_SKEW_SECONDS ? ahead : 0;
  }

  /* All are laid on the first one's grid. What was asked a moment later may begin later, and have other steps. */
  #take(parts) {
    const { from, step_seconds, series } = parts[0], rows = Object.values(series)[0].length;
    this.step = step_seconds;
    this.times = Array.from({ length: rows }, (_, i) => from + i * step_seconds);
    this.columns = new Map();
    this.sums = new Map();
    for (const p of parts) {
      const at = this.times.map((t) => Math.floor((t - p.from) / p.step_seconds));
      for (const [name, values] of Object.entries(p.series)) this.columns.set(name, at.map((i) => values[i] ?? null));
    }
  }

  column(name) {
    let values = this.columns.get(name);
    if (!values) this.columns.set(name, (values = this.times.map(() => null)));
    return values;
  }

  #newRow(time) {
    this.times.push(time);
    for (const values of this.columns.values()) values.push(null);
    this.sums = new Map();
  }

  /* The points of a document that came just now: a row of its own, or into the mean of the last one. false: it is
   * not the time that was to be expected, so a clock was set or documents are missing, and what was is to be read
   * anew. */
  add(points) {
    if (!this.is_live) return true;
    const time = Math.floor(this.now() / this.step) * this.step;
    const last = this.times.length ? this.times[this.times.length - 1] : time - this.step;
    const is_far = Math.abs(time - last) > this.step + SKEW_SECONDS;
    if (time < last && !is_far) return true; /* the clocks differ by so much */
    if (time < last || time - last > POINTS * this.step) this.times.length = 0; /* nothing of before is shown any more */
    if (!this.times.length) for (const values of this.columns.values()) values.length = 0;
    for (let t = this.times.length ? last + this.step : time; t <= time; t += this.step) this.#newRow(t);
    for (const [name, value] of points) {
      if (value === null || value === undefined) continue;
      const [sum, count] = this.sums.get(name) || [0, 0];
      this.sums.set(name, [sum + value, count + 1]);
      const values = this.column(name);
      values[values.length - 1] = (sum + value) / (count + 1);
      this.#bridge(values, value);
    }
    this.#forget();
    return !is_far;
  }

  /* Documents do not come on the second: a value holds for a moment, as it does in the broker's history. What is
   * longer than that is a gap. */
  #bridge(values, value) {
    const last = values.length - 1;
    let r = last - 1;
    while (r >= 0 && values[r] === null && this.times[last] - this.times[r] <= HOLDS_SECONDS) r--;
    if (r >= 0 && values[r] !== null) values.fill(value, r + 1, last);
  }

  #forget() {
    const many = this.times.length - MOST_ROWS;
    if (many <= 0) return;
    this.times.splice(0, many);
    for (const values of this.columns.values()) values.splice(0, many);
  }
}
