// Searchable tables of records. Whatever comes from a record is set as text, never as markup.
"use strict";

const STEP = 10;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const filled = (pattern, values) => pattern.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const plain = (value) => value === null || value === undefined ? "" : String(value);
const folded = (text) => text.normalize("NFKC").toLowerCase();

// The text, what was searched for in <mark>.
function marked(text, needle) {
  const parts = [];
  const low = text.toLowerCase();
  let at = 0;
  if (needle && low.length === text.length) {
    for (let found = low.indexOf(needle); found >= 0; found = low.indexOf(needle, at)) {
      parts.push(text.slice(at, found), element("mark", {}, text.slice(found, found + needle.length)));
      at = found + needle.length;
    }
  }
  return [...parts, text.slice(at)];
}

function labelled(text, control, kind = "") {
  return element("label", kind ? { class: kind } : {}, text, control);
}

function choice(options) {
  const select = element("select");
  for (const [value, text] of options) select.append(element("option", { value }, text));
  return select;
}

function shownNumber(value) {
  return typeof value === "number" ? String(Number(value.toPrecision(4))) : "–";
}

function cell(column, row, needle) {
  const made = element("td", { class: column.kind, "data-label": column.label });
  const text = plain(row[column.key]);
  if (column.kind === "number") made.append(shownNumber(row[column.key]));
  else if (column.kind === "long" || column.kind === "clip") made.append(element("span", { class: "two" }, ...marked(text, needle)));
  else made.append(...marked(text, needle));
  return made;
}

const LONG = 60, LINE = 120; // characters: from LONG on a value stands below its name, up to LINE alone in its row

function whole(told, row, needle) {
  const large = element("dl"), small = element("dl", { class: "small" });
  const long = new Set(told.columns.filter((one) => one.kind === "long").map((one) => one.key));
  for (const { key, label } of told.whole) {
    const text = plain(row[key]);
    if (!text) continue;
    const list = long.has(key) || text.length > LONG ? large : small;
    const kind = text.length > LINE ? "" : "line";
    list.append(element("div", { class: kind }, element("dt", {}, label), element("dd", {}, ...marked(text, needle))));
  }
  const span = element("td", { colspan: String(told.columns.length) }, large);
  if (small.childElementCount) span.append(small);
  return element("tr", { class: "whole" }, span);
}

function line(told, row, needle) {
  const made = element("tr", {}, ...told.columns.map((column) => cell(column, row, needle)));
  const open = element("button", { class: "open", type: "button", "aria-expanded": "false" });
  open.append(...made.firstChild.childNodes);
  made.firstChild.append(open);
  let below = null;
  open.addEventListener("click", () => {
    if (below) below.remove();
    below = below ? null : whole(told, row, needle);
    if (below) made.after(below);
    open.setAttribute("aria-expanded", String(Boolean(below)));
  });
  return made;
}

function order(told) {
  const options = [["", told.words.as_drawn]];
  for (const { key, label } of told.order) {
    options.push([`+${key}`, filled(told.words.lowest_first, { name: label })]);
    options.push([`-${key}`, filled(told.words.highest_first, { name: label })]);
  }
  return choice(options);
}

function sorted(rows, by) {
  if (!by) return rows;
  const key = by.slice(1), sign = by[0] === "-" ? -1 : 1;
  const known = rows.filter((row) => row[key] !== null), unknown = rows.filter((row) => row[key] === null);
  return [...known.sort((a, b) => sign * (a[key] - b[key])), ...unknown];
}

function build(box, told) {
  const search = element("input", { type: "search", autocomplete: "off" });
  const tools = element("div", { class: "tools", role: "search" }, labelled(told.words.search, search, "wide"));
  const filters = told.filters.map(({ key, label }) => {
    const values = [...new Set(told.rows.map((row) => plain(row[key])))].sort();
    const select = choice([["", told.words.all], ...values.map((value) => [`=${value}`, value || "–"])]);
    tools.append(labelled(label, select));
    return { key, select };
  });
  const by = order(told);
  if (told.order.length) tools.append(labelled(told.words.order, by));

  const status = element("p", { class: "quiet", role: "status" });
  const body = element("tbody");
  const heads = told.columns.map(({ label, kind }) => element("th", { scope: "col", class: kind }, label));
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body);
  const more = element("button", { class: "more", type: "button" }, told.words.more_rows);
  const hay = new Map(told.rows.map((row) => [row, folded(Object.values(row).map(plain).join("\n"))]));
  let shown = STEP;

  function refresh() {
    const needle = search.value.trim();
    const fits = (row) => hay.get(row).includes(folded(needle))
      && filters.every(({ key, select }) => !select.value || select.value === `=${plain(row[key])}`);
    const found = sorted(told.rows.filter(fits), by.value);
    body.replaceChildren(...found.slice(0, shown).map((row) => line(told, row, needle.toLowerCase())));
    status.textContent = found.length
      ? filled(told.words.showing, { shown: Math.min(shown, found.length), found: found.length }) : told.words.nothing_found;
    more.hidden = found.length <= shown;
  }

  function again() {
    shown = STEP;
    refresh();
  }

  more.addEventListener("click", () => {
    const next = shown;
    shown += STEP;
    refresh();
    body.querySelectorAll(".open")[next]?.focus();
  });
  search.addEventListener("input", again);
  for (const control of [by, ...filters.map(({ select }) => select)]) control.addEventListener("change", again);
  box.replaceChildren(tools, status, table, more);
  refresh();
}

for (const box of document.querySelectorAll("[data-records]")) {
  build(box, JSON.parse(document.getElementById(box.dataset.records).textContent));
}
