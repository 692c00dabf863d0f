// The page of `kun review`. Texts of records become text nodes only, never markup.
"use strict";

const $ = (id) => document.getElementById(id);
const t = JSON.parse($("labels").textContent);
const secret = document.querySelector("meta[name=kun-page]").content;
const VERDICTS = { keep: t.kept, drop: t.dropped, edit: t.edited };

let state = null; // what /api/session says
let record = null; // the record on the page, as /api/records/PLACE gives it
let place = 0; // its place; state.records.length: behind the last one
let editing = false;
let busy = false; // a change is under way: a key held down gives one vote

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "content-type": "application/json", "x-kun-page": secret },
    body: JSON.stringify(body),
  };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error(t.lost);
  }
  const plain = !(answer.headers.get("content-type") || "").includes("json");
  const found = plain ? { error: await answer.text() } : await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

function tell(text, bad = false) {
  const toast = $("told-now");
  toast.textContent = text;
  toast.className = bad ? "toast shown bad" : "toast shown";
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => toast.classList.remove("shown"), bad ? 8000 : 1600);
}

/** One change at a time, its failure told. */
async function change(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
  } catch (error) {
    tell(error.message, true);
  } finally {
    busy = false;
  }
}

// Which records are shown

const shows = (one) => {
  const wanted = $("show").value;
  if (wanted === "all") return true;
  if (wanted === "open") return one.verdict === "";
  return wanted === "stale" ? one.stale : one.verdict === wanted;
};

/** The nearest shown place from `start` on in a direction; behind the last one when there is none. */
function nearest(start, step) {
  let found = start;
  while (found >= 0 && found < state.records.length && !shows(state.records[found])) found += step;
  return found;
}

async function go(wanted) {
  stopEditing();
  place = Math.min(Math.max(wanted, 0), state.records.length);
  const known = place < state.records.length;
  record = known ? await ask(`/api/records/${place}`) : null;
  history.replaceState(null, "", known ? `#${place + 1}` : "#end");
  draw();
  scrollTo(0, 0);
}

const forward = () => go(nearest(place + 1, 1));
const back = () => {
  const found = nearest(place - 1, -1);
  return found < 0 ? undefined : go(found);
};

// Drawing

function draw() {
  drawProgress();
  drawVotes();
  const anyShown = state.records.some(shows);
  $("record").hidden = !record;
  $("finished").hidden = Boolean(record) || !anyShown;
  $("none").hidden = Boolean(record) || anyShown;
  for (const id of ["keep", "drop", "edit"]) {
    $(id).disabled = !record || (id === "edit" && record.editable.length === 0);
    $(id).classList.toggle("given", Boolean(record && record.vote && record.vote.verdict === id));
    $(id).setAttribute("aria-pressed", Boolean(record && record.vote && record.vote.verdict === id));
  }
  if (record) drawRecord();
}

function drawProgress() {
  const total = state.records.length;
  const done = state.records.filter((one) => one.verdict).length;
  $("told").textContent = `${state.told || t.pairs} · ${state.reviewer}`;
  $("place").textContent = place < total ? `${place + 1} ${t.of} ${total}` : `${done} ${t.of} ${total}`;
  const most = 120; // of longer samples each piece of the strip stands for several records
  const step = Math.max(1, Math.ceil(total / most));
  $("strip").replaceChildren(...Array.from({ length: Math.ceil(total / step) }, (_, piece) => {
    const part = state.records.slice(piece * step, (piece + 1) * step);
    const mark = document.createElement("i");
    if (part.every((one) => one.verdict)) mark.classList.add(part[part.length - 1].verdict);
    if (Math.floor(place / step) === piece) mark.classList.add("here");
    return mark;
  }));
}

function drawVotes() {
  const counts = state.records.reduce((sum, one) => ({ ...sum, [one.verdict]: (sum[one.verdict] || 0) + 1 }), {});
  const told = Object.keys(VERDICTS).filter((verdict) => counts[verdict]).map((verdict) => `${VERDICTS[verdict]} ${counts[verdict]}`);
  $("counted").textContent = told.join(" · ") || t.no_votes;
  $("total").textContent = told.join(" · ");
  $("votes").replaceChildren(...state.records.flatMap((one, number) => {
    if (!one.verdict) return [];
    const line = document.createElement("li");
    const button = document.createElement("button");
    button.append(styled("b", VERDICTS[one.verdict], one.verdict), styled("span", `${number + 1}  ${one.excerpt}`, ""));
    button.addEventListener("click", () => change(() => go(number)));
    line.append(button);
    return [line];
  }));
}

function styled(tag, text, style) {
  const node = document.createElement(tag);
  node.textContent = text;
  if (style) node.className = style;
  return node;
}

function drawRecord() {
  const vote = record.vote;
  const edit = vote && vote.verdict === "edit" ? vote.edit : {};
  for (const id of ["instruction", "answer"]) $(id).closest(".card").className = `card ${vote ? vote.verdict : ""}`;
  drawFate();
  const from = [record.source, record.origin, record.title, record.method].filter(Boolean);
  $("origin").textContent = from.join(" · ");
  $("scores").replaceChildren(...Object.entries(record.scores).map(([name, value]) => {
    const pair = document.createElement("div");
    pair.append(styled("dt", name, ""), styled("dd", String(Number(value.toPrecision(4))), ""));
    return pair;
  }));
  for (const id of ["instruction", "input", "answer", "raw", "edit-instruction", "edit-output"]) $(id).lang = record.lang || "zh";
  write($("instruction"), edit.instruction || record.instruction, t.no_instruction);
  write($("input"), record.input, "");
  $("given").hidden = !record.input;
  if (edit.output) write($("answer"), edit.output, "");
  else runs($("answer"), record.answer, t.no_answer);
  runs($("raw"), record.raw, t.no_raw);
  $("columns").classList.toggle("one", record.raw.length === 0);
  $("raw").closest(".card").hidden = record.raw.length === 0;
  $("note").value = vote ? vote.note : "";
}

function drawFate() {
  const fate = $("fate");
  const left = record.left;
  if (left.stage) {
    const asked = left.threshold ? ` (${t.asked} ${left.threshold})` : "";
    const saw = left.value ? `: ${left.value}` : "";
    fate.textContent = `${t.left} ${left.stage}, ${left.reason}${saw}${asked}`;
  } else {
    fate.textContent = record.rank === null ? t.not_selected : `${t.selected} ${record.rank}`;
  }
  fate.className = `fate ${left.stage ? "drop" : record.rank === null ? "" : "keep"}`;
  if (record.stale) fate.textContent += ` · ${t.stale}`;
}

function write(node, text, missing) {
  node.textContent = text || missing;
  node.classList.toggle("none", !text);
}

function runs(node, pieces, missing) {
  node.classList.toggle("none", pieces.length === 0);
  if (pieces.length === 0) node.textContent = missing;
  else node.replaceChildren(...pieces.map(([text, shared]) => shared ? document.createTextNode(text) : styled("mark", text, "")));
}

// Votes

async function vote(verdict, edit = {}) {
  if (!record) return;
  const body = { record: record.id, verdict, edit, note: $("note").value };
  state = await ask("/api/votes", body);
  tell(`${VERDICTS[verdict]} · ${t.saved}`);
  await forward();
}

async function undo() {
  const told = await ask("/api/undo", {});
  if (told.undone === null) {
    tell(t.nothing_to_undo);
    return;
  }
  state = told;
  tell(t.undone);
  await go(told.undone);
}

const FIELDS = { instruction: ["edit-instruction", "instruction"], output: ["edit-output", "answer"] };

function startEditing() {
  if (!record || record.editable.length === 0) return;
  const before = record.vote && record.vote.verdict === "edit" ? record.vote.edit : {};
  editing = true;
  for (const field of record.editable) {
    const [area, shown] = FIELDS[field].map($);
    area.value = before[field] || record[field];
    area.hidden = false;
    shown.hidden = true;
  }
  $("deciding").hidden = true;
  $("editing").hidden = false;
  fit();
  $(FIELDS[record.editable.includes("output") ? "output" : "instruction"][0]).focus({ preventScroll: true });
}

function fit() {
  const area = $("edit-instruction");
  area.style.setProperty("height", "auto");
  area.style.setProperty("height", `${area.scrollHeight + 2}px`);
}

function stopEditing() {
  editing = false;
  for (const [area, shown] of Object.values(FIELDS)) {
    $(area).hidden = true;
    $(shown).hidden = false;
  }
  $("deciding").hidden = false;
  $("editing").hidden = true;
}

async function save() {
  const texts = record.editable.map((field) => [field, $(FIELDS[field][0]).value.trim()]);
  if (texts.some(([, text]) => !text)) throw new Error(t.empty);
  if (texts.every(([field, text]) => text === record[field])) throw new Error(t.unchanged);
  await vote("edit", Object.fromEntries(texts));
}

// Keys and buttons

const KEYS = {
  1: () => vote("keep"), 2: () => vote("drop"), e: startEditing, u: undo,
  j: forward, ArrowRight: forward, k: back, ArrowLeft: back,
  n: () => $("note").focus(), d: () => $("differences").click(), "?": () => $("help").showModal(),
};

function pressed(event) {
  if ($("help").open || event.isComposing) return;
  if (editing) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) act(event, save);
    else if (event.key === "Escape") act(event, stopEditing);
    return;
  }
  if (event.target.matches("#note, select")) {
    if (event.key === "Escape" || (event.key === "Enter" && event.target.id === "note")) act(event, () => $("main").focus());
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && !"jk".includes(event.key)) return;
  if (Object.hasOwn(KEYS, event.key)) act(event, KEYS[event.key]);
}

function act(event, work) {
  event.preventDefault();
  change(work);
}

const BUTTONS = {
  keep: KEYS[1], drop: KEYS[2], edit: startEditing, undo, previous: back, next: forward, save, cancel: stopEditing, keys: KEYS["?"],
};

async function start() {
  document.addEventListener("keydown", pressed);
  for (const [id, work] of Object.entries(BUTTONS)) $(id).addEventListener("click", () => change(work));
  $("edit-instruction").addEventListener("input", fit);
  $("differences").addEventListener("change", () => document.body.classList.toggle("marked", $("differences").checked));
  $("show").addEventListener("change", () => change(async () => {
    $("show").blur();
    await go(nearest(0, 1));
  }));
  addEventListener("beforeunload", (event) => { if (editing) event.preventDefault(); });
  document.body.classList.add("marked");
  state = await ask("/api/session");
  const wanted = Number(location.hash.slice(1)) - 1;
  const first = state.records.findIndex((one) => !one.verdict);
  await go(Number.isInteger(wanted) && wanted >= 0 ? wanted : Math.max(first, 0));
}

change(start);
