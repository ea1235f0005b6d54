/*
 * A feature browser. Its data are an index's own files (inspect/index.h): index.json, features.table,
 * features.data (a sheet is read by a Range request), tokens.table, labels.tsv. Served by `sluice
 * browse` it can also run texts through the model and keep labels; in a single file all is inside.
 *
 * Whatever comes out of the data is text: it is set by textContent, never as HTML.
 */
"use strict";

const ENTRY_BYTES = 48, SHOWN_AT_ONCE = 200, NEIGHBOURS = 10, DENSITY_BINS = 24, DENSITY_FROM = -6;
const $ = (id) => document.getElementById(id);

/* ---- elements ---- */

function element(name, properties = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") e.className = value;
    else if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (key in e) e[key] = value;
    else e.setAttribute(key, value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

function drawing(name, attributes, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  e.append(...children);
  return e;
}

function tell(trouble) {
  $("trouble").textContent = trouble ? String(trouble.message || trouble) : "";
  $("trouble").hidden = !trouble;
}

const count = (n) => Number(n).toLocaleString("en");
const short = (x) => (x === 0 ? "0" : Number(x).toPrecision(Math.abs(x) < 1000 ? 3 : 4));
const percent = (share) => (share === 0 ? "never" : `${Number((100 * share).toPrecision(3))}%`);

/* ---- where the data come from ---- */

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    throw new Error(location.protocol === "file:"
      ? "a page that is opened as a file may not read the files beside it: use `sluice browse INDEX`, or a web server such as `python3 -m http.server` in this folder"
      : `${path} does not answer: is the server still there?`);
  }
  if (answer.status === 403) throw new Error("this browser is not let in: open the address that `sluice browse` printed");
  if (!answer.ok) throw new Error(`${path}: ${(await answer.text()).trim() || answer.status}`);
  return answer;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

function parseTable(buffer, features) {
  if (buffer.byteLength !== features * ENTRY_BYTES) throw new Error("features.table is not as long as index.json says: the index is damaged, or still being copied");
  const view = new DataView(buffer), entries = [];
  for (let f = 0; f < features; f++) {
    const at = f * ENTRY_BYTES;
    entries.push({
      feature: f,
      offset: Number(view.getBigUint64(at, true)),
      bytes: view.getUint32(at + 8, true),
      rows: Number(view.getBigUint64(at + 16, true)),
      largest: view.getFloat32(at + 24, true),
      mean: view.getFloat32(at + 28, true),
      token: view.getInt32(at + 32, true),
    });
  }
  return entries;
}

function parseLabels(text) {
  const labels = new Map();
  for (const line of text.split("\n")) {
    const tab = line.indexOf("\t");
    if (tab > 0) labels.set(Number(line.slice(0, tab)), line.slice(tab + 1).replace(/\r$/, ""));
  }
  return labels;
}

/* An index's folder, behind any web server. */
class Folder {
  async open() {
    this.facts = await (await ask("index.json")).json();
    const [table, tokens, labels, can] = await Promise.all([
      ask("features.table").then((a) => a.arrayBuffer()),
      this.facts.tokens ? ask("tokens.table").then((a) => a.arrayBuffer()) : null,
      fetch("labels.tsv").then((a) => (a.ok ? a.text() : "")),
      fetch("api/can").then((a) => (a.ok ? a.json() : null)).catch(() => null),
    ]);
    this.entries = parseTable(table, this.facts.features);
    this.labels = parseLabels(labels);
    this.can = can || { label: false, text: "This page is served as files: `sluice browse INDEX RUN` runs texts through the model and keeps labels." };
    if (tokens) {
      const many = this.facts.tokens, head = 4 * (many + 1);
      if (tokens.byteLength < head) throw new Error("tokens.table is shorter than index.json says: the index is damaged");
      this.at = new Uint32Array(tokens, 0, many + 1);
      this.texts = new Uint8Array(tokens, head);
    }
  }
  entry(feature) {
    return this.entries[feature];
  }
  tokenBytes(token) {
    return this.at && token >= 0 && token + 1 < this.at.length ? this.texts.subarray(this.at[token], this.at[token + 1]) : null;
  }
  densities() {
    this.bins ??= densityBins(this.entries, this.facts.kept_rows);
    return this.bins;
  }
  async sheet(feature) {
    const { offset, bytes } = this.entries[feature];
    let packed;
    if (this.whole) {
      packed = this.whole.slice(offset, offset + bytes);
    } else {
      const answer = await ask("features.data", { headers: { Range: `bytes=${offset}-${offset + bytes - 1}` } });
      packed = await answer.arrayBuffer();
      if (answer.status === 200 && packed.byteLength !== bytes) {
        this.whole = packed; /* a server that knows no ranges sent it all */
        packed = packed.slice(offset, offset + bytes);
      }
    }
    let sheet;
    try {
      sheet = await inflate(packed);
    } catch (error) {
      throw new Error(`feature ${feature}: its sheet in features.data is damaged; copy the index again, or inspect again`);
    }
    if (sheet.feature !== feature) throw new Error(`feature ${feature}: its sheet is another feature's: the index is damaged`);
    return sheet;
  }
}

/* A single file: some features, all inside. */
class Inside {
  async open() {
    const data = JSON.parse($("data").textContent);
    Object.assign(this, { facts: data.facts, entries: data.entries, can: { label: false, text: null }, is_single: true });
    this.labels = new Map(data.labels);
    this.by_number = new Map(data.entries.map((e) => [e.feature, e]));
    this.data = data;
  }
  entry(feature) {
    return this.by_number.get(feature);
  }
  tokenBytes(token) {
    const text = this.data.tokens[token];
    return text === undefined ? null : Uint8Array.from(text, (c) => c.charCodeAt(0)) /* a character for each byte */;
  }
  densities() {
    return this.data.densities;
  }
  async sheet(feature) {
    return this.data.sheets[feature];
  }
}

/* Of the logarithm of the share of tokens, four bins to each power of ten. */
function densityBins(entries, rows) {
  const bins = new Array(DENSITY_BINS).fill(0);
  for (const e of entries) if (e.rows > 0) bins[densityBin(e.rows / rows)]++;
  return bins;
}

function densityBin(share) {
  const bin = Math.floor((Math.log10(share) - DENSITY_FROM) * 4);
  return Math.max(0, Math.min(DENSITY_BINS - 1, bin));
}

/* ---- tokens ---- */

const decoder = new TextDecoder();
let source = null;

function tokenText(token) {
  const bytes = source.tokenBytes(token);
  return bytes ? decoder.decode(bytes) : `#${token}`;
}

/* Hundreds of thousands of features are searched at each key, and share a few tokens. */
const lowered = new Map();

function tokenLowered(token) {
  if (!lowered.has(token)) lowered.set(token, tokenText(token).toLowerCase());
  return lowered.get(token);
}

function visible(text) {
  return text.replace(/\r/g, "␍").replace(/\n/g, "↵").replace(/\t/g, "⇥").replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "�");
}

function tokenChip(token) {
  return element("span", { class: "token" }, visible(tokenText(token)) || " ");
}

/* A feature's label for the eye: it may be anybody's, and turn the text around it. */
const labelShown = (feature) => visible(source.labels.get(feature) || "");

const heat = (share) => `rgba(var(--heat), calc(0.08 + var(--heat-range) * ${Math.min(1, Math.max(0, share)).toFixed(3)}))`;

/* ---- the list ---- */

const list = { found: [], shown: 0 };

function matches(entry, wanted) {
  if (!wanted) return true;
  if (/^\d+$/.test(wanted) && String(entry.feature) === wanted) return true;
  const label = source.labels.get(entry.feature);
  if (label && label.toLowerCase().includes(wanted)) return true;
  return entry.token >= 0 && tokenLowered(entry.token).includes(wanted);
}

function inRange(entry, range) {
  const share = entry.rows / source.facts.kept_rows;
  if (range === "dead") return entry.rows === 0;
  if (range === "labelled") return source.labels.has(entry.feature);
  if (range === "rare") return share > 0 && share < 0.001;
  if (range === "some") return share >= 0.001 && share <= 0.01;
  if (range === "often") return share > 0.01;
  return entry.rows > 0;
}

const orders = {
  rows: (a, b) => b.rows - a.rows || a.feature - b.feature,
  rare: (a, b) => a.rows - b.rows || a.feature - b.feature,
  largest: (a, b) => b.largest - a.largest || a.feature - b.feature,
  number: (a, b) => a.feature - b.feature,
};

function findAll() {
  const typed = $("search").value, wanted = typed.toLowerCase();
  const number = /^\d+$/.test(typed) ? Number(typed) : null;
  list.found = source.entries
    .filter((e) => e.feature === number || (inRange(e, $("density").value) && matches(e, wanted)))
    .sort(orders[$("sort").value]);
  if (number !== null) list.found.sort((a, b) => (b.feature === number) - (a.feature === number));
  list.shown = 0;
  $("rows").replaceChildren();
  const all = source.is_single ? source.entries.length : source.facts.features;
  $("count").textContent = list.found.length ? `${count(list.found.length)} of ${count(all)} features` : `none of ${count(all)} features: try another word, or all that fire`;
  showMore();
}

function line(entry) {
  const label = labelShown(entry.feature);
  const what = element("span", { class: "what" });
  if (entry.token >= 0) what.append(tokenChip(entry.token), " ");
  if (label) what.append(label);
  return element("li", {}, element("a", { href: `#${entry.feature}`, "data-feature": entry.feature },
    element("span", { class: "number" }, String(entry.feature)),
    element("span", { class: "share", title: `${count(entry.rows)} tokens` }, percent(entry.rows / source.facts.kept_rows)),
    what));
}

function showMore() {
  const next = list.found.slice(list.shown, list.shown + SHOWN_AT_ONCE);
  $("rows").append(...next.map(line));
  list.shown += next.length;
  $("more").hidden = list.shown >= list.found.length;
  markCurrent();
}

/* The number behind the address's #, as this page writes it; null: none, or something else. */
function chosen() {
  return /^#(0|[1-9]\d{0,9})$/.test(location.hash) ? Number(location.hash.slice(1)) : null;
}

/* The chosen feature's line, if it is shown. */
function markCurrent() {
  for (const a of $("rows").querySelectorAll("a[aria-current]")) a.removeAttribute("aria-current");
  const now = $("rows").querySelector(`a[data-feature="${chosen()}"]`);
  if (now) now.setAttribute("aria-current", "true");
  return now;
}

function step(by) {
  if (!list.found.length) return;
  const feature = chosen();
  const at = list.found.findIndex((e) => e.feature === feature);
  const to = at < 0 ? 0 : Math.max(0, Math.min(list.found.length - 1, at + by));
  while (to >= list.shown) showMore();
  location.hash = list.found[to].feature;
}

/* ---- a feature ---- */

function histogram(bars, mark, from, to, what) {
  const width = 360, height = 110, base = 90, most = Math.max(1, ...bars), each = width / bars.length;
  const picture = drawing("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": what });
  bars.forEach((n, i) => {
    const tall = n ? Math.max(1.5, (n / most) * (base - 6)) : 0;
    const bar = drawing("rect", { class: "bar", x: i * each + 0.5, y: base - tall, width: Math.max(0.5, each - 1), height: tall });
    bar.append(drawing("title", {}, count(n)));
    picture.append(bar);
  });
  picture.append(drawing("line", { class: "axis", x1: 0, x2: width, y1: base, y2: base }));
  if (mark !== null) picture.append(drawing("line", { class: "here", x1: (mark + 0.5) * each, x2: (mark + 0.5) * each, y1: 2, y2: base }));
  picture.append(drawing("text", { x: 0, y: base + 15 }, from), drawing("text", { x: width, y: base + 15, "text-anchor": "end" }, to));
  return picture;
}

/* What was left out, or is missing, is a gap: what stands on its sides did not touch. */
function contextItem(context, largest) {
  const words = element("div", { class: "words" });
  let in_gap = false;
  context.tokens.forEach((token, i) => {
    const value = context.values[i];
    if (token === null || value === null) {
      if (!in_gap) words.append(element("span", { class: "gap", title: "rows that were left out, or are not there" }, " ⋯ "));
      in_gap = true;
      return;
    }
    in_gap = false;
    const word = element("span", { title: value > 0 ? short(value) : "does not fire" }, visible(tokenText(token)));
    if (value > 0) word.style.background = heat(value / largest);
    if (i === context.at) word.className = "centre";
    words.append(word);
  });
  return element("li", {}, element("span", { class: "value" }, short(context.values[context.at] ?? 0)), words);
}

const contexts = (all, largest) => element("ul", { class: "contexts" }, ...all.map((c) => contextItem(c, largest)));

function neighbours(all, score, digits) {
  if (!all.length) return element("p", { class: "empty" }, "none");
  return element("table", { class: "pairs" }, ...all.slice(0, NEIGHBOURS).map((n) => {
    const entry = source.entry(n.feature), label = labelShown(n.feature);
    const what = element("td", {});
    if (entry && entry.token >= 0) what.append(tokenChip(entry.token), " ");
    if (label) what.append(label);
    const name = entry ? element("a", { href: `#${n.feature}` }, String(n.feature)) : String(n.feature);
    return element("tr", {}, element("td", {}, name), what, element("td", {}, n[score].toFixed(digits)));
  }));
}

function tokenTable(all) {
  return element("table", { class: "pairs" }, ...all.map((t) => element("tr", {},
    element("td", {}, tokenChip(t.token)), element("td", {}, (t.logit > 0 ? "+" : "") + t.logit.toFixed(3)))));
}

async function keepLabel(feature, text, input) {
  try {
    await ask("api/label", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ feature, text }) });
    if (text) source.labels.set(feature, text);
    else source.labels.delete(feature);
    tell(null);
    const shown = $("rows").querySelector(`a[data-feature="${feature}"]`);
    if (chosen() === feature) nameTab(feature);
    if (shown) shown.parentElement.replaceWith(line(source.entry(feature)));
    markCurrent();
  } catch (error) {
    input.value = source.labels.get(feature) || "";
    tell(error);
  }
}

function labelField(feature) {
  const label = source.labels.get(feature) || "";
  if (!source.can.label) return element("strong", { class: "label" }, labelShown(feature));
  return element("input", {
    class: "label", id: "label", value: label, maxLength: 300, placeholder: "what it is about (e)",
    "aria-label": `label of feature ${feature}`,
    onchange: (event) => keepLabel(feature, event.target.value.trim(), event.target),
    onkeydown: (event) => { if (event.key === "Enter") event.target.blur(); },
  });
}

function title(sheet) {
  return [
    element("div", { class: "title" },
      element("a", { class: "back", href: "#" }, "◂ list"),
      element("h2", {}, `Feature ${sheet.feature}`), labelField(sheet.feature)),
    element("p", { class: "facts" }, sheet.rows
      ? `fires at ${percent(sheet.density)} of tokens (${count(sheet.rows)} of ${count(source.facts.kept_rows)}), ${short(sheet.largest)} at most, ${short(sheet.mean)} in the mean`
      : `never fired at ${count(source.facts.kept_rows)} tokens`),
  ];
}

const column = (heading, content) => element("section", {}, element("h3", {}, heading), content);

function pictures(sheet) {
  return element("div", { class: "columns" },
    column("values where it fires", histogram(sheet.histogram, null, "0", short(sheet.largest), "how many tokens have which value")),
    column("how often, among all features", histogram(source.densities(), sheet.rows ? densityBin(sheet.density) : null, "1e-6 of tokens", "all", "how many features fire how often; this one is marked")));
}

function tokensAndNeighbours(sheet) {
  const promotes = sheet.promotes || [], suppresses = sheet.suppresses || [];
  return element("div", { class: "columns" },
    promotes.length ? column("makes likelier", tokenTable(promotes)) : null,
    suppresses.length ? column("makes less likely", tokenTable(suppresses)) : null,
    column("fires at the same tokens (PMI)", neighbours(sheet.together, "pmi", 2)),
    column("points the same way (cosine)", neighbours(sheet.alike, "cosine", 3)));
}

function interval(part, largest) {
  return element("section", {}, element("h3", {}, `${short(part.from)} to ${short(part.to)}: ${count(part.rows)} tokens`),
    part.samples.length ? contexts(part.samples, largest) : element("p", { class: "empty" }, "no more than those above"));
}

function nameTab(feature) {
  document.title = feature === null ? `${source.facts.sae} · features` : `${feature} ${labelShown(feature)} · ${source.facts.sae}`;
}

/* For those who hear the page. */
function say(sheet) {
  $("said").textContent = `Feature ${sheet.feature}, ${sheet.rows ? `fires at ${percent(sheet.density)} of tokens` : "never fired"}. ${labelShown(sheet.feature)}`;
}

async function showFeature() {
  const feature = chosen(), place = $("feature"), wanted = location.hash.slice(1);
  document.body.className = wanted ? "at-feature" : "at-list";
  markCurrent()?.scrollIntoView({ block: "nearest" });
  nameTab(feature);
  if (!wanted) {
    place.replaceChildren(element("p", { class: "empty" }, "Choose a feature from the list, or press j."));
    return;
  }
  if (feature === null || !source.entry(feature)) {
    place.replaceChildren(element("a", { class: "back", href: "#" }, "◂ list"), element("p", {}, source.is_single
      ? `Feature ${wanted} is not in this file.`
      : `There is no feature ${wanted}: they are 0 to ${source.facts.features - 1}.`));
    return;
  }
  try {
    const sheet = await source.sheet(feature);
    if (feature !== chosen()) return; /* another was chosen meanwhile */
    place.replaceChildren(...title(sheet));
    if (sheet.rows) {
      place.append(pictures(sheet), element("h3", {}, "where it fires most"), contexts(sheet.top, sheet.largest), tokensAndNeighbours(sheet));
      for (const part of sheet.intervals.slice().reverse()) place.append(interval(part, sheet.largest));
    } else {
      place.append(tokensAndNeighbours(sheet));
    }
    place.scrollTop = 0;
    say(sheet);
    tell(null);
  } catch (error) {
    if (feature !== chosen()) return;
    place.replaceChildren(element("a", { class: "back", href: "#" }, "◂ list"), element("p", {}, String(error.message)));
  }
}

/* ---- a text of the reader's ---- */

function featureRow(feature, value, extra) {
  const entry = source.entry(feature), label = labelShown(feature);
  const what = element("td", {});
  if (entry.token >= 0) what.append(tokenChip(entry.token), " ");
  if (label) what.append(label);
  return element("tr", {}, element("td", {}, element("a", { href: `#${feature}`, onclick: () => $("text").close() }, String(feature))), what, element("td", {}, short(value) + (extra || "")));
}

function strongestAnywhere(tokens) {
  const best = new Map();
  for (const t of tokens) for (const [feature, value] of t.features) {
    const now = best.get(feature) || { value: 0, times: 0 };
    best.set(feature, { value: Math.max(now.value, value), times: now.times + 1 });
  }
  return [...best].sort((a, b) => b[1].value - a[1].value).slice(0, 30);
}

function showText(answer) {
  const most = Math.max(1e-9, ...answer.tokens.map((t) => (t.left_out || !t.features.length ? 0 : t.features[0][1])));
  const words = element("div", { class: "words" }), here = element("div", {});
  const all = element("table", { class: "pairs" }, ...strongestAnywhere(answer.tokens.filter((t) => !t.left_out)).map(([f, b]) => featureRow(f, b.value, `, ${b.times}×`)));
  const showAll = () => here.replaceChildren(element("h3", {}, "strongest on the whole text (largest value, tokens)"), all);
  for (const t of answer.tokens) {
    const shown = visible(tokenText(t.token));
    const word = element("button", { type: "button", title: t.left_out ? "special, or the first: left out of trainings" : `${t.features.length} strongest features`, onclick: () => {
      here.replaceChildren(element("h3", {}, "at ", tokenChip(t.token)), element("table", { class: "pairs" }, ...t.features.map(([f, v]) => featureRow(f, v))),
        element("button", { type: "button", onclick: showAll }, "The whole text"));
    } }, shown);
    if (!t.left_out && t.features.length) word.style.background = heat(t.features[0][1] / most);
    words.append(word);
  }
  showAll();
  $("text-answer").replaceChildren(element("h3", {}, "choose a token"), words, here);
}

async function runText() {
  $("text-run").disabled = true;
  $("text-note").textContent = "running the model …";
  try {
    const answer = await ask("api/text", { method: "POST", headers: { "Content-Type": "text/plain" }, body: $("text-input").value });
    showText(await answer.json());
    $("text-note").textContent = "";
  } catch (error) {
    $("text-answer").replaceChildren();
    $("text-note").textContent = String(error.message);
  }
  $("text-run").disabled = false;
}

function openText() {
  if (source.is_single) return;
  $("text-run").disabled = Boolean(source.can.text);
  $("text-input").disabled = Boolean(source.can.text);
  $("text-note").textContent = source.can.text || "";
  $("text").showModal();
}

/* ---- keys, theme ---- */

function switchTheme() {
  const is_dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = is_dark ? "light" : "dark";
  try { localStorage.setItem("sluice-theme", document.documentElement.dataset.theme); } catch (error) { /* not kept, then */ }
}

const keys = {
  j: () => step(1), ArrowRight: () => step(1), ArrowDown: () => step(1),
  k: () => step(-1), ArrowLeft: () => step(-1), ArrowUp: () => step(-1),
  "/": () => { location.hash = document.body.className === "at-feature" && innerWidth < 736 ? "" : location.hash; $("search").focus(); },
  t: openText, d: switchTheme, l: () => { location.hash = ""; },
  e: () => { if ($("label")) $("label").focus(); },
  "?": () => $("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || !source) return;
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

async function start() {
  try {
    const kept = localStorage.getItem("sluice-theme");
    if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
  } catch (error) { /* none is kept */ }
  const opened = $("data") ? new Inside() : new Folder();
  try {
    await opened.open();
  } catch (error) {
    tell(error);
    return;
  }
  source = opened;
  const f = source.facts;
  $("name").textContent = f.sae;
  $("about").textContent = `${f.hooks.join(", ")} · ${f.model || "rows"} · ${count(f.features)} features over ${count(f.kept_rows)} tokens`;
  if (source.is_single) $("text-open").hidden = true;
  if (source.is_single && location.hash.length <= 1) history.replaceState(null, "", `#${source.entries[0].feature}`);
  for (const id of ["search", "density", "sort"]) $(id).addEventListener("input", findAll);
  $("search").addEventListener("keydown", (event) => { if (event.key === "Enter" && list.found.length) { location.hash = list.found[0].feature; event.target.blur(); } });
  $("more").addEventListener("click", showMore);
  $("theme").addEventListener("click", switchTheme);
  $("help-open").addEventListener("click", keys["?"]);
  $("text-open").addEventListener("click", openText);
  $("text-run").addEventListener("click", runText);
  addEventListener("hashchange", showFeature);
  findAll();
  await showFeature();
  document.body.dataset.ready = "true";
}

start();
