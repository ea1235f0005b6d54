/* Elements of the page. Whatever comes out of a document is text: it is set as text, never as HTML. */

export const $ = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") e.className = value;
    else if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) e.setAttribute(key, value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

/* Of a picture (SVG). */
export function drawing(name, attributes = {}, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) e.setAttribute(key, value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

/* So much of a picture's words as there is room for: letters are some pixels wide. */
export function fit(words, pixels, letter) {
  const most = Math.max(3, Math.floor(pixels / letter));
  return words.length <= most ? words : `${words.slice(0, most - 1)}…`;
}

/* Set a text only where it is another, so that what did not change is not laid out, or read aloud, again. */
export function say(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

/* A number where a person reads it and where a program does: data-value is the raw one, "" for none. */
export function put(e, value, text) {
  say(e, text);
  e.dataset.value = value === null || value === undefined ? "" : value;
}
