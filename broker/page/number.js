/* Numbers with their units, for people. What nobody says (null) is a dash. */

export const NONE = "–";
const is_none = (v) => v === null || v === undefined || !Number.isFinite(v);
const MINUTE = 60, HOUR = 3600, DAY = 86400;

/* Three digits that count: 7, 0.052, 12.3, 4560 -> "4.56k". */
function scaled(v, base, marks) {
  const size = Math.abs(v);
  let power = 0;
  while (power < marks.length - 1 && size >= 999.5 * base ** power) power++;
  const x = v / base ** power;
  if (power === 0 && Number.isInteger(x)) return [String(x), marks[0]];
  if (power === 0 && size < 0.001) return [x.toExponential(1), marks[0]];
  return [x.toPrecision(3), marks[power]];
}

const count = (v) => scaled(v, 1000, ["", "k", "M", "G", "T", "P"]).join("");

function time(v) {
  const s = Math.abs(v);
  if (s === 0) return ["0", "s"];
  if (s < 0.001) return [(v * 1e6).toPrecision(2), "µs"];
  if (s < 0.9995) return [(v * 1e3).toPrecision(3), "ms"];
  if (s < 99.5) return [v.toFixed(1), "s"];
  if (s < 100 * MINUTE) return [String(Math.round(v / MINUTE)), "min"];
  return s < 2 * DAY ? [(v / HOUR).toFixed(1), "h"] : [(v / DAY).toFixed(1), "days"];
}

function share(v) {
  const p = 100 * v;
  return [p === 0 || p === 100 ? String(p) : p >= 1 ? p.toFixed(1) : p >= 0.01 ? p.toFixed(2) : "<0.01", "%"];
}

const kinds = {
  "rows/s": (v) => [count(v), "rows/s"],
  "tokens/s": (v) => [count(v), "tokens/s"],
  "bytes/s": (v) => scaled(v, 1000, ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"]),
  bytes: (v) => scaled(v, 1000, ["B", "kB", "MB", "GB", "TB"]),
  rows: (v) => [count(v), "rows"],
  slabs: (v) => [count(v), "slabs"],
  whole: (v) => [String(Math.round(v)), ""],
  none: (v) => [count(v), ""],
  seconds: time,
  ratio: share,
  fve: (v) => [v.toFixed(4), ""],
};

/* [number, unit], apart: ["12.3k", "rows/s"]. */
export function parts(value, kind) {
  return is_none(value) ? [NONE, ""] : kinds[kind](value);
}

export function text(value, kind) {
  const [number, unit] = parts(value, kind);
  return unit ? `${number} ${unit}` : number;
}

/* At an axis: as short as can be, and without what the chart's title says. */
export function mark(value, kind) {
  const [number, unit] = parts(value, kind);
  const short = number.replace(/(\.\d*?)0+(\D*)$/, "$1$2").replace(/\.(\D*)$/, "$1"); /* 1.50k: 1.5k, 50.0: 50 */
  return `${short} ${unit.replace(/(rows|tokens)\/s|rows|slabs|\/s/, "")}`.trim();
}

/* How long: "3 min 20 s", "2 h 05 min", "4 d 3 h". */
export function duration(seconds) {
  if (is_none(seconds)) return NONE;
  const s = Math.round(seconds);
  if (s < MINUTE) return `${s} s`;
  if (s < HOUR) return `${Math.floor(s / MINUTE)} min ${s % MINUTE} s`;
  if (s < DAY) return `${Math.floor(s / HOUR)} h ${Math.floor((s % HOUR) / MINUTE)} min`;
  return `${Math.floor(s / DAY)} d ${Math.floor((s % DAY) / HOUR)} h`;
}

export function clock(seconds, with_day) {
  const d = new Date(seconds * 1000);
  const hours = d.toTimeString().slice(0, 8);
  return with_day ? `${d.toDateString().slice(4, 10)} ${hours}` : hours;
}
