/* What one status document (/api/status) says: of processes, of autoencoders, and as points of the series
 * that /api/history has under the same names. */

export const SILENT_SECONDS = 5;
const STILL_SECONDS = 10, UNREADY_SECONDS = 10; /* who waits for a moment is well */

const number = (v) => (typeof v === "number" && Number.isFinite(v) ? v : null);

/* Whether it was through when it was heard of last: the broker knows, also where its report found no room. */
function isThrough(status, p) {
  return p.is_through || (p.kind === "capture" && status.processes.some((other) => other.report.sluice_stream_ended > 0));
}

export function health(status, process) {
  if (process.age_seconds > SILENT_SECONDS) return isThrough(status, process) ? "ended" : "silent";
  return process.report.sluice_process_unready_seconds >= UNREADY_SECONDS ? "waiting" : "well";
}

const order = ["capture", "broker", "sink", "trainer"];
/* As rows flow, and capture-2 before capture-10. */
export const inOrder = (processes) => [...processes].sort((a, b) =>
  order.indexOf(a.kind) - order.indexOf(b.kind) || a.name.localeCompare(b.name, "en", { numeric: true }));
export const ofKind = (status, kind) => status.processes.filter((p) => p.kind === kind);
export const trainerOf = (p) => p.name.replace(/^trainer-/, "");
export const cpu = (p) => number((p.rates || {}).sluice_process_cpu_seconds_total);
export const memory = (p) => number(p.report.sluice_process_memory_bytes);
export const restarts = (status, p) => number((status.restarts || {})[p.name]) || 0;

/* A process's last rates: it sends and stores by the frame, so one second says little. The overview has means over as
 * many. The time that is left is told by those of a minute. */
const SMOOTHED = 5, MINUTE = 60, past = new Map(); /* name -> [rates] */

/* Once for each document that the broker tells. */
export function note(status) {
  for (const p of status.processes) past.set(p.name, [...(past.get(p.name) || []), p.rates || {}].slice(-MINUTE));
  for (const name of past.keys()) if (!status.processes.some((p) => p.name === name)) past.delete(name);
}

/* Growth of a counter per second, the mean of so many documents. */
export function rate(p, counter, count = SMOOTHED) {
  if (p.age_seconds > SILENT_SECONDS) return 0;
  const all = (past.get(p.name) || [p.rates || {}]).slice(-count).map((rates) => number(rates[counter])).filter((v) => v !== null);
  return all.length ? all.reduce((sum, v) => sum + v, 0) / all.length : null;
}

/* What a process does most of, per second. */
export function work(p) {
  const counter = { capture: "sluice_capture_rows_total", sink: "sluice_sink_rows_total", trainer: "sluice_trainer_rows_total" }[p.kind];
  return counter ? rate(p, counter) : null;
}

/* How long the rows that are left take; null: nobody knows. */
function secondsFor(rows, rows_per_second) {
  if (number(rows) === null) return null;
  return rows <= 0 ? 0 : rows_per_second > 0 ? rows / rows_per_second : null;
}

/* The longest of several; null where one of them is not known. */
const longest = (all) => (all.length && !all.includes(null) ? Math.max(...all) : null);

/* How long it takes yet. Each trainer has its own rows to go and its own rate: the last one to finish counts. Where
 * no trainer has a plan it is the rows that are stored. */
export function secondsLeft(status) {
  const o = status.overview || {}, going = ofKind(status, "trainer").filter((t) => !(t.report.sluice_trainer_finished > 0));
  if (!o.planned_draws) {
    const stored = ofKind(status, "sink").map((p) => rate(p, "sluice_sink_rows_total", MINUTE));
    return longest(stored.map((r) => secondsFor(o.planned_rows - o.stream_rows, r)));
  }
  return longest(going.map((t) => secondsFor(
    t.report.sluice_trainer_planned_rows - t.report.sluice_trainer_rows_total, rate(t, "sluice_trainer_rows_total", MINUTE))));
}

const columns = {
  loss: "sluice_trainer_loss", fve: "sluice_trainer_fve_ratio", batch_fve: "sluice_trainer_batch_fve_ratio",
  l0: "sluice_trainer_l0", dead: "sluice_trainer_dead_features", features: "sluice_trainer_features",
  gradient_norm: "sluice_trainer_gradient_norm", learning_rate: "sluice_trainer_learning_rate",
  skipped_steps: "sluice_trainer_skipped_steps_total",
};

/* Every autoencoder of every trainer, with its numbers. */
export function saes(status) {
  const trainers = ofKind(status, "trainer"), found = [];
  for (const t of trainers) {
    const trainer = trainerOf(t);
    for (const name of Object.keys(t.report.sluice_trainer_features || t.report.sluice_trainer_loss || {})) {
      const sae = { trainer, name, label: trainers.length > 1 ? `${trainer}/${name}` : name };
      for (const [key, metric] of Object.entries(columns)) sae[key] = number((t.report[metric] || {})[name]);
      sae.dead_ratio = sae.features && sae.dead !== null ? sae.dead / sae.features : null;
      sae.series = `sae/${trainer}/${name}`;
      found.push(sae);
    }
  }
  return found;
}

/* Mean time of the steps between two documents. null where none was made: while a trainer is at one, it is the last
 * mean, as in the broker's history. */
let steps = new Map(); /* a trainer's name -> {count, sum, last, value}: `last` is a mean */

function stepsOf({ report }, before = {}) {
  const { count, sum } = report.sluice_trainer_step_seconds || {}, is_more = count > before.count;
  const last = is_more ? (sum - before.sum) / (count - before.count) : number(before.last);
  const is_at_it = (report.sluice_trainer_phase || {}).training === 1 && report.sluice_trainer_waiting !== 1;
  return { count, sum, last, value: is_more || is_at_it ? last : null };
}

/* name of a series -> its value now. Of who is silent there is none, as in the broker's history. */
export function points(status) {
  const all = new Map(Object.entries(status.overview || {}));
  const here = { ...status, processes: status.processes.filter((p) => p.age_seconds <= SILENT_SECONDS) };
  const trainers = ofKind(here, "trainer");
  for (const p of here.processes) {
    all.set(`process/${p.name}/cpu_ratio`, cpu(p));
    all.set(`process/${p.name}/memory_bytes`, memory(p));
  }
  steps = new Map(trainers.map((t) => [t.name, stepsOf(t, steps.get(t.name))]));
  for (const t of trainers) all.set(`trainer/${trainerOf(t)}/step_seconds`, steps.get(t.name).value);
  for (const s of saes(here)) {
    for (const key of ["loss", "fve", "l0", "dead_ratio"]) all.set(`${s.series}/${key}`, s[key]);
  }
  return all;
}

function silence(names) {
  if (names.length > 2) return `${names.length} processes are silent`;
  return `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} silent`;
}

/* What a process is at while it moves no rows, of the phases that it reports (proto/phase.h; cli/stage.c has the same
 * words). "": it moves rows, or would. */
const phases = {
  opening: "opening the engine", reading: "reading the model, once", checking: "checking the model, once",
  preparing: "preparing the model, once", awaiting: "waits for a program's rows", measuring: "measuring the rows' norms",
  counting: "counting the corpus's tokens", asking: "waits for the sink", loading: "opening the autoencoders",
  whitening: "measuring the covariance", filling: "filling the buffer", evaluating: "evaluating held-out rows",
  checkpointing: "writing a checkpoint", exporting: "writing the exports",
};

function phaseOf({ kind, report }) {
  const all = report[`sluice_${kind}_phase`] || {}, words = phases[Object.keys(all).find((name) => all[name] === 1)] || "";
  const done = report[`sluice_${kind}_phase_done`], size = report[`sluice_${kind}_phase_size`];
  return words && size > 0 ? `${words}: ${Math.floor(100 * Math.min(1, done / size))} %` : words;
}

/* Captures come first: without them nobody has rows. */
function phase(status) {
  const words = inOrder(status.processes).map(phaseOf).find((w) => w);
  return words || (ofKind(status, "trainer").some((t) => t.report.sluice_trainer_waiting === 1) ? "waits for rows" : "");
}

/* The stream's state in a word, and what it is at where nothing has flowed for so long. Whether it should, the broker
 * says: it knows who has rows. */
export function state(status, still_seconds) {
  const others = status.processes.filter((p) => p.kind !== "broker"), trainers = ofKind(status, "trainer");
  const silent = others.filter((p) => health(status, p) === "silent").map((p) => p.name);
  if (!others.length) return { word: "starting", mood: "calm" };
  if (trainers.length && trainers.every((t) => t.report.sluice_trainer_finished === 1)) return { word: "finished", mood: "calm" };
  if (silent.length) return { word: silence(silent), mood: "bad" };
  if (status.stalled) return { word: "stalled", mood: "bad" };
  const at = still_seconds >= STILL_SECONDS ? phase(status) : "";
  return at ? { word: at, mood: "calm" } : { word: "running", mood: "good" };
}
