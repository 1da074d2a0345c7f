// Elements without a framework. Styles go through CSSOM: the page's policy forbids inline ones.

/** h("td", {class: "n", data: {key: "a"}, on: {click}}, "text", child, …) */
export function h(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

function filled(element, props, children) {
  for (const [name, value] of Object.entries(props)) set(element, name, value);
  element.append(...children.flat(Infinity).filter((each) => each || each === 0));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "on") {
    for (const [event, listener] of Object.entries(value))
      element.addEventListener(event, listener);
  } else if (name === "style") {
    for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
  } else if (name === "data") {
    for (const [key, text] of Object.entries(value)) element.dataset[key] = text;
  } else {
    element.setAttribute(name, value === true ? "" : value);
  }
}

export const byId = (id) => document.getElementById(id);

/**
 * Makes these the children. What is equal already stays, so that a click or a selection under way
 * is not lost to an update; whoever had the focus by its data-key has it again afterwards.
 */
export function replace(container, ...children) {
  const key = container.contains(document.activeElement) && document.activeElement.dataset.key;
  settle(
    container,
    children.flat(Infinity).filter((each) => each || each === 0),
  );
  if (!key || document.activeElement?.dataset.key === key) return;
  container.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

// Without listeners of their own: their children may be changed in place.
const PLAIN = new Set("TABLE THEAD TBODY TR TD DIV DL UL OL".split(" "));

function settle(container, wanted) {
  const old = [...container.childNodes];
  for (const [at, child] of wanted.entries()) {
    const there = old[at];
    if (!there) container.append(child);
    else if (!same(there, child)) there.replaceWith(child);
  }
  for (const rest of old.slice(wanted.length)) rest.remove();
}

/** Whether `there` is, or now is, as `child`. */
function same(there, child) {
  if (!(child instanceof Node))
    return there.nodeType === Node.TEXT_NODE && there.data === `${child}`;
  if (there.isEqualNode(child)) return true;
  if (!PLAIN.has(there.nodeName) || !there.cloneNode().isEqualNode(child.cloneNode())) return false;
  settle(there, [...child.childNodes]);
  return true;
}

/**
 * A table that becomes cards on a narrow screen; its roles are written out, since a changed
 * `display` would take them away.
 * columns: [{name, unseen?, number?, wide?, less?}], `less`: not on a narrow screen;
 * rows: [{class?, cells: [node | text]}]
 */
export function table(caption, columns, rows) {
  const head = columns.map((column) =>
    h(
      "th",
      { role: "columnheader", scope: "col", class: column.number && "n" },
      column.name || h("span", { class: "unseen" }, column.unseen),
    ),
  );
  return h("table", { role: "table", class: "cards" }, [
    h("caption", { class: "unseen" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
    h(
      "tbody",
      { role: "rowgroup" },
      rows.map((row) => line(row, columns)),
    ),
  ]);
}

function line(row, columns) {
  const cells = row.cells.map((cell, at) =>
    h(
      "td",
      {
        role: "cell",
        class: [columns[at].number && "n", columns[at].wide && "wide", columns[at].less && "less"]
          .filter(Boolean)
          .join(" "),
        data: { name: columns[at].name },
      },
      cell ?? "–",
    ),
  );
  return h("tr", { role: "row", class: row.class }, cells);
}

/** Says it to screen readers, without showing it. */
export function announce(text) {
  byId("said").textContent = text;
}

let gone;

/** Says it to everybody for a while. */
export function toast(text, bad = false) {
  const box = byId("toast");
  box.textContent = text;
  box.classList.toggle("bad", bad);
  box.hidden = false;
  clearTimeout(gone);
  gone = setTimeout(() => (box.hidden = true), bad ? 12000 : 6000);
}
