// Light, dark, or as the system has it; and the colours that canvases need, from the same
// custom properties that the style sheets use.

const KEY = "driftloop-theme";
const ORDER = ["system", "light", "dark"];
const listeners = new Set();
let colours = null;

export function colour(name) {
  colours ??= getComputedStyle(document.documentElement);
  return colours.getPropertyValue(`--${name}`).trim();
}

/** Calls `listener` after every change of colours. */
export function onTheme(listener) {
  listeners.add(listener);
}

export function startTheme(button) {
  show(button, document.documentElement.dataset.theme ?? "system");
  button.addEventListener("click", () => {
    const now = ORDER.indexOf(document.documentElement.dataset.theme);
    show(button, ORDER[(now + 1) % ORDER.length]);
    keep(document.documentElement.dataset.theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
}

/** For the next time, where the browser lets a page keep anything. */
function keep(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // It does not: the choice lasts as long as the page.
  }
}

function show(button, theme) {
  document.documentElement.dataset.theme = theme;
  button.querySelector("span").textContent = theme;
  button.setAttribute("aria-label", `Theme: ${theme}. Press to change.`);
  tell();
}

function tell() {
  colours = null;
  for (const listener of listeners) listener();
}
