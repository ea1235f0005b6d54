/* Which time the charts show: the last so many seconds, as they go on, or a window that a person chose. */

export const RANGES = [
  { seconds: 300, name: "5 min", key: "1" },
  { seconds: 3600, name: "1 h", key: "2" },
  { seconds: 86400, name: "1 day", key: "3" },
  { seconds: 2592000, name: "1 month", key: "4" },
];
const LEAST_SECONDS = 10, MOST_SECONDS = RANGES[RANGES.length - 1].seconds;

export class View {
  constructor(now, on_change) {
    this.now = now;
    this.on_change = on_change;
    this.seconds = RANGES[0].seconds;
    this.chosen = null; /* [from, to] */
  }

  get is_live() {
    return !this.chosen;
  }

  window() {
    const to = this.now();
    return this.chosen || [to - this.seconds, to];
  }

  last(seconds) {
    this.seconds = seconds;
    this.chosen = null;
    this.on_change();
  }

  choose(from, to) {
    const now = this.now(), wide = Math.min(MOST_SECONDS, Math.max(LEAST_SECONDS, to - from));
    const middle = (from + to) / 2, end = Math.min(middle + wide / 2, now);
    this.chosen = [end - wide, end];
    this.on_change();
  }

  live() {
    this.chosen = null;
    this.on_change();
  }

  pan(share) {
    const [from, to] = this.window(), by = share * (to - from);
    this.choose(from + by, to + by);
  }

  zoom(factor) {
    const [from, to] = this.window(), now_is_shown = to >= this.now() - 1;
    const wide = (to - from) * factor;
    this.choose(now_is_shown ? to - wide : (from + to - wide) / 2, now_is_shown ? to : (from + to + wide) / 2);
  }
}
