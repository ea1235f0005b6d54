/* Colours of lines: they can be told apart by people who see few colours, and on both grounds; from the
 * eighth line on with dashes, too. The values are in page.css, so that light and dark have their own. */

import { element } from "./element.js";

const COLOURS = 7, dashes = [null, [6, 3], [2, 3], [10, 3, 2, 3]];
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export const colour = (i) => css(`--line-${i % COLOURS}`);
export const className = (i) => `line-${i % COLOURS}`;
export const dash = (i) => dashes[Math.floor(i / COLOURS) % dashes.length];
/* A line's mark, for a legend. */
export const swatch = (i) => element("i", { class: `swatch ${className(i)}${dash(i) ? " dashed" : ""}` });
export const ground = () => ({ grid: css("--grid"), axis: css("--line") });

/* Call when the person's system turns dark or light. */
export function onChange(fn) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", fn);
}
